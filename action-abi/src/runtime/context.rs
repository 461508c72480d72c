//! What the kernel told this invocation: [`context`] and the environment.
//!
//! The [`Context`] lies in read-only pages that live as long as the invocation, so everything here
//! hands out `'static` references.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::{Context, Range};

/// Set once by [`entry::start`](super::entry::start), before any code of the author runs.
static CONTEXT: AtomicPtr<Context> = AtomicPtr::new(ptr::null_mut());

/// Remembers where the kernel put the context.
///
/// # Safety
/// `context` must point to a [`Context`] that stays valid and unchanged to the end of the program.
pub(super) unsafe fn set(context: *const Context) {
    CONTEXT.store(context.cast_mut(), Ordering::Relaxed);
}

/// The context of this invocation, or `None` in a program that the kernel did not start.
#[must_use]
pub(super) fn get() -> Option<&'static Context> {
    // SAFETY: `set` stored either nothing or a pointer its caller promised to stay valid.
    unsafe { CONTEXT.load(Ordering::Relaxed).as_ref() }
}

/// The context of this invocation: limits, windows, clock, random seed.
///
/// In a unit test it is that of an invocation without input.
#[must_use]
pub fn context() -> &'static Context {
    #[cfg(not(panic = "abort"))]
    provide();
    get().expect("the entry point stores the context before any other code runs")
}

/// Sees to it that there is a context, also in a test, which does not begin as a program does.
#[cfg(not(panic = "abort"))]
fn provide() {
    if get().is_none() {
        // Two threads that do this at once make two of them, and either serves.
        // SAFETY: it is complete, and lives to the end of the process.
        unsafe { set(super::host::empty_context()) };
    }
}

/// The environment variable `name`, such as `__OW_ACTION_NAME`; `None` if it is not set or is not
/// UTF-8.
#[must_use]
pub fn env(name: &str) -> Option<&'static str> {
    environment().find_map(|(found, value)| (found == name).then_some(value))
}

/// All environment variables as `(name, value)`; entries that are not UTF-8 are left out.
pub fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    variables(environment_bytes())
}

/// The environment as the kernel laid it out.
pub(super) fn environment_bytes() -> &'static [u8] {
    // SAFETY: the context describes a mapped, read-only range that lives as long as the invocation.
    unsafe { bytes(context().environment) }
}

/// The bytes of a range of the context.
///
/// # Safety
/// The range must be mapped readable, and neither written nor unmapped to the end of the program.
pub(super) unsafe fn bytes(range: Range) -> &'static [u8] {
    if range.len == 0 {
        return &[];
    }
    let first = ptr::with_exposed_provenance::<u8>(range.address as usize);
    // SAFETY: the caller's promise; the range is not empty, so its address is not null.
    unsafe { core::slice::from_raw_parts(first, range.len as usize) }
}

/// Splits `NAME=value` strings, each ended by a NUL byte.
pub(super) fn variables(environment: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| core::str::from_utf8(entry).ok()?.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(environment: &'a [u8], name: &str) -> Option<&'a str> {
        variables(environment).find_map(|(found, value)| (found == name).then_some(value))
    }

    #[test]
    fn finds_whole_names_only() {
        let environment = b"__OW_ACTION_NAME=hello\0EMPTY=\0A=b=c\0";
        assert_eq!(value(environment, "__OW_ACTION_NAME"), Some("hello"));
        assert_eq!(value(environment, "__OW_ACTION"), None);
        assert_eq!(value(environment, "EMPTY"), Some(""));
        assert_eq!(value(environment, "A"), Some("b=c"));
    }

    #[test]
    fn a_test_has_a_context_too() {
        assert_eq!(env("CARGO_PKG_NAME"), Some("action-abi"));
        assert_eq!(context().len as usize, size_of::<Context>());
    }

    #[test]
    fn nonsense_is_left_out() {
        assert_eq!(variables(b"").count(), 0);
        assert_eq!(variables(b"\0\0no equals sign\0\xff=x\0").count(), 0);
    }

    #[test]
    fn a_missing_last_nul_loses_nothing() {
        assert_eq!(value(b"A=1\0B=2", "B"), Some("2"));
    }

    #[test]
    fn an_empty_range_is_an_empty_slice() {
        // SAFETY: a range of length 0 is never dereferenced.
        assert!(unsafe { bytes(Range::default()) }.is_empty());
    }
}
