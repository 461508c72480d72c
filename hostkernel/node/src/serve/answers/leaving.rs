//! Answers that begin to leave before their invocation has ended.
//!
//! An answer begins when the first piece of its result has come, if the piece holds all header
//! fields. What comes later is moved from the outlet to the connection as the client takes it.

use alloc::sync::Arc;

use super::Answers;
use crate::api::{self, Pending, Subject};
use crate::dispatch::{Completion, Outlet};
use crate::registry::Purpose;
use crate::serve::holdings;
use crate::serve::slot::Slot;
use crate::serve::slots::Slots;
use crate::state::{Node, Now};
use crate::trace::{self, Event};
use limits::{COMPLETIONS_PER_POLL_MAX, OUTLET_LEN_MAX};

impl Answers<'_> {
    /// Begins answers of which pieces have come, and lets others go on: as many as may be at a
    /// time.
    pub fn let_out(&mut self, slots: &mut Slots, now: Now) {
        for _ in 0..COMPLETIONS_PER_POLL_MAX {
            let Some(ticket) = self.queue.dispatcher.news() else { return };
            let Some((pending, slot)) = self.waiting.at(ticket) else { continue };
            let Some(outlet) = pending.outlet.clone() else { continue };
            outlet.look();
            let Some(index) = slot else {
                outlet.close();
                continue;
            };
            let slot = slots.get(index);
            if !slot.streams() && !begin(&mut self.node, slot, pending, &outlet, now) {
                outlet.close();
                continue;
            }
            slots.touch(index);
        }
    }

    /// Takes the end of an invocation whose answer has begun to leave.
    #[inline(never)]
    pub fn end_stream(
        &mut self,
        slots: &mut Slots,
        index: u32,
        (mut pending, completion): (Pending, Completion),
        now: Now,
    ) {
        let (outcome, result) = api::ended_streaming(&mut self.node, &mut pending, completion, now);
        let slot = slots.get(index);
        slot.waits_for = None;
        slot.progress_ns = now.monotonic_ns;
        let (method, age_ns) = (slot.connection.method(), slot.age_ns(now.monotonic_ns));
        let subject = Subject::Invocation(&pending, Some(outcome));
        if let Some((status, rest_len)) = slot.end_stream(result) {
            self.node.answered(method, status, subject, age_ns);
            let namespace = &pending.action().namespace;
            self.node.books.enter(&mut slot.holding, namespace, Purpose::Answer, rest_len);
        }
        trace::record(Event::Respond, u64::from(index));
        slots.touch(index);
        holdings::relieve(&mut self.node, slots, index);
    }

    /// Ends an invocation whose answer has begun to leave, and whose client has gone.
    pub fn abandon_stream(&self, outlet: &Outlet) {
        if let Some(core) = outlet.abandon() {
            self.queue.dispatcher.wake_core(core);
        }
    }

    /// A core has what finds room now.
    pub fn wake(&self, core: usize) {
        self.queue.dispatcher.wake_core(core);
    }

    /// Lets the result of an invocation that is about to run leave before its end, if its client
    /// can take that.
    pub fn stream(slot: &Slot, pending: &mut Pending) -> Option<Arc<Outlet>> {
        if !pending.may_stream() || !slot.connection.may_stream() {
            return None;
        }
        pending.outlet = Some(Arc::default());
        pending.outlet.clone()
    }
}

/// Begins an answer with its first piece. Returns false if it has to wait for the end.
fn begin(
    node: &mut Node,
    slot: &mut Slot,
    pending: &mut Pending,
    outlet: &Arc<Outlet>,
    now: Now,
) -> bool {
    let held_len = slot.holding.len() + OUTLET_LEN_MAX;
    let namespace = &pending.action().namespace;
    if slot.holding.is_empty() {
        node.books.enter(&mut slot.holding, namespace, Purpose::Answer, 0);
    }
    if node.hold(&mut slot.holding, held_len).is_err() {
        return false;
    }
    let Some(first) = outlet.take() else { return false };
    let Some((mut head, beginning)) = api::begin(pending, first) else { return false };
    node.date.stamp(&mut head.1, now.wall_ms);
    slot.waits_until_ns = None;
    slot.progress_ns = now.monotonic_ns;
    slot.begin_stream(Arc::clone(outlet), head, beginning);
    true
}
