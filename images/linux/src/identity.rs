//! Who the program is: what it was called with, when it began, and what it was loaded from.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::load::symbols;

/// Facts about the program that do not change while it runs.
#[derive(Debug, Default)]
pub struct Identity {
    /// Number of the process.
    pub process_id: u32,
    /// Number of the process that it came from by `fork`; 0 if it did not.
    pub parent_id: u32,
    /// Memory limit in bytes.
    pub memory_limit: u64,
    /// Wall-clock time minus monotonic time; 0 if the node knows no time.
    pub wall_offset_ns: u64,
    /// Monotonic time at which the instance began.
    pub start_ns: u64,
    /// Path of the executable, with its NUL.
    path: Vec<u8>,
    /// What it is called by: its first argument.
    pub called: Vec<u8>,
    /// What its archive says of how it is started, if that says something.
    pub process: Option<Process>,
    /// Arguments, each with its NUL.
    pub command_line: Vec<u8>,
    /// Environment, each entry with its NUL.
    pub environment: &'static [u8],
    /// The executable's bytes, for the names of its functions.
    pub image: &'static [u8],
    /// What is added to the addresses in the executable.
    pub base: u64,
}

/// How an archive wants its program to be started.
#[derive(Debug, Default)]
pub struct Process {
    /// Arguments behind the first, each with its NUL.
    pub arguments: Vec<u8>,
    /// Environment besides what every invocation is told, each entry with its NUL.
    pub environment: Vec<u8>,
}

impl Identity {
    /// Nothing known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            process_id: 0,
            parent_id: 0,
            memory_limit: 0,
            wall_offset_ns: 0,
            start_ns: 0,
            path: Vec::new(),
            called: Vec::new(),
            process: None,
            command_line: Vec::new(),
            environment: &[],
            image: &[],
            base: 0,
        }
    }

    /// The environment of an invocation, with what the archive adds to it behind.
    pub(crate) fn environment_with(&self, given: &'static [u8]) -> &'static [u8] {
        match &self.process {
            Some(process) if !process.environment.is_empty() => {
                // The instance's, which ends as a whole.
                Vec::leak([given, &process.environment].concat())
            }
            _ => given,
        }
    }

    /// Sets the path of the executable.
    pub(crate) fn set_path(&mut self, path: &[u8]) {
        self.path = [path, b"\0"].concat();
    }

    /// The path of the executable, with its NUL.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The path of the executable.
    #[must_use]
    pub fn executable(&self) -> &[u8] {
        self.path.strip_suffix(b"\0").unwrap_or_default()
    }

    /// The function at an address, and how far into it that is, if the executable has symbols.
    #[must_use]
    pub fn function_at(&self, address: u64) -> Option<(&str, u64)> {
        symbols::function_at(self.image, address.checked_sub(self.base)?)
    }
}
