//! The battery-backed clock of every PC (MC146818): wall-clock time at boot, in UTC.

use crate::arch::port;

const INDEX_PORT: u16 = 0x70;
const DATA_PORT: u16 = 0x71;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const PM: u8 = 1 << 7;
/// What is read where nothing answers.
const NOTHING: u8 = 0xff;
/// Readings until two agree; an update takes less than that.
const TRIES_MAX: u32 = 10_000;

fn read(register: u8) -> u8 {
    // SAFETY: the clock's ports; reading has no effect, and NMIs stay enabled (bit 7 clear).
    unsafe {
        port::write_u8(INDEX_PORT, register);
        port::read_u8(DATA_PORT)
    }
}

fn read_all() -> Option<[u8; 6]> {
    if read(STATUS_A) == NOTHING {
        return None;
    }
    let registers = || [0, 2, 4, 7, 8, 9].map(read);
    let mut last = None;
    for _ in 0..TRIES_MAX {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let now = registers();
        if last == Some(now) {
            return Some(now);
        }
        last = Some(now);
    }
    None
}

/// Seconds since 1970-01-01 UTC; `None` without a clock that makes sense.
#[must_use]
pub fn unix_seconds() -> Option<u64> {
    let [second, minute, mut hour, day, month, year] = read_all()?;
    let status = read(STATUS_B);
    let pm = status & HOURS_24 == 0 && hour & PM != 0;
    hour &= !PM;
    let decode = |value: u8| match status & BINARY {
        0 => u64::from(value >> 4) * 10 + u64::from(value & 0xf),
        _ => u64::from(value),
    };
    let mut hour = decode(hour);
    if status & HOURS_24 == 0 {
        hour = hour % 12 + if pm { 12 } else { 0 };
    }
    // No clock of a machine that runs this is set before 2000.
    let year = 2000 + decode(year);
    let (month, day) = (decode(month), decode(day));
    let (minute, second) = (decode(minute), decode(second));
    let plausible = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    plausible
        .then(|| days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years start in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}
