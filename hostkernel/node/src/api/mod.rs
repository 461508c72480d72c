//! The API: what requests mean and what answers look like. Requests in, status codes out.
//!
//! [`handle`] takes one complete request and either answers it or hands out an [`Admission`]: an
//! invocation with everything but a place to run. Whoever runs it gives the end to [`complete`]
//! together with the [`Pending`] that came with the admission; if nobody waits for an answer, to
//! [`record`]. Nothing here does I/O, waits, or knows the time other than from [`Now`].
//!
//! ```text
//! Request ─▶ Route ─▶ auth ─▶ actions, deploy ─▶ Response
//!              │        └───▶ invoke ──▶ Admission ─▶ … ─▶ Completion ─▶ outcome ─▶ Response
//!              │        └───▶ activations ─▶ Response
//!              ├────────────▶ function ─▶ Admission ─▶ … ─▶ Completion ─▶ function ─▶ Response
//!              ├────────────▶ web ──────▶ Admission ─▶ … ─▶ Completion ─▶ web ──────▶ Response
//!              └────────────▶ health ─▶ Response
//! ```

mod access;
mod action_limits;
mod actions;
mod activation;
mod activations;
mod admin;
mod admission;
pub mod auth;
mod cgi;
mod code;
mod deploy;
pub mod error;
mod function;
mod health;
mod input;
mod invoke;
mod json;
mod metrics;
mod outcome;
mod query;
mod respond;
mod route;
mod text;
mod web;

pub use access::Subject;
pub use admission::{Admission, Pending};
pub use auth::Tenants;
pub use deploy::deploy_at_boot;
pub use error::Reject;
pub use respond::RequestId;

use crate::journal::syslog::Queue;
use crate::state::records::Records;
use crate::traceparent::TraceParent;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::error::Unsupported;
use self::query::Query;
use self::route::{Collection, Route};
use self::text::Hex;
use crate::dispatch::{ActivationId, Completion, CoreLoad, End};
use crate::http::{self, Body, Headers, Method, Request, Response};
use crate::registry::Limits;
use crate::registry::{Namespace, Registry};
use crate::settings::Access;
use crate::state::boot_times::BootTimes;
use crate::state::statistics::{Outcome, Statistics, Traffic};
use limits::{
    DEPLOY_LEN_MAX, INPUT_LEN_MAX, LOGS_MB_MAX, MEMORY_MB_DEFAULT, OTHER_BODY_LEN_MAX,
    TIMEOUT_MS_DEFAULT,
};
use memory::PageBuffer;

/// What requests read and change.
#[derive(Debug)]
pub struct Node {
    /// The deployed actions.
    pub registry: Registry,
    /// What is kept of invocations that ended.
    pub records: Records,
    /// What the operator decided.
    pub config: ApiConfig,
    /// Whether load balancers should send requests.
    pub readiness: Readiness,
    /// What is counted of requests.
    pub statistics: Statistics,
    /// What the log server is told, if there is one.
    pub syslog: Option<Arc<Queue>>,
    /// What the parts of the node around the API hold, at the time of a request that
    /// [asks for it](asks_for_load).
    pub load: Load,
}

/// What the parts of the node around the API hold.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Open connections.
    pub connections: usize,
    /// Invocations admitted and not yet answered.
    pub in_flight: usize,
    /// Requests since the boot, the one under way included.
    pub requests: u64,
    /// What each core has to do.
    pub cores: Vec<CoreLoad>,
    /// What went through the network card.
    pub traffic: Traffic,
    /// How long the boot took.
    pub boot_times: BootTimes,
    /// Whether a time server has set the wall clock.
    pub clock_is_synchronised: bool,
    /// By how much the wall clock was wrong at the last look at a better one.
    pub clock_offset_ns: i64,
}

/// What the operator decided about the API.
#[derive(Debug)]
pub struct ApiConfig {
    /// Who may use it.
    pub tenants: Tenants,
    /// The namespace `/function/` serves, if it serves any.
    pub public_namespace: Option<Namespace>,
    /// Limits of actions that name none.
    pub limits_default: Limits,
    /// The most memory the node can give one invocation.
    pub memory_mb_max: u64,
    /// Version and build of the node, as text.
    pub build: Cow<'static, str>,
}

impl ApiConfig {
    /// The development default for a node that can give an invocation `memory_mb_max`.
    #[must_use]
    pub fn development(memory_mb_max: u64) -> Self {
        Self::new(&Access::default(), memory_mb_max)
    }

