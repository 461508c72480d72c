//! `…/api/v1/runtimes`: what the operator gives a node so that people can deploy source code.
//!
//! A runtime is prepared as an image that hosts a program is, by an invocation, but one of the
//! operator's: until it waits for code nothing changes. What comes from the registry takes the same
//! way.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{self, Write as _};

use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::invoke::admission::{Admission, Pending, Reply};
use crate::api::invoke::shape::Shape;
use crate::api::manage::prepare::{self, Boot, Done, Preparation};
use crate::api::request::code::{self, CodeReject};
use crate::api::request::limit_changes::LimitChanges;
use crate::api::request::query::decode_segment;
use crate::api::request::{Parts, RequestId};
use crate::dispatch::Completion;
use crate::document::Document;
use crate::http::{Body, Method, Response};
use crate::json::{Json, Quoted};
use crate::registry::{Action, Annotations, CountedAt, Digest, Full, KeyValues, Limits, Name};
use crate::registry::{Quotas, Registry, Runtime, Version, check_runtime_name};
use crate::state::{Node, Now, Policy};
use crate::store::Fetched;
use limits::{LOGS_MB_MAX, PAGE_LEN, RUNTIME_LEN_MAX, RUNTIME_MEMORY_MB_DEFAULT};
use limits::{RUNTIME_TIMEOUT_MS, TIMEOUT_MS_MAX};
use memory::{PageBuffer, Template};

// It is an invocation like others.
const _: () = assert!(RUNTIME_TIMEOUT_MS <= TIMEOUT_MS_MAX);

/// What an invocation is called that prepares a runtime; the kind says which.
const NAME: &str = "runtime";

/// Requests with the administrator's key about the runtime `segment`.
pub fn answer(
    registry: &mut Registry,
    policy: &Policy,
    parts: &Parts<'_>,
    body: PageBuffer,
    segment: &str,
    allow: &'static str,
) -> Result<Reply, Reject> {
    policy.tenants.authorize_admin(parts.headers.get("authorization"))?;
    let name = decode_segment(segment).ok_or(Reject::Encoding)?;
    let response = match parts.method {
        Method::Get | Method::Head if name.is_empty() => list(registry, parts)?,
        _ if name.is_empty() => return Err(Reject::Method { allow }),
        Method::Put => return put(registry, policy, parts, body, &name),
        Method::Get | Method::Head => {
            let runtime = registry.runtimes().get(&name).ok_or(Reject::NotFound)?;
            describe(runtime, &parts.request_id)?
        }
        Method::Delete => {
            let runtime = registry.runtimes().get(&name).ok_or(Reject::NotFound)?;
            // Composed first: if there is no memory for it, nothing is deleted.
            let response = describe(runtime, &parts.request_id)?;
            if policy.has_store {
                let change = Change::DeleteRuntime(Arc::clone(runtime));
                let request_id = parts.request_id.clone();
                return Ok(Reply::Store(Box::new(Deed { change, response, request_id })));
            }
            registry.remove_runtime(&name);
            response
        }
        _ => return Err(Reject::Method { allow }),
    };
    Ok(Reply::Respond(response))
}

/// Starts a runtime, from its archive, in an invocation of its own.
fn put(
    registry: &Registry,
    policy: &Policy,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
) -> Result<Reply, Reject> {
    let limits = LimitChanges::read_query(parts.query)?;
    let digest = Digest::of(&body);
    let archive = Archive { body, digest, limits, updated_ms: parts.now.wall_ms };
    let (action, preparation) = begin(registry, policy, name, archive)?;
    prepare::admit(&action, parts, preparation, Shape::Runtime)
}

/// Starts a runtime that came with the boot, as `PUT` would.
///
/// # Errors
/// As `PUT`; then nothing changes.
pub fn start_at_boot(
    node: &mut Node,
    name: &str,
    body: PageBuffer,
    Boot { wall_ms, run }: &mut Boot<'_>,
) -> Result<(), Reject> {
    let Node { registry, policy, .. } = node;
    let (digest, limits) = (Digest::of(&body), LimitChanges::default());
    let archive = Archive { body, digest, limits, updated_ms: *wall_ms };
    let (action, preparation) = begin(registry, policy, name, archive)?;
    let template = prepare::at_boot(&action, policy, preparation, run)?;
    Ok(registry.insert_runtime(Arc::new(waiting(&action, template)))?)
}

/// Makes a runtime of what the registry has by this name.
///
/// # Errors
/// As `PUT`; then nothing changes.
pub fn start_fetched(
    node: &Node,
    name: &str,
    fetched: Fetched,
    now: Now,
    random_id: u128,
) -> Result<Admission, Reject> {
    let Fetched { etag, document, code: body, code_digest: digest } = fetched;
    let document = document.to_vec()?;
    let [limits, updated] = Json::read(&document)?.pick(["limits", "updated"])?;
    let limits = limits.map(LimitChanges::read).transpose()?.unwrap_or_default();
    let updated_ms = updated.and_then(Json::unsigned).unwrap_or(0);
    let archive = Archive { body, digest, limits, updated_ms };
    let (action, preparation) = begin(node.registry(), node.policy(), name, archive)?;
    let shape = Shape::Supply { etag };
    prepare::admit_unasked(&action, node.policy(), preparation, shape, (now, random_id))
}

