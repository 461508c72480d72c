//! Sleeping without missing work: the one hand-written protocol between cores.
//!
//! Compiled twice. In the kernel `super::atomic` is the processor's; in `model.rs` it is loom's,
//! which tries every order in which two cores can see each other's stores.

use super::atomic::{AtomicBool, Ordering, fence};

/// Who may be asleep and needs a wake-up after work was queued for it.
///
/// The sleeper says so first and looks for work second; the others queue work first and look
/// whether it sleeps second. With a full fence between the two steps on both sides one of them sees
/// the other.
pub(super) struct Sleeper {
    core: usize,
    asleep: AtomicBool,
}

impl Sleeper {
    pub fn new(core: usize) -> Self {
        Self { core, asleep: AtomicBool::new(false) }
    }

    /// Wakes the sleeper by `wake` if it sleeps; to be called after work was queued for it.
    pub fn notify(&self, wake: impl FnOnce(usize)) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            wake(self.core);
        }
    }

    /// Sleeps by `sleep` unless there is work. `sleep` must return when the core is woken, also if
    /// that happened just before.
    pub fn sleep(&self, has_work: impl FnOnce() -> bool, sleep: impl FnOnce()) {
        if self.arm(has_work) {
            sleep();
        }
        self.disarm();
    }

    /// Asks to be woken from now on. Returns false if there is work already.
    pub fn arm(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !has_work()
    }

    /// Ends that.
    pub fn disarm(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }
}
