//! Bytes inside JSON strings, in base64: decoded and encoded piece by piece, between text and
//! frames.
//!
//! The string can be sixty megabytes long. It is never unescaped or decoded as a whole: what lies
//! between escapes and line breaks is copied into a small block, and full blocks are decoded.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use memory::{OutOfFrames, PageBuffer};

/// As every tool writes it, except that the padding may be missing.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is not the bytes it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Reject {
    /// It is not base64.
    Malformed,
    /// The bytes are more than there may be.
    TooLong,
    /// There is no memory for them.
    OutOfFrames,
}

impl From<OutOfFrames> for Base64Reject {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// Characters that are decoded at a time.
const BLOCK_LEN: usize = 1024;
const _: () = assert!(BLOCK_LEN.is_multiple_of(4));

/// Decodes a piece of the inside of a JSON string, with whole escapes.
pub fn push_base64(decoder: &mut Decoder, mut rest: &[u8]) -> Result<(), Base64Reject> {
    while !rest.is_empty() {
        let special = rest.iter().position(|byte| *byte == b'\\' || byte.is_ascii_whitespace());
        let (plain, after) = rest.split_at(special.unwrap_or(rest.len()));
        decoder.push(plain)?;
        let Some((character, after)) = unescape(after)? else { break };
        if !character.is_ascii_whitespace() {
            decoder.push(&[character])?;
        }
        rest = after;
    }
    Ok(())
}

/// The first character of the inside of a JSON string, and what follows it. Every escape of a
/// character that is not ASCII is an error: base64 has none.
pub fn unescape(raw: &[u8]) -> Result<Option<(u8, &[u8])>, Base64Reject> {
    Ok(Some(match raw {
        [] => return Ok(None),
        [b'\\', b'u', digits @ ..] => {
            let (digits, after) = digits.split_at_checked(4).ok_or(Base64Reject::Malformed)?;
            let digits = core::str::from_utf8(digits).map_err(|_| Base64Reject::Malformed)?;
            let character = u8::from_str_radix(digits, 16).map_err(|_| Base64Reject::Malformed)?;
            (character, after)
        }
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', after @ ..] => (b' ', after),
        [b'\\', character, after @ ..] => (*character, after),
        [character, after @ ..] => (*character, after),
    }))
}

/// Decodes text piece by piece.
pub struct Decoder {
    block: [u8; BLOCK_LEN],
    filled: usize,
    bytes: PageBuffer,
    len_max: usize,
}

impl Decoder {
    /// One that makes at most `len_max` bytes.
    #[must_use]
    pub fn new(len_max: usize) -> Self {
        Self { block: [0; BLOCK_LEN], filled: 0, bytes: PageBuffer::new(), len_max }
    }

    /// How many bytes it has made by now.
    #[must_use]
    pub fn made_len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the next characters.
    ///
    /// # Errors
    /// [`Base64Reject`].
    pub fn push(&mut self, mut text: &[u8]) -> Result<(), Base64Reject> {
        while !text.is_empty() {
            if self.filled == BLOCK_LEN {
                self.decode_block(false)?;
            }
            let count = text.len().min(BLOCK_LEN - self.filled);
            let (now, later) = text.split_at(count);
            self.block[self.filled..self.filled + count].copy_from_slice(now);
            self.filled += count;
            text = later;
        }
        Ok(())
    }

    fn decode_block(&mut self, is_last: bool) -> Result<(), Base64Reject> {
        let text = &self.block[..self.filled];
        // Padding ends base64; within it two texts would have been glued together.
        if !is_last && text.ends_with(b"=") {
            return Err(Base64Reject::Malformed);
        }
        let mut decoded = [0; BLOCK_LEN / 4 * 3];
        let len = ENGINE.decode_slice(text, &mut decoded).map_err(|_| Base64Reject::Malformed)?;
        if self.bytes.len() + len > self.len_max {
            return Err(Base64Reject::TooLong);
        }
        self.bytes.append(&decoded[..len])?;
        self.filled = 0;
        Ok(())
    }

    /// The bytes of all characters, of which there are no more.
    ///
    /// # Errors
    /// [`Base64Reject`].
    pub fn finish(mut self) -> Result<PageBuffer, Base64Reject> {
        self.decode_block(true)?;
        Ok(self.bytes)
    }
}

/// Bytes that are encoded at a time; a multiple of three, so that only the last piece is padded.
const ENCODED_LEN: usize = 768;
const _: () = assert!(ENCODED_LEN.is_multiple_of(3));
/// Characters that so many bytes become.
pub const PIECE_LEN: usize = ENCODED_LEN / 3 * 4;

/// A piece of bytes in base64.
pub type Piece = [u8; PIECE_LEN];

/// How long so many bytes are in base64.
#[must_use]
pub const fn text_len(bytes_len: usize) -> usize {
    bytes_len.div_ceil(3) * 4
}

/// Writes the piece with this number, counted from 0, of bytes in base64. Returns its length, which
/// is [`PIECE_LEN`] of all but the last, and 0 behind it.
pub fn piece(buffer: &PageBuffer, number: usize, text: &mut Piece) -> usize {
    let mut block = [0; ENCODED_LEN];
    let mut filled = 0;
    while filled < ENCODED_LEN {
        let chunk = buffer.chunk_at(number * ENCODED_LEN + filled);
        if chunk.is_empty() {
            break;
        }
        let count = chunk.len().min(ENCODED_LEN - filled);
        block[filled..filled + count].copy_from_slice(&chunk[..count]);
        filled += count;
    }
    // There is room for what so many bytes become.
    STANDARD.encode_slice(&block[..filled], text).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn bytes_are_encoded_across_pages_and_blocks() {
        memory::install_for_test();
        for len in
            [0, 1, 2, 3, ENCODED_LEN - 1, ENCODED_LEN, ENCODED_LEN + 1, 4095, 4096, 4097, 20_000]
        {
            let bytes: Vec<u8> = (0..len).map(|index| (index * 7 % 251) as u8).collect();
            let buffer = PageBuffer::from_bytes(&bytes).expect("frames are left");
            let (mut text, mut block) = (Vec::new(), [0; PIECE_LEN]);
            for number in 0.. {
                let len = piece(&buffer, number, &mut block);
                text.extend_from_slice(&block[..len]);
                if len < PIECE_LEN {
                    break;
                }
            }
            assert_eq!(text.len(), text_len(len));
            assert_eq!(text, STANDARD.encode(&bytes).as_bytes(), "{len}");
        }
    }
}
