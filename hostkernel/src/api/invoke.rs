//! `POST …/actions/NAME`: from a request to an [`Admission`], and what stays behind to answer it.

use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::actions::find;
use super::auth::Tenant;
use super::error::Reject;
use super::json::{ESCAPED_LEN, Json, Quoted};
use super::outcome::Judged;
use super::respond::{self, Document, contiguous};
use super::text::{Hex, push_milliseconds};
use super::{Now, Parts, Reply, RequestId, function, outcome, web};
use crate::config::{
    ENVIRONMENT_FIXED_LEN, INPUT_LEN_MAX, PARAMETER_NAME_LEN_MAX, TRACESTATE_LEN_MAX,
};
use crate::dispatch::{ActivationId, Completion, Invocation, Limits, Ticket, Timing};
use crate::http::fields::push_decimal;
use crate::http::{Fields, Name, Response};
use crate::memory::{PageBuffer, Template};
use crate::observe::records::{Facts, Records, Status};
use crate::observe::traceparent::TraceParent;
use crate::registry::{Action, KeyValues, Permit, Registry, Version};

/// An invocation that lacks nothing but a core.
#[derive(Debug)]
pub struct Admission {
    /// The image to run.
    pub template: Arc<Template>,
    /// What it may use.
    pub limits: Limits,
    /// Its input.
    pub input: PageBuffer,
    /// `NAME=value` strings, each ended by a NUL byte.
    pub environment: Vec<u8>,
    /// Its place among the invocations of its namespace.
    pub permit: Permit,
    /// What is needed to answer the request at its end.
    pub pending: Pending,
}

/// What is needed to answer a request once its invocation has ended. It keeps the action, so that a
/// client hears about the version that ran.
#[derive(Debug)]
pub struct Pending {
    id: ActivationId,
    id_text: Hex,
    request_id: RequestId,
    action: Arc<Action>,
    shape: Shape,
    trace: TraceParent,
    admitted_ns: u64,
    /// Empty; the answer's will be written into their memory.
    fields: Fields,
}

/// What the answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The id, before anything ran.
    Accepted,
    /// The record of the activation, as JSON.
    Activation,
    /// The action's JSON result.
    Result,
    /// The bytes the action wrote.
    Function {
        /// They begin with header fields.
        cgi: bool,
    },
    /// What the action's JSON result says, to browsers.
    Web {
        /// What the result is read as.
        media: web::Media,
        /// Whether scripts of any origin may read it.
        cors: bool,
    },
}

impl Admission {
    /// Parts what runs from what waits. `ticket` says where the completion goes.
    #[must_use]
    pub fn split(self, ticket: Ticket) -> (Invocation, Pending) {
        let Self { template, limits, input, environment, permit, pending } = self;
        let (id, admitted_ns) = (pending.id, pending.admitted_ns);
        let invocation =
            Invocation { id, ticket, permit, template, limits, input, environment, admitted_ns };
        (invocation, pending)
    }
}

impl Pending {
    /// The invocation's id.
    #[must_use]
    pub fn id(&self) -> ActivationId {
        self.id
    }

    pub(super) fn id_text(&self) -> &Hex {
        &self.id_text
    }

    pub(super) fn trace(&self) -> &TraceParent {
        &self.trace
    }

    /// The request's id.
    #[must_use]
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// The action that was asked for.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// Whether the client wants to hear of the end.
    #[must_use]
    pub fn is_blocking(&self) -> bool {
        self.shape != Shape::Accepted
    }

    /// Whether the client can be told to ask again later.
    #[must_use]
    pub fn may_be_accepted(&self) -> bool {
        matches!(self.shape, Shape::Activation | Shape::Result)
    }

    /// Nobody waits any more: gives back what only an answer needs.
    pub fn detach(&mut self) {
        self.fields = Fields::new();
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Keeps memory for the header fields of the answer.
    pub(super) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        self.fields = Fields::in_buffer(buffer);
    }

    pub(super) fn take_fields(&mut self) -> Fields {
        core::mem::take(&mut self.fields)
    }

    /// From admission until now.
    pub(super) fn age_ns(&self, now: Now) -> u64 {
        now.monotonic_ns.saturating_sub(self.admitted_ns)
    }

    /// What a record says about an end.
    fn facts(&self, completion: &Completion, status: Status, now: Now) -> Facts {
        let Action { namespace, version, digest, limits, .. } = &*self.action;
        let (start_ms, duration_ms) = span(completion.timing, now);
        Facts {
            id: self.id,
            namespace: namespace.clone(),
            version: *version,
            digest: *digest,
            limits: *limits,
            status,
            start_ms,
            duration_ms,
            timing: completion.timing,
            total_ns: self.age_ns(now),
            usage: completion.usage,
            trace: self.trace,
            log_truncated: completion.log.truncated,
        }
    }
}

