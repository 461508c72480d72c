//! What a deploy wants an action to be: read from OpenWhisk's document, or from a query.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::api::answer::error::Reject;
use crate::api::manage::environment;
use crate::api::request::code::CodeReject;
use crate::api::request::limit_changes::LimitChanges;
use crate::api::request::query::Query;
use crate::document::keeping_reserve;
use crate::json::{FieldReject, Json, JsonReject, Quoted};
use crate::registry::{KeyValues, VariableChange, Version};
use limits::{KIND_LEN_MAX, MAIN_LEN_MAX, PARAMETER_NAME_LEN_MAX};
use limits::{PARAMETERS_LEN_MAX, PARAMETERS_MAX};

/// What a request wants an action to be; what it does not mention stays as it is.
#[derive(Debug, Default)]
pub struct Changes {
    pub exec: Option<Exec>,
    pub limits: LimitChanges,
    pub annotations: Option<KeyValues>,
    /// Annotations to be taken away, by name in canonical JSON spelling; sorted.
    pub annotations_removed: Vec<Box<str>>,
    pub parameters: Option<Parameters>,
    /// What becomes of environment variables.
    pub environment: Vec<VariableChange>,
    pub publish: Option<bool>,
    pub version: Option<Version>,
}

/// Bound parameters, of which there are two kinds.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Those that are in the input of an invocation, unless its request names them.
    pub of_input: KeyValues,
    /// Those with `"init":true`, which are in its environment.
    pub of_environment: KeyValues,
}

/// That there is code; the bytes are elsewhere.
#[derive(Debug, Default)]
pub struct Exec {
    /// What it is, as the client has it, if it says so.
    pub kind: Option<Box<str>>,
    /// Name of the function in it, likewise.
    pub main: Option<Box<str>>,
}

/// Annotations that the node heeds and that are true or false: they can be in a query, too.
const SWITCHES: [&str; 6] =
    ["cgi", "final", "raw-http", "stream", "web-custom-options", "web-export"];

/// Of the bare file, with limits and annotations in the query.
pub fn from_query(query: Query<'_>) -> Result<Changes, Reject> {
    let limits = LimitChanges::read_query(query)?;
    let word = |name| query.decoded(name).map(|word| word.map(|word| Box::from(&*word)));
    let (kind, main) = (word("kind")?, word("main")?);
    check_words(kind.as_deref(), main.as_deref())?;
    let exec = Some(Exec { kind, main });
    let mut switches = Vec::new();
    for name in SWITCHES.into_iter().filter(|name| query.has(name)) {
        let value = if query.flag(name, true)? { "true" } else { "false" };
        switches.push((Quoted(name).to_string(), value));
    }
    let annotations = Some(KeyValues::from_items(&switches)?);
    Ok(Changes { exec, limits, annotations, ..Changes::default() })
}

/// Of OpenWhisk's document, in which the code is an empty string. Fields we have no use for are
/// passed over.
pub fn from_document(text: &[u8]) -> Result<Changes, Reject> {
    read(text, CodeIs::Inside)
}

/// Of a document that lies beside a file with the code.
pub fn from_document_beside(text: &[u8]) -> Result<Changes, Reject> {
    read(text, CodeIs::Beside)
}

/// Where the code is that a document is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CodeIs {
    Inside,
    Beside,
}

fn read(text: &[u8], code_is: CodeIs) -> Result<Changes, Reject> {
    let [exec, limits, annotations, removed, parameters, environment, publish, version] =
        Json::read(text)?.pick([
            "exec",
            "limits",
            "annotations",
            "delAnnotations",
            "parameters",
            "environment",
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
        annotations: annotations.map(read_annotations).transpose()?,
        annotations_removed: removed.map(names).transpose()?.unwrap_or_default(),
        parameters: parameters.map(|value| key_values(value, "parameters")).transpose()?,
        environment: environment.map(environment::read).transpose()?.unwrap_or_default(),
        publish: publish.transpose()?,
        version: version.map(read_version).transpose()?,
        exec: exec.map(|exec| read_exec(exec, code_is)).transpose()?,
    })
}

fn read_exec(json: Json<'_>, code_is: CodeIs) -> Result<Exec, Reject> {
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
    let bad_code = |expected| Err(Reject::Field(FieldReject { name: "exec.code", expected }));
    match (code_is, code) {
        (CodeIs::Inside, None) => Err(CodeReject::Missing.into()),
        (CodeIs::Inside, Some(code)) if !code.is_string() => bad_code("a string"),
        (CodeIs::Beside, Some(_)) => bad_code("left out: the code is in the file"),
        _ => Ok(Exec { kind, main }),
    }
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

fn read_annotations(json: Json<'_>) -> Result<KeyValues, Reject> {
    let Parameters { of_input, .. } = key_values(json, "annotations")?;
    Ok(of_input)
}

/// An array of `{"key":NAME,"value":VALUE}`, which for parameters may have `"init":true`.
fn key_values(json: Json<'_>, name: &'static str) -> Result<Parameters, Reject> {
    if json.text().len() > PARAMETERS_LEN_MAX {
        return Err(Reject::ParametersTooLong { name });
    }
    let mut items: Vec<(Cow<'_, str>, &str)> = Vec::new();
    let mut init_items: Vec<(Cow<'_, str>, &str)> = Vec::new();
    let mut outcome = Ok(());
    json.elements(|element| {
        if outcome.is_ok() {
            outcome = match key_value(element) {
                Ok(_) if items.len() + init_items.len() == PARAMETERS_MAX => {
                    Err(Reject::ParametersTooLong { name })
                }
                // Every action has this one, with a value of our own.
                Ok((key, ..)) if name == "annotations" && key == r#""exec""# => Ok(()),
                Ok((key, value, is_init)) => {
                    let of_environment = is_init && name == "parameters";
                    let kind = if of_environment { &mut init_items } else { &mut items };
                    kind.push((key, value));
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
    // Of equal names the last one counts, of two kinds the one of the environment.
    let init_keys: BTreeSet<&str> = init_items.iter().map(|(key, _)| &**key).collect();
    items.retain(|(key, _)| !init_keys.contains(&**key));
    Ok(keeping_reserve(|| {
        let of_input = KeyValues::from_items(&items)?;
        let of_environment = KeyValues::from_items(&init_items)?;
        Ok(Parameters { of_input, of_environment })
    })?)
}

/// A name in its canonical JSON spelling, the text of its value, and whether that is for the start.
fn key_value(json: Json<'_>) -> Result<(Cow<'_, str>, &str, bool), JsonReject> {
    let [key, value, init] = json.pick(["key", "value", "init"])?;
    let key = key.ok_or(JsonReject::NotAString)?;
    let is_init = init.and_then(Json::boolean) == Some(true);
    Ok((canonical(key)?, value.map_or("null", Json::text), is_init))
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

fn read_version(json: Json<'_>) -> Result<Version, Reject> {
    json.raw_string()
        .and_then(Version::parse)
        .ok_or(Reject::Field(FieldReject { name: "version", expected: "like \"0.0.1\"" }))
}
