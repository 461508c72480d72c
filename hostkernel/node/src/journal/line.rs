//! A line of the log: for people, or as a JSON object.

use core::fmt::{self, Display, Write};

use log::Record;

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
pub struct Line<'a> {
    /// The record.
    pub record: &'a Record<'a>,
    /// When it was made, since the boot.
    pub monotonic_ns: u64,
    /// When it was made, since 1970-01-01 UTC, if that is known.
    pub wall_ns: Option<u64>,
    /// How it looks.
    pub format: Format,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.monotonic_ns / 1000;
        let (level, message) = (self.record.level(), self.record.args());
        if self.format == Format::Text {
            let (seconds, us) = (us / 1_000_000, us % 1_000_000);
            return writeln!(f, "[{seconds:5}.{us:06}] {level:5} {message}");
        }
        match self.wall_ns {
            Some(wall_ns) => write!(f, "{{\"ts\":\"{}\"", Utc(wall_ns))?,
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

/// Text within the quotes of a JSON string (RFC 8259, 7).
struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '"' | '\\' => write!(self.0, "\\{char}"),
            '\0'..' ' => write!(self.0, "\\u{:04x}", u32::from(char)),
            _ => self.0.write_char(char),
        })
    }
}

/// Nanoseconds since 1970-01-01 UTC, as RFC 3339 writes a date and time.
pub struct Utc(pub u64);

impl Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, us) = (self.0 / 1_000_000_000, self.0 / 1000 % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        // Days since 0000-03-01: years start in March, so that a leap day is the last of its year.
        let days = days + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leaps) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year_of_era + next;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{us:06}Z")
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
        Line { record, monotonic_ns: 61_000_007_000, wall_ns, format }.to_string()
    }

    #[test]
    fn a_line_says_when_how_bad_and_what() {
        assert_eq!(line("a \"b\"", None, Format::Text), "[   61.000007] WARN  a \"b\"\n");
        let wall_ns = Some(1_795_402_241_123_456_789);
        let expected = "{\"ts\":\"2026-11-23T02:50:41.123456Z\",\"level\":\"warn\",\
                        \"msg\":\"a \\\"b\\\"\\u000a\"}\n";
        assert_eq!(line("a \"b\"\n", wall_ns, Format::Json), expected);
        let expected = "{\"up_us\":61000007,\"level\":\"warn\",\"msg\":\"\"}\n";
        assert_eq!(line("", None, Format::Json), expected);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        const DAY: u64 = 86_400_000_000_000;
        for (days, date) in [
            (0, "1970-01-01T"),
            (58, "1970-02-28T"),
            (59, "1970-03-01T"),
            (789, "1972-02-29T"),
            (10_956, "1999-12-31T"),
            (11_016, "2000-02-29T"),
            (11_322, "2000-12-31T"),
            (47_540, "2100-02-28T"),
            (47_541, "2100-03-01T"),
        ] {
            let text = Utc(days * DAY + DAY - 1).to_string();
            assert_eq!(text.strip_prefix(date), Some("23:59:59.999999Z"), "{text}");
        }
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
