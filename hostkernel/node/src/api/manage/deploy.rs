//! `PUT …/actions/NAME`: deploying and updating, from OpenWhisk's JSON or from the bare file.
//!
//! Everything that can be refused is refused before the registry changes: what a look at the
//! request tells at once, the rest when its body was read, in slices ([`Deploying`]).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::Reply;
use crate::api::invoke::shape::Shape;
use crate::api::manage::changes::{Changes, CodeIs, Exec, from_query};
use crate::api::manage::deploying::{Aim, Deploying, inspection};
use crate::api::manage::document::DocumentReader;
use crate::api::manage::inspect::{Inspected, Inspection};
use crate::api::manage::prepare::{
    self, Boot, Made, Owner, Preparation, Settings, Warming, at_input,
};
use crate::api::manage::{functions, runtimes};
use crate::api::request::Parts;
use crate::api::request::code::{self, CodeReject};
use crate::api::request::query::decode_segment;
use crate::document::keeping_reserve;
use crate::http::Headers;
use crate::registry::{Action, Full, KeyValues, Name, Namespace, Registry, Version};
use crate::registry::{Annotations, CountedAt, Variables};
use crate::slice::Slice;
use crate::state::Node;
use crate::state::tenants::Tenant;
use crate::store::Key;
use limits::{PARAMETERS_LEN_MAX, PARAMETERS_MAX};
use memory::PageBuffer;

/// Begins to deploy or update an action.
pub fn put(
    registry: &Registry,
    tenant: &Tenant,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
) -> Result<Reply, Reject> {
    if name.contains('/') {
        return Err(Reject::Packaged { deploy: true });
    }
    let name = Name::new(&decode_segment(name).ok_or(Reject::Encoding)?)?;
    let namespace = tenant.namespace.clone();
    check_place(registry, &namespace, &name, parts.query.flag("overwrite", false)?)?;
    let deploying = if parts.query.has("kind") || is_file(parts.headers, &body) {
        if body.is_empty() {
            return Err(CodeReject::Missing.into());
        }
        Deploying::of_file(registry, (namespace, name), body, from_query(parts.query)?)?
    } else {
        let with_code = parts.query.flag("code", true)?;
        Deploying::of_document(namespace, name, body, with_code)
    };
    Ok(Reply::Deploy(Box::new(deploying)))
}

/// Whether there is a place for an action of this name. Returns the one it replaces.
pub fn check_place(
    registry: &Registry,
    namespace: &Namespace,
    name: &Name,
    overwrite: bool,
) -> Result<Option<Arc<Action>>, Reject> {
    let existing = registry.get(namespace, name.as_str()).map(Arc::clone);
    if existing.is_some() && !overwrite {
        return Err(Reject::Exists);
    }
    if existing.is_none() && registry.is_full() {
        return Err(Full::Actions.into());
    }
    Ok(existing)
}

/// Deploys what is ready, or has it prepared first. Somebody else may have been faster.
pub fn finish(
    node: &mut Node,
    deploying: &mut Deploying,
    parts: &Parts<'_>,
) -> Result<Reply, Reject> {
    let Some((mut changes, code)) = deploying.take() else { return Err(Reject::NotFound) };
    let Node { registry, policy, .. } = node;
    let namespace = &deploying.namespace;
    // What is pushed replaces what is there, as tags do.
    let (name, overwrite) = match &deploying.aim {
        Aim::Action { name, .. } => (name.clone(), parts.query.flag("overwrite", false)?),
        Aim::Push { name, .. } => (name.clone(), true),
        Aim::Blob => return Err(Reject::NotFound),
    };
    let existing = check_place(registry, namespace, &name, overwrite)?;
    if let (Aim::Push { .. }, Some(before)) = (&deploying.aim, &existing) {
        // What an image says of itself is all that holds of it.
        let names = before.annotations.list().iter().map(|(name, _)| name.into());
        changes.annotations_removed = names.collect();
        changes.annotations_removed.sort_unstable();
    }
    let owner = Owner { namespace, policy, wall_ms: parts.now.wall_ms };
    let (action, preparation) = apply((changes, code), existing.as_deref(), registry, owner, name)?;
    let action = Arc::new(action);
    let shape = match deploying.aim {
        Aim::Push { manifest, .. } => Shape::Push { manifest },
        Aim::Action { with_code, .. } => Shape::Deploy { with_code, is_new: existing.is_none() },
        Aim::Blob => return Err(Reject::NotFound),
    };
    if let Some(preparation) = preparation {
        return prepare::admit(&action, parts, preparation, shape);
    }
    let response = prepare::deployed(&action, shape, &parts.request_id)?;
    if policy.has_store {
        let request_id = parts.request_id.clone();
        let deed = Deed { change: Change::Put(action), response, request_id };
        return Ok(Reply::Store(Box::new(deed)));
    }
    registry.insert(action)?;
    Ok(Reply::Respond(response))
}

