//! The HTTP connections: what happens to each of them, in which order.
//!
//! Work is done for slots that something happened to: a segment, a completion, or a time that came.
//! Whose slot it is is decided in [`slots`](super::slots), whose answer in
//! [`answers`](super::answers).

use super::answers::Answers;
use super::drain::{Drain, Stand};
use super::room::{Budget, Need};
use super::slot::{Overdue, Pulled, Slot};
use super::slots::{IDLE_SPARED_NS, Slots};
use super::timers::NEVER;
use crate::dispatch::Dispatcher;
use crate::http;
use crate::http::connection::{Phase, Step};
use crate::net::arrival::{Connect, Peer, Segment, TooBig};
use crate::net::paths::{FIRST_TRIED_MTU, Paths, common_below, narrowed_by};
use crate::net::time::earliest;
use crate::net::{self, Network, Outward, Verdict};
use crate::random::Random;
use crate::settings::{self, Settings};
use crate::state::{Node, Now, Readiness};
use limits::{HELD_FREE_LEN, READ_LEN_PER_POLL_MAX};

const NS_PER_MS: u64 = 1_000_000;
/// How long an acknowledgement waits for an answer to go with: as long as smoltcp lets it wait.
const ACKNOWLEDGE_DELAY_NS: u64 = 10 * NS_PER_MS;

/// All connections, and the node they talk to.
pub struct Connections<'a> {
    port: u16,
    slots: Slots,
    answers: Answers<'a>,
    paths: Paths,
    budget: Budget,
    /// The largest packet the wire takes.
    mtu: usize,
    idle_ns: u64,
    drain_times: settings::Drain,
    /// If the node was asked to leave.
    drain: Option<Drain>,
}

impl<'a> Connections<'a> {
    pub fn new(
        settings: &Settings,
        slots_max: usize,
        node: Node,
        dispatcher: &'a Dispatcher,
        mut random: Random,
    ) -> Self {
        let slots = Slots::new(slots_max, &mut random);
        let answers = Answers::new(node, dispatcher, random, slots_max, settings);
        Self {
            port: settings.port,
            slots,
            answers,
            paths: Paths::default(),
            budget: Budget::new(slots_max),
            mtu: usize::MAX,
            idle_ns: settings.idle_ms * NS_PER_MS,
            drain_times: settings.drain,
            drain: None,
        }
    }

