//! The HTTP connections: who has which slot, what happens on it, who waits for which completion.
//!
//! Work is done for slots that something happened to: a frame, a completion, or a time that came.
//! The others cost nothing. A slot is taken when a client asks to connect; if all are taken, the
//! one goes that has been half-open, idle or slow longest.

use alloc::vec::Vec;

use smoltcp::iface::SocketSet;

use super::clients::Clients;
use super::drain::{Drain, Stand};
use super::slot::{Overdue, Slot};
use super::timers::Timers;
use super::waiting::Waiting;
use crate::api::{self, Admission, Ended, Pending, Reject, Reply, Subject};
use crate::dispatch::{Dispatcher, QueueFull};
use crate::http::connection::{Phase, Step};
use crate::http::{self, Request, Response};
use crate::net::Egress;
use crate::net::arrival::Peer;
use crate::random::Random;
use crate::state::statistics::Reason;
use crate::state::{Node, Now, Readiness};
use crate::trace::{self, Event};
use limits::{BLOCKING_WAIT_MS, CONNECTION_LEN, HALF_OPEN_MIN, HEAP_RESERVE_LEN};

/// A connection idle for less does not make room for others: its first request may be on the way.
const IDLE_SPARED_NS: u64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;
/// How long an acknowledgement waits for an answer to go with: as long as smoltcp lets it wait.
const ACKNOWLEDGE_DELAY_NS: u64 = 10 * NS_PER_MS;

/// All connections, and the node they talk to.
pub struct Connections<'a> {
    port: u16,
    slots_max: usize,
    slots: Vec<Slot>,
    /// Slots without a connection; the last one that had one first, whose memory is in the caches.
    free: Vec<u32>,
    clients: Clients,
    timers: Timers,
    /// Slots that something happened to.
    touched: Vec<u32>,
    waiting: Waiting,
    node: Node,
    dispatcher: &'a Dispatcher,
    random: Random,
    /// If the node was asked to leave.
    drain: Option<Drain>,
}

impl<'a> Connections<'a> {
    pub fn new(
        port: u16,
        slots_max: usize,
        node: Node,
        dispatcher: &'a Dispatcher,
        mut random: Random,
    ) -> Self {
        Self {
            port,
            slots_max,
            slots: Vec::with_capacity(slots_max),
            free: Vec::with_capacity(slots_max),
            clients: Clients::new(slots_max, &mut random),
            timers: Timers::new(slots_max),
            touched: Vec::with_capacity(slots_max),
            waiting: Waiting::new(dispatcher),
            node,
            dispatcher,
            random,
            drain: None,
        }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Slots with a connection.
    pub fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// When time-outs must be looked for again.
    pub fn next_ns(&self) -> Option<u64> {
        self.timers.next_ns()
    }

    /// The sockets for a segment from this client; `None` if it has no connection.
    pub fn segment(&mut self, peer: Peer) -> Option<&mut SocketSet<'static>> {
        let index = self.clients.slot(peer)?;
        self.touch(index);
        Some(&mut self.slots[index as usize].sockets)
    }

