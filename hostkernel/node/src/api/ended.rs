//! An invocation that has ended: it is counted once, and kept once.

use alloc::boxed::Box;

use super::invoke::end::{self, Judgement};
use super::invoke::judging::Judging;
use super::invoke::outcome::Judged;
use super::invoke::shape::Shape;
use super::invoke::web::Transcoding;
use super::{Pending, Reject, refuse};
use crate::dispatch::{Completion, End};
use crate::http::Response;
use crate::slice::Slice;
use crate::state::records::{Blame, Records};
use crate::state::statistics::{Outcome, Statistics};
use crate::state::{Node, Now};
use memory::PageBuffer;

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

/// The same for one whose answer has begun to leave. Returns its result, if it went well, of which
/// the rest is to be sent.
pub fn ended_streaming(
    node: &mut Node,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
) -> (Outcome, Option<PageBuffer>) {
    let Node { records, statistics, .. } = node;
    let ended = Ended::count(statistics, pending, completion, now);
    let judged = Judged::of(&ended.completion, ended.pending.shape());
    end::keep(records, ended.pending, &ended.completion, &judged, now);
    let Ended { completion, outcome, .. } = ended;
    let went_well = judged.status == Blame::Success;
    (outcome, went_well.then_some(completion.output))
}

/// An invocation that has ended, whose result is so long that it is judged in slices; and made into
/// an answer, if its action is exported.
pub struct Ending {
    /// What is needed to answer its request.
    pub pending: Pending,
    completion: Completion,
    judging: Judging,
    /// What it was judged to be, while an answer is made of it.
    web: Option<(Judged, Box<Transcoding>)>,
}

impl Ending {
    /// Whether an invocation that has ended is one of these.
    #[inline(always)]
    #[must_use]
    pub fn is_due(pending: &Pending, completion: &Completion) -> bool {
        Judging::is_due(pending, completion)
    }

    /// Begins to judge it.
    #[must_use]
    pub fn new(pending: Pending, completion: Completion) -> Self {
        Self { pending, completion, judging: Judging::new(), web: None }
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let made = self.web.as_ref().map_or(0, |(_, transcoding)| transcoding.held_len());
        self.completion.output.len() + self.judging.held_len() + made
    }

    /// Goes on. Returns the verdict when it is there.
    pub fn step(&mut self, slice: &mut Slice) -> Option<Judgement> {
        let Self { pending, completion, judging, web } = self;
        if let Some((_, transcoding)) = web {
            let made = transcoding.step(&completion.output, slice)?;
            return web.take().map(|(judged, _)| (judged, Some(made)));
        }
        let judged = judging.step(&completion.output, slice)?;
        let Shape::Web { media, .. } = pending.shape() else { return Some((judged, None)) };
        *web = Some((judged, Box::new(Transcoding::new(pending, media))));
        None
    }

    /// As [`ended`], with its verdict. What is needed to answer others of its request stays.
    pub fn finish(
        self,
        node: &mut Node,
        judgement: Judgement,
        now: Now,
        is_awaited: bool,
    ) -> (Pending, Option<(Response, Outcome)>) {
        let Self { mut pending, completion, .. } = self;
        let Node { records, statistics, .. } = node;
        let ended = Ended::count(statistics, &mut pending, completion, now);
        if !is_awaited {
            ended.record_judged(records, &judgement.0);
            return (pending, None);
        }
        let Ended { pending: waits, completion, outcome, now } = ended;
        let response = end::complete_judged(records, waits, completion, judgement, now);
        (pending, Some((response, outcome)))
    }
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
        let judged = Judged::of(&self.completion, self.pending.shape());
        self.record_judged(records, &judged);
    }

    #[inline(always)]
    fn record_judged(self, records: &mut Records, judged: &Judged) {
        end::keep(records, self.pending, &self.completion, judged, self.now);
    }
}
