//! The API: what requests mean and what answers look like. Requests in, status codes out.
//!
//! [`handle`] takes one complete request and either answers it or hands out an [`Admission`]: an
//! invocation with everything but a place to run. Whoever runs it hands its end back to
//! [`ended()`], with the [`Pending`] that came with the admission, and gets the answer, if anybody
//! waits for one. Nothing here does I/O, waits, or knows the time other than from [`Now`].
//!
//! ```text
//! Request ─▶ Route ─▶ auth ─▶ actions, deploy ─▶ Response
//!              │        ├───▶ push ──▶ deploy
//!              │        └───▶ invoke ──▶ Admission ─▶ … ─▶ Completion ─▶ outcome ─▶ Response
//!              │        └───▶ activations ─▶ Response
//!              ├────────────▶ function ─▶ Admission ─▶ … ─▶ Completion ─▶ function ─▶ Response
//!              ├────────────▶ web ──────▶ Admission ─▶ … ─▶ Completion ─▶ web ──────▶ Response
//!              └────────────▶ health ─▶ Response
//! ```

mod access;
pub mod answer;
mod ended;
mod invoke;
mod lookup;
mod manage;
mod push;
mod request;
mod stored;

pub use access::Subject;
pub use answer::deed::{Change, Deed};
pub use answer::error::Reject;
pub use ended::{Ending, ended, ended_streaming};
pub use invoke::admission::{Admission, Pending, Reply};
pub use invoke::end::begin;
pub use invoke::reading::Reading;
pub use manage::deploy::deploy_at_boot;
pub use manage::deploying::Deploying;
pub use manage::kept::{Arriving, Installed};
pub use manage::prepare::{Boot, Done};
pub use manage::runtimes::{start_at_boot, start_fetched};
pub use request::RequestId;
pub use request::code::CodeReject;
pub use stored::{Wanted, wanted};

use alloc::boxed::Box;

use answer::error::Unsupported;
use answer::{distribution, error, respond};
use invoke::reading::{Read, Source};
use invoke::shape::Shape;
use invoke::{end, function, web};
use manage::deploying::Aim;
use manage::listing::{self, Listed};
use manage::{actions, activations, admin, deploy, health, kept, metrics, prepare, runtimes};
use request::Parts;
use request::push::Target;
use request::query::{Query, decode_segment};
use request::route::{Collection, Route};

use crate::digits::Hex;
use crate::dispatch::{ActivationId, Completion};
use crate::http::{self, Body, Headers, Method, Request, RequestText, Response};
use crate::registry::{Namespace, Purpose, Registry};
use crate::slice::Slice;
use crate::state::records::Records;
use crate::state::statistics::Outcome;
use crate::state::{Node, Now, Policy};
use crate::traceparent::TraceParent;
use limits::{
    CODE_LEN_MAX, DEPLOY_LEN_MAX, MANIFEST_LEN_MAX, OTHER_BODY_LEN_MAX, RUNTIME_LEN_MAX, SLICE_LEN,
};
use memory::PageBuffer;

/// Who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody knows.
    Anybody,
    /// One with the key of a namespace.
    Tenant,
    /// One who asks how the node is, or looks after it. What it asks is answered at once.
    Operator,
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
    if method != Method::Options && (route.needs_key() || route.needs_admin()) {
        let (tenants, key) = (&node.policy.tenants, headers.get("authorization"));
        let checked = match route.needs_admin() {
            true => tenants.authorize_admin(key),
            false => tenants.authenticate(key).map(drop),
        };
        checked.map_err(|reject| {
            let reject = Reject::from(reject);
            let id = RequestId::choose(headers, Hex::of(random_id()));
            node.statistics.rejected(reject.reason());
            Box::new(refusal(route, &reject, &id))
        })?;
    }
    Ok(request_len_max(route, method, node.policy.body_len_max))
}

const fn request_len_max(route: Route<'_>, method: Method, body_len_max: usize) -> usize {
    match (route, method) {
        (Route::Action { .. }, Method::Put) => DEPLOY_LEN_MAX,
        (Route::Runtimes { .. }, Method::Put) => RUNTIME_LEN_MAX,
        (Route::Push(Target::Uploads { .. } | Target::Upload { .. }), _) => CODE_LEN_MAX,
        (Route::Push(Target::Manifest { .. }), Method::Put) => MANIFEST_LEN_MAX,
        (Route::Action { .. }, Method::Post) | (Route::Function { .. } | Route::Web(_), _) => {
            body_len_max
        }
        _ => OTHER_BODY_LEN_MAX,
    }
}