    /// The sockets for a client that asks to connect; `None` if there is no room, in which case the
    /// frame should be dropped: the client asks again, and would give up if it were told.
    pub fn connect(&mut self, peer: Peer, now_ns: u64) -> Option<&mut SocketSet<'static>> {
        if self.clients.slot(peer).is_none() {
            let index = self.free_slot(now_ns)?;
            let slot = &mut self.slots[index as usize];
            slot.listen(peer, self.port, now_ns);
            if self.drain.is_some() {
                slot.connection.close_after_response();
            }
            self.clients.insert(peer, index);
            trace::record(Event::Open, u64::from(index));
        }
        self.segment(peer)
    }

    fn free_slot(&mut self, now_ns: u64) -> Option<u32> {
        if self.free.is_empty() && !self.add_slot() {
            let victim = self.least_useful(now_ns)?;
            self.release(victim, now_ns);
        }
        self.free.pop()
    }

    fn add_slot(&mut self) -> bool {
        if self.slots.len() == self.slots_max
            || memory::heap_free() < HEAP_RESERVE_LEN + CONNECTION_LEN
        {
            return false;
        }
        let Some(slot) = Slot::new() else { return false };
        self.free.push(self.slots.len() as u32);
        self.slots.push(slot);
        true
    }

    /// The connection to give up for another one. Half-open ones go first, the oldest first: who
    /// floods the node with connects never completes one; who means it needs a slot for one round
    /// trip, and gets it as long as there are fewer connects in that time than slots. Then the one
    /// that was idle longest, then the one that dawdles longest with its request or answer: clients
    /// which only hold connections keep nobody out.
    fn least_useful(&self, now_ns: u64) -> Option<u32> {
        let mut half_open_count = 0;
        let (mut half_open, mut idle, mut slow) = (None, None, None);
        for (index, slot) in self.slots.iter().enumerate() {
            let age = |since_ns: u64| (since_ns, index as u32);
            if slot.is_half_open() {
                half_open_count += 1;
                keep_older(&mut half_open, age(slot.progress_ns));
            } else if slot.is_idle() {
                if slot.progress_ns + IDLE_SPARED_NS <= now_ns {
                    keep_older(&mut idle, age(slot.progress_ns));
                }
            } else if slot.is_slow(now_ns) {
                keep_older(&mut slow, age(slot.busy_ns));
            }
        }
        let victim = half_open.filter(|_| half_open_count >= HALF_OPEN_MIN).or(idle).or(slow);
        victim.map(|(_, index)| index)
    }

    fn release(&mut self, index: u32, now_ns: u64) {
        let slot = &self.slots[index as usize];
        if let Some(ticket) = slot.waits_for
            && let Some(pending) = self.waiting.leave(ticket)
        {
            self.node.abandoned(slot.connection.method(), pending, slot.age_ns(now_ns));
            pending.detach();
        }
        if let Some(peer) = self.slots[index as usize].reset() {
            self.clients.remove(peer);
            self.timers.set(index, None);
            self.free.push(index);
            trace::record(Event::Close, u64::from(index));
        }
    }

    fn touch(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.is_touched {
            slot.is_touched = true;
            self.touched.push(index);
        }
    }

    /// Has a look at every connection that has something to send: what it waits for may be there.
    pub fn touch_waiting(&mut self) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            if slot.peer.is_some() && (slot.is_half_open() || slot.socket().send_queue() > 0) {
                self.touch(index as u32);
            }
        }
    }

    /// Hands out completions, and does what is to be done for every slot something happened to.
    pub fn poll(&mut self, now: Now, egress: &mut impl Egress) {
        while let Some(completion) = self.dispatcher.completed() {
            let Some((mut pending, slot)) = self.waiting.take(completion.ticket) else { continue };
            let Node { records, statistics, .. } = &mut self.node;
            let ended = Ended::count(statistics, &mut pending, completion, now);
            let Some(index) = slot else {
                ended.record(records);
                continue;
            };
            let outcome = ended.outcome();
            let response = ended.answer(records);
            let slot = &mut self.slots[index as usize];
            slot.waits_for = None;
            slot.progress_ns = now.monotonic_ns;
            self.respond(index, response, Subject::Invocation(&pending, Some(outcome)), now);
            trace::record(Event::Respond, u64::from(index));
            self.touch(index);
        }
        let Self { timers, slots, touched, .. } = self;
        timers.take_due(now.monotonic_ns, |index| {
            if !core::mem::replace(&mut slots[index as usize].is_touched, true) {
                touched.push(index);
            }
        });
        while let Some(index) = self.touched.pop() {
            let slot = &mut self.slots[index as usize];
            slot.is_touched = false;
            // It may have been given up since.
            if slot.peer.is_some() {
                self.work(index, now, egress);
            }
        }
    }

    fn work(&mut self, index: u32, now: Now, egress: &mut impl Egress) {
        let now_ns = now.monotonic_ns;
        self.accept_if_overdue(index, now);
        let waited = self.slots[index as usize].waits_for.is_some();
        self.serve(index, now);
        let slot = &mut self.slots[index as usize];
        match slot.overdue() {
            Some((at_ns, overdue)) if at_ns <= now_ns => {
                slot.progress_ns = now_ns;
                match overdue {
                    Overdue::Close => slot.socket_mut().close(),
                    Overdue::Abort => slot.socket_mut().abort(),
                    Overdue::Refuse => {
                        self.refuse(index, http::Reject::TooSlow, now);
                        self.slots[index as usize].send();
                    }
                    // Looked for before it was served.
                    Overdue::Accept => {}
                }
            }
            _ => {}
        }
        let slot = &mut self.slots[index as usize];
        slot.close_if_done();
        slot.note_unacknowledged();
        // The answer to what was just asked will carry the acknowledgement, if it comes soon. Later
        // segments get theirs as usual, so that none is put off for ever.
        let will_answer = slot.waits_for.is_some() && !waited && slot.socket().send_queue() == 0;
        let network_ns = if will_answer {
            Some(now_ns + ACKNOWLEDGE_DELAY_NS)
        } else {
            egress.egress(&mut slot.sockets)
        };
        if slot.is_over() {
            self.release(index, now_ns);
            return;
        }
        let overdue_ns = slot.overdue().map(|(at_ns, _)| at_ns);
        self.timers.set(index, network_ns.into_iter().chain(overdue_ns).min());
    }

    /// Moves bytes and answers requests on one connection until nothing moves any more.
    fn serve(&mut self, index: u32, now: Now) {
        let slot = &mut self.slots[index as usize];
        slot.note_acknowledged(now.monotonic_ns);
        if slot.is_idle() {
            slot.busy_ns = now.monotonic_ns;
        }
        loop {
            let slot = &mut self.slots[index as usize];
            let sent = slot.send();
            let phase = slot.connection.phase();
            let received = match phase {
                Phase::Idle | Phase::Receiving | Phase::Closing => {
                    let (node, random) = (&mut self.node, &mut self.random);
                    if phase == Phase::Idle {
                        slot.request_ns = now.monotonic_ns;
                    }
                    let age_ns = slot.age_ns(now.monotonic_ns);
                    slot.receive(&mut |method, path, headers| {
                        let mut id = 0;
                        let checked = api::check_head(node, method, path, headers, || {
                            id = random.id();
                            id
                        });
                        checked.inspect_err(|response| {
                            let subject = Subject::Request { path, headers, id };
                            node.answered(Some(method), response.status, subject, age_ns);
                        })
                    })
                }
                Phase::Answering | Phase::Sending => None,
            };
            // What comes after the last answer is dropped, and keeps nothing alive.
            if sent || received.is_some() && phase != Phase::Closing {
                slot.progress_ns = now.monotonic_ns;
            }
            match received {
                Some(Step::Request(request)) => self.answer(index, request, now),
                Some(Step::Reject(reject)) => self.refuse(index, reject, now),
                Some(Step::More | Step::Continue) => {}
                None if sent => {}
                None => break,
            }
        }
    }

    fn answer(&mut self, index: u32, mut request: Request, now: Now) {
        trace::record(Event::Request, u64::from(index));
        let id = self.random.id();
        self.node.load.requests += 1;
        if memory::heap_free() < HEAP_RESERVE_LEN {
            self.node.statistics.rejected(Reason::Memory);
            let response = api::overloaded(request.text.headers(), id);
            self.respond(index, response, Subject::of(&request, id), now);
            return;
        }
        if api::asks_for_load(&request) {
            self.note_load(now);
        }
        match api::handle(&mut self.node, &mut request, now, id) {
            Reply::Respond(response) => {
                self.respond(index, response, Subject::of(&request, id), now);
            }
            Reply::Invoke(admission) => self.submit(index, admission, now),
        }
    }

    fn submit(&mut self, index: u32, admission: Admission, now: Now) {
        if self.is_late(now.monotonic_ns) {
            return self.turn_away(index, &admission.pending, &Reject::Draining, now);
        }
        let Some(ticket) = self.waiting.next() else {
            return self.turn_away(index, &admission.pending, &Reject::QueueFull, now);
        };
        let (invocation, mut pending) = admission.split(ticket);
        if self.dispatcher.submit(invocation) == Err(QueueFull) {
            return self.turn_away(index, &pending, &Reject::QueueFull, now);
        }
        if !pending.is_blocking() {
            let response = api::accepted(&mut pending);
            self.respond(index, response, Subject::Invocation(&pending, None), now);
            self.waiting.enter(pending, None);
            return;
        }
        let slot = &mut self.slots[index as usize];
        let wait_ns = pending.may_be_accepted().then_some(BLOCKING_WAIT_MS * NS_PER_MS);
        slot.waits_until_ns = wait_ns.map(|wait_ns| now.monotonic_ns + wait_ns);
        slot.waits_for = Some(ticket);
        self.waiting.enter(pending, Some(index));
    }

    /// Answers an invocation that cannot run.
    fn turn_away(&mut self, index: u32, pending: &Pending, reject: &Reject, now: Now) {
        self.node.statistics.rejected(reject.reason());
        let subject = Subject::Invocation(pending, None);
        self.respond(index, api::refuse(pending, reject), subject, now);
    }

    /// Tells a client whose invocation takes too long to ask for it later.
    fn accept_if_overdue(&mut self, index: u32, now: Now) {
        let slot = &mut self.slots[index as usize];
        let is_due = slot.waits_until_ns.is_some_and(|at_ns| at_ns <= now.monotonic_ns);
        if is_due
            && let Some(ticket) = slot.waits_for.take()
            && let Some(pending) = self.waiting.leave(ticket)
        {
            slot.progress_ns = now.monotonic_ns;
            let response = api::accepted(pending);
            respond(&mut self.node, slot, response, Subject::Invocation(pending, None), now);
        }
    }

    /// Answers the request under way.
    fn respond(&mut self, index: u32, response: Response, subject: Subject<'_>, now: Now) {
        respond(&mut self.node, &mut self.slots[index as usize], response, subject, now);
    }

    /// Answers what is no acceptable request.
    fn refuse(&mut self, index: u32, reject: http::Reject, now: Now) {
        let is_slow = reject == http::Reject::TooSlow;
        self.node.statistics.rejected(if is_slow { Reason::Slow } else { Reason::Http });
        let id = self.random.id();
        self.respond(index, api::malformed(reject, id), Subject::Nothing(id), now);
    }

    fn note_load(&mut self, now: Now) {
        let (connections, in_flight) = (self.open(), self.dispatcher.outstanding());
        let load = &mut self.node.load;
        (load.connections, load.in_flight) = (connections, in_flight);
        load.cores.clear();
        load.cores.extend(self.dispatcher.cores(now.monotonic_ns));
    }

    /// Begins to leave: every answer from now on is its connection's last. Does nothing the second
    /// time.
    pub fn drain(&mut self, now_ns: u64) {
        if self.drain.is_some() {
            return;
        }
        log::info!("draining");
        self.drain = Some(Drain::new(now_ns));
        self.node.readiness = Readiness::Draining;
        for slot in &mut self.slots {
            slot.connection.close_after_response();
        }
    }

    /// Whether it is too late for anything new.
    pub fn is_late(&self, now_ns: u64) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.is_late(now_ns))
    }

    /// Where leaving stands, if the node was asked to.
    pub fn drain_stand(&mut self, now_ns: u64) -> Option<Stand> {
        let drain = self.drain.as_mut()?;
        let busy = |slot: &Slot| slot.peer.is_some() && slot.is_busy();
        // Only looked at late: on the way there are many polls.
        let is_busy = drain.is_late(now_ns) && self.slots.iter().any(busy);
        Some(drain.stand(now_ns, self.dispatcher.outstanding(), is_busy))
    }
}

fn respond(node: &mut Node, slot: &mut Slot, response: Response, subject: Subject<'_>, now: Now) {
    let (method, age_ns) = (slot.connection.method(), slot.age_ns(now.monotonic_ns));
    node.answered(method, response.status, subject, age_ns);
    slot.busy_ns = now.monotonic_ns;
    slot.connection.respond(response);
}

/// Keeps the older of two ages and who has them, each since when and who.
fn keep_older(oldest: &mut Option<(u64, u32)>, age: (u64, u32)) {
    *oldest = Some(oldest.map_or(age, |it| it.min(age)));
}
