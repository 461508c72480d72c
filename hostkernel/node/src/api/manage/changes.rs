//! What a deploy wants an action to be: read from OpenWhisk's document, or from a query.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::api::answer::error::Reject;
use crate::api::request::code::CodeReject;
use crate::api::request::limit_changes::LimitChanges;
use crate::api::request::query::Query;
use crate::json::{FieldReject, Json, JsonReject, Quoted};
use crate::registry::{KeyValues, VariableChange, Version};
use limits::{KIND_LEN_MAX, MAIN_LEN_MAX, PARAMETER_NAME_LEN_MAX, PARAMETERS_MAX};

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

/// Where the code is that a document is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CodeIs {
    /// In the document, as an empty string.
    Inside,
    /// In a file that the document lies beside.
    Beside,
    /// Where a registry has it, and kind and function are fields of the document itself.
    Stored,
}

/// What a document says of the code.
pub fn read_exec(json: Json<'_>, code_is: CodeIs) -> Result<Exec, Reject> {
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
        (CodeIs::Inside | CodeIs::Stored, None) => Err(CodeReject::Missing.into()),
        (CodeIs::Inside | CodeIs::Stored, Some(code)) if !code.is_string() => bad_code("a string"),
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

/// The one spelling that names are compared in.
pub fn canonical(name: Json<'_>) -> Result<Cow<'_, str>, JsonReject> {
    Ok(match name.string(PARAMETER_NAME_LEN_MAX)? {
        Cow::Borrowed(_) => Cow::Borrowed(name.text()),
        Cow::Owned(name) => Cow::Owned(Quoted(&name).to_string()),
    })
}

/// An array of names, in canonical spelling and sorted.
pub fn read_names(json: Json<'_>) -> Result<Vec<Box<str>>, Reject> {
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

/// A version that a client states.
pub fn read_version(json: Json<'_>) -> Result<Version, Reject> {
    json.raw_string()
        .and_then(Version::parse)
        .ok_or(Reject::Field(FieldReject { name: "version", expected: "like \"0.0.1\"" }))
}
