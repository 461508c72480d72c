//! What the end of an invocation means to a client that sent JSON and expects JSON.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use super::error::Reject;
use super::invoke::{Pending, Shape};
use super::json::{Json, Quoted};
use super::respond::{self, Document, contiguous};
use super::{Now, activation};
use crate::config::EXCERPT_LEN_MAX;
use crate::dispatch::{Completion, End};
use crate::http::{Body, Response};
use crate::memory::OutOfFrames;

/// Who is to blame for the end of an invocation, and with what result.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Nobody. The JSON object is the result.
    Success(&'a str),
    /// The action reported an error: the JSON value of its member `error`.
    ApplicationError(&'a str),
    /// The action broke a rule, or returned no JSON object. The text says how.
    DeveloperError(String),
}

impl<'a> Verdict<'a> {
    /// Judges an end with its output.
    #[must_use]
    pub fn of(end: End, output: &'a [u8]) -> Self {
        match reason(end) {
            Some(reason) => Self::DeveloperError(reason),
            None => Self::of_output(output),
        }
    }

    fn of_output(output: &'a [u8]) -> Self {
        let mut error = None;
        let read = Json::read(output).and_then(|json| {
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
            (Err(reject), _) => Self::DeveloperError(format!(
                "The action did not produce a valid JSON response: {reject}: {}",
                excerpt(output)
            )),
        }
    }

    /// The status code of the answer.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Success(_) => 200,
            Self::ApplicationError(_) | Self::DeveloperError(_) => 502,
        }
    }

    /// The words for it in an activation.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Success(_) => "success",
            Self::ApplicationError(_) => "application error",
            Self::DeveloperError(_) => "action developer error",
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
pub fn reason(end: End) -> Option<String> {
    match end {
        End::Exit(0) => None,
        End::Exit(status) => Some(format!("exit status {status}")),
        End::Fault(fault) => Some(fault.to_string()),
        End::NotStarted => Some(Reject::NotStarted.to_string()),
    }
}

/// The beginning of what an action wrote instead of JSON.
fn excerpt(output: &[u8]) -> String {
    let start = output.get(..EXCERPT_LEN_MAX).unwrap_or(output);
    let mut text = String::from_utf8_lossy(start).into_owned();
    if start.len() < output.len() {
        text.push('…');
    }
    text
}

/// The answer to an invocation with JSON input.
pub fn complete(pending: &mut Pending, completion: Completion, now: Now) -> Response {
    let fields = pending.take_fields();
    match body(pending, completion, now) {
        Ok((status, body)) => respond::api_with(fields, status, body, pending.request_id()),
        Err(OutOfFrames) => Reject::NoMemory.response(pending.request_id()),
    }
}

fn body(pending: &Pending, completion: Completion, now: Now) -> Result<(u16, Body), OutOfFrames> {
    let Completion { end, output, log, timing, frames, .. } = completion;
    let text = contiguous(&output)?;
    let verdict = Verdict::of(end, &text);
    let status = verdict.http_status();
    let composed = match (pending.shape(), &verdict) {
        // The fast path: the frames the action wrote to are what is sent.
        (Shape::Result, Verdict::Success(_)) => None,
        (Shape::Result, _) => Some(Document::compose(|out| write_display(out, &verdict))?),
        _ => Some(activation::compose(pending, &verdict, (timing, frames), &log, now)?),
    };
    drop(text);
    Ok((status, Body::Pages(composed.unwrap_or(output))))
}

fn write_display(out: &mut impl fmt::Write, value: &impl fmt::Display) -> fmt::Result {
    write!(out, "{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{Access, Fault};

    #[test]
    fn an_object_is_a_result_and_one_with_an_error_is_an_error() {
        let of = |output: &'static str| Verdict::of(End::Exit(0), output.as_bytes());
        assert_eq!(of("{}"), Verdict::Success("{}"));
        assert_eq!(of(" {\"a\":1}\n").to_string(), "{\"a\":1}");
        assert_eq!(of("{\"a\":{\"error\":1}}").status(), "success");
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
        for output in [&b""[..], b"hello", b"[1]", b"\"a\"", b"{} x", b"{\"a\":\xff}", b"{\"a\":"] {
            let verdict = Verdict::of(End::Exit(0), output);
            assert_eq!(verdict.status(), "action developer error");
            let text = "{\"error\":\"The action did not produce a valid JSON response: ";
            assert!(verdict.to_string().starts_with(text), "{verdict}");
        }
        let fault = Fault::Page { access: Access::Read, address: 0, instruction: 0x40_1234 };
        for (end, reason) in [
            (End::Exit(3), "exit status 3"),
            (End::Exit(-1), "exit status -1"),
            (End::Fault(fault), "page fault reading 0x0 at 0x401234"),
            (End::Fault(Fault::Deadline { timeout_ms: 100 }), "deadline of 100 ms exceeded"),
        ] {
            let verdict = Verdict::of(end, b"{\"a\":1}");
            assert_eq!(verdict, Verdict::DeveloperError(reason.to_string()));
            assert_eq!(verdict.http_status(), 502);
        }
    }

    #[test]
    fn long_nonsense_is_quoted_in_part() {
        let output = "ä".repeat(100_000);
        let verdict = Verdict::of(End::Exit(0), output.as_bytes());
        let text = verdict.to_string();
        assert!(text.len() < 2 * EXCERPT_LEN_MAX && text.ends_with("…\"}"), "{text}");
    }
}
