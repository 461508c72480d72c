//! The first serial port (16550 UART), for the log and crash records. Output only.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spin::Mutex;

use crate::arch::port;

const BASE: u16 = 0x3f8;
const INTERRUPT_ENABLE: u16 = BASE + 1;
/// To be written; who reads it learns of interrupts, and in the highest two bits of the FIFO.
const FIFO_CONTROL: u16 = BASE + 2;
const LINE_CONTROL: u16 = BASE + 3;
const MODEM_CONTROL: u16 = BASE + 4;
const LINE_STATUS: u16 = BASE + 5;
const SCRATCH: u16 = BASE + 7;
const EMPTY: u8 = 1 << 5;
/// There is a FIFO, and it works: that of the 16550 did not.
const FIFO_WORKS: u8 = 0b11 << 6;
/// What an empty FIFO takes.
const FIFO_LEN: usize = 16;
/// What is read where nothing answers.
const NOTHING: u8 = 0xff;
/// How often the status is read before bytes are dropped: ten times what it takes a full FIFO to
/// leave, and a hundred times what it takes a byte.
const POLLS_MAX: u32 = 20_000;

static PRESENT: AtomicBool = AtomicBool::new(false);
/// How many bytes an empty port takes at once. Each port access is an exit from a virtual machine.
static ROOM: AtomicUsize = AtomicUsize::new(1);
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
        if port::read_u8(FIFO_CONTROL) & FIFO_WORKS == FIFO_WORKS {
            ROOM.store(FIFO_LEN, Ordering::Relaxed);
        }
    }
    PRESENT.store(true, Ordering::Relaxed);
}

/// Puts bytes together until the port takes no more at once.
struct Writer {
    bytes: [u8; FIFO_LEN],
    len: usize,
    room: usize,
}

impl Writer {
    fn new() -> Self {
        Self { bytes: [0; FIFO_LEN], len: 0, room: ROOM.load(Ordering::Relaxed) }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
        if self.len == self.room {
            self.flush();
        }
    }

    /// Also what is less than the port takes.
    fn flush(&mut self) {
        put(&self.bytes[..self.len]);
        self.len = 0;
    }
}

impl fmt::Write for Writer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.push(b'\r');
            }
            self.push(byte);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes at most as many bytes as the empty port takes.
fn put(bytes: &[u8]) {
    let polls = if STUCK.load(Ordering::Relaxed) { 1 } else { POLLS_MAX };
    // SAFETY: `initialise` found the port.
    let is_empty = || unsafe { port::read_u8(LINE_STATUS) } & EMPTY != 0;
    let empties = (0..polls).any(|_| is_empty());
    STUCK.store(!empties, Ordering::Relaxed);
    if empties {
        // SAFETY: as above.
        bytes.iter().for_each(|byte| unsafe { port::write_u8(BASE, *byte) });
    }
}

/// Writes text as one piece: lines of several cores do not mix.
pub fn print(text: fmt::Arguments) {
    if PRESENT.load(Ordering::Relaxed) {
        let _one_at_a_time = PORT.lock();
        // Writing to the port cannot fail; an error could only come from a `Display` in `text`.
        let _ = fmt::Write::write_fmt(&mut Writer::new(), text);
    }
}

/// Writes text even if another core, or this one, was interrupted while writing. For crash records.
pub fn print_regardless(text: fmt::Arguments) {
    if PRESENT.load(Ordering::Relaxed) {
        let _ = fmt::Write::write_fmt(&mut Writer::new(), text);
    }
}
