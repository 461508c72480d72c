//! Numbers as settings have them.

use core::ops::RangeInclusive;

/// A number in decimal digits, within bounds.
pub(super) fn number<T: TryFrom<u64>>(value: &str, range: RangeInclusive<u64>) -> Option<T> {
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| is_digits && range.contains(number))?;
    T::try_from(number).ok()
}
