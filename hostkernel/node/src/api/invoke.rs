//! `POST …/actions/NAME`: from a request to an admission, and from an end to the answer.

use alloc::format;
use alloc::vec::Vec;

use super::actions::find;
use super::admission::{Pending, Shape, prepare};
use super::auth::Tenant;
use super::error::Reject;
use super::input::json_input;
use super::outcome::Judged;
use super::text::push_milliseconds;
use super::{Now, Parts, Reply, function, outcome, respond, web};
use crate::dispatch::{Completion, Timing};
use crate::http::fields::push_decimal;
use crate::http::{Fields, Name, Response};
use crate::registry::{Action, Registry, Version};
use crate::state::records::{Facts, Records};
use limits::{ENVIRONMENT_FIXED_LEN, TRACESTATE_LEN_MAX};
use memory::PageBuffer;

/// Admits an invocation with JSON input.
pub fn admit(
    registry: &Registry,
    tenant: &Tenant,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
) -> Result<Reply, Reject> {
    let action = find(registry, &tenant.namespace, name)?;
    let blocking = parts.query.flag("blocking", false)?;
    let shape = match parts.query.flag("result", false)? {
        _ if !blocking => Shape::Accepted,
        true => Shape::Result,
        false => Shape::Activation,
    };
    let input = json_input(body, &action.parameters)?;
    let environment = environment(action, parts, 0);
    prepare(action, parts, input, environment, shape)
}

/// The variables every action gets, with room for `more` bytes. Together they stay below
/// [`limits::ENVIRONMENT_LEN_MAX`], see the assertion there.
pub(super) fn environment(action: &Action, parts: &Parts<'_>, more: usize) -> Vec<u8> {
    let namespace = action.namespace.as_str().as_bytes();
    let Version { major, minor, patch } = action.version;
    let state = parts.traced.then(|| parts.headers.get("tracestate")).flatten();
    let state = state.filter(|state| is_sane(state)).unwrap_or_default();
    let mut environment = Vec::with_capacity(ENVIRONMENT_FIXED_LEN / 2 + state.len() + more);
    let out = &mut environment;
    out.extend_from_slice(b"__OW_ACTIVATION_ID=");
    out.extend_from_slice(parts.id_text.as_bytes());
    out.extend_from_slice(b"\0__OW_ACTION_NAME=/");
    out.extend_from_slice(namespace);
    out.push(b'/');
    out.extend_from_slice(action.name.as_str().as_bytes());
    out.extend_from_slice(b"\0__OW_ACTION_VERSION=");
    push_decimal(out, u64::from(major));
    out.push(b'.');
    push_decimal(out, u64::from(minor));
    out.push(b'.');
    push_decimal(out, u64::from(patch));
    out.extend_from_slice(b"\0__OW_NAMESPACE=");
    out.extend_from_slice(namespace);
    out.extend_from_slice(b"\0__OW_TRANSACTION_ID=");
    out.extend_from_slice(parts.request_id.as_bytes());
    out.extend_from_slice(b"\0TRACEPARENT=");
    out.extend_from_slice(parts.trace.as_bytes());
    out.push(b'\0');
    if !state.is_empty() {
        out.extend_from_slice(b"TRACESTATE=");
        out.extend_from_slice(state.as_bytes());
        out.push(b'\0');
    }
    environment
}

/// Whether a `tracestate` is text of an acceptable length.
fn is_sane(state: &str) -> bool {
    let is_text = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    state.len() <= TRACESTATE_LEN_MAX && state.bytes().all(is_text)
}

const ACTIVATION_ID: Name = Name::new("X-OpenWhisk-Activation-Id: ");
const SERVER_TIMING: Name = Name::new("Server-Timing: ");

const TRACEPARENT: Name = Name::new("traceparent: ");

/// The answer to an invocation that ran.
pub fn complete(
    records: &mut Records,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
) -> Response {
    let (judged, facts) = keep(records, pending, &completion, now);
    let (timing, total_ns) = (facts.timing, facts.total_ns);
    let mut response = match pending.shape() {
        Shape::Function { cgi } => function::complete(pending, completion, cgi),
        Shape::Web { media, cors } => web::complete(pending, completion, (media, cors)),
        _ => outcome::complete(pending, judged, completion, facts),
    };
    let headers = &mut response.headers;
    push_identity(headers, pending);
    headers.push_visible(SERVER_TIMING, |out| push_timing(out, timing, total_ns));
    response
}

/// Keeps the record of an invocation that ended.
pub fn keep<'a>(
    records: &'a mut Records,
    pending: &Pending,
    completion: &Completion,
    now: Now,
) -> (Judged, &'a Facts) {
    let judged = Judged::of(completion, pending.shape());
    let facts = pending.facts(completion, judged.status, now);
    let names = [pending.action().name.as_str(), &*pending.action().kind];
    let result = judged.result(&completion.output);
    let facts = records.keep(facts, names, result, &completion.log.text);
    (judged, facts)
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
    }
}