    pub fn node(&self) -> &Node {
        &self.answers.node
    }

    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.answers.node
    }

    /// Slots with a connection.
    #[cfg(test)]
    pub fn open(&self) -> usize {
        self.slots.open()
    }

    /// Invocations and deploys that have not ended.
    #[cfg(test)]
    pub fn outstanding(&self) -> usize {
        self.answers.outstanding()
    }

    /// Long inputs and results that are being read.
    #[cfg(test)]
    pub fn texts(&self) -> usize {
        self.answers.texts.len()
    }

    /// When time-outs must be looked for again.
    pub fn next_ns(&self) -> Option<u64> {
        let slots_ns = self.slots.next_ns();
        let Answers { deploys, texts, .. } = &self.answers;
        if deploys.len() + texts.len() == 0 {
            return slots_ns;
        }
        earliest([slots_ns, deploys.next_ns(), texts.next_ns()])
    }

    /// A slot for a client that has none.
    fn free_slot(&mut self, now_ns: u64) -> Option<u32> {
        if let Some(index) = self.slots.free() {
            return Some(index);
        }
        let half_open_min = self.answers.crowd.half_open_min();
        let victim = self.slots.least_useful(now_ns, half_open_min)?;
        self.release(victim, now_ns);
        self.slots.free()
    }

    fn release(&mut self, index: u32, now_ns: u64) {
        let slot = self.slots.get(index);
        self.answers.abandon(slot, index, now_ns);
        self.answers.deploys.abandon(index);
        self.answers.texts.abandon(index);
        self.answers.crowd.leave(&mut slot.is_held);
        if let Some(buffers) = slot.give_back() {
            self.budget.free(buffers);
        }
        self.slots.release(index);
    }

    /// Moves errands to the registry on. Returns when to be called again.
    pub fn poll_store(&mut self, network: &mut Network, now: Now) -> Option<u64> {
        let is_late = self.is_late(now.monotonic_ns);
        let Self { slots, answers, .. } = self;
        answers.poll_store(slots, network, is_late, now)
    }

    /// Whether a registry keeps the actions.
    pub fn has_store(&self) -> bool {
        self.answers.storage.is_some()
    }

    /// Whether the runtimes that were to come first are there, as far as they can be.
    pub fn is_supplied(&self) -> bool {
        self.answers.storage.as_ref().is_none_or(|storage| storage.supply.is_settled())
    }

    /// Whether errands were begun since they were moved on.
    pub fn has_begun_errands(&self) -> bool {
        self.answers.storage.as_ref().is_some_and(|storage| storage.has_begun())
    }

    /// Hands out completions, and does what is to be done for every slot something happened to.
    pub fn poll(&mut self, now: Now, outward: &mut Outward<'_>) {
        self.mtu = outward.mtu();
        let is_late = self.is_late(now.monotonic_ns);
        self.answers.let_out(&mut self.slots, now);
        self.answers.complete(&mut self.slots, is_late, now);
        if self.answers.deploys.len() + self.answers.texts.len() > 0 {
            self.go_on(now);
        }
        if self.answers.crowd.wants_room(now.monotonic_ns) {
            for index in self.slots.held_slowly(now.monotonic_ns) {
                self.release(index, now.monotonic_ns);
            }
        }
        self.slots.touch_due(now.monotonic_ns);
        if let Some(drain) = &mut self.drain
            && drain.is_late(now.monotonic_ns)
            && !core::mem::replace(&mut drain.is_last_call_over, true)
        {
            self.close_idle(now.monotonic_ns, 0);
        }
        self.answers.read_len = 0;
        while let Some(index) = self.slots.take_touched() {
            self.work(index, now, outward);
            if self.answers.read_len > READ_LEN_PER_POLL_MAX {
                self.slots.leave_for_later();
                break;
            }
        }
    }

    /// Does a slice of what is done in slices. A text and a deploy that are due at once are so in
    /// two looks, for each is due a time after it was last.
    #[inline(never)]
    fn go_on(&mut self, now: Now) {
        let Self { slots, answers, .. } = self;
        if !answers.read(slots, now) {
            answers.deploy(slots, now);
        }
    }

    fn work(&mut self, index: u32, now: Now, outward: &mut Outward<'_>) {
        let now_ns = now.monotonic_ns;
        self.answers.accept_if_overdue(self.slots.get(index), now);
        let waited = self.slots.get(index).waits_for.is_some();
        self.serve(index, now, outward);
        let Self { slots, answers, idle_ns, .. } = self;
        let slot = slots.get(index);
        // What has just become overdue is due again at once.
        let is_due = slot.overdue_ns <= now_ns;
        match is_due.then(|| slot.overdue(*idle_ns)).flatten() {
            Some((at_ns, overdue)) if at_ns <= now_ns => {
                slot.progress_ns = now_ns;
                match overdue {
                    Overdue::Close => slot.socket_mut().close(),
                    Overdue::Abort => slot.socket_mut().abort(),
                    Overdue::Refuse => {
                        answers.refuse(slot, http::MessageReject::TooSlow, now);
                        slot.send();
                    }
                    // Looked for before it was served.
                    Overdue::Accept => {}
                }
            }
            _ => {}
        }
        if slot.is_held && slot.is_answered() {
            answers.crowd.leave(&mut slot.is_held);
            slot.holding.clear();
        }
        slot.close_if_done();
        if slot.is_swallowed(now_ns) {
            narrow_swallowed(slot, &mut self.paths, self.mtu, now_ns);
        }
        if slot.is_wide() && slot.is_idle() && slot.is_quiet() {
            // Nobody needs it now; the next answer will ask for it again.
            if let Some(buffers) = slot.narrow(self.port, outward) {
                self.budget.free(buffers);
            }
        }
        let slot = self.slots.get(index);
        slot.note_unacknowledged(now_ns);
        if slot.hurry_ns() <= now_ns {
            slot.hurry(self.port, outward);
        }
        // The answer to what was just asked will carry the acknowledgement, if it comes soon. Later
        // segments get theirs as usual, so that none is put off for ever.
        let will_answer = slot.waits_for.is_some() && !waited && slot.socket().send_queue() == 0;
        let network_ns = if will_answer {
            Some(now_ns + ACKNOWLEDGE_DELAY_NS)
        } else {
            let network_ns = slot.path().and_then(|path| outward.egress(&mut slot.sockets, path));
            network_ns.map(|at_ns| at_ns.min(slot.hurry_ns()))
        };
        if slot.is_over() {
            self.release(index, now_ns);
            return;
        }
        let overdue_ns = slot.overdue(self.idle_ns).map(|(at_ns, _)| at_ns);
        slot.overdue_ns = overdue_ns.unwrap_or(NEVER);
        self.slots.set_time(index, earliest([network_ns, overdue_ns]));
    }

    /// Moves bytes and answers requests on one connection until nothing moves any more.
    fn serve(&mut self, index: u32, now: Now, outward: &mut Outward<'_>) {
        let now_ns = now.monotonic_ns;
        let is_late = self.is_late(now_ns);
        let Self { port, slots, answers, budget, .. } = self;
        slots.get(index).begin_look(now_ns);
        loop {
            let slot = slots.get(index);
            if let Some(need) = slot.need()
                && slot.is_quiet()
            {
                widen(slot, need, budget, (*port, outward));
            }
            let sent = slot.send();
            if slot.streams()
                && let Pulled::More(core) = slot.pull(now_ns)
            {
                slot.progress_ns = now_ns;
                if let Some(core) = core {
                    answers.wake(core);
                }
                continue;
            }
            let phase = slot.connection.phase();
            let received = match phase {
                Phase::Idle | Phase::Receiving | Phase::Closing => {
                    if phase == Phase::Idle {
                        slot.begin_request(now_ns);
                    }
                    answers.receive(slot, now)
                }
                Phase::Answering | Phase::Streaming | Phase::Sending => None,
            };
            // What comes after the last answer is dropped, and keeps nothing alive.
            if sent || received.is_some() && phase != Phase::Closing {
                slot.progress_ns = now_ns;
            }
            match received {
                Some(Step::Request(request)) => {
                    if request.body.len() <= HELD_FREE_LEN
                        || answers.hold_body(slots, index, Some(&request), now)
                    {
                        answers.answer(slots, index, request, is_late, now);
                    }
                }
                Some(Step::Reject(reject)) => answers.refuse(slot, reject, now),
                Some(Step::More | Step::Continue) => {
                    if slot.connection.body_len() > HELD_FREE_LEN {
                        answers.hold_body(slots, index, None, now);
                    }
                }
                None if sent => {}
                None => break,
            }
        }
    }

    /// Begins to leave: every answer from now on is its connection's last. Does nothing the second
    /// time.
    pub fn drain(&mut self, now_ns: u64) {
        if self.drain.is_some() {
            return;
        }
        log::info!("draining");
        self.drain = Some(Drain::new(now_ns, self.answers.asked_ns, self.drain_times));
        self.answers.node.readiness = Readiness::Draining;
        for slot in self.slots.iter_mut() {
            slot.connection.close_after_response();
        }
        self.close_idle(now_ns, IDLE_SPARED_NS);
    }

    /// Ends connections on which nothing has happened for a time: who keeps one for later must not
    /// find out by a request that nobody answers.
    fn close_idle(&mut self, now_ns: u64, spared_ns: u64) {
        self.slots.touch_all(|slot| {
            let ends = slot.is_idle() && slot.progress_ns + spared_ns <= now_ns;
            if ends {
                slot.socket_mut().close();
            }
            ends
        });
    }

    /// Ends all connections, because the node is about to be gone.
    pub fn hang_up(&mut self) {
        self.slots.touch_all(|slot| {
            slot.socket_mut().abort();
            true
        });
    }

    /// Whether it is too late for anything new.
    fn is_late(&self, now_ns: u64) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.is_late(now_ns))
    }

    /// Where leaving stands, if the node was asked to.
    pub fn drain_stand(&mut self, now_ns: u64) -> Option<Stand> {
        let drain = self.drain.as_mut()?;
        let busy = |slot: &mut Slot| slot.peer.is_some() && slot.is_busy();
        // Only looked at late: on the way there are many polls.
        let is_busy = drain.is_late(now_ns) && self.slots.iter_mut().any(busy);
        Some(drain.stand(now_ns, self.answers.outstanding(), is_busy))
    }
}

