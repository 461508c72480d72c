//! The command line of one QEMU.

use std::ffi::OsString;

/// The arguments QEMU gets.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) arguments: Vec<OsString>,
}

impl Plan {
    pub(super) fn flag(&mut self, name: &str) {
        self.arguments.push(name.into());
    }

    pub(super) fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.arguments.push(name.into());
        self.arguments.push(value.into());
    }
}
