//! The log: [`log!`](crate::log) and [`println!`](crate::println), one call per line.
//!
//! A line is formatted into a buffer on the stack and handed over as a whole, so lines neither mix
//! nor cost a call per fragment. Logging is best effort: when the log is full the kernel drops
//! the rest, and the action goes on without it.

use core::fmt::{self, Write};

use super::call;
use crate::Stream;

/// Bytes of a line that are handed over in one call; a longer line takes several.
pub const LINE_LEN_MAX: usize = 512;

/// Writes a formatted line to the log, on [`Stream::Stderr`].
///
/// Arguments as for [`format!`](core::format_args); a newline is added.
#[macro_export]
macro_rules! log {
    ($($argument:tt)+) => {
        $crate::runtime::log::line($crate::Stream::Stderr, ::core::format_args!($($argument)+))
    };
}

/// Writes a formatted line to the log, on [`Stream::Stdout`]. It is not part of the result.
///
/// Arguments as for [`format!`](core::format_args); a newline is added.
#[macro_export]
macro_rules! println {
    () => {
        $crate::println!("")
    };
    ($($argument:tt)+) => {
        $crate::runtime::log::line($crate::Stream::Stdout, ::core::format_args!($($argument)+))
    };
}

/// Writes one formatted line to a stream of the log; a newline is added.
pub fn line(to: Stream, arguments: fmt::Arguments<'_>) {
    // An error can only come from a Display implementation; what it wrote until then is logged.
    let _ = stream(to).write_fmt(arguments);
}

/// A writer to a stream of the log. Dropping it hands over the last line and ends it.
#[must_use]
pub fn stream(to: Stream) -> impl Write {
    Lines::new(move |bytes: &[u8]| {
        // Best effort: a full log is no reason to fail.
        let _ = call::log(bytes, to);
    })
}

/// Collects bytes and passes them on line by line.
struct Lines<F: FnMut(&[u8])> {
    pass_on: F,
    buffer: [u8; LINE_LEN_MAX],
    len: usize,
}

impl<F: FnMut(&[u8])> Lines<F> {
    const fn new(pass_on: F) -> Self {
        Self { pass_on, buffer: [0; LINE_LEN_MAX], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.buffer[self.len] = byte;
        self.len += 1;
        if byte == b'\n' || self.len == LINE_LEN_MAX {
            (self.pass_on)(&self.buffer[..self.len]);
            self.len = 0;
        }
    }
}

impl<F: FnMut(&[u8])> Write for Lines<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

impl<F: FnMut(&[u8])> Drop for Lines<F> {
    fn drop(&mut self) {
        self.push(b'\n');
        if self.len > 0 {
            (self.pass_on)(&self.buffer[..self.len]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(texts: &[&str]) -> Vec<String> {
        let mut calls = Vec::new();
        let mut lines =
            Lines::new(|bytes: &[u8]| calls.push(String::from_utf8_lossy(bytes).into_owned()));
        for text in texts {
            lines.write_str(text).expect("collecting does not fail");
        }
        drop(lines);
        calls
    }

    #[test]
    fn one_call_per_line() {
        assert_eq!(calls(&["a", "b", " c"]), ["ab c\n"]);
        assert_eq!(calls(&["a\nb", "\n", "c"]), ["a\n", "b\n", "c\n"]);
        assert_eq!(calls(&[]), ["\n"]);
    }

    #[test]
    fn a_long_line_is_passed_on_in_pieces() {
        let long = "x".repeat(LINE_LEN_MAX + 1);
        let calls = calls(&[&long]);
        assert_eq!(calls.concat(), long + "\n");
        assert_eq!(calls[0].len(), LINE_LEN_MAX);
    }

    #[test]
    fn a_line_that_fills_the_buffer_loses_nothing() {
        for len in LINE_LEN_MAX - 2..LINE_LEN_MAX + 2 {
            let text = "x".repeat(len);
            assert_eq!(calls(&[&text]).concat(), text + "\n");
        }
    }
}
