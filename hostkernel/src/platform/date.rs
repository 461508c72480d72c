//! The date as the battery-backed clock of a PC (MC146818) holds it: two digits of a year, and on
//! most machines the century in a register that the firmware's tables name.

use node::calendar::Date;

const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const PM: u8 = 1 << 7;
/// A year of two digits from here on is one of the last century: the epoch's own century, and the
/// year in which a clock begins whose battery was empty.
const FIRST_OF_LAST_CENTURY: u64 = 70;
/// Centuries that a register of them can mean.
const CENTURIES: core::ops::RangeInclusive<u64> = 19..=22;

/// What the clock's registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Second, minute, hour, day of the month, month, year of the century.
    pub fields: [u8; 6],
    /// Century, where there is a register for it.
    pub century: Option<u8>,
    /// Status B: how the fields are written.
    pub status: u8,
}

impl Reading {
    fn decode(&self, value: u8) -> u64 {
        match self.status & BINARY {
            0 => u64::from(value >> 4) * 10 + u64::from(value & 0xf),
            _ => u64::from(value),
        }
    }

    /// Seconds since 1970-01-01 UTC; `None` if the fields make no date since then.
    #[must_use]
    pub fn unix_seconds(&self) -> Option<u64> {
        let [second, minute, hour, day, month, year] = self.fields;
        let is_pm = self.status & HOURS_24 == 0 && hour & PM != 0;
        let mut hour = self.decode(hour & !PM);
        if self.status & HOURS_24 == 0 {
            hour = hour % 12 + if is_pm { 12 } else { 0 };
        }
        let [second, minute, day, month] = [second, minute, day, month].map(|it| self.decode(it));
        let year = self.year(self.decode(year));
        let is_date = year >= 1970
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 61;
        is_date
            .then(|| Date { year, month, day }.days() * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// The century's register may hold nothing that is one: some firmware names a register that
    /// nobody keeps.
    fn year(&self, of_century: u64) -> u64 {
        let century = self.century.map(|century| self.decode(century));
        match century.filter(|century| CENTURIES.contains(century)) {
            Some(century) => century * 100 + of_century,
            None if of_century >= FIRST_OF_LAST_CENTURY => 1900 + of_century,
            None => 2000 + of_century,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCD_24: u8 = HOURS_24;

    fn seconds(fields: [u8; 6], century: Option<u8>, status: u8) -> Option<u64> {
        Reading { fields, century, status }.unix_seconds()
    }

    /// The first of June at midnight.
    fn june(year: u8, century: Option<u8>) -> Option<u64> {
        seconds([0, 0, 0, 1, 6, year], century, BCD_24)
    }

    #[test]
    fn years_are_of_the_century_that_the_register_holds() {
        assert_eq!(june(0x99, Some(0x19)), Some(928_195_200));
        assert_eq!(june(0x01, Some(0x20)), Some(991_353_600));
        assert_eq!(june(0x30, Some(0x20)), Some(1_906_502_400));
        assert_eq!(june(0x70, Some(0x19)), Some(13_046_400));
        assert_eq!(june(0x99, Some(0x20)), Some(4_083_955_200));
    }

    #[test]
    fn without_a_century_old_years_are_old() {
        for century in [None, Some(0), Some(0xff), Some(0x01), Some(0x99)] {
            assert_eq!(june(0x99, century), june(0x99, Some(0x19)), "{century:?}");
            assert_eq!(june(0x26, century), june(0x26, Some(0x20)), "{century:?}");
            assert_eq!(june(0x70, century), june(0x70, Some(0x19)), "{century:?}");
            assert_eq!(june(0x69, century), june(0x69, Some(0x20)), "{century:?}");
        }
        assert_eq!(june(0x69, Some(0x19)), None, "before the epoch");
    }

    #[test]
    fn every_way_to_write_a_time_is_read() {
        let expected = Some(951_867_296);
        assert_eq!(seconds([0x56, 0x34, 0x23, 0x29, 0x02, 0x00], Some(0x20), BCD_24), expected);
        assert_eq!(seconds([56, 34, 23, 29, 2, 0], Some(20), BINARY | HOURS_24), expected);
        assert_eq!(seconds([56, 34, 11 | PM, 29, 2, 0], Some(20), BINARY), expected);
        assert_eq!(seconds([0x56, 0x34, 0x11 | PM, 0x29, 2, 0], None, 0), expected);
        let midnight = seconds([0, 0, 0x12, 1, 1, 0], None, 0);
        assert_eq!(midnight, Some(946_684_800));
        assert_eq!(seconds([0, 0, 0x12 | PM, 1, 1, 0], None, 0), midnight.map(|it| it + 43_200));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for fields in [
            [0; 6],
            [0xff; 6],
            [0, 0, 0, 1, 0x13, 0],
            [0, 0, 0, 0x32, 1, 0],
            [0, 0, 0x24, 1, 1, 0],
            [0, 0x60, 0, 1, 1, 0],
            [0x61, 0, 0, 1, 1, 0],
        ] {
            assert_eq!(seconds(fields, None, BCD_24), None, "{fields:x?}");
        }
    }
}
