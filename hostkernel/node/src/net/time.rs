//! The time as smoltcp counts it.

use smoltcp::time::Instant;

/// A moment as smoltcp knows it.
pub fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / 1000).unwrap_or(i64::MAX))
}

/// The same as a number of nanoseconds.
pub fn ns(instant: Instant) -> u64 {
    u64::try_from(instant.total_micros()).unwrap_or(0).saturating_mul(1000)
}

/// The earliest of some moments in nanoseconds, if there is any. One at the end of time is none.
///
/// Every poll ends with this; an iterator over the options would be a loop of branches.
#[inline]
pub fn earliest<const N: usize>(times: [Option<u64>; N]) -> Option<u64> {
    let earliest =
        times.iter().fold(u64::MAX, |earliest, at_ns| earliest.min(at_ns.unwrap_or(u64::MAX)));
    (earliest != u64::MAX).then_some(earliest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_found_among_what_there_is() {
        assert_eq!(earliest([]), None);
        assert_eq!(earliest([None, None]), None);
        assert_eq!(earliest([None, Some(7), Some(3), None]), Some(3));
        assert_eq!(earliest([Some(0), None]), Some(0));
    }
}
