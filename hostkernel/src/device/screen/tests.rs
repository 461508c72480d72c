//! What is shown, and where, without a screen.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use boot_layout::Platform;
use proptest::prelude::*;

use super::framebuffer::Geometry;
use super::grid::{Grid, ROWS_MIN};
use limits::{FRAMEBUFFER_LEN_MAX, SCREEN_COLUMNS_MAX, SCREEN_ROWS_MAX};

/// A device that remembers what was drawn.
struct Device {
    cells: Vec<Vec<u8>>,
    drawn: usize,
}

impl Device {
    fn new(columns: usize, rows: usize) -> Self {
        Self { cells: vec![vec![b' '; columns]; rows], drawn: 0 }
    }

    fn show(&mut self, grid: &mut Grid) -> &mut Self {
        self.drawn = 0;
        grid.flush(|column, row, letter| {
            self.cells[row][column] = letter;
            self.drawn += 1;
        });
        self
    }

    fn line(&self, row: usize) -> String {
        String::from_utf8(self.cells[row].clone()).expect("letters").trim_end().into()
    }
}

fn grid(columns: usize, rows: usize) -> (Grid, Device) {
    let mut grid = Grid::new();
    grid.resize(columns, rows);
    (grid, Device::new(columns, rows))
}

#[test]
fn text_scrolls_below_the_status_line() {
    let (mut grid, mut device) = grid(40, ROWS_MIN);
    for number in 0..20 {
        writeln!(grid, "line {number}").expect("the grid takes everything");
    }
    grid.set_status(format_args!("status"));
    device.show(&mut grid);
    assert_eq!(device.line(0), "status");
    assert_eq!(device.line(1), "line 11");
    assert_eq!(device.line(ROWS_MIN - 1), "line 19");
}

#[test]
fn only_what_changed_is_drawn() {
    let (mut grid, mut device) = grid(80, 25);
    // The status line, whose blanks are not black.
    assert_eq!(device.show(&mut grid).drawn, 80);
    assert_eq!(device.show(&mut grid).drawn, 0);
    write!(grid, "abc").expect("the grid takes everything");
    assert_eq!(device.show(&mut grid).drawn, 3);
}

#[test]
fn long_lines_go_on_in_the_next_row() {
    let (mut grid, mut device) = grid(40, ROWS_MIN);
    writeln!(grid, "{}\nnext", "x".repeat(45)).expect("the grid takes everything");
    device.show(&mut grid);
    assert_eq!(device.line(1).len(), 40);
    assert_eq!(device.line(2), "xxxxx");
    assert_eq!(device.line(3), "next");
}

#[test]
fn text_from_before_the_size_is_known_is_kept() {
    let mut grid = Grid::new();
    for number in 0..15 {
        writeln!(grid, "line {number}").expect("the grid takes everything");
    }
    grid.resize(100, 10);
    let mut device = Device::new(100, 10);
    device.show(&mut grid);
    assert_eq!((device.line(1).as_str(), device.line(9).as_str()), ("line 6", "line 14"));
}

proptest! {
    #[test]
    fn no_text_and_no_size_draws_outside(
        columns in 0..400_usize, rows in 0..200_usize,
        texts in proptest::collection::vec("(?s)[\\x00-\\x7f€]{0,300}", 0..20),
    ) {
        let mut grid = Grid::new();
        let mut device = Device::new(SCREEN_COLUMNS_MAX, SCREEN_ROWS_MAX);
        for (index, text) in texts.iter().enumerate() {
            if index == texts.len() / 2 {
                grid.resize(columns, rows);
            }
            write!(grid, "{text}").expect("the grid takes everything");
            grid.set_status(format_args!("{text}"));
            device.show(&mut grid);
        }
    }

    /// Whatever firmware states, every pixel drawn lies inside of the buffer it states.
    #[test]
    fn pixels_stay_inside_of_the_buffer(
        address in prop_oneof![Just(0x8000_0000_u64), any::<u64>()],
        framebuffer_len in prop_oneof![0..70_000_000_u64, any::<u64>()],
        width in prop_oneof![0..9000_u32, any::<u32>()],
        height in prop_oneof![0..9000_u32, any::<u32>()],
        extra in prop_oneof![0..100_u32, any::<u32>()],
        cell in (0..200_usize, 0..100_usize),
    ) {
        let stride_len = width.saturating_mul(4).saturating_add(extra);
        let stated = Platform {
            framebuffer: address, framebuffer_len, width, height, stride_len,
            ..Platform::default()
        };
        if let Some(geometry) = Geometry::new(&stated) {
            let len = geometry.len();
            prop_assert!(len as u64 <= framebuffer_len && len <= FRAMEBUFFER_LEN_MAX);
            let last = (geometry.columns() - 1, geometry.rows() - 1);
            for cell in [cell, (0, 0), last] {
                geometry.draw(cell, b'W', true, |offset, _| assert!(offset + 4 <= len));
            }
        }
    }
}

fn screen(width: u32, height: u32) -> Platform {
    Platform {
        framebuffer: 0x8000_0000,
        framebuffer_len: u64::from(width * height * 4),
        width,
        height,
        stride_len: width * 4,
        pixels: boot_layout::PIXELS_BGRX,
        ..Platform::default()
    }
}

#[test]
fn letters_grow_with_the_number_of_pixels() {
    for (width, height, columns, rows) in
        [(640, 480, 91, 30), (1280, 800, 182, 50), (1920, 1080, 137, 33), (3840, 2160, 137, 33)]
    {
        let geometry = Geometry::new(&screen(width, height)).expect("a usual screen");
        assert_eq!((geometry.columns(), geometry.rows()), (columns, rows), "{width}x{height}");
    }
}

#[test]
fn the_lines_are_every_visible_pixel_once() {
    let mut stated = screen(640, 480);
    stated.stride_len += 64;
    stated.framebuffer_len += 480 * 64;
    let geometry = Geometry::new(&stated).expect("a usual screen");
    let lines: Vec<_> = geometry.lines().collect();
    assert_eq!(lines.len(), 480);
    assert!((0..).zip(lines).all(|(y, line)| line == (y * (640 * 4 + 64), 640 * 4)));
}

#[test]
fn nonsense_is_no_screen() {
    let good = screen(1024, 768);
    assert!(Geometry::new(&good).is_some());
    for bad in [
        Platform { framebuffer: 0, ..good },
        Platform { framebuffer: 0x8000_0001, ..good },
        Platform { framebuffer: u64::MAX - 3, ..good },
        Platform { framebuffer_len: good.framebuffer_len - 1, ..good },
        Platform { stride_len: 1023 * 4, ..good },
        Platform { stride_len: 1024 * 4 + 2, ..good },
        Platform { stride_len: 0, width: 0, ..good },
        Platform { width: u32::MAX, stride_len: u32::MAX, ..good },
        Platform { width: 100, ..good },
        Platform { height: 100, ..good },
    ] {
        assert_eq!(Geometry::new(&bad), None, "{bad:?}");
    }
}
