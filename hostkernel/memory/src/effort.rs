//! How much the calling core writes into buffers, or reads of them in one go: for tests that bound
//! what is done at a time.
//!
//! Only in tests. It is counted where the bytes go, not by who does the work.

use super::per_core::{Initial, PerCore};

struct Written(usize);

impl Initial for Written {
    const INITIAL: Self = Self(0);
}

static WRITTEN: PerCore<Written> = PerCore::new();

/// Bytes appended to buffers, and copied out of them as a whole, by the calling core since the last
/// call.
pub fn take_written() -> usize {
    WRITTEN.with(|written| core::mem::take(&mut written.0))
}

/// Counts bytes that are moved.
pub fn note_written(len: usize) {
    WRITTEN.with(|written| written.0 += len);
}
