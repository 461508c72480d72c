//! Whose answer is whose: requests become invocations or answers, completions become answers.
//!
//! What is answered goes through [`respond`], which counts it and tells the log server, and
//! nothing else hands a response to a connection.

mod coming;
mod deeds;
mod leaving;
mod reading;
mod storage;
mod supply;

use alloc::boxed::Box;

use self::storage::Storage;
use super::crowd::Crowd;
use super::deploys::{Deploy, Deploys};
use super::holdings;
use super::queue::Queue;
use super::slot::Slot;
use super::slots::Slots;
use super::texts::Texts;
use super::waiting::Waiting;
use crate::api::{self, Admission, Deploying, Ending, Pending, Reject, Reply, Subject};
use crate::dispatch::{ActivationId, Dispatcher, QueueFull};
use crate::http::{self, Request, Response};
use crate::random::Random;
use crate::settings::Settings;
use crate::slice::Slice;
use crate::state::statistics::Reason;
use crate::state::{Node, Now};
use crate::trace::{self, Event};
use limits::{
    BLOCKING_WAIT_MS, COMPLETED_LEN_PER_POLL_MAX, COMPLETIONS_PER_POLL_MAX, DEPLOYS_MAX,
    DEPLOYS_SHARE_FACTOR, HEAP_RESERVE_LEN, HELD_FREE_LEN, SLICE_LEN,
};

const NS_PER_MS: u64 = 1_000_000;

/// The node, and who waits for what of it.
pub struct Answers<'a> {
    pub node: Node,
    waiting: Waiting,
    queue: Queue<'a>,
    pub crowd: Crowd,
    pub random: Random,
    /// If a registry keeps the actions.
    pub storage: Option<Box<Storage>>,
    pub deploys: Deploys,
    pub texts: Texts,
    /// Bytes of long requests that were answered, and of long answers, since this was last 0.
    pub read_len: usize,
    /// When the last request came.
    pub asked_ns: Option<u64>,
}

impl<'a> Answers<'a> {
    pub fn new(
        node: Node,
        dispatcher: &'a Dispatcher,
        random: Random,
        connections_max: usize,
        settings: &Settings,
    ) -> Self {
        let is_shared = node.policy.tenants.are_several();
        let queue = Queue::new(dispatcher, is_shared);
        let (waiting, crowd) = (Waiting::new(dispatcher), Crowd::new(connections_max));
        Self {
            node,
            waiting,
            queue,
            crowd,
            random,
            storage: Storage::new(settings, is_shared).map(Box::new),
            deploys: Deploys::new(is_shared, DEPLOYS_MAX),
            texts: Texts::new(is_shared, connections_max),
            read_len: 0,
            asked_ns: None,
        }
    }

    /// Invocations and deploys that have not ended.
    pub fn outstanding(&self) -> usize {
        let at_store = self.storage.as_ref().map_or(0, |storage| storage.waiting());
        self.queue.outstanding() + self.deploys.len() + self.texts.len() + at_store
    }

    /// Answers with what has completed, as much as may be at a time, and hands on what waits. What
    /// was answered is touched.
    pub fn complete(&mut self, slots: &mut Slots, is_late: bool, now: Now) {
        let mut len = 0;
        for _ in 0..COMPLETIONS_PER_POLL_MAX {
            if len > COMPLETED_LEN_PER_POLL_MAX {
                break;
            }
            let Some(mut completion) = self.queue.dispatcher.completed() else { break };
            self.node.spare.put(core::mem::take(&mut completion.environment));
            len += completion.output.len();
            let Some((mut pending, slot)) = self.waiting.take(completion.ticket) else { continue };
            let (response, outcome) = if pending.is_deploy() {
                // Whether or not somebody still waits.
                match api::deployed(&mut self.node, &pending, completion) {
                    (api::Done::Answer(response), outcome) => (response, outcome),
                    (api::Done::Deed(deed), _) => {
                        self.begin_deed(slots, deed, slot, now);
                        if let Some(index) = slot {
                            slots.get(index).waits_for = None;
                        }
                        continue;
                    }
                    (api::Done::Fetched(etag, action), _) => {
                        let key = pending.key();
                        self.fetched(slots, key, etag, action, is_late, now);
                        continue;
                    }
                    (api::Done::Supplied(etag, runtime), _) => {
                        self.supplied(&pending.action().kind, etag, runtime, now);
                        continue;
                    }
                }
            } else if let Some(index) = slot
                && slots.get(index).streams()
            {
                self.end_stream(slots, index, (pending, completion), now);
                continue;
            } else if Ending::is_due(&pending, &completion) {
                self.begin_result(slots, (pending, slot), completion, now);
                continue;
            } else {
                let is_awaited = slot.is_some();
                match api::ended(&mut self.node, &mut pending, completion, now, is_awaited) {
                    Some(answer) => answer,
                    None => continue,
                }
            };
            let Some(index) = slot else { continue };
            let slot = slots.get(index);
            slot.waits_for = None;
            slot.progress_ns = now.monotonic_ns;
            respond(
                &mut self.node,
                slot,
                response,
                Subject::Invocation(&pending, Some(outcome)),
                now,
            );
            trace::record(Event::Respond, u64::from(index));
            slots.touch(index);
            holdings::relieve(&mut self.node, slots, index);
        }
        self.queue.feed();
    }

