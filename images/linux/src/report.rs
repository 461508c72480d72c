//! What the kernel is told for the receipt and the outcome.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use action_abi::host::REPORT_LEN_MAX;

use crate::call::name;
use crate::frame::Frame;
use crate::limits::UNSUPPORTED_MAX;
use crate::memory::ADDRESS_MIN;
use crate::native::{Native, Report};
use crate::os::Os;
use crate::signal::Info;
use crate::signal::names;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By its own exit.
    Exit(u32),
    /// By a signal.
    Signal(Info),
    /// All its threads wait for each other.
    Deadlock,
}

/// Exit status of a program that hangs, as `timeout(1)` gives it.
const STATUS_DEADLOCK: u32 = 124;
/// Added to a signal's number, as shells do.
const STATUS_SIGNAL: u32 = 128;

/// Calls that were made in vain, by number.
#[derive(Debug, Default)]
pub struct Unsupported {
    calls: Vec<(u64, u32)>,
    others: u32,
}

impl Unsupported {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { calls: Vec::new(), others: 0 }
    }

    /// Notes one.
    pub fn count(&mut self, number: u64) {
        if let Some((_, count)) = self.calls.iter_mut().find(|(known, _)| *known == number) {
            *count = count.saturating_add(1);
        } else if self.calls.len() < UNSUPPORTED_MAX {
            self.calls.push((number, 1));
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// `io_uring_setup × 1, call 500 × 3`, as long as the kernel takes it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (number, count) in &self.calls {
            let mut part = String::new();
            // Writing to a string does not fail.
            let _ = match name(*number) {
                Some(name) => write!(part, "{name} × {count}"),
                None => write!(part, "call {number} × {count}"),
            };
            append(&mut text, &part);
        }
        if self.others > 0 {
            append(&mut text, "others");
        }
        text
    }
}

/// Adds a part unless the text would be longer than the kernel takes.
fn append(text: &mut String, part: &str) {
    let separator = if text.is_empty() { "" } else { ", " };
    if text.len() + separator.len() + part.len() <= REPORT_LEN_MAX {
        text.push_str(separator);
        text.push_str(part);
    }
}

/// `killed by SIGSEGV at 0x0 (null pointer)`.
#[must_use]
pub fn killed_text(info: &Info) -> String {
    let mut text = String::from("killed by ");
    text.push_str(names::name(info.signal));
    // Only exceptions have an address; a code above 0 and below 0x80 means one.
    if (1..0x80).contains(&info.code) && (4..=11).contains(&info.signal) {
        let address = info.fields[0];
        let _ = write!(text, " at {address:#x}");
        if address < ADDRESS_MIN && names::name(info.signal) == "SIGSEGV" {
            text.push_str(" (null pointer)");
        }
    }
    text
}

impl<N: Native> Os<N> {
    /// Tells the kernel how the program ended; answers the invocation's exit status.
    pub(crate) fn report_ending(&mut self, ending: &Ending, frame: &Frame) -> u32 {
        if !self.unsupported.is_empty() {
            self.native.report(Report::Unsupported, &self.unsupported.text());
        }
        match ending {
            Ending::Exit(0) => 0,
            Ending::Exit(status) => {
                let mut text = String::from("exited with status ");
                let _ = write!(text, "{status}");
                self.native.report(Report::Ending, &text);
                *status
            }
            Ending::Signal(info) => {
                let text = killed_text(info);
                self.native.report(Report::Ending, &text);
                self.log_place(&text, frame);
                STATUS_SIGNAL + info.signal
            }
            Ending::Deadlock => {
                self.native.report(
                    Report::Ending,
                    "all its threads wait for something that cannot happen",
                );
                STATUS_DEADLOCK
            }
        }
    }

    /// A line in the log that says where the program was.
    fn log_place(&mut self, text: &str, frame: &Frame) {
        let mut line = String::from(text);
        let _ = write!(line, ", instruction at {:#x}", frame.rip);
        if let Some((name, offset)) = self.identity.function_at(frame.rip) {
            let _ = write!(line, " ({name}+{offset:#x})");
        }
        line.push('\n');
        self.native.log(line.as_bytes(), action_abi::Stream::Stderr);
    }
}
