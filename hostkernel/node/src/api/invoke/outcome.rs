//! What the end of an invocation means to a client that sent JSON and expects JSON.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use crate::api::answer::activation::{Activation, Shown};
use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::invoke::admission::Pending;
use crate::api::invoke::shape::Shape;
use crate::dispatch::{Completion, End, Fault, Reports};
use crate::document::{Document, contiguous};
use crate::http::{Body, Response};
use crate::json::{Json, JsonReject, Quoted};
use crate::state::records::{Blame, Facts, Output};
use limits::{EXCERPT_LEN_MAX, JSON_AT_ONCE_LEN_MAX, SAID_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// Who is to blame for the end of an invocation, and with what result.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nobody. The JSON object or array is the result.
    Success(&'a str),
    /// The action reported an error: the JSON value of its member `error`.
    ApplicationError(&'a str),
    /// The action broke a rule, or returned neither JSON object nor array. The text says how.
    DeveloperError(String),
}

impl<'a> Verdict<'a> {
    /// Judges the output of an action that went well so far.
    #[must_use]
    pub fn of_output(output: &'a [u8]) -> Self {
        let mut error = None;
        let read = Json::read(output).and_then(|json| {
            if json.is_array() {
                return json.check().map(|()| json.text());
            }
            json.members(|name, value| {
                if name.is("error") {
                    error = Some(value.text());
                }
            })?;
            Ok(json.text())
        });
        match (read, error) {
            (Ok(_), Some(error)) => Self::ApplicationError(error),
            (Ok(text), None) => Self::Success(text),
            (Err(reject), _) => Self::DeveloperError(describe_invalid(
                &reject,
                excerpt(output.get(..EXCERPT_LEN_MAX).unwrap_or(output), output.len()),
            )),
        }
    }

    /// Who is to blame.
    #[must_use]
    pub const fn status(&self) -> Blame {
        match self {
            Self::Success(_) => Blame::Success,
            Self::ApplicationError(_) => Blame::ApplicationError,
            Self::DeveloperError(_) => Blame::DeveloperError,
        }
    }
}

/// The JSON result.
impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success(result) => f.write_str(result.trim_ascii()),
            Self::ApplicationError(error) => write!(f, "{{\"error\":{error}}}"),
            Self::DeveloperError(reason) => write!(f, "{{\"error\":{}}}", Quoted(reason)),
        }
    }
}

/// What an action did wrong to end like this; `None` if nothing.
#[must_use]
pub fn reason(end: End, reports: Option<&Reports>) -> Option<String> {
    let reported = reports.map(|reports| &reports.reason);
    match end {
        End::Exit(0) | End::Frozen { .. } => None,
        // An image that hosts a program knows better.
        End::Exit(status) => Some(match reported.filter(|text| !text.is_empty()) {
            Some(text) => String::from_utf8_lossy(text).into_owned(),
            None => format!("exit status {status}"),
        }),
        End::Fault(fault) => Some(fault.to_string()),
        End::NotStarted => Some(Reject::NotStarted.to_string()),
    }
}

/// What an action says itself that it did wrong: the text of `{"error":TEXT}` as its result, with
/// an exit status that is not 0.
#[must_use]
pub fn said(end: End, output: &PageBuffer) -> Option<String> {
    if !matches!(end, End::Exit(status) if status != 0) || output.len() > SAID_LEN_MAX {
        return None;
    }
    let output = contiguous(output).ok()?;
    let [error] = Json::read(&output).ok()?.pick(["error"]).ok()?;
    error?.string(SAID_LEN_MAX).ok().map(String::from)
}

/// What a program called in vain, as its image put it.
pub fn unsupported(reports: Option<&Reports>) -> &str {
    // It was text when it was reported.
    reports.map_or("", |reports| core::str::from_utf8(&reports.unsupported).unwrap_or_default())
}

/// What is wrong with an output that is no JSON.
pub(super) fn invalid(reject: &JsonReject, output: &PageBuffer) -> String {
    let start = output.chunk_at(0);
    let start = start.get(..EXCERPT_LEN_MAX).unwrap_or(start);
    describe_invalid(reject, excerpt(start, output.len()))
}