/// What a runtime is made of.
struct Archive {
    body: PageBuffer,
    /// SHA-256 of it.
    digest: Digest,
    limits: LimitChanges,
    updated_ms: u64,
}

/// What is to be run so that there is a runtime.
fn begin(
    registry: &Registry,
    policy: &Policy,
    name: &str,
    Archive { mut body, digest, limits, updated_ms }: Archive,
) -> Result<(Arc<Action>, Preparation), Reject> {
    check_runtime_name(name).map_err(Reject::RuntimeName)?;
    if registry.runtimes().is_full_for(name) {
        return Err(Full::Runtimes.into());
    }
    if body.len() > RUNTIME_LEN_MAX {
        return Err(CodeReject::TooLong.into());
    }
    if !code::is_zip(body.chunk_at(0)) {
        return Err(CodeReject::NoArchive.into());
    }
    let host = policy.host.as_ref().ok_or(CodeReject::NoHost)?;
    body.clear_tail();
    let default = Limits {
        timeout_ms: RUNTIME_TIMEOUT_MS,
        memory_mb: RUNTIME_MEMORY_MB_DEFAULT.min(policy.memory_mb_max),
        logs_mb: LOGS_MB_MAX,
    };
    let action = Arc::new(Action {
        namespace: registry.runtimes().owner().clone(),
        name: Name::new(NAME)?,
        version: Version::FIRST,
        digest,
        of_code: digest,
        kind: name.into(),
        main: None,
        limits: limits.apply(default, policy.memory_mb_max, &Quotas::default())?,
        annotations: Arc::new(Annotations::new(KeyValues::new())),
        parameters: Arc::default(),
        variables: None,
        publish: false,
        updated_ms,
        makes_fields: false,
        template: Arc::clone(host),
        counted_at: CountedAt::default(),
        charge: Default::default(),
    });
    Ok((action, Preparation::of_runtime(Arc::new(body))))
}

/// A runtime that waits for code now.
fn waiting(action: &Action, template: Arc<Template>) -> Runtime {
    let Action { kind, digest, limits, updated_ms, .. } = action;
    let name = kind.clone();
    Runtime { name, digest: *digest, template, limits: *limits, updated_ms: *updated_ms }
}

/// Takes a runtime over that waits for code now.
pub fn complete(
    registry: &mut Registry,
    pending: &Pending,
    completion: &Completion,
    has_store: bool,
) -> Result<Done, Reject> {
    let runtime =
        prepare::frozen(completion).map(|template| Arc::new(waiting(pending.action(), template)));
    if let Shape::Supply { etag } = pending.shape() {
        return Ok(Done::Supplied(etag, runtime));
    }
    let runtime = runtime?;
    let response = describe(&runtime, pending.request_id())?;
    if has_store {
        let (change, request_id) = (Change::PutRuntime(runtime), pending.request_id().clone());
        return Ok(Done::Deed(Deed { change, response, request_id }));
    }
    registry.insert_runtime(runtime)?;
    Ok(Done::Answer(response))
}

/// Names the kinds there are to who asked for one that there is not.
pub fn name_kinds(reject: Reject, registry: &Registry) -> Reject {
    match reject {
        Reject::Code(CodeReject::Kind(kind)) => Reject::Kind { kind, valid: kinds(registry) },
        reject => reject,
    }
}

/// The kinds of code that a node takes, each quoted, with commas between.
fn kinds(registry: &Registry) -> Box<str> {
    let mut text = String::from("'native', 'linux', 'blackbox'");
    for runtime in registry.runtimes().iter() {
        text.push_str(", '");
        text.push_str(&runtime.name);
        text.push('\'');
    }
    text.into()
}

fn list(registry: &Registry, parts: &Parts<'_>) -> Result<Response, Reject> {
    let pages = Document::compose(|out| {
        out.write_str("[")?;
        for (at, runtime) in registry.runtimes().iter().enumerate() {
            out.write_str(if at == 0 { "" } else { "," })?;
            write_runtime(out, runtime)?;
        }
        out.write_str("]")
    })?;
    Ok(respond::api(200, Body::Pages(pages), &parts.request_id))
}

fn describe(runtime: &Runtime, id: &RequestId) -> Result<Response, Reject> {
    let pages = Document::compose(|out| write_runtime(out, runtime))?;
    Ok(respond::api(200, Body::Pages(pages), id))
}

fn write_runtime(out: &mut Document, runtime: &Runtime) -> fmt::Result {
    let Runtime { name, digest, template, updated_ms, .. } = runtime;
    write!(
        out,
        "{{\"name\":{},\"digest\":\"{digest}\",\"size\":{},\"memory\":{},\
         \"updated\":{updated_ms}}}",
        Quoted(name),
        template.code().len(),
        template.frames() * PAGE_LEN,
    )
}
