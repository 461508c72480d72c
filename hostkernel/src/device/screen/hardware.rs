//! Writing to the screen.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use spin::{Mutex, Once};

use super::framebuffer::Geometry;
use super::grid::{self, Grid, STATUS_ROW};
use super::text_mode;
use crate::arch::cpu;
use crate::handover::BootInfo;
use limits::{SCREEN_COLUMNS_MAX, SCREEN_ROWS_MAX};
use memory::kernel_map;
use memory::physical::{PhysicalAddress, direct_pointer};

#[derive(Clone, Copy)]
enum Surface {
    TextMode,
    Framebuffer(Geometry),
}

static SURFACE: Once<Surface> = Once::new();
/// Whether the surface can be reached and has been cleared.
static OPEN: AtomicBool = AtomicBool::new(false);
/// No interrupt handler takes it: they do not print, and a crash record does without.
static GRID: Mutex<Grid> = Mutex::new(Grid::new());

impl Surface {
    fn place(&self) -> (u64, usize) {
        match self {
            Self::TextMode => (text_mode::ADDRESS, text_mode::LEN),
            Self::Framebuffer(geometry) => (geometry.address, geometry.len()),
        }
    }

    fn size(&self) -> (usize, usize) {
        match self {
            Self::TextMode => (text_mode::COLUMNS, text_mode::ROWS),
            Self::Framebuffer(geometry) => {
                (geometry.columns().min(SCREEN_COLUMNS_MAX), geometry.rows().min(SCREEN_ROWS_MAX))
            }
        }
    }

    /// Makes all of it black.
    fn clear(&self) {
        match self {
            Self::TextMode => (0..text_mode::LEN)
                .step_by(2)
                .for_each(|offset| self.set(offset, text_mode::PLAIN | u16::from(b' '))),
            Self::Framebuffer(geometry) => {
                geometry.lines().for_each(|(offset, len)| self.fill(offset, len));
            }
        }
    }

    fn draw(&self, column: usize, row: usize, letter: u8) {
        let inverse = row == STATUS_ROW;
        match self {
            Self::TextMode => {
                let colour = if inverse { text_mode::INVERSE } else { text_mode::PLAIN };
                let offset = (row * text_mode::COLUMNS + column) * 2;
                self.set(offset, colour | u16::from(letter));
            }
            Self::Framebuffer(geometry) => {
                geometry.draw((column, row), letter, inverse, |offset, pixel| {
                    self.set(offset, pixel);
                });
            }
        }
    }

    fn set<T>(&self, offset: usize, value: T) {
        let pointer = self.bytes(offset, size_of::<T>()).cast::<T>();
        // SAFETY: the surface is open, so the direct map shows it, and it is no memory of
        // anybody's, which `find` checked.
        unsafe { pointer.write_volatile(value) };
    }

    /// Fills with zeros, by the fastest way there is: pixel by pixel takes as long as all the rest
    /// of a boot.
    fn fill(&self, offset: usize, len: usize) {
        // SAFETY: as in `set`.
        unsafe { self.bytes(offset, len).write_bytes(0, len) };
    }

    fn bytes(&self, offset: usize, len: usize) -> *mut u8 {
        let (address, surface_len) = self.place();
        assert!(offset + len <= surface_len, "what is drawn is on the screen");
        direct_pointer(PhysicalAddress(address)).wrapping_add(offset)
    }
}

/// Looks for a screen. Text is kept from the beginning; it can be shown from [`open`] on.
pub fn find(info: &BootInfo) {
    let framebuffer = info.platform.as_ref().and_then(Geometry::new).filter(|geometry| {
        let end = geometry.address + geometry.len() as u64;
        // What firmware says is not trusted to be right: memory is not a screen.
        let is_memory = |range: &(u64, u64)| range.0 < end && geometry.address < range.1;
        end <= kernel_map::DEVICES_END && !info.memory.ranges().iter().any(is_memory)
    });
    let surface = framebuffer.map(Surface::Framebuffer);
    if let Some(surface) = surface.or_else(|| text_mode::find().then_some(Surface::TextMode)) {
        SURFACE.call_once(|| surface);
    }
}

/// Makes the screen a part of the kernel's own tables, once these are built.
pub fn map() {
    if let Some((address, len)) = SURFACE.get().map(Surface::place) {
        let _ = kernel_map::framebuffer(PhysicalAddress(address), len, cpu::has_write_combining());
    }
}

/// Shows what was printed so far, and from now on what is printed. Nothing happens if there is no
/// screen, it is open already, or the page tables in force do not reach it.
pub fn open() {
    let Some(surface) = SURFACE.get() else { return };
    let (address, len) = surface.place();
    if !kernel_map::reaches(PhysicalAddress(address), len) || OPEN.swap(true, Ordering::Relaxed) {
        return;
    }
    surface.clear();
    let (columns, rows) = surface.size();
    let mut grid = GRID.lock();
    grid.resize(columns, rows);
    grid.flush(|column, row, letter| surface.draw(column, row, letter));
}

/// Whether there is a screen that shows something.
#[must_use]
pub fn is_open() -> bool {
    OPEN.load(Ordering::Relaxed)
}

fn change(change: impl FnOnce(&mut Grid)) {
    let mut grid = GRID.lock();
    change(&mut grid);
    if is_open()
        && let Some(surface) = SURFACE.get()
    {
        grid.flush(|column, row, letter| surface.draw(column, row, letter));
    }
}

/// Writes text as one piece, and shows it.
pub fn print(text: fmt::Arguments) {
    // The grid takes everything; an error could only come from a `Display` in `text`.
    change(|grid| _ = fmt::Write::write_fmt(grid, text));
}

/// Replaces the status line.
pub fn status(text: fmt::Arguments) {
    change(|grid| grid.set_status(text));
}

/// Where the next letter of a crash record goes, as a number of cells; 0 before the first.
static CRASH_CELL: AtomicUsize = AtomicUsize::new(0);

struct CrashWriter<'a>(&'a Surface);

impl fmt::Write for CrashWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (columns, rows) = self.0.size();
        for byte in text.bytes() {
            let cell = CRASH_CELL.load(Ordering::Relaxed);
            let (row, column) = (cell / columns, cell % columns);
            if row >= rows {
                break;
            }
            let next = if byte == b'\n' { (row + 1) * columns } else { cell + 1 };
            if byte != b'\n' {
                self.0.draw(column, row, grid::letter(byte));
            }
            CRASH_CELL.store(next, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Writes text over what is shown, from the top to the lowest row; the rest is not shown, since
/// what matters comes first. For crash records: nothing is locked, whoever was interrupted.
pub fn print_regardless(text: fmt::Arguments) {
    let Some(surface) = SURFACE.get() else { return };
    let (columns, _) = surface.size();
    if CRASH_CELL.load(Ordering::Relaxed) == 0 {
        let (address, len) = surface.place();
        if !kernel_map::reaches(PhysicalAddress(address), len) {
            return;
        }
        OPEN.store(true, Ordering::Relaxed);
        surface.clear();
        CRASH_CELL.store((STATUS_ROW + 1) * columns, Ordering::Relaxed);
    }
    // As in `print`.
    let _ = fmt::Write::write_fmt(&mut CrashWriter(surface), text);
}
