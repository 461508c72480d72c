//! An invocation that has ended: it is counted once, and kept once.

use super::invoke::end;
use super::{Pending, Reject, refuse};
use crate::dispatch::{Completion, End};
use crate::http::Response;
use crate::state::Now;
use crate::state::records::Records;
use crate::state::statistics::{Outcome, Statistics};

/// One that was counted, and is to be kept or answered. It exists for the order of three steps, and
/// costs nothing: what it holds is not moved.
#[must_use]
pub struct Ended<'a> {
    pending: &'a mut Pending,
    completion: Completion,
    outcome: Outcome,
    now: Now,
}

impl<'a> Ended<'a> {
    /// Counts an invocation that has ended, whether or not somebody waits for its answer.
    #[inline(always)]
    pub fn count(
        statistics: &mut Statistics,
        pending: &'a mut Pending,
        completion: Completion,
        now: Now,
    ) -> Self {
        let outcome = statistics.ended(pending.action(), &completion, pending.age_ns(now));
        completion.permit.namespace().note_run(completion.timing.run_ns);
        Self { pending, completion, outcome, now }
    }

    /// What it is counted as.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The answer. The record is kept, unless the invocation never started.
    #[must_use]
    #[inline(always)]
    pub fn answer(self, records: &mut Records) -> Response {
        if self.completion.end == End::NotStarted {
            self.pending.refund();
            return refuse(self.pending, &Reject::NotStarted);
        }
        end::complete(records, self.pending, self.completion, self.now)
    }

    /// Keeps the record of one for whose answer nobody waits.
    #[inline(always)]
    pub fn record(self, records: &mut Records) {
        end::keep(records, self.pending, &self.completion, self.now);
    }
}