    /// Moves what a client sent into its connection, whose head is checked when it is complete.
    pub fn receive(&mut self, slot: &mut Slot, now: Now) -> Option<http::connection::Step> {
        let Self { node, random, crowd, .. } = self;
        let age_ns = slot.age_ns(now.monotonic_ns);
        let mut is_held = slot.is_held;
        let received = slot.receive(&mut |method, path, headers| {
            let mut id = 0;
            let mut random_id = || {
                id = random.id();
                id
            };
            let checked = if crowd.admit(&mut is_held, || api::caller(node, path, headers)) {
                api::check_head(node, method, path, headers, random_id)
            } else {
                Err(Box::new(api::crowded(node, headers, random_id())))
            };
            checked.map_err(|mut response| {
                let subject = Subject::Request { path, headers, id };
                node.answered(Some(method), response.status, subject, age_ns);
                node.date.stamp(&mut response.headers, now.wall_ms);
                response
            })
        });
        slot.is_held = is_held;
        received
    }

    /// Answers a request, or has it run. Nothing new is begun when it `is_late`.
    pub fn answer(
        &mut self,
        slots: &mut Slots,
        index: u32,
        mut request: Request,
        is_late: bool,
        now: Now,
    ) {
        trace::record(Event::Request, u64::from(index));
        let id = self.next_id();
        self.node.load.requests += 1;
        self.asked_ns = Some(now.monotonic_ns);
        if memory::heap_free() < HEAP_RESERVE_LEN {
            self.node.statistics.rejected(Reason::Memory);
            let response = api::overloaded(request.text.headers(), id);
            return respond(
                &mut self.node,
                slots.get(index),
                response,
                Subject::of(&request, id),
                now,
            );
        }
        let (node, text) = (&mut self.node, &request.text);
        let who = || api::caller(node, text.path(), text.headers());
        let slot = slots.get(index);
        if !self.crowd.admit(&mut slot.is_held, who) {
            let response = api::crowded(node, text.headers(), id);
            // Others wait for a connection.
            slot.connection.close_after_response();
            return respond(&mut self.node, slot, response, Subject::of(&request, id), now);
        }
        if api::asks_for_load(&request) {
            self.note_load((slots.open(), slots.max()), now);
        }
        if self.storage.is_some() {
            match self.ask_store(slots, index, request, id, now) {
                Some(admitted) => request = admitted,
                None => return,
            }
        }
        self.handle(slots, index, &mut request, id, is_late, now);
    }

    /// The same when nothing is to be waited for first.
    pub fn handle(
        &mut self,
        slots: &mut Slots,
        index: u32,
        request: &mut Request,
        id: u128,
        is_late: bool,
        now: Now,
    ) {
        match api::handle(&mut self.node, request, now, id) {
            Reply::Respond(response) => {
                // It was composed just now.
                let len = response.body.held_len();
                self.read_len += if len > HELD_FREE_LEN { len } else { 0 };
                let slot = slots.get(index);
                respond(&mut self.node, slot, response, Subject::of(request, id), now);
                holdings::relieve(&mut self.node, slots, index);
            }
            Reply::Invoke(admission) if is_late => {
                let slot = slots.get(index);
                self.turn_away(slot, &admission.pending, &Reject::Draining, now);
            }
            Reply::Invoke(admission) => self.invoke(slots, index, admission, now),
            Reply::Deploy(deploying) => {
                let reject = match self.admits(&deploying) {
                    _ if is_late => Some(Reject::Draining),
                    true => None,
                    false => Some(Reject::QueueFull),
                };
                let slot = slots.get(index);
                if let Some(reject) = reject {
                    let response = api::refuse_deploy(&mut self.node, &deploying, &reject);
                    return respond(
                        &mut self.node,
                        slot,
                        response,
                        Subject::of_deploy(&deploying),
                        now,
                    );
                }
                slot.waits_until_ns = None;
                let holding = core::mem::take(&mut slot.holding);
                self.deploys.enter(Deploy { slot: index, deploying, holding });
            }
            Reply::Store(deed) => self.begin_deed(slots, *deed, Some(index), now),
            Reply::Read(reading) => self.begin_input(slots, index, reading, is_late, now),
        }
    }

