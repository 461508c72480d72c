//! The files as state, and where output and randomness are.
#![forbid(unsafe_code)]

use linux_files::Files;

use super::host::Output;
use crate::random::Random;

/// The files of the program, and where its output goes.
#[derive(Debug)]
pub struct FileSide {
    /// The tree, the descriptors; `None` until there is a program.
    pub files: Option<Files<'static>>,
    /// The result.
    pub output: Output,
    /// Where randomness comes from.
    pub random: Random,
}

impl FileSide {
    /// No files yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { files: None, output: Output::new(), random: Random::new() }
    }
}

impl Default for FileSide {
    fn default() -> Self {
        Self::new()
    }
}