#[cfg(test)]
impl Admission {
    /// The environment as text.
    pub fn variables(&self) -> &str {
        str::from_utf8(&self.environment).expect("all that comes in is text")
    }
}

/// When an invocation began by the wall clock, making its address space included, and how long it
/// took from then on, in milliseconds.
fn span(timing: Timing, now: Now) -> (u64, u64) {
    let Timing { started_ns, load_ns, run_ns, .. } = timing;
    if started_ns == 0 {
        // It never ran.
        return (now.wall_ms, 0);
    }
    let age_ns = now.monotonic_ns.saturating_sub(started_ns).saturating_add(load_ns);
    let duration_ns = load_ns.saturating_add(run_ns);
    (now.wall_ms.saturating_sub(age_ns / 1_000_000), duration_ns / 1_000_000)
}

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

/// Puts an admission together, if the quotas of the action's namespace allow one more.
pub(super) fn prepare(
    action: &Arc<Action>,
    parts: &Parts<'_>,
    input: PageBuffer,
    environment: Vec<u8>,
    shape: Shape,
) -> Result<Reply, Reject> {
    let permit = action.namespace.admit(parts.now.monotonic_ns)?;
    let pending = Pending {
        id: parts.id,
        id_text: parts.id_text,
        request_id: parts.request_id.clone(),
        action: Arc::clone(action),
        shape,
        trace: parts.trace,
        admitted_ns: parts.now.monotonic_ns,
        fields: Fields::new(),
    };
    Ok(Reply::Invoke(Admission {
        template: Arc::clone(&action.template),
        limits: action.limits,
        input,
        environment,
        permit,
        pending,
    }))
}

/// The variables every action gets, with room for `more` bytes. Together they stay below
/// [`crate::config::ENVIRONMENT_LEN_MAX`], see the assertion there.
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

/// The input of an action that takes JSON: the request's object over the bound parameters. Without
/// bound parameters it is the request's own bytes, in the frames they arrived in.
fn json_input(body: PageBuffer, parameters: &KeyValues) -> Result<PageBuffer, Reject> {
    if body.len() > INPUT_LEN_MAX {
        return Err(Reject::InputTooLong);
    }
    if body.is_empty() {
        return merge("{}", parameters);
    }
    let bytes = contiguous(&body)?;
    let json = Json::read(&bytes)?;
    if !parameters.is_empty() {
        return merge(json.text(), parameters);
    }
    json.members(|_, _| {})?;
    drop(bytes);
    Ok(body)
}

