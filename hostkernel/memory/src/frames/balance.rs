//! What a test holds of the frames that all tests share: who gives back what it took ends with as
//! much as it began with, whatever other tests do meanwhile.

use crate::per_core::{Initial, PerCore};

/// Frames that the calling thread was promised and has not released.
struct Held(isize);

impl Initial for Held {
    const INITIAL: Self = Self(0);
}

static HELD: PerCore<Held> = PerCore::new();

/// Notes a promise or a release.
pub(super) fn change(next: impl FnOnce(isize) -> isize) {
    HELD.with(|held| held.0 = next(held.0));
}

/// Frames that the calling thread has.
pub fn held() -> isize {
    HELD.with(|held| held.0)
}
