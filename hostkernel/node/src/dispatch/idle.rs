//! How long a core has been halted, for others to read at any time.

use core::sync::atomic::{AtomicU64, Ordering};

/// Set while the core is halted. Then the rest is when it was halted, less what came before: a
/// reader needs one word to know both, and the sum never goes back.
const HALTED: u64 = 1 << 63;

/// Halted time of one core. Only that core writes.
#[derive(Debug, Default)]
pub struct IdleClock(AtomicU64);

impl IdleClock {
    /// The core is about to halt.
    pub fn begin(&self, now_ns: u64) {
        let idle_ns = self.0.load(Ordering::Relaxed);
        self.0.store(now_ns.saturating_sub(idle_ns) | HALTED, Ordering::Relaxed);
    }

    /// The core goes on.
    pub fn end(&self, now_ns: u64) {
        self.0.store(self.total_ns(now_ns), Ordering::Relaxed);
    }

    /// For how long the core was halted until now, all together.
    #[must_use]
    pub fn total_ns(&self, now_ns: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            value if value & HALTED == 0 => value,
            value => now_ns.saturating_sub(value & !HALTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halted_time_adds_up_and_shows_while_it_lasts() {
        let clock = IdleClock::default();
        assert_eq!(clock.total_ns(500), 0);
        clock.begin(1_000);
        assert_eq!([1_000, 1_500].map(|now_ns| clock.total_ns(now_ns)), [0, 500]);
        clock.end(2_000);
        assert_eq!([2_000, 9_000].map(|now_ns| clock.total_ns(now_ns)), [1_000, 1_000]);
        clock.begin(9_000);
        clock.end(9_500);
        assert_eq!(clock.total_ns(10_000), 1_500);
    }
}
