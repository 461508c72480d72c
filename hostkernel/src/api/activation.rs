//! The record of an activation as a JSON document, with its log.

use alloc::format;
use core::fmt::{self, Write};

use super::Now;
use super::invoke::Pending;
use super::json::{Quoted, write_escaped};
use super::outcome::Verdict;
use super::respond::{Document, contiguous};
use crate::config::{LOG_LEN_MAX, PAGE_LEN};
use crate::dispatch::{Limits, Log, Timing};
use crate::memory::{OutOfFrames, PageBuffer};

/// What actions written for OpenWhisk print after each run. Never shown.
const LOG_SENTINEL: &[u8] = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX";

/// Composes the record of an invocation that has just ended.
pub fn compose(
    pending: &Pending,
    verdict: &Verdict<'_>,
    (timing, frames): (Timing, u32),
    log: &Log,
    now: Now,
) -> Result<PageBuffer, OutOfFrames> {
    let text = contiguous(&log.text)?;
    let span = Span::of(timing, now);
    Document::compose(|out| {
        write_head(out, pending, span)?;
        write_response(out, verdict)?;
        out.write_str(",\"logs\":[")?;
        write_log(out, &text, log.truncated, span.start_ms)?;
        out.write_str("],\"publish\":false,\"annotations\":[")?;
        write_annotations(out, pending, (timing, frames), now)?;
        out.write_str("]}")
    })
}

/// When an invocation began and ended by the wall clock, making its address space included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start_ms: u64,
    duration_ms: u64,
}

impl Span {
    fn of(timing: Timing, now: Now) -> Self {
        let age_ns = now.monotonic_ns.saturating_sub(timing.started_ns);
        let ago_ms = age_ns.saturating_add(timing.load_ns) / 1_000_000;
        Self {
            start_ms: now.wall_ms.saturating_sub(ago_ms),
            duration_ms: timing.load_ns.saturating_add(timing.run_ns) / 1_000_000,
        }
    }
}

fn write_head(out: &mut impl Write, pending: &Pending, span: Span) -> fmt::Result {
    let action = pending.action();
    let namespace = Quoted(action.namespace.as_str());
    let Span { start_ms, duration_ms } = span;
    write!(
        out,
        "{{\"namespace\":{namespace},\"name\":{},\"version\":\"{}\",\"subject\":{namespace},\
         \"activationId\":\"{}\",\"start\":{start_ms},\"end\":{},\"duration\":{duration_ms},",
        Quoted(action.name.as_str()),
        action.version,
        pending.id(),
        start_ms.saturating_add(duration_ms),
    )
}

fn write_response(out: &mut impl Write, verdict: &Verdict<'_>) -> fmt::Result {
    let success = matches!(verdict, Verdict::Success(_));
    write!(
        out,
        "\"response\":{{\"status\":\"{}\",\"success\":{success},\"result\":",
        verdict.status()
    )?;
    let mut counted = Counted { out, len: 0 };
    write!(counted, "{verdict}")?;
    let len = counted.len;
    write!(out, ",\"size\":{len}}}")
}

/// Counts the bytes that pass.
struct Counted<'a, W> {
    out: &'a mut W,
    len: usize,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.len += text.len();
        self.out.write_str(text)
    }
}

/// Each line with the time and its stream in front. The lines carry no time of their own: all get
/// that of the invocation's start, with the fraction of a second that clients look for.
fn write_log(out: &mut impl Write, text: &[u8], truncated: bool, start_ms: u64) -> fmt::Result {
    let mut separator = "";
    let mut write_line = |stream: &str, line: &[u8]| {
        write!(out, "{separator}\"{} {stream}: ", Timestamp(start_ms))?;
        for chunk in line.utf8_chunks() {
            write_escaped(out, chunk.valid())?;
            if !chunk.invalid().is_empty() {
                out.write_str("\u{fffd}")?;
            }
        }
        separator = ",";
        out.write_str("\"")
    };
    for line in text.split(|byte| *byte == b'\n') {
        let (stream, line) = match line {
            [] => continue,
            [Log::STDOUT, line @ ..] => ("stdout", line),
            [Log::STDERR, line @ ..] => ("stderr", line),
            line => ("stdout", line),
        };
        if line != LOG_SENTINEL {
            write_line(stream, line)?;
        }
    }
    if truncated {
        let note = format!("the log was cut at its limit of {LOG_LEN_MAX} bytes");
        write_line("stderr", note.as_bytes())?;
    }
    Ok(())
}