    /// What the operator decided, for such a node.
    #[must_use]
    pub fn new(access: &Access, memory_mb_max: u64) -> Self {
        let tenants = Tenants::new(access);
        Self {
            public_namespace: access.public.as_deref().and_then(|name| tenants.namespace(name)),
            tenants,
            limits_default: Limits {
                timeout_ms: TIMEOUT_MS_DEFAULT,
                memory_mb: MEMORY_MB_DEFAULT.min(memory_mb_max),
                logs_mb: LOGS_MB_MAX,
            },
            memory_mb_max,
            build: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Whether a node should be sent requests. It answers them in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet.
    Booting,
    /// Yes.
    Ready,
    /// No more.
    Draining,
}

/// The time at which something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, in nanoseconds since boot.
    pub monotonic_ns: u64,
    /// Wall clock, in milliseconds since 1970-01-01 UTC; 0 if the node has none.
    pub wall_ms: u64,
}

/// What becomes of a request.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would cost every invocation an allocation")]
pub enum Reply {
    /// It is answered.
    Respond(Response),
    /// It is an invocation that may run.
    Invoke(Admission),
}

/// A request without path and body: what the route's handler still wants to know.
struct Parts<'a> {
    method: Method,
    query: Query<'a>,
    headers: Headers<'a>,
    now: Now,
    id: ActivationId,
    id_text: Hex,
    request_id: RequestId,
    trace: TraceParent,
    /// The request says what trace it belongs to.
    traced: bool,
}

/// Says by a request's head how long its body may be, or refuses it already because its key is
/// wrong: nobody without a key makes the node receive and keep [`DEPLOY_LEN_MAX`] bytes.
///
/// # Errors
/// The answer to send instead of receiving the body; the connection must be closed after it.
pub fn check_head(
    node: &mut Node,
    method: Method,
    path: &str,
    headers: Headers<'_>,
    random_id: impl FnOnce() -> u128,
) -> Result<usize, Box<Response>> {
    let route = Route::of(path);
    if method != Method::Options && route.needs_key() {
        let checked = node.config.tenants.authenticate(headers.get("authorization"));
        checked.map_err(|reject| {
            let id = RequestId::choose(headers, Hex::of(random_id()));
            node.statistics.rejected(reject.reason());
            Box::new(reject.response(&id))
        })?;
    }
    Ok(body_len_max(route, method))
}

const fn body_len_max(route: Route<'_>, method: Method) -> usize {
    match (route, method) {
        (Route::Action { .. }, Method::Put) => DEPLOY_LEN_MAX,
        (Route::Action { .. }, Method::Post) | (Route::Function { .. } | Route::Web(_), _) => {
            INPUT_LEN_MAX
        }
        _ => OTHER_BODY_LEN_MAX,
    }
}

/// Answers a request, or finds what it wants to run. The body is taken; the text, too, if it is an
/// invocation.
///
/// `random_id` must be unguessable: it becomes the activation id.
#[must_use]
pub fn handle(node: &mut Node, request: &mut Request, now: Now, random_id: u128) -> Reply {
    let Request { method, text, body } = request;
    let body = core::mem::take(body);
    let id_text = Hex::of(random_id);
    let [given_id, given_trace] = text.headers().pick(["x-request-id", "traceparent"]);
    let trace = given_trace.and_then(|given| TraceParent::within(given, id_text.as_bytes()));
    let parts = Parts {
        method: *method,
        query: Query::new(text.query()),
        headers: text.headers(),
        now,
        id: ActivationId(random_id),
        id_text,
        request_id: RequestId::of(given_id, id_text),
        trace: trace.unwrap_or_else(|| TraceParent::new(id_text.as_bytes())),
        traced: trace.is_some(),
    };
    let mut reply = answer(node, Route::of(text.path()), &parts, body).unwrap_or_else(|reject| {
        node.statistics.rejected(reject.reason());
        Reply::Respond(reject.response(&parts.request_id))
    });
    if let Reply::Invoke(admission) = &mut reply {
        admission.pending.keep_buffer(core::mem::take(text).into_buffer());
    }
    reply
}

/// Whether [`handle`] will look at [`Node::load`] for this request.
#[must_use]
pub fn asks_for_load(request: &Request) -> bool {
    matches!(Route::of(request.text.path()), Route::Metrics)
}

/// Counts an invocation that has ended, whether or not somebody waits for its answer.
pub fn ended(
    statistics: &mut Statistics,
    pending: &Pending,
    completion: &Completion,
    now: Now,
) -> Outcome {
    statistics.ended(pending.action(), completion, pending.age_ns(now))
}

/// The answer to an invocation that has ended. Its record is kept, unless it never started.
#[must_use]
pub fn complete(
    records: &mut Records,
    pending: &mut Pending,
    completion: Completion,
    now: Now,
) -> Response {
    if completion.end == End::NotStarted {
        return refuse(pending, &Reject::NotStarted);
    }
    invoke::complete(records, pending, completion, now)
}

/// Keeps the record of an invocation that has ended and for whose answer nobody waits.
pub fn record(records: &mut Records, pending: &Pending, completion: &Completion, now: Now) {
    invoke::keep(records, pending, completion, now);
}

/// The answer to an invocation that goes on without anybody waiting for it.
#[must_use]
pub fn accepted(pending: &mut Pending) -> Response {
    invoke::accepted(pending)
}