/// A refusal in the form that clients of a route know.
fn refusal(route: Route<'_>, reject: &Reject, id: &RequestId) -> Response {
    match route {
        Route::Push(_) => distribution::refusal(reject, id),
        _ => reject.response(id),
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
    let parts = parts(*method, text, node.policy.body_len_max, now, random_id);
    let route = Route::of(text.path());
    let mut reply = answer(node, route, &parts, body).unwrap_or_else(|reject| {
        node.statistics.rejected(reject.reason());
        Reply::Respond(refusal(route, &reject, &parts.request_id))
    });
    match &mut reply {
        Reply::Invoke(admission) => {
            admission.pending.keep_buffer(core::mem::take(text).into_buffer());
        }
        Reply::Deploy(deploying) => {
            (deploying.text, deploying.id) = (core::mem::take(text), random_id);
        }
        Reply::Read(reading) => reading.text = core::mem::take(text),
        Reply::Respond(_) | Reply::Store(_) => {}
    }
    reply
}

#[inline(always)]
fn parts(
    method: Method,
    text: &RequestText,
    body_len_max: usize,
    now: Now,
    random_id: u128,
) -> Parts<'_> {
    let id_text = Hex::of(random_id);
    let [given_id, given_trace] = text.headers().pick(["x-request-id", "traceparent"]);
    let trace = given_trace.and_then(|given| TraceParent::within(given, id_text.as_bytes()));
    Parts {
        method,
        query: Query::new(text.query()),
        headers: text.headers(),
        now,
        id: ActivationId(random_id),
        id_text,
        request_id: RequestId::of(given_id, id_text),
        trace: trace.unwrap_or_else(|| TraceParent::new(id_text.as_bytes())),
        body_len_max,
        traced: trace.is_some(),
    }
}

/// Goes on with a deploy. Returns what becomes of the request, if that can be said by now.
#[must_use]
pub fn go_on(
    node: &mut Node,
    deploying: &mut Deploying,
    slice: &mut Slice,
    now: Now,
) -> Option<Reply> {
    let ready = match deploying.step(&node.registry, slice) {
        Ok(false) => return None,
        Ok(true) => Ok(()),
        Err(reject) => Err(runtimes::name_kinds(reject, &node.registry)),
    };
    let text = core::mem::take(&mut deploying.text);
    let parts = parts(Method::Put, &text, node.policy.body_len_max, now, deploying.id);
    let reply = ready.and_then(|()| match deploying.aim {
        Aim::Blob => push::keep(node, deploying, text.path(), &parts),
        Aim::Action { .. } | Aim::Push { .. } => deploy::finish(node, deploying, &parts),
    });
    let mut reply = reply.unwrap_or_else(|reject| {
        node.statistics.rejected(reject.reason());
        Reply::Respond(refusal(Route::of(text.path()), &reject, &parts.request_id))
    });
    match &mut reply {
        Reply::Invoke(admission) => admission.pending.keep_buffer(text.into_buffer()),
        Reply::Respond(_) | Reply::Store(_) | Reply::Deploy(_) | Reply::Read(_) => {
            deploying.text = text;
        }
    }
    Some(reply)
}

/// Goes on with the input of an invocation. Returns what becomes of the request, if that can be
/// said by now.
#[must_use]
pub fn read_on(
    node: &mut Node,
    reading: &mut Reading,
    slice: &mut Slice,
    now: Now,
) -> Option<Reply> {
    let Node { registry, records, spare, policy, .. } = node;
    let read = reading.step(registry, records, slice).transpose()?;
    let text = core::mem::take(&mut reading.text);
    let parts = parts(reading.method, &text, policy.body_len_max, now, reading.id);
    let reply = read.and_then(|read| match read {
        Read::Input(action, input, shape) => {
            invoke::action::admit_read(spare, &parts, (&action, input, shape))
        }
        Read::List(pages) => Ok(Reply::Respond(listed(pages, &parts))),
    });
    let mut reply = reply.unwrap_or_else(|reject| {
        node.statistics.rejected(reject.reason());
        Reply::Respond(reject.response(&parts.request_id))
    });
    match &mut reply {
        Reply::Invoke(admission) => admission.pending.keep_buffer(text.into_buffer()),
        _ => reading.text = text,
    }
    Some(reply)
}

