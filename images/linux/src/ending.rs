//! The end of a program: what the kernel and the log are told.
#![forbid(unsafe_code)]

use alloc::string::String;
use core::fmt::Write;

use action_abi::Stream;

use crate::frame::Frame;
use crate::native::{Native, Report};
use crate::os::Os;
use crate::report::{Ending, STATUS_NOT_RUNNABLE, killed_text};

/// Exit status of a program that hangs, as `timeout(1)` gives it.
const STATUS_DEADLOCK: u32 = 124;
/// Exit status of a web server that has not answered.
const STATUS_UNANSWERED: u32 = 1;
/// Added to a signal's number, as shells do.
const STATUS_SIGNAL: u32 = 128;

impl<N: Native> Os<N> {
    /// Tells the kernel how the program ended; answers the invocation's exit status.
    pub(crate) fn report_ending(&mut self, ending: &Ending, frame: &Frame) -> u32 {
        if !self.unsupported.is_empty() {
            self.native.report(Report::Unsupported, &self.unsupported.text());
        }
        match ending {
            Ending::Exit(0) if self.is_preparing => {
                self.refuse("exited with status 0 before it looked at its input");
                STATUS_NOT_RUNNABLE
            }
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
            Ending::Answer(Ok(())) => 0,
            Ending::Answer(Err(why)) => {
                let mut text = String::new();
                let _ = write!(text, "{why}");
                self.native.report(Report::Ending, &text);
                STATUS_UNANSWERED
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

    /// Says why no instance can be made of the program.
    pub fn refuse(&mut self, why: &str) {
        self.native.report(Report::Ending, why);
        self.native.log(why.as_bytes(), Stream::Stderr);
        self.native.log(b"\n", Stream::Stderr);
    }

    /// A line in the log that says where the program was.
    fn log_place(&mut self, text: &str, frame: &Frame) {
        let mut line = String::from(text);
        let _ = write!(line, ", instruction at {:#x}", frame.rip);
        if self.identity.base > 0 {
            let _ = write!(line, ", loaded at {:#x}", self.identity.base);
        }
        if let Some((name, offset)) = self.identity.function_at(frame.rip) {
            let _ = write!(line, " ({name}+{offset:#x})");
        }
        line.push('\n');
        self.native.log(line.as_bytes(), Stream::Stderr);
    }
}