/// Makes an action of what a registry has, and says what its image has to prepare first, if it has.
/// `updated_ms` is when it was last changed.
pub(super) fn kept(
    node: &Node,
    (namespace, name): &Key,
    (changes, inspected): (Changes, Inspected),
    updated_ms: u64,
) -> Result<(Action, Option<Preparation>), Reject> {
    let Node { registry, policy, .. } = node;
    let owner = Owner { namespace, policy, wall_ms: updated_ms };
    let code = (changes, Some(inspected));
    let (mut action, preparation) = apply(code, None, registry, owner, name.clone())?;
    if let Some(before) = registry.get(namespace, name.as_str()) {
        action.counted_at = before.counted_at.clone();
    }
    Ok((action, preparation))
}

/// Looks at code in one go.
fn at_once(mut inspection: Inspection) -> Result<Inspected, Reject> {
    loop {
        if let Some(inspected) = inspection.step(&mut Slice::new(usize::MAX))? {
            return Ok(inspected);
        }
    }
}

/// Deploys a file that came with the boot, as `PUT` would with `overwrite=true`: `document` is the
/// body of that request, without the code; so a kind that a runtime serves is in its `exec`.
///
/// # Errors
/// As `PUT`; then nothing changes.
pub fn deploy_at_boot(
    node: &mut Node,
    namespace: &Namespace,
    name: &str,
    code: PageBuffer,
    document: Option<&[u8]>,
    Boot { wall_ms, run }: &mut Boot<'_>,
) -> Result<(), Reject> {
    let name = Name::new(name)?;
    let beside = |document| DocumentReader::whole(document, CodeIs::Beside);
    let mut changes = document.map(beside).transpose()?.unwrap_or_default();
    let kind = changes.exec.get_or_insert_default().kind.as_deref();
    let Node { registry, policy, .. } = node;
    // Nobody else wants anything yet.
    let inspected = inspection(registry, kind, code).map_err(Reject::from).and_then(at_once);
    let inspected = inspected.map_err(|reject| runtimes::name_kinds(reject, registry))?;
    let existing = registry.get(namespace, name.as_str()).map(Arc::clone);
    let owner = Owner { namespace, policy, wall_ms: *wall_ms };
    let code = (changes, Some(inspected));
    let (mut action, preparation) = apply(code, existing.as_deref(), registry, owner, name)?;
    if let Some(preparation) = preparation {
        let template = prepare::at_boot(&action, policy, preparation, run)?;
        action = action.with_template(template);
    }
    Ok(registry.insert(Arc::new(action))?)
}

/// Whether the body is the file itself. The bytes tell where the content type does not.
fn is_file(headers: Headers<'_>, body: &PageBuffer) -> bool {
    let kind = headers.get("content-type").and_then(|kind| kind.split(';').next());
    let is = |expected: &str| kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(expected));
    is("application/octet-stream") || is("application/zip") || code::is_file(body.chunk_at(0))
}

/// Annotations after an update: what it names replaces what there was or comes to it, as in
/// `OpenWhisk`. So clients that know of one annotation leave the others alone.
fn amend(old: &KeyValues, removed: &[Box<str>], new: &KeyValues) -> Result<KeyValues, Reject> {
    let stays = |key: &str| removed.binary_search_by(|name| (**name).cmp(key)).is_err();
    let items: Vec<_> = old.iter().filter(|(key, _)| stays(key)).chain(new.iter()).collect();
    let amended = keeping_reserve(|| KeyValues::from_items(&items))?;
    if amended.len() > PARAMETERS_MAX || amended.items().len() > PARAMETERS_LEN_MAX {
        return Err(Reject::ParametersTooLong { name: "annotations" });
    }
    Ok(amended)
}

