//! Names of calls, for the receipt.
#![forbid(unsafe_code)]

use syscalls::Sysno;

/// The name of the call with this number, if Linux has one.
#[must_use]
pub fn name(number: u64) -> Option<&'static str> {
    Sysno::new(usize::try_from(number).ok()?).map(|call| call.name())
}