/// Begins with a list, which mostly ends at once.
fn list(
    registry: &Registry,
    records: &Records,
    listed_by: Listed,
    parts: &Parts<'_>,
) -> Result<Reply, Reject> {
    let mut listing = match listed_by {
        Listed::Count(response) => return Ok(Reply::Respond(response)),
        Listed::Begun(listing) => listing,
    };
    let slice = &mut Slice::new(SLICE_LEN);
    Ok(match listing.step(registry, records, slice)? {
        Some(pages) => Reply::Respond(listed(pages, parts)),
        None => Reply::Read(Box::new(Reading::new(parts, Source::List(listing)))),
    })
}

/// The answer to a request for a list.
fn listed(pages: PageBuffer, parts: &Parts<'_>) -> Response {
    respond::api(200, Body::Pages(pages), &parts.request_id)
}

/// The answer to a request that is not read any further.
#[must_use]
pub fn refuse_reading(node: &mut Node, reading: &Reading, reject: &Reject) -> Response {
    node.statistics.rejected(reject.reason());
    let headers = reading.text.headers();
    reject.response(&RequestId::choose(headers, Hex::of(reading.id)))
}

/// The answer to a deploy that cannot go on.
#[must_use]
pub fn refuse_deploy(node: &mut Node, deploying: &Deploying, reject: &Reject) -> Response {
    node.statistics.rejected(reject.reason());
    let id = RequestId::choose(deploying.text.headers(), Hex::of(deploying.id));
    refusal(Route::of(deploying.text.path()), reject, &id)
}

/// Whether [`handle`] will look at [`Node::load`] for this request.
#[must_use]
pub fn asks_for_load(request: &Request) -> bool {
    Route::shows_load(request.text.path())
}

/// Deploys what was prepared, whether or not somebody still waits for the answer; returns that, and
/// what it is counted as.
pub fn deployed(node: &mut Node, pending: &Pending, completion: Completion) -> (Done, Outcome) {
    let outcome = Outcome::of(&completion.end);
    let Node { registry, statistics, policy, .. } = node;
    let deployed = match pending.shape() {
        Shape::Runtime | Shape::Supply { .. } => {
            runtimes::complete(registry, pending, &completion, policy.has_store)
        }
        _ => prepare::complete(registry, pending, completion, policy.has_store),
    };
    let done = deployed.unwrap_or_else(|reject| {
        statistics.rejected(reject.reason());
        Done::Answer(match pending.shape() {
            Shape::Push { .. } => distribution::refusal(&reject, pending.request_id()),
            _ => reject.response(pending.request_id()),
        })
    });
    (done, outcome)
}

/// The answer to an invocation that goes on without anybody waiting for it.
#[must_use]
pub fn accepted(pending: &mut Pending) -> Response {
    end::accepted(pending)
}

/// The answer to an invocation that cannot run now, typically [`Reject::QueueFull`] or
/// [`Reject::NoMemory`].
#[must_use]
pub fn refuse(pending: &Pending, reject: &Reject) -> Response {
    reject.response(pending.request_id())
}

/// The answer to a request that is refused before [`handle`] sees it.
#[must_use]
pub fn refuse_request(node: &mut Node, request: &Request, reject: &Reject, id: u128) -> Response {
    node.statistics.rejected(reject.reason());
    let id = RequestId::choose(request.text.headers(), Hex::of(id));
    refusal(Route::of(request.text.path()), reject, &id)
}

/// The answer to a request that is refused before [`handle`] may allocate anything for it.
#[must_use]
pub fn overloaded(headers: Headers<'_>, random_id: u128) -> Response {
    Reject::NoMemory.response(&RequestId::choose(headers, Hex::of(random_id)))
}

/// The answer to a request that comes while too many others hold connections.
#[must_use]
pub fn crowded(node: &mut Node, headers: Headers<'_>, random_id: u128) -> Response {
    let reject = Reject::Crowded;
    node.statistics.rejected(reject.reason());
    reject.response(&RequestId::choose(headers, Hex::of(random_id)))
}

/// Who sends a request, by its path and header fields.
#[must_use]
pub fn caller(node: &Node, path: &str, headers: Headers<'_>) -> Caller {
    let route = Route::of(path);
    let key = || node.policy.tenants.authenticate(headers.get("authorization"));
    match route {
        Route::Ping | Route::Alive | Route::Ready | Route::Metrics | Route::Drain => {
            Caller::Operator
        }
        _ if route.needs_key() && key().is_ok() => Caller::Tenant,
        _ if route.needs_admin() && node.policy.tenants.is_admin(headers.get("authorization")) => {
            Caller::Tenant
        }
        _ => Caller::Anybody,
    }
}

