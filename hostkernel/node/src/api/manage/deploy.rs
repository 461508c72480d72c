//! `PUT …/actions/NAME`: deploying and updating, from OpenWhisk's JSON or from the bare file.
//!
//! Everything that can be refused is refused before the registry changes. The body is dropped as
//! soon as the code has been taken out of it, since both can be large.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::{Reply, Shape};
use crate::api::manage::actions::{Detail, describe};
use crate::api::manage::prepare::{self, Made, Owner, Preparation, Settings, at_input};
use crate::api::manage::{functions, runtimes};
use crate::api::request::Parts;
use crate::api::request::code::{self, CodeReject};
use crate::api::request::limit_changes::LimitChanges;
use crate::api::request::query::{Query, decode_segment};
use crate::dispatch::{Completion, Invocation};
use crate::document::keeping_reserve;
use crate::http::Headers;
use crate::json::FieldReject;
use crate::json::{Json, JsonReject, Quoted};
use crate::registry::{Action, Full, KeyValues, Name, Namespace, Registry, Version};
use crate::registry::{Annotations, CountedAt};
use crate::state::Node;
use crate::state::Policy;
use crate::state::tenants::Tenant;
use crate::store::Key;
use limits::{KIND_LEN_MAX, MAIN_LEN_MAX, PARAMETER_NAME_LEN_MAX};
use limits::{PARAMETERS_LEN_MAX, PARAMETERS_MAX};
use memory::PageBuffer;

/// What a request wants an action to be; what it does not mention stays as it is.
#[derive(Debug, Default)]
struct Changes {
    code: Option<Code>,
    limits: LimitChanges,
    annotations: Option<KeyValues>,
    /// Annotations to be taken away, by name in canonical JSON spelling; sorted.
    annotations_removed: Vec<Box<str>>,
    parameters: Option<KeyValues>,
    publish: Option<bool>,
    version: Option<Version>,
}

#[derive(Debug)]
struct Code {
    /// As the client has it, if it says one.
    kind: Option<Box<str>>,
    /// Name of the function in it, likewise.
    main: Option<Box<str>>,
    bytes: PageBuffer,
}

/// Deploys or updates an action.
pub fn put(
    registry: &mut Registry,
    policy: &Policy,
    tenant: &Tenant,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
) -> Result<Reply, Reject> {
    if name.contains('/') {
        return Err(Reject::Packaged { deploy: true });
    }
    let name = Name::new(&decode_segment(name).ok_or(Reject::Encoding)?)?;
    let overwrite = parts.query.flag("overwrite", false)?;
    let existing = registry.get(&tenant.namespace, name.as_str()).map(Arc::clone);
    if existing.is_some() && !overwrite {
        return Err(Reject::Exists);
    }
    if existing.is_none() && registry.is_full() {
        return Err(Full::Actions.into());
    }
    let is_file = parts.query.has("kind") || is_file(parts.headers, &body);
    let changes = if is_file { from_file(parts.query, body)? } else { from_json(body)? };
    let with_code = !is_file && parts.query.flag("code", true)?;
    let detail = if with_code { Detail::WithCode } else { Detail::WithoutCode };
    let owner = Owner { namespace: &tenant.namespace, policy, wall_ms: parts.now.wall_ms };
    let (action, preparation) = apply(changes, existing.as_deref(), registry, owner, name)?;
    let action = Arc::new(action);
    if let Some(preparation) = preparation {
        let shape = Shape::Deploy { with_code, is_new: existing.is_none() };
        return prepare::admit(&action, parts, preparation, shape);
    }
    let response = describe(&action, detail, parts)?;
    if policy.has_store {
        let request_id = parts.request_id.clone();
        let deed = Deed { change: Change::Put(action), response, request_id };
        return Ok(Reply::Store(Box::new(deed)));
    }
    registry.insert(action)?;
    Ok(Reply::Respond(response))
}

