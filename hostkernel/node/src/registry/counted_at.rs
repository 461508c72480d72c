//! Where the invocations of an action are counted.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

/// The place of an action in the table of whoever counts, once there is one; shared by all versions
/// of an action, so that an update goes on counting where the one before did.
///
/// Only the front reads and writes it: atomic because actions are shared with other cores.
#[derive(Clone, Debug, Default)]
pub struct CountedAt(Arc<AtomicU32>);

impl CountedAt {
    /// The place.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        (self.0.load(Ordering::Relaxed) as usize).checked_sub(1)
    }

    /// Counts there from now on.
    pub fn set(&self, place: usize) {
        self.0.store(place as u32 + 1, Ordering::Relaxed);
    }
}