/// For whom the body of a request is held, and what for. An exported action's requests are held for
/// its namespace, whoever sends them.
#[must_use]
pub fn holder(
    node: &Node,
    method: Method,
    path: &str,
    headers: Headers<'_>,
) -> (Namespace, Purpose) {
    let route = Route::of(path);
    let tenants = &node.policy.tenants;
    let key = || tenants.authenticate(headers.get("authorization"));
    let namespace = match route {
        Route::Function { .. } => node.policy.public_namespace.clone(),
        Route::Web(target) => {
            let name = decode_segment(target.namespace);
            name.and_then(|name| tenants.namespace(&name))
        }
        _ if route.needs_key() => key().ok().map(|tenant| tenant.namespace.clone()),
        _ if route.needs_admin() && tenants.is_admin(headers.get("authorization")) => {
            Some(node.registry.runtimes().owner().clone())
        }
        _ => None,
    };
    let purpose = match (route, method) {
        (Route::Action { .. } | Route::Runtimes { .. }, Method::Put) => Purpose::Deploy,
        (Route::Push(_), Method::Put | Method::Patch | Method::Post) => Purpose::Deploy,
        _ => Purpose::Request,
    };
    (namespace.unwrap_or_else(|| node.books.nobody().clone()), purpose)
}

/// The answer to a request for whose body, or answer, there is no room.
#[must_use]
pub fn over_budget(node: &mut Node, headers: Headers<'_>, random_id: u128) -> Response {
    let reject = Reject::OverBudget;
    node.statistics.rejected(reject.reason());
    reject.response(&RequestId::choose(headers, Hex::of(random_id)))
}

/// The answer to bytes that did not become a request.
#[must_use]
pub fn malformed(policy: &Policy, reject: http::MessageReject, random_id: u128) -> Response {
    error::http(reject, policy.body_len_max, &RequestId::Generated(Hex::of(random_id)))
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
    if let Route::Push(target) = route {
        return push::answer(node, target, parts, body);
    }
    if route == Route::Drain {
        return admin::drain(node, parts, route.allow()).map(Reply::Respond);
    }
    if let Route::Runtimes { name } = route {
        let Node { registry, policy, .. } = node;
        return runtimes::answer(registry, policy, parts, body, name, route.allow());
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
        Route::Ready => health::ready(parts, node),
        Route::Metrics => metrics::metrics(parts, node)?,
        Route::Description => health::description(parts, &node.policy),
        _ => health::index(parts, node),
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
    let Node { registry, records, statistics, policy, listed, spare, .. } = node;
    let tenant = policy.tenants.authenticate(parts.headers.get("authorization"))?;
    let read = matches!(parts.method, Method::Get | Method::Head);
    let response = match route {
        Route::Action { namespace, name } => {
            lookup::check_namespace(tenant, namespace)?;
            match parts.method {
                Method::Post => {
                    return invoke::action::admit(registry, spare, tenant, parts, body, name);
                }
                Method::Put => return deploy::put(registry, tenant, parts, body, name),
                Method::Delete if policy.has_store => {
                    return kept::delete(registry, tenant, parts, name);
                }
                Method::Get | Method::Head => actions::get(registry, tenant, parts, name)?,
                Method::Delete => actions::delete(registry, statistics, tenant, parts, name)?,
                Method::Patch | Method::Options => {
                    return Err(Reject::Method { allow: route.allow() });
                }
            }
        }
        Route::Actions { namespace } if read => {
            lookup::check_namespace(tenant, namespace)?;
            let listed = listing::of_actions(registry, listed.take(), tenant, parts)?;
            return list(registry, records, listed, parts);
        }
        Route::Activations { namespace, path } if read => {
            lookup::check_namespace(tenant, namespace)?;
            match path {
                "" => {
                    return list(registry, records, listing::of_records(tenant, parts)?, parts);
                }
                path => activations::get(records, tenant, parts, path, policy.node)?,
            }
        }
        Route::Namespaces if read => actions::namespaces(tenant, parts)?,
        Route::Limits { namespace } if read => {
            lookup::check_namespace(tenant, namespace)?;
            manage::limits::describe(&tenant.namespace, registry.runtimes(), policy, parts)
        }
        Route::Other { namespace, collection, name } => {
            lookup::check_namespace(tenant, namespace)?;
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
