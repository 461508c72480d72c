//! From an invocation's end to the answer, and to its record.

use alloc::format;
use alloc::vec::Vec;

use super::admission::Pending;
use super::outcome::{self, Judged};
use super::shape::Shape;
use super::{function, web};
use crate::api::answer::respond;
use crate::digits::{push_milliseconds, short_milliseconds};
use crate::dispatch::{Completion, Timing};
use crate::http::encode::may_have_body;
use crate::http::{Body, Fields, Name, Response};
use crate::state::Now;
use crate::state::records::{Facts, Records};
use memory::PageBuffer;

const ACTIVATION_ID: Name = Name::new("X-OpenWhisk-Activation-Id: ");
const SERVER_TIMING: Name = Name::new("Server-Timing: ");
const TRACEPARENT: Name = Name::new("traceparent: ");

/// How an invocation went, and perhaps what an exported action's result became.
pub type Judgement = (Judged, Option<Result<web::Transcoded, web::Failure>>);

/// The answer to an invocation that ran.
pub fn complete(
    records: &mut Records,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
) -> Response {
    let judged = Judged::of(&completion, pending.shape());
    complete_judged(records, pending, completion, (judged, None), now)
}

/// The same when it is known how it went, and perhaps what an exported action's result became.
#[inline(always)]
pub fn complete_judged(
    records: &mut Records,
    pending: &mut Pending,
    completion: Completion,
    (judged, made): Judgement,
    now: Now,
) -> Response {
    let facts = keep(records, pending, &completion, &judged, now);
    let (timing, total_ns) = (facts.timing, facts.total_ns);
    let mut response = match pending.shape() {
        Shape::Function(form) => function::complete(pending, completion, form),
        Shape::Web { media, cors } => web::complete(pending, completion, (media, cors), made),
        _ => outcome::complete(pending, judged, completion, facts),
    };
    let headers = &mut response.headers;
    push_identity(headers, pending);
    headers.push_visible(SERVER_TIMING, |out| push_timing(out, timing, total_ns));
    response
}

/// The beginning of an answer that leaves before its invocation has ended: its status and header
/// fields, and where in `first`, the first piece of the result, its body begins. `None` if that
/// piece is no beginning; then the answer is sent as a whole.
pub fn begin(
    pending: &mut Pending,
    first: PageBuffer,
) -> Option<((u16, Fields), (PageBuffer, usize))> {
    let Shape::Function(form) = pending.shape() else { return None };
    let response = function::begin(pending, first, form)?;
    let Response { status, mut headers, body } = response;
    push_identity(&mut headers, pending);
    match body {
        Body::Pages(first) => Some(((status, headers), (first, 0))),
        Body::PagesFrom(first, start) if may_have_body(status) => {
            Some(((status, headers), (first, start)))
        }
        _ => None,
    }
}

/// Keeps the record of an invocation that ended, and how.
pub fn keep<'a>(
    records: &'a mut Records,
    pending: &Pending,
    completion: &Completion,
    judged: &Judged,
    now: Now,
) -> &'a Facts {
    let facts = pending.facts(completion, judged.status, now);
    let names = [pending.action().name.as_str(), &*pending.action().kind];
    let result = judged.result(&completion.output);
    let unsupported = outcome::unsupported(completion.reports.as_deref());
    records.keep(facts, names, result, &completion.log.text, unsupported.as_bytes())
}

/// The answer to an invocation that goes on: its id.
pub fn accepted(pending: &mut Pending) -> Response {
    let fields = pending.take_fields();
    let body = respond::text(format!("{{\"activationId\":\"{}\"}}", pending.id_text().as_str()));
    let mut response = respond::api_with(fields, 202, body, pending.request_id());
    push_identity(&mut response.headers, pending);
    response
}

/// What names the invocation to those who watch.
fn push_identity(headers: &mut Fields, pending: &Pending) {
    headers.push_visible(ACTIVATION_ID, |out| out.extend_from_slice(pending.id_text().as_bytes()));
    headers.push_visible(TRACEPARENT, |out| out.extend_from_slice(pending.trace().as_bytes()));
}

/// Where the time went, in milliseconds, as browsers show it.
fn push_timing(out: &mut Vec<u8>, timing: Timing, total_ns: u64) {
    let Timing { queue_ns, load_ns, run_ns, .. } = timing;
    let spans = [queue_ns, load_ns, run_ns, total_ns].map(short_milliseconds);
    if let [Some(queue), Some(load), Some(run), Some(total)] = spans {
        let mut text = *b"queue;dur=0.000, load;dur=0.000, run;dur=0.000, total;dur=0.000";
        text[10..15].copy_from_slice(&queue);
        text[26..31].copy_from_slice(&load);
        text[41..46].copy_from_slice(&run);
        text[58..63].copy_from_slice(&total);
        return out.extend_from_slice(&text);
    }
    push_long_timing(out, timing, total_ns);
}

#[inline(never)]
fn push_long_timing(out: &mut Vec<u8>, timing: Timing, total_ns: u64) {
    out.extend_from_slice(b"queue;dur=");
    push_milliseconds(out, timing.queue_ns);
    out.extend_from_slice(b", load;dur=");
    push_milliseconds(out, timing.load_ns);
    out.extend_from_slice(b", run;dur=");
    push_milliseconds(out, timing.run_ns);
    out.extend_from_slice(b", total;dur=");
    push_milliseconds(out, total_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_milliseconds() {
        let timing =
            Timing { started_ns: 9, queue_ns: 20_000, load_ns: 999, run_ns: 1_234_567_890 };
        let mut text = Vec::new();
        push_timing(&mut text, timing, 5_000_001);
        assert_eq!(text, b"queue;dur=0.020, load;dur=0.000, run;dur=1234.567, total;dur=5.000");
        let short = Timing { run_ns: 9_999_999, ..timing };
        for total_ns in [0, 5_000_001, 10_000_000] {
            let [mut text, mut long] = [Vec::new(), Vec::new()];
            push_timing(&mut text, short, total_ns);
            push_long_timing(&mut long, short, total_ns);
            assert_eq!(text, long);
        }
    }
}
