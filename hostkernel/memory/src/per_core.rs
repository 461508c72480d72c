//! A value per core that only its own core can reach.
//!
//! This replaces locks on the invocation path. It is sound because a core runs one piece of kernel
//! code at a time: nothing preempts it, and interrupt handlers in ring 0 touch atomics only. The
//! `busy` flag turns a nested use, which would alias, into an assertion.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use limits::CORES_MAX;

/// One `T` for each core.
pub struct PerCore<T> {
    slots: [Slot<T>; CORES_MAX],
}

// Own cache line: neighbours must not slow each other down.
#[repr(align(64))]
struct Slot<T> {
    busy: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: a slot's value is only reached through `with`, which picks the slot of the calling core
// and refuses nested use; so no two references to one value exist at a time. `T: Send` because the
// value is created on one core and used on another.
unsafe impl<T: Send> Sync for PerCore<T> {}

/// The value every core starts with.
pub trait Initial {
    /// That value.
    const INITIAL: Self;
}

impl<T: Initial> PerCore<T> {
    /// Builds the table, in a constant expression.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: [const {
                let value = UnsafeCell::new(T::INITIAL);
                Slot { busy: AtomicBool::new(false), value }
            }; CORES_MAX],
        }
    }
}

impl<T: Initial> Default for PerCore<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PerCore<T> {
    /// Runs `f` on the calling core's value.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let slot = &self.slots[crate::core_id()];
        assert!(!slot.busy.load(Ordering::Relaxed), "nested use of a per-core value");
        slot.busy.store(true, Ordering::Relaxed);
        // SAFETY: the slot belongs to the calling core, and `busy` was clear, so this is the only
        // reference until the flag is cleared below.
        let result = f(unsafe { &mut *slot.value.get() });
        slot.busy.store(false, Ordering::Relaxed);
        result
    }
}
