//! A line of the log: for people, or as a JSON object.

use core::fmt::{self, Display, Write};

use log::Record;

use crate::calendar::Timestamp;
use crate::json::write_escaped;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Time since the boot, level, message.
    Text,
    /// `{"ts":"2026-01-02T03:04:05.123456Z","level":"info","msg":"..."}`, with `up_us` instead of
    /// `ts` as long as there is no wall clock.
    Json,
}

/// One record as a line, with its end.
#[derive(Debug)]
pub struct LogLine<'a> {
    /// The record.
    pub record: &'a Record<'a>,
    /// When it was made, since the boot.
    pub monotonic_ns: u64,
    /// When it was made, since 1970-01-01 UTC, if that is known.
    pub wall_ns: Option<u64>,
    /// How it looks.
    pub format: Format,
}

impl Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.monotonic_ns / 1000;
        let (level, message) = (self.record.level(), self.record.args());
        if self.format == Format::Text {
            let (seconds, us) = (us / 1_000_000, us % 1_000_000);
            return writeln!(f, "[{seconds:5}.{us:06}] {level:5} {message}");
        }
        match self.wall_ns {
            Some(wall_ns) => write!(f, "{{\"ts\":\"{}\"", Timestamp { ns: wall_ns, decimals: 6 })?,
            None => write!(f, "{{\"up_us\":{us}")?,
        }
        let level = match level {
            log::Level::Error => "error",
            log::Level::Warn => "warn",
            log::Level::Info => "info",
            log::Level::Debug => "debug",
            log::Level::Trace => "trace",
        };
        write!(f, ",\"level\":\"{level}\",\"msg\":\"")?;
        write!(Escaped(f), "{message}")?;
        f.write_str("\"}\n")
    }
}

/// What is written into it goes between the quotes of a JSON string.
struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;
    use serde_json::Value;

    fn line(message: &str, wall_ns: Option<u64>, format: Format) -> String {
        let args = format_args!("{message}");
        let record = &Record::builder().level(log::Level::Warn).args(args).build();
        LogLine { record, monotonic_ns: 61_000_007_000, wall_ns, format }.to_string()
    }

    #[test]
    fn a_line_says_when_how_bad_and_what() {
        assert_eq!(line("a \"b\"", None, Format::Text), "[   61.000007] WARN  a \"b\"\n");
        let wall_ns = Some(1_795_402_241_123_456_789);
        let expected = "{\"ts\":\"2026-11-23T02:50:41.123456Z\",\"level\":\"warn\",\
                        \"msg\":\"a \\\"b\\\"\\n\"}\n";
        assert_eq!(line("a \"b\"\n", wall_ns, Format::Json), expected);
        let expected = "{\"up_us\":61000007,\"level\":\"warn\",\"msg\":\"\"}\n";
        assert_eq!(line("", None, Format::Json), expected);
    }

    proptest! {
        #[test]
        fn every_message_comes_back_from_json(message in "\\PC{0,20}[\0-~]{0,20}", at: u64) {
            let text = line(&message, Some(at), Format::Json);
            let json: Value = serde_json::from_str(&text).expect("it is JSON");
            prop_assert_eq!(json["msg"].as_str(), Some(&message[..]));
            prop_assert_eq!(text.matches('\n').count(), 1);
        }
    }
}