fn write_annotations(
    out: &mut impl Write,
    pending: &Pending,
    (timing, frames): (Timing, u32),
    now: Now,
) -> fmt::Result {
    let action = pending.action();
    let Limits { timeout_ms, memory_mb, logs_mb } = action.limits;
    let Timing { queue_ns, load_ns, run_ns, .. } = timing;
    // Names of actions and namespaces have no character that would have to be escaped.
    write!(
        out,
        "{{\"key\":\"path\",\"value\":\"{}/{}\"}},{{\"key\":\"kind\",\"value\":{}}},\
         {{\"key\":\"waitTime\",\"value\":{}}},{{\"key\":\"initTime\",\"value\":{}}},\
         {{\"key\":\"limits\",\"value\":{{\"timeout\":{timeout_ms},\"memory\":{memory_mb},\
         \"logs\":{logs_mb}}}}},",
        action.namespace,
        action.name,
        Quoted(&action.kind),
        queue_ns / 1_000_000,
        load_ns / 1_000_000,
    )?;
    write!(
        out,
        "{{\"key\":\"timing\",\"value\":{{\"queue_us\":{},\"load_us\":{},\"run_us\":{},\
         \"total_us\":{}}}}},{{\"key\":\"memory\",\"value\":{{\"taken_bytes\":{}}}}}",
        queue_ns / 1000,
        load_ns / 1000,
        run_ns / 1000,
        pending.age_ns(now) / 1000,
        frames as usize * PAGE_LEN,
    )
}

/// Milliseconds since 1970, shown as RFC 3339 in UTC with nine decimals, as OpenWhisk does.
struct Timestamp(u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, milliseconds) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}\
             000000Z"
        )
    }
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year; then 400 years have
/// 146,097 days, and the months from March on follow a straight line.
const fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999000000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000000000Z"),
            (1_795_402_241_513, "2026-11-23T02:50:41.513000000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000000000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999000000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
        }
        assert!(!Timestamp(u64::MAX).to_string().is_empty());
    }

    #[test]
    fn log_lines_get_time_and_stream() {
        let log = |text: &[u8], truncated| {
            let mut out = String::new();
            write_log(&mut out, text, truncated, 1_795_402_241_000).expect("a string has room");
            let lines: Vec<String> =
                serde_json::from_str(&format!("[{out}]")).expect("a list of strings");
            lines
        };
        let time = "2026-11-23T02:50:41.000000000Z";
        assert_eq!(
            log(
                b"1a \"line\"\n2\xffb\t\n1\nbare\n\
              1XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n",
                false
            ),
            [
                format!("{time} stdout: a \"line\""),
                format!("{time} stderr: \u{fffd}b\t"),
                format!("{time} stdout: "),
                format!("{time} stdout: bare"),
            ]
        );
        assert!(log(b"", false).is_empty());
        let cut = log(b"1a\n2tail without end", true);
        assert_eq!(cut.len(), 3);
        assert!(cut[2].contains("stderr: the log was cut at"), "{cut:?}");
    }

    #[test]
    fn the_span_reaches_back_from_now() {
        let now = Now { monotonic_ns: 50_000_000, wall_ms: 1_000 };
        let timing =
            Timing { started_ns: 40_000_000, queue_ns: 0, load_ns: 2_500_000, run_ns: 6_000_000 };
        assert_eq!(Span::of(timing, now), Span { start_ms: 988, duration_ms: 8 });
        let no_clock = Now { monotonic_ns: 50_000_000, wall_ms: 0 };
        assert_eq!(Span::of(timing, no_clock).start_ms, 0);
        let absurd = Timing { started_ns: u64::MAX, load_ns: u64::MAX, run_ns: 9, queue_ns: 1 };
        assert_eq!(Span::of(absurd, now).start_ms, 0);
    }
}