/// The action that a registry keeps, and what its image has to prepare first, if it has.
/// `document` is what [`store`](crate::store) made of it when it was deployed.
pub(super) fn kept(
    node: &Node,
    (namespace, name): &Key,
    document: &[u8],
    code: PageBuffer,
) -> Result<(Action, Option<Preparation>), Reject> {
    let mut changes = from_document(document)?;
    let [kind, main, updated] = Json::read(document)?.pick(["kind", "main", "updated"])?;
    let kind = kind.and_then(|kind| kind.string(KIND_LEN_MAX).ok()).map(Into::into);
    let main = main.and_then(|main| main.string(MAIN_LEN_MAX).ok()).map(Into::into);
    changes.code = Some(Code { kind, main, bytes: code });
    let wall_ms = updated.and_then(Json::unsigned).unwrap_or(0);
    let Node { registry, policy, .. } = node;
    let owner = Owner { namespace, policy, wall_ms };
    let (mut action, preparation) = apply(changes, None, registry, owner, name.clone())?;
    if let Some(before) = registry.get(namespace, name.as_str()) {
        action.counted_at = before.counted_at.clone();
    }
    Ok((action, preparation))
}

/// What the machine lends to deploying before it serves.
pub struct Boot<'a> {
    /// Milliseconds since 1970-01-01 UTC, or 0.
    pub wall_ms: u64,
    /// Runs an invocation that prepares a host image, and waits for its end.
    pub run: &'a mut dyn FnMut(Invocation) -> Completion,
}

/// Deploys a file that came with the boot, as `PUT` would with `overwrite=true`: `document` is the
/// body of that request, without the code.
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
    let mut changes = document.map(from_document).transpose()?.unwrap_or_default();
    if changes.code.is_some() {
        return Err(Reject::Field(FieldReject {
            name: "exec",
            expected: "left out: the code is in the file",
        }));
    }
    changes.code = Some(Code { kind: None, main: None, bytes: code });
    let Node { registry, policy, .. } = node;
    let existing = registry.get(namespace, name.as_str()).map(Arc::clone);
    let owner = Owner { namespace, policy, wall_ms: *wall_ms };
    let (mut action, preparation) = apply(changes, existing.as_deref(), registry, owner, name)?;
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

/// Annotations that the node heeds and that are true or false: they can be in a query, too.
const SWITCHES: [&str; 5] = ["cgi", "final", "raw-http", "web-custom-options", "web-export"];

/// The bare file, with limits and annotations in the query.
fn from_file(query: Query<'_>, body: PageBuffer) -> Result<Changes, Reject> {
    if body.is_empty() {
        return Err(CodeReject::Missing.into());
    }
    let limits = LimitChanges::read_query(query)?;
    let word = |name| query.decoded(name).map(|word| word.map(|word| Box::from(&*word)));
    let (kind, main) = (word("kind")?, word("main")?);
    check_words(kind.as_deref(), main.as_deref())?;
    let code = Some(Code { kind, main, bytes: body });
    let mut switches = Vec::new();
    for name in SWITCHES.into_iter().filter(|name| query.has(name)) {
        let value = if query.flag(name, true)? { "true" } else { "false" };
        switches.push((Quoted(name).to_string(), value));
    }
    let annotations = Some(KeyValues::from_items(&switches)?);
    Ok(Changes { code, limits, annotations, ..Changes::default() })
}

/// OpenWhisk's document. Fields we have no use for are passed over.
fn from_json(body: PageBuffer) -> Result<Changes, Reject> {
    let text = keeping_reserve(|| body.to_vec())?;
    drop(body);
    from_document(&text)
}

