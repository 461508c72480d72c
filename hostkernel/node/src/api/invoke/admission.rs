//! An admitted invocation: what runs, and what stays behind to answer the request.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::reading::Reading;
use super::shape::{Form, Shape};
use crate::api::answer::deed::Deed;
use crate::api::answer::error::Reject;
use crate::api::manage::deploying::Deploying;
use crate::api::request::Parts;
use crate::api::request::RequestId;
use crate::digits::Hex;
use crate::dispatch::{ActivationId, Completion, Invocation, Outlet, Ticket, Timing};
use crate::http::{Fields, Response};
use crate::registry::Limits;
use crate::registry::{Action, Permit, Variables};
use crate::state::Now;
use crate::state::records::{Blame, Facts};
use crate::store::Key;
use crate::traceparent::TraceParent;
use memory::{PageBuffer, Template};

/// What becomes of a request.
#[expect(clippy::large_enum_variant, reason = "a box would cost every invocation an allocation")]
pub enum Reply {
    /// It is answered.
    Respond(Response),
    /// It is an invocation that may run.
    Invoke(Admission),
    /// The registry has to hear of it first.
    Store(Box<Deed>),
    /// It is a deploy, whose body is to be read.
    Deploy(Box<Deploying>),
    /// It is an invocation whose input is to be read first.
    Read(Box<Reading>),
}

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
    /// The action's own variables.
    pub variables: Option<Arc<Variables>>,
    /// The payload, if it is the preparation of a host image.
    pub payload: Option<Arc<PageBuffer>>,
    /// Longest result.
    pub output_len_max: usize,
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
    /// Where its result leaves before the end, if it may.
    pub outlet: Option<Arc<Outlet>>,
}

impl Admission {
    /// Parts what runs from what waits. `ticket` says where the completion goes.
    #[must_use]
    pub fn split(self, ticket: Ticket) -> (Invocation, Pending) {
        let Self { template, limits, input, environment, payload, output_len_max, .. } = self;
        let Self { variables, permit, pending, .. } = self;
        let (id, admitted_ns) = (pending.id, pending.admitted_ns);
        let invocation = Invocation {
            id,
            ticket,
            permit,
            template,
            limits,
            input,
            environment,
            variables,
            payload,
            output_len_max,
            outlet: None,
            admitted_ns,
        };
        (invocation, pending)
    }
}

impl Pending {
    /// The invocation's id.
    #[must_use]
    pub fn id(&self) -> ActivationId {
        self.id
    }

    pub(in crate::api) fn id_text(&self) -> &Hex {
        &self.id_text
    }

    pub(in crate::api) fn trace(&self) -> &TraceParent {
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

    /// What its action is called by a registry.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.action.namespace.clone(), self.action.name.clone())
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

    /// Whether the answer may leave before all of it is there.
    #[must_use]
    pub fn may_stream(&self) -> bool {
        let wanted = self.action.annotations.streams;
        match self.shape {
            Shape::Function(Form::Bytes | Form::Cgi) => wanted == Some(true),
            Shape::Function(Form::Server { is_head: false }) => wanted != Some(false),
            _ => false,
        }
    }

    /// Nobody waits any more: gives back what only an answer needs.
    pub fn detach(&mut self) {
        self.fields = Fields::new();
    }

    /// Whether it is no request to an action but the preparation of one.
    #[must_use]
    pub fn is_deploy(&self) -> bool {
        matches!(
            self.shape,
            Shape::Deploy { .. }
                | Shape::Push { .. }
                | Shape::Runtime
                | Shape::Fetch { .. }
                | Shape::Supply { .. }
        )
    }

    pub(in crate::api) fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes back that it counts as admitted: it did not run, and that was not the client's doing.
    pub fn refund(&self) {
        self.action.namespace.refund(self.admitted_ns);
    }

    /// Keeps memory for the header fields of the answer.
    pub(in crate::api) fn keep_buffer(&mut self, buffer: Vec<u8>) {
        self.fields = Fields::in_buffer(buffer);
    }

    pub(super) fn take_fields(&mut self) -> Fields {
        core::mem::take(&mut self.fields)
    }

    /// From admission until now.
    pub(in crate::api) fn age_ns(&self, now: Now) -> u64 {
        now.monotonic_ns.saturating_sub(self.admitted_ns)
    }

    /// What a record says about an end.
    pub(super) fn facts(&self, completion: &Completion, status: Blame, now: Now) -> Facts {
        let Action { namespace, version, of_code, limits, .. } = &*self.action;
        let (start_ms, duration_ms) = span(completion.timing, now);
        Facts {
            id: self.id,
            namespace: namespace.clone(),
            version: *version,
            digest: *of_code,
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

/// Puts an admission together, if the quotas of the action's namespace allow one more.
pub(in crate::api) fn prepare(
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
        outlet: None,
    };
    Ok(Reply::Invoke(Admission {
        template: Arc::clone(&action.template),
        limits: action.limits,
        input,
        environment,
        variables: action.variables.clone(),
        payload: None,
        output_len_max: parts.body_len_max,
        permit,
        pending,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
