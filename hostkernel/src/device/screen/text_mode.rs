//! The text screen of a VGA card, as a BIOS leaves it: 80 columns, 25 rows, 16 colours.
//!
//! There is no list of such cards, so its registers are asked (IBM VGA, "Video Subsystem"). A card
//! that shows pixels, as under UEFI, has the same registers and says so.

use crate::arch::port;

/// Physical address of the cells: letter, then colour.
pub const ADDRESS: u64 = 0xb_8000;
pub const COLUMNS: usize = 80;
pub const ROWS: usize = 25;
pub const LEN: usize = COLUMNS * ROWS * 2;
/// Light grey on black, and the other way round.
pub const PLAIN: u16 = 0x0700;
pub const INVERSE: u16 = 0x7000;

const MISCELLANEOUS: u16 = 0x3cc;
const COLOUR_ADDRESSES: u8 = 1 << 0;
/// An index register; its data register is the next one.
const GRAPHICS: u16 = 0x3ce;
const CRT: u16 = 0x3d4;
/// Of the graphics controller: text or pixels, and where the memory is.
const GRAPHICS_MODE: u8 = 6;
const SHOWS_PIXELS: u8 = 1 << 0;
const MEMORY: u8 = 3 << 2;
const MEMORY_AT_B8000: u8 = 3 << 2;
/// Of the CRT controller.
const LAST_COLUMN: u8 = 0x01;
const OVERFLOW: u8 = 0x07;
const LETTER_HEIGHT: u8 = 0x09;
const CURSOR_START: u8 = 0x0a;
const CURSOR_OFF: u8 = 1 << 5;
const START_HIGH: u8 = 0x0c;
const START_LOW: u8 = 0x0d;
const CURSOR_LOW: u8 = 0x0f;
const LAST_LINE: u8 = 0x12;

fn read(controller: u16, index: u8) -> u8 {
    // SAFETY: the registers are those of a VGA card or of nothing, and concern no memory.
    unsafe {
        port::write_u8(controller, index);
        port::read_u8(controller + 1)
    }
}

fn write(controller: u16, index: u8, value: u8) {
    // SAFETY: as above.
    unsafe {
        port::write_u8(controller, index);
        port::write_u8(controller + 1, value);
    }
}

/// Whether there is such a screen. Then it is made to show the first cells, without a cursor.
pub fn find() -> bool {
    // SAFETY: as above.
    let miscellaneous = unsafe { port::read_u8(MISCELLANEOUS) };
    // All ones is what is read where nothing answers.
    if miscellaneous == 0xff || miscellaneous & COLOUR_ADDRESSES == 0 {
        return false;
    }
    let remembers = [0x5a, 0xa5].into_iter().all(|value| {
        write(CRT, CURSOR_LOW, value);
        read(CRT, CURSOR_LOW) == value
    });
    let mode = read(GRAPHICS, GRAPHICS_MODE);
    if !remembers || mode & SHOWS_PIXELS != 0 || mode & MEMORY != MEMORY_AT_B8000 {
        return false;
    }
    let overflow = usize::from(read(CRT, OVERFLOW));
    let last_line = usize::from(read(CRT, LAST_LINE)) | (overflow & 2) << 7 | (overflow & 64) << 3;
    let rows = (last_line + 1) / (usize::from(read(CRT, LETTER_HEIGHT) & 0x1f) + 1);
    if usize::from(read(CRT, LAST_COLUMN)) + 1 != COLUMNS || rows < ROWS {
        return false;
    }
    write(CRT, START_HIGH, 0);
    write(CRT, START_LOW, 0);
    write(CRT, CURSOR_START, CURSOR_OFF);
    true
}