fn from_document(text: &[u8]) -> Result<Changes, Reject> {
    let [exec, limits, annotations, removed, parameters, publish, version] = Json::read(text)?
        .pick([
            "exec",
            "limits",
            "annotations",
            "delAnnotations",
            "parameters",
            "publish",
            "version",
        ])?;
    let publish = publish.map(|value: Json<'_>| {
        value
            .boolean()
            .ok_or(Reject::Field(FieldReject { name: "publish", expected: "true or false" }))
    });
    Ok(Changes {
        limits: limits.map(LimitChanges::read).transpose()?.unwrap_or_default(),
        annotations: annotations.map(|value| key_values(value, "annotations")).transpose()?,
        annotations_removed: removed.map(names).transpose()?.unwrap_or_default(),
        parameters: parameters.map(|value| key_values(value, "parameters")).transpose()?,
        publish: publish.transpose()?,
        version: version.map(read_version).transpose()?,
        code: exec.map(read_exec).transpose()?,
    })
}

fn read_exec(json: Json<'_>) -> Result<Code, Reject> {
    let [kind, code, main] = json
        .pick(["kind", "code", "main"])
        .map_err(|_| Reject::Field(FieldReject { name: "exec", expected: "an object" }))?;
    let word = |word: Option<Json<'_>>, len_max, reject| {
        let word = word.map(|word| word.string(len_max)).transpose();
        word.map(|word| word.map(Box::<str>::from)).map_err(|_| Reject::Field(reject))
    };
    let kind = word(kind, KIND_LEN_MAX, BAD_KIND)?;
    let main = word(main, MAIN_LEN_MAX, BAD_MAIN)?;
    check_words(kind.as_deref(), main.as_deref())?;
    if kind.as_deref() == Some("sequence") {
        return Err(CodeReject::Sequence.into());
    }
    let code = code.ok_or(CodeReject::Missing)?;
    if !code.is_string() {
        return Err(Reject::Field(FieldReject { name: "exec.code", expected: "a string" }));
    }
    let bytes = code::decode(code, kind.as_deref())?;
    if bytes.is_empty() {
        return Err(CodeReject::Missing.into());
    }
    Ok(Code { kind, main, bytes })
}

const BAD_KIND: FieldReject = FieldReject { name: "exec.kind", expected: "a short word" };
const BAD_MAIN: FieldReject = FieldReject { name: "exec.main", expected: "the name of a function" };

