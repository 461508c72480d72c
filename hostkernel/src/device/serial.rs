//! The first serial port (16550 UART), for the log and crash records. Output only.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Mutex;

use crate::arch::port;

const BASE: u16 = 0x3f8;
const INTERRUPT_ENABLE: u16 = BASE + 1;
const FIFO_CONTROL: u16 = BASE + 2;
const LINE_CONTROL: u16 = BASE + 3;
const MODEM_CONTROL: u16 = BASE + 4;
const LINE_STATUS: u16 = BASE + 5;
const SCRATCH: u16 = BASE + 7;
const EMPTY: u8 = 1 << 5;
/// What is read where nothing answers.
const NOTHING: u8 = 0xff;
/// How often the status is read before a byte is dropped: a hundred times what it takes a byte to
/// leave.
const POLLS_MAX: u32 = 20_000;

static PRESENT: AtomicBool = AtomicBool::new(false);
/// The port did not empty when it should have. Until it does nobody waits for it again.
static STUCK: AtomicBool = AtomicBool::new(false);
static PORT: Mutex<()> = Mutex::new(());

/// Sets 115200 baud, 8N1, no interrupts. Without a port at that address output goes nowhere.
pub fn initialise() {
    // SAFETY: the ports are those of the first UART by convention since the IBM PC; where there is
    // none, reads give all ones and writes have no effect.
    unsafe {
        port::write_u8(SCRATCH, 0x5a);
        if port::read_u8(SCRATCH) != 0x5a || port::read_u8(LINE_STATUS) == NOTHING {
            return;
        }
        port::write_u8(INTERRUPT_ENABLE, 0);
        port::write_u8(LINE_CONTROL, 0x80);
        port::write_u8(BASE, 1);
        port::write_u8(INTERRUPT_ENABLE, 0);
        port::write_u8(LINE_CONTROL, 0x03);
        port::write_u8(FIFO_CONTROL, 0xc7);
        port::write_u8(MODEM_CONTROL, 0x03);
    }
    PRESENT.store(true, Ordering::Relaxed);
}

struct Writer;

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
        }
        Ok(())
    }
}

fn put(byte: u8) {
    let polls = if STUCK.load(Ordering::Relaxed) { 1 } else { POLLS_MAX };
    // SAFETY: `initialise` found the port.
    let is_empty = || unsafe { port::read_u8(LINE_STATUS) } & EMPTY != 0;
    let empties = (0..polls).any(|_| is_empty());
    STUCK.store(!empties, Ordering::Relaxed);
    if empties {
        // SAFETY: as above.
        unsafe { port::write_u8(BASE, byte) };
    }
}

/// Writes text as one piece: lines of several cores do not mix.
pub fn print(text: fmt::Arguments) {
    if PRESENT.load(Ordering::Relaxed) {
        let _one_at_a_time = PORT.lock();
        // Writing to the port cannot fail; an error could only come from a `Display` in `text`.
        let _ = fmt::Write::write_fmt(&mut Writer, text);
    }
}

/// Writes text even if another core, or this one, was interrupted while writing. For crash records.
pub fn print_regardless(text: fmt::Arguments) {
    if PRESENT.load(Ordering::Relaxed) {
        let _ = fmt::Write::write_fmt(&mut Writer, text);
    }
}
