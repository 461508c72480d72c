//! What a string in JSON stands for, however long it is, in slices: text, or bytes in base64.

use super::base64::{Base64Reject, Decoder, push_base64};
use super::write_unescaped;
use crate::document::Document;
use crate::slice::Slice;
use limits::PAGE_LEN;
use memory::PageBuffer;

/// What is decoded at a time.
const PIECE_LEN: usize = PAGE_LEN;

/// Decodes one string.
pub struct Decoding {
    /// The inside of the string, escapes and all, of which so much was decoded.
    raw: PageBuffer,
    at: usize,
    form: Form,
    len_max: usize,
}

#[expect(clippy::large_enum_variant, reason = "it is in a box as a whole")]
enum Form {
    Base64(Decoder),
    Text(Document),
}

/// Why a string does not stand for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeReject {
    /// It is no base64, or what it stands for is too long, or there is no memory for that.
    Base64(Base64Reject),
    /// It is not UTF-8.
    NotUtf8,
}

impl From<Base64Reject> for DecodeReject {
    fn from(reject: Base64Reject) -> Self {
        Self::Base64(reject)
    }
}

impl Decoding {
    /// Begins with the inside of a string, which is base64 or text, and stands for at most
    /// `len_max` bytes.
    #[must_use]
    pub fn new(raw: PageBuffer, is_base64: bool, len_max: usize) -> Self {
        let form = match is_base64 {
            true => Form::Base64(Decoder::new(len_max)),
            false => Form::Text(Document::default()),
        };
        Self { raw, at: 0, form, len_max }
    }

    /// Goes on; returns what the string stands for when that is there.
    ///
    /// # Errors
    /// See [`DecodeReject`].
    pub fn step(&mut self, slice: &mut Slice) -> Result<Option<PageBuffer>, DecodeReject> {
        let mut piece = [0; PIECE_LEN];
        while !slice.is_over() {
            let len = self.read(&mut piece);
            if len == 0 {
                return self.finish().map(Some);
            }
            let is_last = self.at + len == self.raw.len();
            let whole = if is_last { len } else { whole_len(&piece[..len]) };
            slice.take(whole);
            self.at += whole;
            match &mut self.form {
                Form::Base64(decoder) => push_base64(decoder, &piece[..whole])?,
                Form::Text(text) => {
                    let piece = core::str::from_utf8(&piece[..whole]);
                    let piece = piece.map_err(|_| DecodeReject::NotUtf8)?;
                    write_unescaped(text, piece).map_err(|_| Base64Reject::OutOfFrames)?;
                    if text.len() > self.len_max {
                        return Err(Base64Reject::TooLong.into());
                    }
                }
            }
        }
        Ok(None)
    }

    /// Copies the next bytes; returns how many.
    fn read(&self, piece: &mut [u8; PIECE_LEN]) -> usize {
        let mut filled = 0;
        while filled < PIECE_LEN {
            let chunk = self.raw.chunk_at(self.at + filled);
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len().min(PIECE_LEN - filled);
            piece[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        filled
    }

    fn finish(&mut self) -> Result<PageBuffer, DecodeReject> {
        let form = core::mem::replace(&mut self.form, Form::Text(Document::default()));
        Ok(match form {
            Form::Base64(decoder) => decoder.finish()?,
            Form::Text(text) => text.into_pages(),
        })
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.raw.len()
            + match &self.form {
                Form::Base64(decoder) => decoder.made_len(),
                Form::Text(text) => text.len(),
            }
    }
}

/// How much of a piece, which begins with a whole character or escape, is whole ones. Two escapes
/// that are halves of one character stay together.
fn whole_len(piece: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = piece.get(at) {
        let len = match byte {
            b'\\' if piece.get(at + 1) == Some(&b'u') => {
                let half = piece.get(at + 2..at + 4).unwrap_or_default();
                let is_half =
                    matches!(half, [b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B']);
                let is_pair = is_half && matches!(piece.get(at + 6..at + 8), None | Some(b"\\u"));
                if is_pair { 12 } else { 6 }
            }
            b'\\' => 2,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        if at + len > piece.len() {
            break;
        }
        at += len;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::Json;
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn decoded(raw: &str, is_base64: bool) -> Result<Vec<u8>, DecodeReject> {
        memory::install_for_test();
        let raw = PageBuffer::from_bytes(raw.as_bytes()).expect("frames are left");
        let mut decoding = Decoding::new(raw, is_base64, 1 << 20);
        loop {
            if let Some(bytes) = decoding.step(&mut Slice::new(1))? {
                return Ok(bytes.to_vec().expect("the heap has room"));
            }
        }
    }

    #[test]
    fn characters_and_escapes_are_not_cut() {
        let units = [
            "x",
            "\\ud83dab\\n",
            "\\n",
            "\\u00e4",
            "\\ud83d\\ude00",
            "\u{20ac}",
            "\u{10348}",
            "\\\\",
        ];
        for (number, unit) in units.into_iter().enumerate() {
            let lead = "y".repeat(number);
            let raw = format!("{lead}{}", unit.repeat(3000));
            let quoted = format!("\"{raw}\"");
            let mut expected = String::new();
            Json(&quoted).write_decoded(&mut expected).expect("a string has room");
            assert!(decoded(&raw, false) == Ok(expected.into_bytes()), "{unit}");
        }
    }

    #[test]
    fn what_is_too_long_or_no_base64_is_refused() {
        let long = "x".repeat((1 << 20) + 1);
        assert_eq!(decoded(&long, false), Err(Base64Reject::TooLong.into()));
        for raw in ["Q", "Q!==", "\\u0144", "ä"] {
            assert_eq!(decoded(raw, true), Err(Base64Reject::Malformed.into()), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn base64_is_decoded_wherever_it_is_broken(
            bytes in proptest::collection::vec(any::<u8>(), 0..9000),
            width in 1..100_usize,
        ) {
            let text = STANDARD.encode(&bytes);
            let lines: Vec<_> = text.as_bytes().chunks(width).collect();
            let raw = String::from_utf8(lines.join(&b"\\n"[..])).expect("text");
            prop_assert_eq!(decoded(&raw, true), Ok(bytes));
        }
    }
}