/// The answer to an invocation that cannot run now, typically [`Reject::QueueFull`] or
/// [`Reject::NoMemory`].
#[must_use]
pub fn refuse(pending: &Pending, reject: &Reject) -> Response {
    reject.response(pending.request_id())
}

/// The answer to a request that is refused before [`handle`] may allocate anything for it.
#[must_use]
pub fn overloaded(headers: Headers<'_>, random_id: u128) -> Response {
    Reject::NoMemory.response(&RequestId::choose(headers, Hex::of(random_id)))
}

/// The answer to bytes that did not become a request.
#[must_use]
pub fn malformed(reject: http::Reject, random_id: u128) -> Response {
    error::http(reject, &RequestId::Generated(Hex::of(random_id)))
}

fn answer(
    node: &mut Node,
    route: Route<'_>,
    parts: &Parts<'_>,
    body: PageBuffer,
) -> Result<Reply, Reject> {
    let request_id = &parts.request_id;
    if let Route::Web(target) = route {
        return web::admit(node, parts, body, target);
    }
    if let Route::Function { name, path } = route {
        return function::admit(node, parts, body, name, path);
    }
    if parts.method == Method::Options && !route.is_unknown() {
        return Ok(Reply::Respond(respond::preflight(false, route.allow(), request_id)));
    }
    if route == Route::Drain {
        return admin::drain(node, parts, route.allow()).map(Reply::Respond);
    }
    if route.needs_key() {
        return api(node, route, parts, body);
    }
    if route.is_unknown() {
        return Err(Reject::NotFound);
    }
    if !matches!(parts.method, Method::Get | Method::Head) {
        return Err(Reject::Method { allow: route.allow() });
    }
    let response = match route {
        Route::Ping => respond::plain(200, respond::TEXT, Body::Static(b"pong"), request_id),
        Route::Alive => health::alive(parts),
        Route::Ready => health::ready(parts, node.readiness),
        Route::Metrics => metrics::metrics(parts, node)?,
        Route::Description => health::description(parts, &node.config),
        _ => health::index(parts, &node.config),
    };
    Ok(Reply::Respond(response))
}

/// Requests that need a key.
fn api(
    node: &mut Node,
    route: Route<'_>,
    parts: &Parts<'_>,
    body: PageBuffer,
) -> Result<Reply, Reject> {
    let Node { registry, records, statistics, config, .. } = node;
    let tenant = config.tenants.authenticate(parts.headers.get("authorization"))?;
    let read = matches!(parts.method, Method::Get | Method::Head);
    let response = match route {
        Route::Action { namespace, name } => {
            tenant.check_namespace(namespace)?;
            match parts.method {
                Method::Post => return invoke::admit(registry, tenant, parts, body, name),
                Method::Put => deploy::put(registry, config, tenant, parts, body, name)?,
                Method::Get | Method::Head => actions::get(registry, tenant, parts, name)?,
                Method::Delete => actions::delete(registry, statistics, tenant, parts, name)?,
                Method::Patch | Method::Options => {
                    return Err(Reject::Method { allow: route.allow() });
                }
            }
        }
        Route::Actions { namespace } if read => {
            tenant.check_namespace(namespace)?;
            actions::list(registry, tenant, parts)?
        }
        Route::Activations { namespace, path } if read => {
            tenant.check_namespace(namespace)?;
            match path {
                "" => activations::list(records, tenant, parts)?,
                path => activations::get(records, tenant, parts, path)?,
            }
        }
        Route::Namespaces if read => actions::namespaces(tenant, parts)?,
        Route::Limits { namespace } if read => {
            tenant.check_namespace(namespace)?;
            action_limits::describe(&tenant.namespace, config, parts)
        }
        Route::Other { namespace, collection, name } => {
            tenant.check_namespace(namespace)?;
            other(collection, name, parts, route.allow())?
        }
        Route::Actions { .. }
        | Route::Activations { .. }
        | Route::Namespaces
        | Route::Limits { .. } => {
            return Err(Reject::Method { allow: route.allow() });
        }
        _ => return Err(Reject::NotFound),
    };
    Ok(Reply::Respond(response))
}

/// Collections the node does not have: there is nothing in them, and nothing can be put there.
fn other(
    collection: Collection,
    name: &str,
    parts: &Parts<'_>,
    allow: &'static str,
) -> Result<Response, Reject> {
    let unsupported = Reject::Unsupported(Unsupported::Collection(collection));
    match (parts.method, name) {
        (Method::Get | Method::Head, "") => actions::empty_list(collection.name(), parts),
        (Method::Put | Method::Post, name) if !name.is_empty() => Err(unsupported),
        (Method::Get | Method::Head | Method::Delete, name) if !name.is_empty() => {
            Err(Reject::NotFound)
        }
        _ => Err(Reject::Method { allow }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