impl net::Connections for Connections<'_> {
    // For every segment, and from a second place for those that came in parts.
    #[inline(always)]
    fn segment(&mut self, segment: Segment) -> Verdict<'_> {
        let Some(index) = self.slots.of(segment.peer) else { return Verdict::Nobody };
        self.slots.touch(index);
        let slot = self.slots.get(index);
        slot.numbers.window = segment.window;
        let shift = slot.window_shift;
        if slot.is_wide()
            && let Some((first, step_len)) = slot.steps_to(segment)
        {
            return Verdict::Stepwise(&mut slot.sockets, shift, first, step_len);
        }
        Verdict::Read(&mut slot.sockets, shift)
    }

    /// If there is no room the client asks again, and would give up if it were told.
    fn connect(&mut self, connect: Connect, first: u32, now_ns: u64) -> Verdict<'_> {
        let peer = connect.peer;
        if let Some(index) = self.slots.of(peer) {
            return self.connect_again(index, connect, first, now_ns);
        }
        if self.is_late(now_ns) {
            return Verdict::Nobody;
        }
        let Some(index) = self.free_slot(now_ns) else {
            self.answers.node.load.connects_dropped += 1;
            return Verdict::Drop;
        };
        self.slots.enter(index, peer);
        self.begin(index, connect, first, now_ns)
    }

    fn reset(&mut self, peer: Peer, sequence: u32) -> Verdict<'_> {
        let Some(index) = self.slots.of(peer) else { return Verdict::Drop };
        let slot = self.slots.get(index);
        // Exactly the next byte's: nobody guesses that. In the window: whoever it was is told the
        // number (RFC 5961, 3.2).
        let ahead = sequence.wrapping_sub(slot.received_to());
        if ahead == 0 {
            self.slots.touch(index);
            let slot = self.slots.get(index);
            let shift = slot.window_shift;
            return Verdict::Read(&mut slot.sockets, shift);
        }
        if (ahead as usize) < slot.socket().recv_capacity() && !slot.is_half_open() {
            return self.challenge(index);
        }
        Verdict::Drop
    }

    fn too_big(&mut self, message: TooBig, now_ns: u64) {
        let Some(index) = self.slots.of(message.peer) else { return };
        let slot = self.slots.get(index);
        let mtu = slot.mtu.unwrap_or(self.mtu);
        if slot.is_under_way(message.sequence)
            && let Some(mtu) = narrowed_by(message, mtu)
        {
            // What did not get through is sent again, in smaller parts, when it is time.
            slot.mtu = Some(mtu);
            self.paths.note(message.peer.address, mtu, now_ns);
        }
    }
}

