//! An invocation that has ended: it is counted once, and kept once.

use super::invoke::end;
use super::{Pending, Reject, refuse};
use crate::dispatch::{Completion, End};
use crate::http::Response;
use crate::state::records::Records;
use crate::state::statistics::{Outcome, Statistics};
use crate::state::{Node, Now};

/// Counts an invocation that has ended, and keeps its record. Returns the answer, if somebody waits
/// for it, and what it was counted as.
#[inline(always)]
pub fn ended(
    node: &mut Node,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
    is_awaited: bool,
) -> Option<(Response, Outcome)> {
    let Node { records, statistics, .. } = node;
    let ended = Ended::count(statistics, pending, completion, now);
    if !is_awaited {
        ended.record(records);
        return None;
    }
    let outcome = ended.outcome;
    Some((ended.answer(records), outcome))
}

/// One that was counted, and is to be kept or answered. It exists for the order of three steps, and
/// costs nothing: what it holds is not moved.
pub(super) struct Ended<'a> {
    pending: &'a mut Pending,
    completion: Completion,
    outcome: Outcome,
    now: Now,
}

impl<'a> Ended<'a> {
    /// Counts an invocation that has ended, whether or not somebody waits for its answer.
    #[inline(always)]
    pub(super) fn count(
        statistics: &mut Statistics,
        pending: &'a mut Pending,
        completion: Completion,
        now: Now,
    ) -> Self {
        let outcome = statistics.ended(pending.action(), &completion, pending.age_ns(now));
        completion.permit.namespace().note_run(completion.timing.run_ns);
        Self { pending, completion, outcome, now }
    }

    /// The answer. The record is kept, unless the invocation never started.
    #[inline(always)]
    pub(super) fn answer(self, records: &mut Records) -> Response {
        if self.completion.end == End::NotStarted {
            self.pending.refund();
            return refuse(self.pending, &Reject::NotStarted);
        }
        end::complete(records, self.pending, self.completion, self.now)
    }

    /// Keeps the record of one for whose answer nobody waits.
    #[inline(always)]
    pub(super) fn record(self, records: &mut Records) {
        end::keep(records, self.pending, &self.completion, self.now);
    }
}
