//! A panic becomes a log line and an exit status.

use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use super::call::{STATUS_PANIC, exit};
use super::log::stream;
use crate::Stream;

/// A panic is being reported; another one, out of the message's own formatting, ends at once.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Logs message and location on [`Stream::Stderr`] and exits with [`STATUS_PANIC`].
///
/// What the action wrote to its output so far is not a result.
pub fn report(info: &PanicInfo<'_>) -> ! {
    if !REPORTING.swap(true, Ordering::Relaxed) {
        // The log may be full, and a message may fail to format: neither has anywhere else to go.
        let _ = write!(stream(Stream::Stderr), "{info}");
    }
    exit(STATUS_PANIC)
}