/// Puts the bound parameters that a request does not name in front of its members.
fn merge(request: &str, parameters: &KeyValues) -> Result<PageBuffer, Reject> {
    let mut named = vec![false; parameters.len()];
    Json::read(request.as_bytes())?.members(|name, _| {
        let position = match name.raw_string() {
            Some(raw) if !raw.contains('\\') => parameters.position(name.text()),
            _ => name
                .string(ESCAPED_LEN * PARAMETER_NAME_LEN_MAX)
                .ok()
                .and_then(|decoded| parameters.position(&Quoted(&decoded).to_string())),
        };
        if let Some(named) = position.and_then(|position| named.get_mut(position)) {
            *named = true;
        }
    })?;
    // What has members is an object: it starts and ends with a brace.
    let own = request.trim_ascii();
    let own = own.get(1..own.len().saturating_sub(1)).unwrap_or_default().trim_ascii();
    let merged = Document::compose(|out| {
        let mut separator = "{";
        let bound = parameters.iter().zip(named).filter(|(_, named)| !named);
        for ((key, value), _) in bound {
            write!(out, "{separator}{key}:{value}")?;
            separator = ",";
        }
        let separator = if own.is_empty() && separator == "," { "" } else { separator };
        write!(out, "{separator}{own}}}")
    })?;
    if merged.len() > INPUT_LEN_MAX { Err(Reject::InputTooLong) } else { Ok(merged) }
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
    let mut response = match pending.shape {
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
    let judged = Judged::of(completion, pending.shape);
    let facts = pending.facts(completion, judged.status, now);
    let names = [pending.action.name.as_str(), &*pending.action.kind];
    let result = judged.result(&completion.output);
    let facts = records.keep(facts, names, result, &completion.log.text);
    (judged, facts)
}

/// The answer to an invocation that goes on: its id.
pub fn accepted(pending: &mut Pending) -> Response {
    let fields = pending.take_fields();
    let body = respond::text(format!("{{\"activationId\":\"{}\"}}", pending.id_text.as_str()));
    let mut response = respond::api_with(fields, 202, body, &pending.request_id);
    push_identity(&mut response.headers, pending);
    response
}

/// What names the invocation to those who watch.
fn push_identity(headers: &mut Fields, pending: &Pending) {
    headers.push_visible(ACTIVATION_ID, |out| out.extend_from_slice(pending.id_text.as_bytes()));
    headers.push_visible(TRACEPARENT, |out| out.extend_from_slice(pending.trace.as_bytes()));
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
    use alloc::string::String;
    use proptest::prelude::*;

    fn input(body: &str, parameters: &[(&str, &str)]) -> Result<String, Reject> {
        crate::memory::install_for_test();
        let parameters = KeyValues::from_items(parameters).expect("the heap has room");
        let body = PageBuffer::from_bytes(body.as_bytes()).expect("frames are left");
        let input = json_input(body, &parameters)?;
        Ok(String::from_utf8(input.to_vec().expect("room")).expect("UTF-8"))
    }

    #[test]
    fn without_bound_parameters_the_body_is_the_input() {
        for body in ["{}", " {\"a\" : 1 , \"a\":2}\n", "{\"\\u0061\":[[]]}"] {
            assert_eq!(input(body, &[]).expect("an object"), body);
        }
        assert_eq!(input("", &[]).expect("nothing is an empty object"), "{}");
    }

    #[test]
    fn the_request_wins_over_bound_parameters() {
        let bound = [(r#""b""#, "1"), (r#""a""#, "\"x\""), (r#""n\n""#, "null")];
        for (body, merged) in [
            ("", r#"{"a":"x","b":1,"n\n":null}"#),
            (" { } ", r#"{"a":"x","b":1,"n\n":null}"#),
            (r#"{"a":2}"#, r#"{"b":1,"n\n":null,"a":2}"#),
            (r#"{"\u0061":2, "z":{"b":3}}"#, r#"{"b":1,"n\n":null,"\u0061":2, "z":{"b":3}}"#),
            (r#"{"a":1,"b":2,"n\u000a":3}"#, r#"{"a":1,"b":2,"n\u000a":3}"#),
        ] {
            assert_eq!(input(body, &bound).expect("an object"), merged, "{body}");
        }
    }

    #[test]
    fn input_that_is_no_object_is_refused() {
        for parameters in [&[][..], &[(r#""a""#, "1")]] {
            for body in ["[]", "1", "\"a\"", "null", "{", "{}}", " ", "{\"a\":}", "}{", "{{}}"] {
                assert_eq!(input(body, parameters).expect_err(body).status(), 400, "{body}");
            }
            let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
            assert_eq!(input(&deep, parameters).expect_err("deep").status(), 400);
        }
    }

    #[test]
    fn merged_input_is_bounded() {
        let value = format!("\"{}\"", "x".repeat(INPUT_LEN_MAX / 2));
        let body = format!("{{\"b\":{value}}}");
        assert!(input(&body, &[]).is_ok());
        assert_eq!(input(&body, &[(r#""a""#, &value)]).expect_err("too long").status(), 413);
        let long = format!("{{\"b\":\"{}\"}}", "x".repeat(INPUT_LEN_MAX));
        assert_eq!(input(&long, &[]).expect_err("too long").status(), 413);
    }

    #[test]
    fn times_are_in_milliseconds() {
        let timing =
            Timing { started_ns: 9, queue_ns: 20_000, load_ns: 999, run_ns: 1_234_567_890 };
        let mut text = Vec::new();
        push_timing(&mut text, timing, 5_000_001);
        assert_eq!(text, b"queue;dur=0.020, load;dur=0.000, run;dur=1234.567, total;dur=5.000");
    }

    #[test]
    fn the_span_reaches_back_from_now() {
        let now = Now { monotonic_ns: 50_000_000, wall_ms: 1_000 };
        let timing =
            Timing { started_ns: 40_000_000, queue_ns: 0, load_ns: 2_500_000, run_ns: 6_000_000 };
        assert_eq!(span(timing, now), (988, 8));
        assert_eq!(span(timing, Now { wall_ms: 0, ..now }).0, 0);
        let absurd = Timing { started_ns: u64::MAX, load_ns: u64::MAX, run_ns: 9, queue_ns: 1 };
        assert_eq!(span(absurd, now).0, 0);
        assert_eq!(span(Timing { queue_ns: 7, ..Timing::default() }, now), (1_000, 0));
    }

    proptest! {
        #[test]
        fn merging_is_what_a_parser_would_do(
            bound in proptest::collection::btree_map("[a-c\\n\"]{0,2}", 0..9_u8, 0..4),
            request in proptest::collection::btree_map("[a-c\\n\"]{0,2}", 10..19_u8, 0..4),
        ) {
            let items: Vec<(String, String)> = bound
                .iter()
                .map(|(key, value)| (Quoted(key).to_string(), value.to_string()))
                .collect();
            let items: Vec<(&str, &str)> =
                items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let body = serde_json::to_string(&request).expect("a map is JSON");
            let merged = input(&body, &items).expect("an object");
            let parsed: alloc::collections::BTreeMap<String, u8> =
                serde_json::from_str(&merged).expect("JSON");
            let mut expected = bound;
            expected.extend(request);
            prop_assert_eq!(parsed, expected);
        }
    }
}
