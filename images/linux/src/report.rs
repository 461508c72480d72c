//! What the kernel is told for the receipt and the outcome.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use action_abi::host::REPORT_LEN_MAX;
use syscalls::Sysno;

use crate::limits::UNSUPPORTED_MAX;
use crate::memory::ADDRESS_MIN;
use crate::signal::Info;
use crate::signal::names;
use crate::socket::answer::Unanswered;

/// Exit status if the program cannot be run, as shells give it.
pub const STATUS_NOT_RUNNABLE: u32 = 126;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By its own exit.
    Exit(u32),
    /// By a signal.
    Signal(Info),
    /// All its threads wait for each other.
    Deadlock,
    /// A web server got so far with its answer.
    Answer(Result<(), Unanswered>),
}

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
            let _ = match call_name(*number) {
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

/// The name of the call with this number, if Linux has one.
fn call_name(number: u64) -> Option<&'static str> {
    Sysno::new(usize::try_from(number).ok()?).map(|call| call.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_vain_are_named_and_counted() {
        let mut unsupported = Unsupported::new();
        for number in [425, 425, 5000] {
            unsupported.count(number);
        }
        assert_eq!(unsupported.text(), "io_uring_setup × 2, call 5000 × 1");
    }

    #[test]
    fn the_text_is_never_longer_than_the_kernel_takes() {
        let mut unsupported = Unsupported::new();
        for number in 0..1000 {
            unsupported.count(number);
        }
        assert!(unsupported.text().len() <= REPORT_LEN_MAX);
    }

    #[test]
    fn a_killed_program_has_its_signal_and_address() {
        let fault = |signal, code, address| Info { signal, code, fields: [address, 0] };
        assert_eq!(killed_text(&fault(11, 1, 0)), "killed by SIGSEGV at 0x0 (null pointer)");
        assert_eq!(killed_text(&fault(11, 2, 0x40_0000)), "killed by SIGSEGV at 0x400000");
        assert_eq!(killed_text(&fault(11, 0x80, 0)), "killed by SIGSEGV");
        assert_eq!(killed_text(&fault(8, 1, 0x40_1000)), "killed by SIGFPE at 0x401000");
        assert_eq!(killed_text(&fault(6, -6, 7)), "killed by SIGABRT");
    }
}
