//! Time without a call: the time stamp counter and the parameters in [`Context`](crate::Context).

use core::arch::x86_64::_rdtsc;
use core::time::Duration;

use super::context::context;
use crate::Clock;

/// Fractional bits of [`Clock::scale`].
const SCALE_FRACTION_BITS: u32 = 32;

/// Monotonic time since the node booted, with the resolution of the time stamp counter.
#[must_use]
pub fn now() -> Duration {
    Duration::from_nanos(monotonic_ns(&context().clock, cycles()))
}

/// The time at which the kernel ends this invocation, on the scale of [`now`].
#[must_use]
pub fn deadline() -> Duration {
    Duration::from_nanos(context().deadline_ns)
}

/// Time since 1970-01-01 UTC, or `None` on a node that does not know it.
#[must_use]
pub fn wall_time() -> Option<Duration> {
    wall_ns(&context().clock, cycles()).map(Duration::from_nanos)
}

/// Reads the time stamp counter. The read is not ordered with the instructions around it, which is
/// some ten cycles of blur and of no matter to a clock.
fn cycles() -> u64 {
    // SAFETY: the contract allows rdtsc in ring 3, and every x86-64 processor has it.
    unsafe { _rdtsc() }
}

/// Nanoseconds from the start of the invocation to `cycles`; 0 for an earlier moment.
fn elapsed_ns(clock: &Clock, cycles: u64) -> u64 {
    let elapsed = u128::from(cycles.saturating_sub(clock.start_cycles));
    // Fits 64 bits for 584 years of run time; past that the high bits are lost.
    ((elapsed * u128::from(clock.scale)) >> SCALE_FRACTION_BITS) as u64
}

fn monotonic_ns(clock: &Clock, cycles: u64) -> u64 {
    clock.start_ns.wrapping_add(elapsed_ns(clock, cycles))
}

fn wall_ns(clock: &Clock, cycles: u64) -> Option<u64> {
    (clock.start_wall_ns != 0).then(|| clock.start_wall_ns.wrapping_add(elapsed_ns(clock, cycles)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 2.5 GHz counter: 0.4 ns per cycle.
    const CLOCK: Clock = Clock {
        start_cycles: 1_000,
        start_ns: 5_000_000,
        scale: (4 << SCALE_FRACTION_BITS) / 10,
        start_wall_ns: 1_700_000_000_000_000_000,
    };

    #[test]
    fn the_start_is_the_start() {
        assert_eq!(monotonic_ns(&CLOCK, 1_000), 5_000_000);
        assert_eq!(wall_ns(&CLOCK, 1_000), Some(CLOCK.start_wall_ns));
    }

    #[test]
    fn a_second_is_a_second_and_an_hour_an_hour() {
        let second = monotonic_ns(&CLOCK, 1_000 + 2_500_000_000) - CLOCK.start_ns;
        assert!(second.abs_diff(1_000_000_000) <= 1);
        let hour = monotonic_ns(&CLOCK, 1_000 + 3_600 * 2_500_000_000) - CLOCK.start_ns;
        assert!(hour.abs_diff(3_600_000_000_000) <= 3_600);
    }

    #[test]
    fn a_counter_behind_the_start_does_not_run_time_backwards() {
        assert_eq!(monotonic_ns(&CLOCK, 0), CLOCK.start_ns);
    }

    #[test]
    fn a_test_has_a_clock_too() {
        assert!(now() < deadline());
        assert!(wall_time().is_some());
    }

    #[test]
    fn no_wall_clock_is_none() {
        assert_eq!(wall_ns(&Clock { start_wall_ns: 0, ..CLOCK }, 2_000), None);
    }
}
