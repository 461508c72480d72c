//! An activation as a JSON document: of one that has just ended, or of one that was kept.

use alloc::format;
use core::fmt::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::calendar::Timestamp;
use crate::digits::Hex;
use crate::dispatch::log::{Line, Stream};
use crate::dispatch::{Log, Timing, Usage};
use crate::document::gather;
use crate::json::{Json, Quoted, write_escaped_lossy};
use crate::registry::Limits;
use crate::state::records::{Blame, Facts, Form, Kept, Part};
use limits::{LOG_LEN_MAX, PAGE_LEN, RECORD_RESULT_LEN_MAX};
use memory::OutOfFrames;

/// What actions written for OpenWhisk print after each run. Never shown.
const LOG_SENTINEL: &[u8] = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

/// One activation, for as long as it is written.
pub struct Activation<'a> {
    /// What has a fixed size.
    pub facts: &'a Facts,
    /// The action's name.
    pub name: &'a str,
    /// The action's kind.
    pub kind: &'a str,
    /// What came of it.
    pub result: Shown<'a>,
    /// The lines of its log.
    pub log: &'a [u8],
    /// What its program called in vain; empty if nothing.
    pub unsupported: &'a str,
}

/// A result as it is shown: always a JSON object.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// It is one.
    Json(&'a str),
    /// The bytes an action wrote, JSON or not.
    Raw(&'a [u8]),
    /// It has so many bytes, and is not written with the rest.
    Beside(usize),
    /// It was too long to be kept.
    TooLong(usize),
    /// There is none, for this reason.
    Missing(&'a str),
}

impl Shown<'_> {
    fn len(self) -> usize {
        match self {
            Self::Json(text) => text.trim_ascii().len(),
            Self::Raw(bytes) => bytes.len(),
            Self::Beside(len) | Self::TooLong(len) => len,
            Self::Missing(_) => 0,
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Json(text) => f.write_str(text.trim_ascii()),
            Self::Raw(bytes) => match core::str::from_utf8(bytes) {
                Ok(text) if is_object(bytes) => f.write_str(text.trim_ascii()),
                Ok(text) => write!(f, "{{\"body\":{}}}", Quoted(text)),
                Err(_) => {
                    let text = Base64Display::new(bytes, &STANDARD);
                    write!(f, "{{\"body\":\"{text}\",\"encoding\":\"base64\"}}")
                }
            },
            Self::Beside(_) => Ok(()),
            Self::TooLong(len) => write!(
                f,
                "{{\"error\":\"The result of {len} bytes was not kept: records have room for \
                 {RECORD_RESULT_LEN_MAX}.\"}}"
            ),
            Self::Missing(reason) => write!(f, "{{\"error\":{}}}", Quoted(reason)),
        }
    }
}

fn is_object(bytes: &[u8]) -> bool {
    Json::read(bytes).is_ok_and(|json| json.members(|_, _| {}).is_ok())
}

/// Hands a kept activation to `write`.
///
/// # Errors
/// [`OutOfFrames`] if there is no memory to read it, and what `write` fails with.
pub fn with_kept<R>(
    kept: Kept<'_>,
    write: impl FnOnce(&Activation<'_>) -> Result<R, OutOfFrames>,
) -> Result<R, OutOfFrames> {
    let (name, kind) = (gather(kept.part(Part::Name))?, gather(kept.part(Part::Kind))?);
    let (bytes, log) = (gather(kept.part(Part::Result))?, gather(kept.part(Part::Log))?);
    let unsupported = gather(kept.part(Part::Unsupported))?;
    let (form, len) = kept.result();
    // What was text when it was kept still is.
    let text = |bytes| core::str::from_utf8(bytes).unwrap_or_default();
    let result = match form {
        Form::Json => Shown::Json(text(&bytes)),
        Form::Raw => Shown::Raw(&bytes),
        Form::TooLong => Shown::TooLong(len),
        Form::Missing(reason) => Shown::Missing(reason),
    };
    let (name, kind, unsupported) = (text(&name), text(&kind), text(&unsupported));
    write(&Activation { facts: kept.facts(), name, kind, result, log: &log, unsupported })
}

impl Activation<'_> {
    /// All of it.
    pub fn write(&self, out: &mut impl Write) -> fmt::Result {
        self.write_until_result(out)?;
        write!(out, "{}", self.result)?;
        self.write_from_result(out)
    }

    /// What stands in front of the result.
    pub fn write_until_result(&self, out: &mut impl Write) -> fmt::Result {
        let Facts { namespace, start_ms, duration_ms, .. } = self.facts;
        self.write_names(out)?;
        write!(
            out,
            ",\"subject\":{},\"activationId\":\"{}\",\"start\":{start_ms},\"end\":{},\
             \"duration\":{duration_ms},\"response\":{{",
            Quoted(namespace.as_str()),
            self.id().as_str(),
            start_ms.saturating_add(*duration_ms),
        )?;
        self.write_blame(out)
    }

    /// What stands behind it.
    pub fn write_from_result(&self, out: &mut impl Write) -> fmt::Result {
        self.write_size(out)?;
        out.write_str("},\"logs\":[")?;
        self.write_log(out)?;
        out.write_str("],\"publish\":false,\"annotations\":[")?;
        self.write_annotations(out)?;
        out.write_str("]}")
    }

    /// What lists tell.
    pub fn write_summary(&self, out: &mut impl Write) -> fmt::Result {
        let Facts { start_ms, duration_ms, status, .. } = self.facts;
        self.write_names(out)?;
        out.write_str(",\"publish\":false,\"annotations\":[")?;
        self.write_annotations(out)?;
        write!(
            out,
            "],\"activationId\":\"{}\",\"start\":{start_ms},\"end\":{},\"duration\":{duration_ms},\
             \"statusCode\":{}}}",
            self.id().as_str(),
            start_ms.saturating_add(*duration_ms),
            *status as u8,
        )
    }

    fn id(&self) -> Hex {
        Hex::of(self.facts.id.0)
    }

    fn write_names(&self, out: &mut impl Write) -> fmt::Result {
        let Facts { namespace, version, .. } = self.facts;
        write!(
            out,
            "{{\"namespace\":{},\"name\":{},\"version\":\"{version}\"",
            Quoted(namespace.as_str()),
            Quoted(self.name),
        )
    }

    /// The members of a response.
    pub fn write_response(&self, out: &mut impl Write) -> fmt::Result {
        self.write_blame(out)?;
        write!(out, "{}", self.result)?;
        self.write_size(out)
    }

    fn write_blame(&self, out: &mut impl Write) -> fmt::Result {
        let status = self.facts.status;
        let (name, success) = (status.name(), status == Blame::Success);
        write!(out, "\"status\":\"{name}\",\"success\":{success},\"result\":")
    }

    fn write_size(&self, out: &mut impl Write) -> fmt::Result {
        write!(out, ",\"size\":{}", self.result.len())
    }

    /// The elements of a list of lines, each with its time and stream in front.
    pub fn write_log(&self, out: &mut impl Write) -> fmt::Result {
        let mut separator = "";
        let mut write_line = |Line { stream, at_ns, text }| {
            write!(
                out,
                "{separator}\"{} {}: ",
                Timestamp { ns: at_ns, decimals: 9 },
                stream.name()
            )?;
            write_escaped_lossy(out, text)?;
            separator = ",";
            out.write_str("\"")
        };
        let mut last_ns = self.facts.start_ms.saturating_mul(NS_PER_MS);
        for line in Log::lines(self.log) {
            last_ns = line.at_ns;
            if line.text != LOG_SENTINEL {
                write_line(line)?;
            }
        }
        if self.facts.log_truncated {
            let note = format!("the log was cut at its limit of {LOG_LEN_MAX} bytes");
            write_line(Line { stream: Stream::Stderr, at_ns: last_ns, text: note.as_bytes() })?;
        }
        Ok(())
    }

    fn write_annotations(&self, out: &mut impl Write) -> fmt::Result {
        let Facts { namespace, limits, timing, trace, .. } = self.facts;
        let Limits { timeout_ms, memory_mb, logs_mb } = limits;
        // Names of actions and namespaces have no character that would have to be escaped.
        write!(
            out,
            "{{\"key\":\"path\",\"value\":\"{namespace}/{}\"}},{{\"key\":\"kind\",\"value\":{}}},\
             {{\"key\":\"waitTime\",\"value\":{}}},{{\"key\":\"initTime\",\"value\":{}}},\
             {{\"key\":\"limits\",\"value\":{{\"timeout\":{timeout_ms},\"memory\":{memory_mb},\
             \"logs\":{logs_mb}}}}},{{\"key\":\"traceparent\",\"value\":\"{}\"}},",
            self.name,
            Quoted(self.kind),
            timing.queue_ns / NS_PER_MS,
            timing.load_ns / NS_PER_MS,
            trace.as_str(),
        )?;
        self.write_receipt(out)
    }

    /// What the invocation cost.
    fn write_receipt(&self, out: &mut impl Write) -> fmt::Result {
        let Facts { timing, usage, total_ns, digest, .. } = self.facts;
        let Timing { queue_ns, load_ns, run_ns, .. } = timing;
        let Usage { core, calls, page_faults, frames, frames_peak, pages_touched, cycles } = usage;
        let [queue_us, load_us, run_us, total_us] =
            [queue_ns, load_ns, run_ns, total_ns].map(|ns| ns / 1000);
        let [touched_len, peak_len] = [pages_touched, frames_peak].map(|n| *n as usize * PAGE_LEN);
        write!(
            out,
            "{{\"key\":\"receipt\",\"value\":{{\"queue_us\":{queue_us},\"load_us\":{load_us},\
             \"run_us\":{run_us},\"total_us\":{total_us},\"cycles\":{cycles},\
             \"page_faults\":{page_faults},\"pages\":{frames},\"bytes_touched\":{touched_len},\
             \"memory_peak_bytes\":{peak_len},\"core\":{core},\"calls\":{calls},\
             \"image\":\"sha256:{digest}\""
        )?;
        if !self.unsupported.is_empty() {
            write!(out, ",\"unsupported\":{}", Quoted(self.unsupported))?;
        }
        out.write_str("}}")
    }
}

const NS_PER_MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_result_is_shown_as_an_object() {
        for (shown, text) in [
            (Shown::Json(" {\"a\":1}\n"), "{\"a\":1}"),
            (Shown::Raw(b" {\"a\":1}\n"), "{\"a\":1}"),
            (Shown::Raw(b"[1]"), "{\"body\":\"[1]\"}"),
            (Shown::Raw(b"{\"a\":"), "{\"body\":\"{\\\"a\\\":\"}"),
            (Shown::Raw(b""), "{\"body\":\"\"}"),
            (Shown::Raw(b"\xff\0"), "{\"body\":\"/wA=\",\"encoding\":\"base64\"}"),
            (Shown::Missing("so \"it\" is"), "{\"error\":\"so \\\"it\\\" is\"}"),
        ] {
            assert_eq!(shown.to_string(), text);
        }
        assert!(Shown::TooLong(70_000).to_string().contains("70000 bytes"));
    }
}
