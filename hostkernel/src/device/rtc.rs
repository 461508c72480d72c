//! The battery-backed clock of every PC (MC146818): wall-clock time at boot, in UTC.

use crate::arch::port;
use crate::platform::date::Reading;

const INDEX_PORT: u16 = 0x70;
const DATA_PORT: u16 = 0x71;
/// Second, minute, hour, day of the month, month, year.
const FIELDS: [u8; 6] = [0, 2, 4, 7, 8, 9];
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Registers that the index port reaches; its last bit is something else.
const REGISTERS_END: u8 = 0x80;
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
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

/// Seconds since 1970-01-01 UTC; `None` without a clock that makes sense. `century` is the register
/// that holds it, if firmware names one.
#[must_use]
pub fn unix_seconds(century: Option<u8>) -> Option<u64> {
    if read(STATUS_A) == NOTHING {
        return None;
    }
    let century = century.filter(|register| (STATUS_B + 1..REGISTERS_END).contains(register));
    let read_all =
        || Reading { fields: FIELDS.map(read), century: century.map(read), status: read(STATUS_B) };
    let mut last = None;
    for _ in 0..TRIES_MAX {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let now = read_all();
        if last == Some(now) {
            return now.unix_seconds();
        }
        last = Some(now);
    }
    None
}
