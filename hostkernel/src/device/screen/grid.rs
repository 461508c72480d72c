//! What a screen of letters shows: a status line, and below it a text that scrolls.
//!
//! The text is kept in ordinary memory, together with what the device was last given. So nothing is
//! ever read from the device, which is slow, and only letters that changed are drawn.

use core::fmt;

use limits::{SCREEN_COLUMNS_MAX, SCREEN_ROWS_MAX};

type Cells = [[u8; SCREEN_COLUMNS_MAX]; SCREEN_ROWS_MAX];

/// The row of the status line.
pub const STATUS_ROW: usize = 0;
const TEXT_ROW: usize = STATUS_ROW + 1;
/// The smallest screen that is of use.
pub const COLUMNS_MIN: usize = 40;
/// See [`COLUMNS_MIN`].
pub const ROWS_MIN: usize = 10;
/// The screen of every PC. Text from before the real size is known is kept for one like it.
const COLUMNS_USUAL: usize = 80;
const ROWS_USUAL: usize = 25;

/// The letters of a screen.
pub struct Grid {
    cells: Cells,
    /// What the device shows; 0 is a letter that has to be drawn.
    shown: Cells,
    columns: usize,
    rows: usize,
    row: usize,
    column: usize,
    /// The last line is complete. Its end is carried out when another one begins, so that the
    /// lowest row does not stay empty.
    ended: bool,
}

impl Grid {
    /// An empty screen of the usual size.
    pub const fn new() -> Self {
        Self {
            cells: [[b' '; SCREEN_COLUMNS_MAX]; SCREEN_ROWS_MAX],
            shown: [[0; SCREEN_COLUMNS_MAX]; SCREEN_ROWS_MAX],
            columns: COLUMNS_USUAL,
            rows: ROWS_USUAL,
            row: TEXT_ROW,
            column: 0,
            ended: false,
        }
    }

    /// Takes the size of the device, which was made black. Sizes beyond what there is room for are
    /// cut.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.columns = columns.clamp(COLUMNS_MIN, SCREEN_COLUMNS_MAX);
        self.rows = rows.clamp(ROWS_MIN, SCREEN_ROWS_MAX);
        while self.row >= self.rows {
            self.cells.copy_within(TEXT_ROW + 1.., TEXT_ROW);
            self.row -= 1;
        }
        self.shown = [[b' '; SCREEN_COLUMNS_MAX]; SCREEN_ROWS_MAX];
        // Blanks of the status line are not black.
        self.shown[STATUS_ROW].fill(0);
    }

    /// Replaces the status line; what does not fit is cut.
    pub fn set_status(&mut self, text: fmt::Arguments) {
        let row = &mut self.cells[STATUS_ROW][..self.columns];
        row.fill(b' ');
        // The end of the row is the only error there is.
        let _ = fmt::Write::write_fmt(&mut Row(row.iter_mut()), text);
    }

    /// Calls `draw` with column, row and letter of all that changed since the last call.
    pub fn flush(&mut self, mut draw: impl FnMut(usize, usize, u8)) {
        let rows = self.cells.iter().zip(&mut self.shown).take(self.rows).enumerate();
        for (row, (cells, shown)) in rows {
            let columns = cells.iter().zip(shown).take(self.columns).enumerate();
            for (column, (cell, shown)) in columns.filter(|(_, (cell, shown))| *cell != *shown) {
                draw(column, row, *cell);
                *shown = *cell;
            }
        }
    }

    fn put(&mut self, byte: u8) {
        if self.ended || byte != b'\n' && self.column >= self.columns {
            self.begin_line();
        }
        if byte == b'\n' {
            self.ended = true;
            return;
        }
        self.cells[self.row][self.column] = letter(byte);
        self.column += 1;
    }

    fn begin_line(&mut self) {
        self.ended = false;
        self.column = 0;
        if self.row + 1 < self.rows {
            self.row += 1;
        } else {
            self.cells.copy_within(TEXT_ROW + 1..self.rows, TEXT_ROW);
            self.cells[self.rows - 1].fill(b' ');
        }
    }
}

impl fmt::Write for Grid {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

/// The rest of a row.
struct Row<'a>(core::slice::IterMut<'a, u8>);

impl fmt::Write for Row<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0.next().ok_or(fmt::Error)? = letter(byte);
        }
        Ok(())
    }
}

/// The letter that stands for a byte of a text.
pub fn letter(byte: u8) -> u8 {
    if matches!(byte, b' '..=b'~') { byte } else { b'?' }
}
