//! A frame buffer of pixels, as UEFI leaves it: letters of Noto Sans Mono, enlarged where pixels
//! are small.
//!
//! Letters are grey, so the order of red, green and blue does not matter.

use boot_layout::Platform;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::grid::{COLUMNS_MIN, ROWS_MIN};
use limits::FRAMEBUFFER_LEN_MAX;

const HEIGHT: RasterHeight = RasterHeight::Size16;
const LETTER_HEIGHT: usize = HEIGHT.val();
const LETTER_WIDTH: usize = get_raster_width(FontWeight::Regular, HEIGHT);
const PIXEL_LEN: usize = 4;
/// Letters are enlarged as long as a screen has this many columns and rows.
const COLUMNS_ENOUGH: usize = 120;
const ROWS_ENOUGH: usize = 25;

/// Where pixels are; checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Physical address of the first one.
    pub address: u64,
    /// Pixels in a line, and lines.
    width: usize,
    height: usize,
    /// Bytes from one line to the next.
    stride_len: usize,
    /// Pixels for each one of a letter, in both directions.
    scale: usize,
}

impl Geometry {
    /// The geometry firmware states, if it makes sense: all pixels are inside of the buffer, and
    /// there is room for some text. What lies beyond [`FRAMEBUFFER_LEN_MAX`] is not used.
    #[must_use]
    pub fn new(stated: &Platform) -> Option<Self> {
        let [width, height, stride_len] =
            [stated.width, stated.height, stated.stride_len].map(|number| number as usize);
        let line_len = width.checked_mul(PIXEL_LEN)?;
        let aligned = stated.framebuffer.is_multiple_of(PIXEL_LEN as u64)
            && stride_len.is_multiple_of(PIXEL_LEN);
        if stated.framebuffer == 0 || !aligned || line_len == 0 || line_len > stride_len {
            return None;
        }
        if stride_len as u64 * height as u64 > stated.framebuffer_len {
            return None;
        }
        let height = height.min(FRAMEBUFFER_LEN_MAX / stride_len);
        let scale = (width / (LETTER_WIDTH * COLUMNS_ENOUGH))
            .min(height / (LETTER_HEIGHT * ROWS_ENOUGH))
            .max(1);
        let geometry = Self { address: stated.framebuffer, width, height, stride_len, scale };
        geometry.address.checked_add(geometry.len() as u64)?;
        (geometry.columns() >= COLUMNS_MIN && geometry.rows() >= ROWS_MIN).then_some(geometry)
    }

    /// Bytes from the first pixel to the end of the last line.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stride_len * self.height
    }

    /// Letters in a line.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.width / (LETTER_WIDTH * self.scale)
    }

    /// Lines of letters.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.height / (LETTER_HEIGHT * self.scale)
    }

    /// Offset and length of each visible line of pixels. Zeros make it black.
    pub fn lines(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.height).map(|y| (y * self.stride_len, self.width * PIXEL_LEN))
    }

    /// Calls `set` with offset and value of each pixel of a letter, which is on the screen.
    pub fn draw(
        &self,
        (column, row): (usize, usize),
        letter: u8,
        inverse: bool,
        mut set: impl FnMut(usize, u32),
    ) {
        if column >= self.columns() || row >= self.rows() {
            return;
        }
        let Some(raster) = get_raster(char::from(letter), FontWeight::Regular, HEIGHT) else {
            return;
        };
        let (left, top) = (column * LETTER_WIDTH * self.scale, row * LETTER_HEIGHT * self.scale);
        for y in 0..LETTER_HEIGHT * self.scale {
            let line = (top + y) * self.stride_len + left * PIXEL_LEN;
            for x in 0..LETTER_WIDTH * self.scale {
                let grey = raster.pixel(x / self.scale, y / self.scale).unwrap_or(0);
                let grey = if inverse { !grey } else { grey };
                set(line + x * PIXEL_LEN, u32::from(grey) * 0x01_0101);
            }
        }
    }
}
