//! What actions and images take until the last who uses them is gone.
//!
//! An action that was deleted or replaced may still wait in a queue, run, or be told to somebody
//! who reads slowly, and has its memory until then. Whoever deploys, invokes and deletes again and
//! again must not have more than what is in the registry: so that counts, too.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// All of it.
#[derive(Debug, Default)]
pub struct Account {
    frames: AtomicUsize,
    heap_len: AtomicUsize,
}

/// What one takes, until this is dropped.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    frames: usize,
    heap_len: usize,
}

impl Account {
    /// Frames that are taken.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Bytes of the kernel heap, likewise.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        self.heap_len.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Takes so much.
    #[must_use]
    pub fn new(account: &Arc<Account>, frames: usize, heap_len: usize) -> Self {
        account.frames.fetch_add(frames, Ordering::Relaxed);
        account.heap_len.fetch_add(heap_len, Ordering::Relaxed);
        Self { account: Arc::clone(account), frames, heap_len }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.frames.fetch_sub(self.frames, Ordering::Relaxed);
        self.account.heap_len.fetch_sub(self.heap_len, Ordering::Relaxed);
    }
}
