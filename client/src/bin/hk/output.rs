//! What is printed: results on stdout, in columns or as JSON.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::terminal::visible;

/// Below this length an upload is over before a bar would be seen.
const BAR_BYTES_MIN: u64 = 256 << 10;

/// Prints bytes as they are.
pub fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // `hk list | head`
        io::ErrorKind::BrokenPipe => Failure::silent(Exit::Ok),
        _ => Failure::usage(format!("the standard output cannot be written: {error}")),
    })
}

/// Prints text. On a terminal what could control it is shown instead: most of the text comes from
/// a node, and some of it from actions and from whoever called them.
pub fn text(text: &str) -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => bytes(visible(text).as_bytes()),
        false => bytes(text.as_bytes()),
    }
}

/// Prints a line, as [`text`] does.
pub fn line(line: impl Display) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::usage(error.to_string()))?;
    bytes(format!("{text}\n").as_bytes())
}

/// Columns as wide as they must be, two spaces apart; the first row is the head.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
    let width = |at| rows.iter().map(|row| cell(row, at)).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}  "));
        text.push_str(cells.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}

/// A time with three digits and its unit.
pub fn time(time: Duration) -> String {
    let microseconds = time.as_secs_f64() * 1e6;
    let (value, unit) = match microseconds {
        ..1e3 => (microseconds, "µs"),
        ..1e6 => (microseconds / 1e3, "ms"),
        _ => (microseconds / 1e6, "s"),
    };
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$} {unit}")
}

/// A number of bytes in binary units.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A time of the node's clock, in milliseconds since 1970.
pub fn clock(milliseconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds));
    // The year 10000 and later cannot be written.
    let time = time.filter(|_| milliseconds < 253_402_300_800_000);
    time.map_or_else(String::new, |time| humantime::format_rfc3339_millis(time).to_string())
}

/// A bar for an upload, on stderr if that is a terminal. It disappears at the end.
pub fn upload_bar(total: u64) -> ProgressBar {
    if total < BAR_BYTES_MIN {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    // A template that does not parse leaves the default style, which serves as well.
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {binary_bytes}/{binary_total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bb"], ["ääa", "c"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a    bb\nääa  c\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn nothing_printed_controls_a_terminal() {
        let hostile = "a\x1b]0;title\x07b\r\u{9b}2J\u{7f}\u{202e}\tc\nd";
        let shown = "a\\u{1b}]0;title\\u{7}b\\u{d}\\u{9b}2J\\u{7f}\\u{202e}\tc\nd";
        assert_eq!(visible(hostile), shown);
        assert_eq!(visible("Grüße, 世界 ✓"), "Grüße, 世界 ✓");
    }

    #[test]
    fn times_have_three_digits() {
        for (nanoseconds, text) in [
            (0, "0.00 µs"),
            (1_234, "1.23 µs"),
            (12_340, "12.3 µs"),
            (123_400, "123 µs"),
            (9_999_000, "10.0 ms"),
            (2_500_000_000, "2.50 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn the_clock_is_written_as_in_rfc_3339() {
        assert_eq!(clock(1_795_402_241_395), "2026-11-23T02:50:41.395Z");
        assert_eq!(clock(u64::MAX), "");
    }
}
