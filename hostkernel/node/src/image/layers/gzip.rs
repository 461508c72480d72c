//! The bytes of a layer: as they are, or out of gzip (RFC 1952), a piece at a time.
//!
//! Packers that seek in layers write several members one after the other; all of them count. Their
//! checksums are not looked at: the layer's digest says that it is what was meant.

use super::LayerReject;
use crate::image::inflate::{Inflated, Inflater, NotDeflated};
use crate::slice::Slice;
use memory::PageBuffer;

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER_LEN: usize = 10;
/// Checksum and length behind the data.
const TRAILER_LEN: usize = 8;

/// Parts of a header that may follow its beginning (RFC 1952, 2.3.1).
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// Reads one layer.
pub struct Reader {
    bytes: PageBuffer,
    at: usize,
    /// If it is compressed.
    inflater: Option<Inflater>,
    /// The next byte is one of a member's data.
    is_inside: bool,
}

impl Reader {
    /// Begins with a layer. Its bytes say whether it is compressed: media types do not always.
    ///
    /// # Errors
    /// [`LayerReject::NoMemory`]
    pub fn new(bytes: PageBuffer) -> Result<Self, LayerReject> {
        let is_packed = bytes.chunk_at(0).starts_with(&MAGIC);
        let inflater = if is_packed { Some(Inflater::new()?) } else { None };
        Ok(Self { bytes, at: 0, inflater, is_inside: false })
    }

    /// Hands the next piece to `take`; returns whether that was all.
    ///
    /// # Errors
    /// [`LayerReject::Compression`], or what `take` does not like.
    pub fn step(
        &mut self,
        slice: &mut Slice,
        take: &mut impl FnMut(&[u8]) -> Result<(), LayerReject>,
    ) -> Result<bool, LayerReject> {
        let Self { bytes, at, inflater, is_inside } = self;
        let Some(inflater) = inflater else {
            let chunk = bytes.chunk_at(*at);
            slice.take(chunk.len());
            *at += chunk.len();
            take(chunk)?;
            return Ok(chunk.is_empty());
        };
        if !*is_inside {
            let chunk = bytes.chunk_at(*at);
            if chunk.is_empty() {
                return Ok(true);
            }
            // Some packers fill the end with zeroes.
            let zeroes = chunk.iter().take_while(|byte| **byte == 0).count();
            if zeroes > 0 {
                slice.take(zeroes);
                *at += zeroes;
                return Ok(false);
            }
            *at = data_start(bytes, *at).ok_or(LayerReject::Compression)?;
            inflater.reset();
            *is_inside = true;
        }
        let input = bytes.chunk_at(*at);
        let has_more = *at + input.len() < bytes.len();
        let Inflated { read, bytes: piece, is_done } =
            inflater.step(input, has_more).map_err(|NotDeflated| LayerReject::Compression)?;
        slice.take(read + piece.len());
        take(piece)?;
        *at += read;
        if is_done {
            *is_inside = false;
            *at += TRAILER_LEN;
        }
        Ok(false)
    }
}

/// Where the data of the member begins whose header is there.
fn data_start(bytes: &PageBuffer, at: usize) -> Option<usize> {
    let byte = |at: usize| bytes.chunk_at(at).first().copied();
    for (index, magic) in MAGIC.iter().enumerate() {
        byte(at + index).filter(|byte| byte == magic)?;
    }
    let flags = byte(at + MAGIC.len())?;
    let mut at = at + HEADER_LEN;
    if flags & HAS_EXTRA != 0 {
        let len = usize::from(u16::from_le_bytes([byte(at)?, byte(at + 1)?]));
        at += 2 + len;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            // A name is no longer than a page, or it is none.
            let len = (0..limits::PAGE_LEN).find(|index| byte(at + index) == Some(0))?;
            at += len + 1;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        at += 2;
    }
    (at < bytes.len()).then_some(at)
}
