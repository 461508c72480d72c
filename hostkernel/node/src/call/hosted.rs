//! What an instance of a host image has besides its memory, and what its core does for it.

use alloc::boxed::Box;

use action_abi::Range;
use action_abi::host::{Moment, Reflection};

use crate::dispatch::Reports;

/// What an instance of a host image has besides its memory.
#[derive(Debug, Default)]
pub struct Host {
    /// Whether it runs to be frozen.
    pub is_preparing: bool,
    /// Where calls and exceptions of other code go; the length 0 means nowhere.
    pub reflection: Reflection,
    /// When to interrupt that code; 0 means never.
    pub alarm_ns: u64,
    /// What it said about its end.
    pub reports: Option<Box<Reports>>,
}

/// What a core does for a host image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Sends other code's calls and exceptions there from now on.
    Reflect(Reflection),
    /// Ends the instance as a template.
    Freeze {
        /// What the program has come to.
        at: Moment,
    },
    /// Sets the base of FS.
    ThreadPointer(u64),
    /// Interrupts other code at this time, unless it is 0.
    Alarm(u64),
    /// Waits until this time.
    Sleep(u64),
}

impl Host {
    /// Whether `instruction` is in the code that makes native calls, or nothing is reflected.
    #[must_use]
    pub fn is_own_code(&self, instruction: u64) -> bool {
        let Range { address, len } = self.reflection.code;
        len == 0 || instruction.checked_sub(address).is_some_and(|at| at < len)
    }

    /// Whether an exception of other code is to be delivered.
    #[must_use]
    pub fn wants(&self, vector: u64) -> bool {
        vector < 64 && self.reflection.exceptions >> vector & 1 != 0
    }
}
