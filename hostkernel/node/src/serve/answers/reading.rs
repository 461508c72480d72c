//! Long inputs and results: what happens to the requests they belong to while, and after, they are
//! read in slices.

use alloc::boxed::Box;

use super::super::holdings;
use super::super::slots::Slots;
use super::super::texts::{Text, TextKind};
use super::{Answers, respond};
use crate::api::{self, Ending, Pending, Reading, Reject, Reply, Subject};
use crate::dispatch::Completion;
use crate::registry::{Holding, Purpose};
use crate::slice::Slice;
use crate::state::Now;
use crate::trace::{self, Event};
use limits::{HELD_FREE_LEN, HELD_STEP_LEN, SLICE_LEN};

impl Answers<'_> {
    /// Begins to read the input of an invocation.
    pub(super) fn begin_input(
        &mut self,
        slots: &mut Slots,
        index: u32,
        reading: Box<Reading>,
        is_late: bool,
        now: Now,
    ) {
        let slot = slots.get(index);
        if is_late {
            let response = api::refuse_reading(&mut self.node, &reading, &Reject::Draining);
            return respond(&mut self.node, slot, response, Subject::of_reading(&reading), now);
        }
        slot.waits_until_ns = None;
        let holding = core::mem::take(&mut slot.holding);
        self.texts.enter(Text { kind: TextKind::Input(index, reading), holding });
    }

    /// Begins to read the result of an invocation.
    #[inline(never)]
    pub(super) fn begin_result(
        &mut self,
        slots: &mut Slots,
        (pending, slot): (Pending, Option<u32>),
        completion: Completion,
        now: Now,
    ) {
        if let Some(index) = slot {
            let slot = slots.get(index);
            (slot.waits_for, slot.waits_until_ns) = (None, None);
            slot.progress_ns = now.monotonic_ns;
        }
        let mut holding = Holding::default();
        let namespace = pending.action().namespace.clone();
        let len = completion.output.len();
        self.node.books.enter(&mut holding, &namespace, Purpose::Answer, len);
        let ending = Box::new(Ending::new(pending, completion));
        self.texts.enter(Text { kind: TextKind::Result(slot, ending), holding });
    }

    /// Goes on with a text, if it is time. Returns whether it was.
    #[inline(never)]
    pub fn read(&mut self, slots: &mut Slots, now: Now) -> bool {
        let Self { node, texts, .. } = self;
        let Some((place, text)) = texts.next(now.monotonic_ns) else { return false };
        let slice = &mut Slice::new(SLICE_LEN);
        match &mut text.kind {
            TextKind::Result(_, ending) => {
                let Some(judgement) = ending.step(slice) else { return true };
                // From here on the answer is held, and not the result.
                let Text { kind, holding } = texts.remove(place);
                drop(holding);
                if let TextKind::Result(slot, ending) = kind {
                    let (pending, answer) = ending.finish(node, judgement, now, slot.is_some());
                    if let (Some(index), Some((response, outcome))) = (slot, answer) {
                        let slot = slots.get(index);
                        slot.progress_ns = now.monotonic_ns;
                        let subject = Subject::Invocation(&pending, Some(outcome));
                        respond(node, slot, response, subject, now);
                        trace::record(Event::Respond, u64::from(index));
                        slots.touch(index);
                        holdings::relieve(node, slots, index);
                    }
                }
            }
            TextKind::Input(_, reading) => {
                let mut reply = api::read_on(node, reading, slice, now);
                if reply.is_none() && holdings::hold_text(node, text).is_err() {
                    let TextKind::Input(_, reading) = &text.kind else { return true };
                    let response = api::refuse_reading(node, reading, &Reject::OverBudget);
                    reply = Some(Reply::Respond(response));
                }
                let Some(reply) = reply else { return true };
                self.end_input(slots, place, reply, now);
            }
        }
        true
    }

    fn end_input(&mut self, slots: &mut Slots, place: usize, reply: Reply, now: Now) {
        let Text { kind, holding } = self.texts.remove(place);
        let TextKind::Input(index, reading) = kind else { return };
        let slot = slots.get(index);
        slot.progress_ns = now.monotonic_ns;
        match reply {
            Reply::Invoke(admission) => {
                slot.holding = holding;
                if slot.holding.is_empty() && admission.input.len() > HELD_FREE_LEN {
                    let (namespace, len) = (reading.namespace(), admission.input.len());
                    let len = len.next_multiple_of(HELD_STEP_LEN);
                    self.node.books.enter(&mut slot.holding, namespace, Purpose::Request, len);
                }
                self.invoke(slots, index, admission, now);
            }
            Reply::Respond(response) => {
                let subject = Subject::of_reading(&reading);
                respond(&mut self.node, slot, response, subject, now);
                holdings::relieve(&mut self.node, slots, index);
            }
            // Nothing else comes of an input.
            Reply::Store(_) | Reply::Deploy(_) | Reply::Read(_) => {}
        }
        slots.touch(index);
    }
}