    fn admits(&self, deploying: &Deploying) -> bool {
        self.deploys.admits(&deploying.namespace, DEPLOYS_MAX, DEPLOYS_SHARE_FACTOR)
    }

    /// Has an invocation run whose end nobody waits for.
    pub fn submit_unseen(&mut self, admission: Admission) -> Result<(), Reject> {
        let Some(ticket) = self.waiting.next() else { return Err(Reject::QueueFull) };
        let (invocation, pending) = admission.split(ticket);
        if self.queue.submit(invocation) == Err(QueueFull) {
            pending.refund();
            return Err(Reject::QueueFull);
        }
        self.waiting.enter(pending, None);
        Ok(())
    }

    /// What is random about a request; an activation's id, if it comes to one.
    #[inline]
    fn next_id(&mut self) -> u128 {
        ActivationId(self.random.id()).of_node(self.node.policy.node).0
    }

    /// Goes on with a deploy, if it is time.
    #[inline(never)]
    pub fn deploy(&mut self, slots: &mut Slots, now: Now) {
        let Self { node, deploys, .. } = self;
        let Some((place, deploy)) = deploys.next(now.monotonic_ns) else { return };
        let Deploy { slot: index, deploying, holding } = deploy;
        let index = *index;
        let mut reply = api::go_on(node, deploying, &mut Slice::new(SLICE_LEN), now);
        if reply.is_none() && holdings::hold_code(node, holding, deploying).is_err() {
            let response = api::refuse_deploy(node, deploying, &Reject::OverBudget);
            reply = Some(Reply::Respond(response));
        }
        let Some(reply) = reply else { return };
        let Deploy { deploying, holding, .. } = deploys.remove(place);
        let slot = slots.get(index);
        slot.progress_ns = now.monotonic_ns;
        match reply {
            Reply::Respond(response) => {
                respond(node, slot, response, Subject::of_deploy(&deploying), now);
                holdings::relieve(node, slots, index);
            }
            Reply::Invoke(admission) => {
                slot.holding = holding;
                self.invoke(slots, index, admission, now);
            }
            Reply::Store(deed) => self.begin_deed(slots, *deed, Some(index), now),
            // It goes on being one.
            Reply::Deploy(deploying) => {
                deploys.enter(Deploy { slot: index, deploying, holding });
            }
            // Nobody invokes it.
            Reply::Read(_) => {}
        }
        slots.touch(index);
    }

    /// What it is handed is large, and not to be moved around once more.
    #[inline(always)]
    fn invoke(&mut self, slots: &mut Slots, index: u32, admission: Admission, now: Now) {
        let namespace = admission.permit.namespace();
        let is_full = holdings::is_full(&mut self.node, slots, namespace, now);
        let slot = slots.get(index);
        if is_full {
            self.turn_away(slot, &admission.pending, &Reject::OverBudget, now);
        } else {
            self.submit(slot, index, admission, now);
        }
    }

    #[inline(always)]
    fn submit(&mut self, slot: &mut Slot, index: u32, admission: Admission, now: Now) {
        let Some(ticket) = self.waiting.next() else {
            return self.turn_away(slot, &admission.pending, &Reject::QueueFull, now);
        };
        let (mut invocation, mut pending) = admission.split(ticket);
        invocation.outlet = Self::stream(slot, &mut pending);
        if self.queue.submit(invocation) == Err(QueueFull) {
            return self.turn_away(slot, &pending, &Reject::QueueFull, now);
        }
        if !pending.is_blocking() {
            let holding = core::mem::take(&mut slot.holding);
            let response = api::accepted(&mut pending);
            respond(&mut self.node, slot, response, Subject::Invocation(&pending, None), now);
            self.waiting.enter(pending, None);
            self.waiting.hold(ticket, holding);
            return;
        }
        let wait_ns = pending.may_be_accepted().then_some(BLOCKING_WAIT_MS * NS_PER_MS);
        slot.waits_until_ns = wait_ns.map(|wait_ns| now.monotonic_ns + wait_ns);
        slot.waits_for = Some(ticket);
        self.waiting.enter(pending, Some(index));
    }

    /// Answers an invocation that cannot run.
    fn turn_away(&mut self, slot: &mut Slot, pending: &Pending, reject: &Reject, now: Now) {
        self.node.statistics.rejected(reject.reason());
        pending.refund();
        let subject = Subject::Invocation(pending, None);
        respond(&mut self.node, slot, api::refuse(pending, reject), subject, now);
    }

