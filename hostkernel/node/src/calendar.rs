//! The Gregorian calendar, and dates as text.

use core::fmt;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year, from 1970 on.
    pub year: u64,
    /// Month, from 1.
    pub month: u64,
    /// Day of the month, from 1.
    pub day: u64,
}

// Years are counted from March, so that the leap day is the last of its year; then 400 years have
// 146,097 days, and the months from March on follow a straight line.

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: u64 = 719_468;

impl Date {
    /// The day so many days after 1970-01-01.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        let days = days + EPOCH;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Self { year: era * 400 + year + next_year, month, day }
    }

    /// Days from 1970-01-01 to this one.
    #[must_use]
    pub const fn days(self) -> u64 {
        let Self { year, month, day } = self;
        let year = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - EPOCH
    }
}

/// Nanoseconds since 1970, shown as RFC 3339 in UTC with so many decimals of a second, up to nine.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    /// The time.
    pub ns: u64,
    /// Decimals.
    pub decimals: u32,
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ns) = (self.ns / 1_000_000_000, self.ns % 1_000_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let Date { year, month, day } = Date::from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let (fraction, width) = (ns / 10_u64.pow(9 - self.decimals), self.decimals as usize);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        write!(f, ".{fraction:0width$}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn timestamps_are_those_of_the_calendar() {
        const NS_PER_MS: u64 = 1_000_000;
        let text = |ns, decimals| Timestamp { ns, decimals }.to_string();
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999000000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000000000Z"),
            (1_795_402_241_513, "2026-11-23T02:50:41.513000000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000000000Z"),
            (13_569_465_600_000, "2400-01-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(text(ms * NS_PER_MS, 9), expected);
        }
        assert_eq!(text(u64::MAX, 9), "2554-07-21T23:34:33.709551615Z");
        assert_eq!(text(1_795_402_241_123_456_789, 6), "2026-11-23T02:50:41.123456Z");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, year, month, day) in [
            (0, 1970, 1, 1),
            (58, 1970, 2, 28),
            (59, 1970, 3, 1),
            (789, 1972, 2, 29),
            (10_956, 1999, 12, 31),
            (11_016, 2000, 2, 29),
            (11_322, 2000, 12, 31),
            (47_540, 2100, 2, 28),
            (47_541, 2100, 3, 1),
        ] {
            assert_eq!(Date::from_days(days), Date { year, month, day });
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_each_others_reverse(days in 0..10_000_000_u64) {
            prop_assert_eq!(Date::from_days(days).days(), days);
        }
    }
}