/// Puts a connection that needs it into a socket with more room, if there is some left.
#[inline(never)]
fn widen(
    slot: &mut Slot,
    need: Need,
    budget: &mut Budget,
    (port, outward): (u16, &mut Outward<'_>),
) {
    slot.note_sought(need);
    if let Some(buffers) = budget.grant(need)
        && let Some(left) = slot.widen(buffers, port, outward)
    {
        budget.free(left);
    }
}

/// Tries smaller packets on a connection whose large ones seem to vanish.
fn narrow_swallowed(slot: &mut Slot, paths: &mut Paths, usual: usize, now_ns: u64) {
    if let Some(peer) = slot.peer
        && let Some(mtu) = common_below(slot.mtu.unwrap_or(usual).min(FIRST_TRIED_MTU))
    {
        slot.mtu = Some(mtu);
        paths.note(peer.address, mtu, now_ns);
    }
}

impl Connections<'_> {
    fn begin(&mut self, index: u32, connect: Connect, first: u32, now_ns: u64) -> Verdict<'_> {
        let (port, is_draining) = (self.port, self.drain.is_some());
        let slot = self.slots.get(index);
        slot.listen(connect, first, port, now_ns);
        slot.mtu = self.paths.mtu(connect.peer.address, now_ns);
        if is_draining {
            slot.connection.close_after_response();
        }
        self.slots.touch(index);
        Verdict::Begin(&mut self.slots.get(index).sockets)
    }

    /// A client asks to connect that has a connection, or had: it may have started anew behind the
    /// same port. It is asked for the number of its next byte, and says by a reset if it does not
    /// know (RFC 5961, 4.2).
    fn connect_again(
        &mut self,
        index: u32,
        connect: Connect,
        first: u32,
        now_ns: u64,
    ) -> Verdict<'_> {
        let slot = self.slots.get(index);
        if !slot.is_half_open() {
            return self.challenge(index);
        }
        if slot.numbers.theirs == connect.sequence {
            // The same once more: smoltcp repeats its answer when it is time.
            return Verdict::Drop;
        }
        self.begin(index, connect, first, now_ns)
    }

    /// Has a socket say where it stands.
    fn challenge(&mut self, index: u32) -> Verdict<'_> {
        self.slots.touch(index);
        let slot = self.slots.get(index);
        let shift = slot.window_shift;
        match slot.probe() {
            Some(probe) => Verdict::Instead(&mut slot.sockets, probe, shift),
            None => Verdict::Drop,
        }
    }
}