    /// Tells a client whose invocation takes too long to ask for it later.
    pub fn accept_if_overdue(&mut self, slot: &mut Slot, now: Now) {
        let Self { node, waiting, .. } = self;
        let is_due = slot.waits_until_ns.is_some_and(|at_ns| at_ns <= now.monotonic_ns);
        if is_due && let Some(ticket) = slot.waits_for.take() {
            waiting.hold(ticket, core::mem::take(&mut slot.holding));
            let Some(pending) = waiting.leave(ticket) else { return };
            slot.progress_ns = now.monotonic_ns;
            let response = api::accepted(pending);
            respond(node, slot, response, Subject::Invocation(pending, None), now);
        }
    }

    /// Forgets who waits for the end of an invocation: the client has left.
    pub fn abandon(&mut self, slot: &mut Slot, index: u32, now_ns: u64) {
        if let Some(storage) = &mut self.storage {
            storage.leave(index);
        }
        if let Some(ticket) = slot.waits_for {
            self.waiting.hold(ticket, core::mem::take(&mut slot.holding));
            if let Some(outlet) = slot.outlet() {
                self.abandon_stream(outlet);
            }
            let Some(pending) = self.waiting.leave(ticket) else { return };
            self.node.abandoned(slot.connection.method(), pending, slot.age_ns(now_ns));
            pending.detach();
            // Nobody waits for what has not begun, unless it is there for later.
            if !pending.is_deploy() && self.queue.withdraw(ticket) {
                self.node.statistics.rejected(Reason::Abandoned);
                self.waiting.take(ticket);
            }
        }
    }

    /// Whether there is room for what has arrived of a request, `request` if it is complete. If not
    /// the request is answered, and its body forgotten.
    #[inline(never)]
    pub fn hold_body(
        &mut self,
        slots: &mut Slots,
        index: u32,
        request: Option<&Request>,
        now: Now,
    ) -> bool {
        if holdings::hold_body(&mut self.node, slots, index, request, now.monotonic_ns) {
            // What is made of it takes a look at all of it.
            self.read_len += request.map_or(0, |request| request.body.len());
            return true;
        }
        let id = self.random.id();
        let slot = slots.get(index);
        slot.holding.clear();
        if let Some(request) = request {
            let response = api::over_budget(&mut self.node, request.text.headers(), id);
            respond(&mut self.node, slot, response, Subject::of(request, id), now);
            return false;
        }
        let Some((method, text)) = slot.connection.head() else { return false };
        let (path, headers) = (text.path(), text.headers());
        let mut response = api::over_budget(&mut self.node, headers, id);
        self.node.date.stamp(&mut response.headers, now.wall_ms);
        let subject = Subject::Request { path, headers, id };
        self.node.answered(Some(method), response.status, subject, slot.age_ns(now.monotonic_ns));
        slot.busy_ns = now.monotonic_ns;
        slot.connection.respond(response);
        false
    }

    /// Answers what is no acceptable request.
    pub fn refuse(&mut self, slot: &mut Slot, reject: http::MessageReject, now: Now) {
        let is_slow = reject == http::MessageReject::TooSlow;
        self.node.statistics.rejected(if is_slow { Reason::Slow } else { Reason::Http });
        let id = self.random.id();
        let answer = api::malformed(&self.node.policy, reject, id);
        respond(&mut self.node, slot, answer, Subject::Nothing(id), now);
    }

    fn note_load(&mut self, (open, max): (usize, usize), now: Now) {
        let load = &mut self.node.load;
        (load.connections, load.connections_max) = (open, max);
        (load.in_flight, load.backlog) = (self.queue.outstanding(), self.queue.waiting());
        load.store = self.storage.as_ref().map(|storage| storage.counts());
        load.runtimes.clear();
        load.runtimes.extend(self.storage.iter().flat_map(|storage| storage.supply.stands()));
        load.deploys = self.deploys.len();
        load.cores.clear();
        load.cores.extend(self.queue.dispatcher.cores(now.monotonic_ns));
    }
}

/// Answers the request under way.
pub fn respond(
    node: &mut Node,
    slot: &mut Slot,
    mut response: Response,
    subject: Subject<'_>,
    now: Now,
) {
    let (method, age_ns) = (slot.connection.method(), slot.age_ns(now.monotonic_ns));
    node.answered(method, response.status, subject, age_ns);
    node.date.stamp(&mut response.headers, now.wall_ms);
    slot.busy_ns = now.monotonic_ns;
    slot.answer_len = response.body.len();
    if slot.answer_len > HELD_FREE_LEN || !slot.holding.is_empty() {
        holdings::enter_answer(node, slot, &response, subject);
    }
    slot.connection.respond(response);
}
