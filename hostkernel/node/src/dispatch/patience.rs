//! How long a core looks for work before it halts.
//!
//! Halting and being woken costs an interrupt and, in a virtual machine, two exits. Who looks for
//! work as long as that takes never pays more than double, and saves it all if the work comes. It
//! is only done while work has lately come that fast, so a core with little to do halts at once.

/// The habits of one core's work.
#[derive(Debug)]
pub struct Patience {
    limit_ns: u64,
    /// How long the core waited lately, on average.
    expected_ns: u64,
}

/// A wait counts as at most this many limits: so one long silence is forgotten after some ten
/// short ones.
const LIMITS_COUNTED: u64 = 16;

impl Patience {
    /// A core that never looks for longer than `limit_ns`; 0 for never.
    #[must_use]
    pub const fn new(limit_ns: u64) -> Self {
        Self { limit_ns, expected_ns: u64::MAX }
    }

    /// Calls `look` until it finds work or it is time to halt. Returns whether it found some.
    pub fn look(&mut self, now_ns: impl Fn() -> u64, mut look: impl FnMut() -> bool) -> bool {
        if self.expected_ns > self.limit_ns || self.limit_ns == 0 {
            return false;
        }
        let start_ns = now_ns();
        loop {
            if look() {
                self.waited(now_ns().saturating_sub(start_ns));
                return true;
            }
            if now_ns().saturating_sub(start_ns) >= self.limit_ns {
                return false;
            }
            core::hint::spin_loop();
        }
    }

    /// Notes how long the core waited for work.
    pub fn waited(&mut self, ns: u64) {
        let longest_ns = self.limit_ns.saturating_mul(LIMITS_COUNTED);
        let expected_ns = self.expected_ns.min(longest_ns);
        self.expected_ns = expected_ns - expected_ns / 4 + ns.min(longest_ns) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    const LIMIT_NS: u64 = 20_000;

    /// Looks with a clock that goes on by 100 ns a look, for work that comes after `gap_ns`.
    fn look(patience: &mut Patience, gap_ns: u64) -> (bool, u64) {
        let time_ns = Cell::new(1_000_000_u64);
        let start_ns = time_ns.get();
        let found = patience.look(
            || time_ns.get(),
            || {
                time_ns.set(time_ns.get() + 100);
                time_ns.get() - start_ns >= gap_ns
            },
        );
        (found, time_ns.get() - start_ns)
    }

    #[test]
    fn it_looks_only_while_work_comes_fast() {
        let mut patience = Patience::new(LIMIT_NS);
        assert_eq!(look(&mut patience, 0), (false, 0), "nothing is known yet");
        let mut waits = 0;
        while !look(&mut patience, 1000).0 {
            patience.waited(1000);
            waits += 1;
        }
        assert!((5..20).contains(&waits), "{waits} waits");
        assert_eq!(look(&mut patience, 5000), (true, 5000));
        let (found, spent_ns) = look(&mut patience, 10 * LIMIT_NS);
        assert!(!found && (LIMIT_NS..LIMIT_NS + 1000).contains(&spent_ns), "{spent_ns}");
        patience.waited(1_000_000_000);
        assert_eq!(look(&mut patience, 0), (false, 0), "one long silence is enough");
    }

    #[test]
    fn the_slow_and_the_forbidden_are_never_waited_for() {
        let mut patience = Patience::new(LIMIT_NS);
        (0..100).for_each(|_| patience.waited(2 * LIMIT_NS));
        assert_eq!(look(&mut patience, 0), (false, 0));
        let mut never = Patience::new(0);
        (0..100).for_each(|_| never.waited(0));
        assert_eq!(look(&mut never, 0), (false, 0));
    }
}