fn describe_invalid(reject: &JsonReject, excerpt: String) -> String {
    format!("The action did not produce a valid JSON response: {reject}: {excerpt}")
}

/// The beginning of what an action wrote instead of JSON, which has `len` bytes.
fn excerpt(start: &[u8], len: usize) -> String {
    let mut text = String::from_utf8_lossy(start).into_owned();
    if start.len() < len {
        text.push('…');
    }
    text
}

/// What became of an invocation.
#[derive(Debug)]
pub struct Judged {
    /// Who is to blame.
    pub status: Blame,
    /// The result, if it is another than the output.
    composed: Option<PageBuffer>,
    /// There is none, for this reason.
    missing: Option<Reject>,
    /// The output need not be JSON.
    raw: bool,
}

impl Judged {
    /// The output is the result, and good.
    pub(super) const fn success() -> Self {
        Self { status: Blame::Success, composed: None, missing: None, raw: false }
    }

    /// Something else is the result.
    pub(super) const fn composed(status: Blame, result: PageBuffer) -> Self {
        Self { status, composed: Some(result), missing: None, raw: false }
    }

    /// There is no result, for this reason.
    pub(super) const fn missing(why: Reject) -> Self {
        Self { status: Blame::InternalError, composed: None, missing: Some(why), raw: false }
    }

    #[cfg(test)]
    pub(super) fn pages<'a>(&'a self, output: &'a PageBuffer) -> &'a PageBuffer {
        self.composed.as_ref().unwrap_or(output)
    }

    /// Judges an end. What was to be bytes is taken as it is, anything else must be JSON.
    #[must_use]
    pub fn of(completion: &Completion, shape: Shape) -> Self {
        let raw = matches!(shape, Shape::Function(_));
        let judged = match completion.end {
            End::NotStarted => Err(Reject::NotStarted),
            _ => Self::compose(completion, raw).map_err(Reject::from),
        };
        match judged {
            Ok((status, composed)) => {
                let raw = raw && composed.is_none();
                Self { status, composed, missing: None, raw }
            }
            Err(why) => {
                Self { status: Blame::InternalError, composed: None, missing: Some(why), raw }
            }
        }
    }

    fn compose(
        Completion { end, output, reports, .. }: &Completion,
        raw: bool,
    ) -> Result<(Blame, Option<PageBuffer>), OutOfFrames> {
        let text;
        let why = reason(*end, reports.as_deref());
        let verdict = match why.map(|why| said(*end, output).unwrap_or(why)) {
            Some(reason) => Verdict::DeveloperError(reason),
            None if raw => return Ok((Blame::Success, None)),
            None => {
                text = contiguous(output)?;
                Verdict::of_output(&text)
            }
        };
        let composed = match verdict {
            // The frames the action wrote to are the result.
            Verdict::Success(_) => None,
            _ => Some(Document::compose(|out| write_display(out, &verdict))?),
        };
        let status = match end {
            // It is the client's doing.
            End::Fault(Fault::Abandoned) => Blame::ApplicationError,
            _ => verdict.status(),
        };
        Ok((status, composed))
    }

    /// The result, for a record.
    #[must_use]
    pub fn result<'a>(&'a self, output: &'a PageBuffer) -> Output<'a> {
        match (&self.missing, &self.composed) {
            (Some(Reject::NotStarted), _) => {
                Output::Missing("The node could not reserve the action's memory. Nothing ran.")
            }
            (Some(_), _) => Output::Missing("The node had no memory to read the result."),
            (None, None) if self.raw => Output::Raw(output),
            (None, composed) => Output::Json(composed.as_ref().unwrap_or(output)),
        }
    }
}

/// The answer to an invocation with JSON input, of which `facts` are kept.
pub fn complete(
    pending: &mut Pending,
    judged: Judged,
    completion: Completion,
    facts: &Facts,
) -> Response {
    let fields = pending.take_fields();
    match body(pending, judged, completion, facts) {
        Ok((status, body)) => respond::api_with(fields, status, body, pending.request_id()),
        Err(reject) => reject.response(pending.request_id()),
    }
}