/// The environment variables after an update.
fn amend_variables(
    changes: &Changes,
    existing: Option<&Action>,
) -> Result<Option<Arc<Variables>>, Reject> {
    let before = existing.and_then(|action| action.variables.as_ref());
    if changes.environment.is_empty() && changes.parameters.is_none() {
        return Ok(before.map(Arc::clone));
    }
    let parameters = changes.parameters.as_ref().map(|parameters| &parameters.of_environment);
    let before = before.map(|variables| &**variables);
    let variables = Variables::amended(before, parameters, &changes.environment)?;
    Ok((!variables.is_empty()).then(|| Arc::new(variables)))
}

/// The action as it will be, and what its image has to prepare first, if it has.
fn apply(
    (changes, code): (Changes, Option<Inspected>),
    existing: Option<&Action>,
    registry: &Registry,
    owner: Owner<'_>,
    name: Name,
) -> Result<(Action, Option<Preparation>), Reject> {
    let Owner { namespace, policy, wall_ms } = owner;
    let variables = amend_variables(&changes, existing)?;
    let quotas = namespace.quotas();
    let mut default = policy.limits_default;
    default.memory_mb = default.memory_mb.min(quotas.memory_mb.unwrap_or(u64::MAX));
    let limits = existing.map_or(default, |action| action.limits);
    let limits = changes.limits.apply(limits, policy.memory_mb_max, quotas)?;
    let annotations = match (changes.annotations, existing) {
        (new, None) => Arc::new(Annotations::new(new.unwrap_or_default())),
        (None, Some(action)) if changes.annotations_removed.is_empty() => {
            Arc::clone(&action.annotations)
        }
        (new, Some(action)) => {
            let new = new.unwrap_or_default();
            let list = action.annotations.list();
            Arc::new(Annotations::new(amend(list, &changes.annotations_removed, &new)?))
        }
    };
    let warming = Warming::read(&annotations, &name)?;
    let at_input = at_input(&annotations);
    let settings = Settings { memory_mb: limits.memory_mb, at_input, warming };
    let (kind, main, made) = match (code, existing) {
        (Some(code), _) => {
            let Exec { kind, main } = changes.exec.unwrap_or_default();
            let file = &code.executable.file;
            let (found, made) = match functions::runtime(registry, kind.as_deref(), file) {
                Some(runtime) => {
                    let (digest, bytes) = (code.of_sent, code.executable.into_sent());
                    let main = main.as_deref();
                    let source = functions::Source { name: &name, main, digest, bytes, warming };
                    (&*runtime.name, functions::load(source, runtime, registry, namespace)?)
                }
                None => prepare::load(code, registry, owner, settings)
                    .map_err(|reject| runtimes::name_kinds(reject, registry))?,
            };
            (kind.unwrap_or_else(|| found.into()), main, made)
        }
        (None, Some(action)) if action.is_function() => {
            (action.kind.clone(), action.main.clone(), functions::renew(action, registry, warming)?)
        }
        (None, Some(action)) => {
            (action.kind.clone(), None, prepare::renew(action, registry, settings))
        }
        (None, None) => return Err(CodeReject::Missing.into()),
    };
    let Made { digest, of_code, template, preparation } = made;
    let parameters = match changes.parameters {
        Some(new) => Arc::new(new.of_input),
        None => existing.map(|action| Arc::clone(&action.parameters)).unwrap_or_default(),
    };
    let version = existing.map_or(Version::FIRST, |action| action.version.next());
    let action = Action {
        namespace: namespace.clone(),
        name,
        version: changes.version.unwrap_or(version),
        digest,
        of_code,
        kind,
        main,
        limits,
        makes_fields: Action::makes_fields(&annotations, &template),
        annotations,
        parameters,
        variables,
        publish: changes.publish.or(existing.map(|action| action.publish)).unwrap_or(false),
        updated_ms: wall_ms,
        template,
        counted_at: existing.map_or_else(CountedAt::default, |action| action.counted_at.clone()),
        charge: Default::default(),
    };
    Ok((action, preparation))
}
