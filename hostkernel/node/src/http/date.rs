//! When an answer was made (RFC 9110, 6.6.1): composed once a second, and copied into answers.

use super::Fields;
use crate::calendar::Date;

const EPOCH: [u8; 37] = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
// Where the parts are in it.
const WEEKDAY: usize = 6;
const DAY: usize = 11;
const MONTH: usize = 14;
const YEAR: usize = 18;
const HOUR: usize = 23;
const MINUTE: usize = 26;
const SECOND: usize = 29;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The field, as it was when it was last needed.
#[derive(Debug)]
pub struct DateField {
    /// When its second began, in milliseconds since 1970.
    from_ms: u64,
    line: [u8; EPOCH.len()],
}

impl Default for DateField {
    fn default() -> Self {
        Self { from_ms: 0, line: EPOCH }
    }
}

impl DateField {
    /// Says in an answer that it was made at `wall_ms`, in milliseconds since 1970; says nothing if
    /// that is 0: the node has no clock.
    #[inline]
    pub fn stamp(&mut self, fields: &mut Fields, wall_ms: u64) {
        if wall_ms.wrapping_sub(self.from_ms) >= 1_000 {
            self.renew(wall_ms);
        }
        if wall_ms != 0 {
            fields.push_complete(&self.line);
        }
    }

    #[cold]
    fn renew(&mut self, wall_ms: u64) {
        self.from_ms = wall_ms - wall_ms % 1_000;
        let seconds = wall_ms / 1_000;
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let Date { year, month, day } = Date::from_days(days);
        let mut put = |at: usize, bytes: &[u8]| {
            self.line[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(WEEKDAY, WEEKDAYS[(days % 7) as usize]);
        put(MONTH, MONTHS[(month - 1) as usize % 12]);
        for (at, number) in [
            (DAY, day),
            (YEAR, year / 100),
            (YEAR + 2, year),
            (HOUR, second / 3_600),
            (MINUTE, second / 60 % 60),
            (SECOND, second % 60),
        ] {
            put(at, &[10, 1].map(|power| b'0' + (number / power % 10) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn at(date: &mut DateField, wall_ms: u64) -> String {
        let mut fields = Fields::new();
        date.stamp(&mut fields, wall_ms);
        String::from_utf8(fields.as_bytes().to_vec()).expect("it is text")
    }

    #[test]
    fn the_date_is_that_of_the_calendar_and_goes_with_the_clock() {
        let mut date = DateField::default();
        for (wall_ms, expected) in [
            (0, ""),
            (1, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
            (784_111_777_000, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_777_999, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (784_111_778_000, "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"),
            (951_825_599_000, "Date: Tue, 29 Feb 2000 11:59:59 GMT\r\n"),
            (4_102_444_799_500, "Date: Thu, 31 Dec 2099 23:59:59 GMT\r\n"),
            // Back again.
            (784_111_777_000, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            (0, ""),
        ] {
            assert_eq!(at(&mut date, wall_ms), expected, "{wall_ms}");
        }
    }

    proptest! {
        #[test]
        fn no_time_panics(wall_ms: u64) {
            prop_assert_eq!(at(&mut DateField::default(), wall_ms.max(1)).len(), EPOCH.len());
        }
    }
}