fn body(
    pending: &Pending,
    judged: Judged,
    completion: Completion,
    facts: &Facts,
) -> Result<(u16, Body), Reject> {
    let Judged { status, composed, missing, .. } = judged;
    if let Some(why) = missing {
        return Err(why);
    }
    let http_status = if status == Blame::Success { 200 } else { 502 };
    let result = composed.unwrap_or(completion.output);
    if pending.shape() == Shape::Result {
        return Ok((http_status, Body::Pages(result)));
    }
    let log = contiguous(&completion.log.text)?;
    let action = pending.action();
    let mut activation = Activation {
        facts,
        name: action.name.as_str(),
        kind: &action.kind,
        result: Shown::Beside(result.len()),
        log: &log,
        unsupported: unsupported(completion.reports.as_deref()),
    };
    if result.len() > JSON_AT_ONCE_LEN_MAX {
        // It is not copied.
        let before = Document::compose(|out| activation.write_until_result(out))?;
        let after = Document::compose(|out| activation.write_from_result(out))?;
        return Ok((http_status, Body::Parts(Box::new([before, result, after]))));
    }
    let text = contiguous(&result)?;
    // It was judged to be text.
    activation.result = Shown::Json(core::str::from_utf8(&text).unwrap_or_default());
    let document = Document::compose(|out| activation.write(out))?;
    Ok((http_status, Body::Pages(document)))
}

fn write_display(out: &mut impl fmt::Write, value: &impl fmt::Display) -> fmt::Result {
    write!(out, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::Access;

    #[test]
    fn objects_and_arrays_are_results_and_one_with_an_error_is_an_error() {
        let of = |output: &'static str| Verdict::of_output(output.as_bytes());
        assert_eq!(of("{}"), Verdict::Success("{}"));
        assert_eq!(of(" {\"a\":1}\n").to_string(), "{\"a\":1}");
        assert_eq!(of("{\"a\":{\"error\":1}}").status(), Blame::Success);
        assert_eq!(of(" [1,{}] ").to_string(), "[1,{}]");
        for (output, error) in [
            (r#"{"error":"x","code":5}"#, r#""x""#),
            (r#"{"a":1,"error":{"b":[]}}"#, r#"{"b":[]}"#),
            (r#"{"error":null}"#, "null"),
            (r#"{"\u0065rror":1}"#, "1"),
            (r#"{"error":1,"error":2}"#, "2"),
        ] {
            assert_eq!(of(output), Verdict::ApplicationError(error), "{output}");
            assert_eq!(of(output).to_string(), format!("{{\"error\":{error}}}"));
        }
    }

    #[test]
    fn everything_else_is_the_developers_error() {
        for output in
            [&b""[..], b"hello", b"[1", b"[1] x", b"\"a\"", b"{} x", b"{\"a\":\xff}", b"{\"a\":"]
        {
            let verdict = Verdict::of_output(output);
            assert_eq!(verdict.status(), Blame::DeveloperError);
            let text = "{\"error\":\"The action did not produce a valid JSON response: ";
            assert!(verdict.to_string().starts_with(text), "{verdict}");
        }
        let fault = Fault::Page { access: Access::Read, address: 0, instruction: 0x40_1234 };
        let late = |instruction| Fault::Deadline { timeout_ms: 100, instruction };
        for (end, reason) in [
            (End::Exit(3), "exit status 3"),
            (End::Exit(-1), "exit status -1"),
            (End::Fault(fault), "page fault reading 0x0 at 0x401234"),
            (End::Fault(late(Some(0x40_1234))), "deadline of 100 ms exceeded at 0x401234"),
            (End::Fault(late(None)), "deadline of 100 ms exceeded"),
        ] {
            assert_eq!(super::reason(end, None).as_deref(), Some(reason));
        }
    }

    #[test]
    fn long_nonsense_is_quoted_in_part() {
        let output = "ä".repeat(100_000);
        let verdict = Verdict::of_output(output.as_bytes());
        let text = verdict.to_string();
        assert!(text.len() < 2 * EXCERPT_LEN_MAX && text.ends_with("…\"}"), "{text}");
    }
}