/// Whether kind and function are words, and short ones.
fn check_words(kind: Option<&str>, main: Option<&str>) -> Result<(), FieldReject> {
    let is_word = |word: &str, len_max| {
        (1..=len_max).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if kind.is_some_and(|kind| !is_word(kind, KIND_LEN_MAX)) {
        return Err(BAD_KIND);
    }
    // Not every language has names of ASCII.
    let is_name =
        |main: &str| (1..=MAIN_LEN_MAX).contains(&main.len()) && !main.contains(char::is_control);
    if main.is_some_and(|main| !is_name(main)) { Err(BAD_MAIN) } else { Ok(()) }
}

/// An array of `{"key":NAME,"value":VALUE}`.
fn key_values(json: Json<'_>, name: &'static str) -> Result<KeyValues, Reject> {
    if json.text().len() > PARAMETERS_LEN_MAX {
        return Err(Reject::ParametersTooLong { name });
    }
    let mut items: Vec<(Cow<'_, str>, &str)> = Vec::new();
    let mut outcome = Ok(());
    json.elements(|element| {
        if outcome.is_ok() {
            outcome = match key_value(element) {
                Ok(_) if items.len() == PARAMETERS_MAX => Err(Reject::ParametersTooLong { name }),
                // Every action has this one, with a value of our own.
                Ok((key, _)) if name == "annotations" && key == r#""exec""# => Ok(()),
                Ok(item) => {
                    items.push(item);
                    Ok(())
                }
                Err(JsonReject::StringTooLong) => Err(Reject::Field(FieldReject {
                    name,
                    expected: "a list whose keys are of reasonable length",
                })),
                Err(_) => Err(Reject::Field(FieldReject {
                    name,
                    expected: "a list of objects with a string 'key' and a 'value'",
                })),
            };
        }
    })
    .map_err(|reject| match reject {
        JsonReject::NotAnArray => Reject::Field(FieldReject { name, expected: "a list" }),
        reject => Reject::Json(reject),
    })?;
    outcome?;
    Ok(keeping_reserve(|| KeyValues::from_items(&items))?)
}

/// A name in its canonical JSON spelling, and the text of its value.
fn key_value(json: Json<'_>) -> Result<(Cow<'_, str>, &str), JsonReject> {
    let [key, value] = json.pick(["key", "value"])?;
    let key = key.ok_or(JsonReject::NotAString)?;
    Ok((canonical(key)?, value.map_or("null", Json::text)))
}

/// The one spelling that names are compared in.
fn canonical(name: Json<'_>) -> Result<Cow<'_, str>, JsonReject> {
    Ok(match name.string(PARAMETER_NAME_LEN_MAX)? {
        Cow::Borrowed(_) => Cow::Borrowed(name.text()),
        Cow::Owned(name) => Cow::Owned(Quoted(&name).to_string()),
    })
}

/// An array of names, in canonical spelling and sorted.
fn names(json: Json<'_>) -> Result<Vec<Box<str>>, Reject> {
    const BAD: Reject =
        Reject::Field(FieldReject { name: "delAnnotations", expected: "a list of names" });
    let mut names: Vec<Box<str>> = Vec::new();
    let mut outcome = Ok(());
    let walked = json.elements(|name| match canonical(name) {
        Ok(_) if names.len() == PARAMETERS_MAX => {
            outcome = Err(Reject::ParametersTooLong { name: "delAnnotations" });
        }
        Ok(name) => names.push(name.into()),
        Err(_) => outcome = Err(BAD),
    });
    walked.map_err(|_| BAD)?;
    outcome?;
    names.sort_unstable();
    Ok(names)
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

fn read_version(json: Json<'_>) -> Result<Version, Reject> {
    json.raw_string()
        .and_then(Version::parse)
        .ok_or(Reject::Field(FieldReject { name: "version", expected: "like \"0.0.1\"" }))
}

/// The action as it will be, and what its image has to prepare first, if it has.
fn apply(
    changes: Changes,
    existing: Option<&Action>,
    registry: &Registry,
    owner: Owner<'_>,
    name: Name,
) -> Result<(Action, Option<Preparation>), Reject> {
    let Owner { namespace, policy, wall_ms } = owner;
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
    let settings = Settings { memory_mb: limits.memory_mb, at_input: at_input(&annotations) };
    let (kind, main, made) = match (changes.code, existing) {
        (Some(Code { kind, main, bytes }), _) => {
            let (found, made) = match functions::runtime(registry, kind.as_deref(), &bytes) {
                Some(runtime) => {
                    let source = functions::Source { name: &name, main: main.as_deref(), bytes };
                    (&*runtime.name, functions::load(source, runtime, registry, namespace)?)
                }
                None => prepare::load(bytes, kind.as_deref(), registry, owner, settings)
                    .map_err(|reject| runtimes::name_kinds(reject, registry))?,
            };
            (kind.unwrap_or_else(|| found.into()), main, made)
        }
        (None, Some(action)) if action.is_function() => {
            (action.kind.clone(), action.main.clone(), functions::unchanged(action))
        }
        (None, Some(action)) => {
            (action.kind.clone(), None, prepare::renew(action, registry, settings))
        }
        (None, None) => return Err(CodeReject::Missing.into()),
    };
    let Made { digest, template, preparation } = made;
    let parameters = match changes.parameters {
        Some(new) => Arc::new(new),
        None => existing.map(|action| Arc::clone(&action.parameters)).unwrap_or_default(),
    };
    let version = existing.map_or(Version::FIRST, |action| action.version.next());
    let action = Action {
        namespace: namespace.clone(),
        name,
        version: changes.version.unwrap_or(version),
        digest,
        kind,
        main,
        limits,
        makes_fields: Action::makes_fields(&annotations, &template),
        annotations,
        parameters,
        publish: changes.publish.or(existing.map(|action| action.publish)).unwrap_or(false),
        updated_ms: wall_ms,
        template,
        counted_at: existing.map_or_else(CountedAt::default, |action| action.counted_at.clone()),
    };
    Ok((action, preparation))
}
