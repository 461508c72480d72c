//! What a string in JSON stands for, however long it is, in slices: text in whatever character set,
//! or bytes in base64.

use core::fmt;
use core::ops::Range;

use super::base64::{Base64Reject, Decoder, push_base64};
use super::write_unescaped;
use crate::document::Document;
use crate::slice::Slice;
use limits::PAGE_LEN;
use memory::PageBuffer;

/// What is decoded at a time.
const PIECE_LEN: usize = PAGE_LEN;

/// What a string stands for.
#[derive(Clone, Copy, Debug)]
pub enum Stands {
    /// Bytes in base64.
    Base64,
    /// Text.
    Text,
    /// Text in a character set in which each character is the byte that this says.
    Coded(fn(char) -> u8),
}

/// Decodes one string.
pub struct Decoding {
    /// What was not decoded of the inside of the string, escapes and all.
    rest: Range<usize>,
    form: Form,
    len_max: usize,
}

#[expect(clippy::large_enum_variant, reason = "it is in a box as a whole")]
enum Form {
    Base64(Decoder),
    Text(Document),
    Coded(Coded),
}

/// Text that goes on in a character set.
struct Coded {
    code: fn(char) -> u8,
    bytes: PageBuffer,
}

impl fmt::Write for Coded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut block = [0; 64];
        let mut characters = text.chars();
        loop {
            let mut len = 0;
            for (place, character) in block.iter_mut().zip(characters.by_ref()) {
                *place = (self.code)(character);
                len += 1;
            }
            if len == 0 {
                return Ok(());
            }
            self.bytes.append(&block[..len]).map_err(|_| fmt::Error)?;
        }
    }
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
    /// Begins with the inside of a string, which is this part of a buffer and stands for at most
    /// `len_max` bytes.
    #[must_use]
    pub fn new(inside: Range<usize>, stands: Stands, len_max: usize) -> Self {
        let form = match stands {
            Stands::Base64 => Form::Base64(Decoder::new(len_max)),
            Stands::Text => Form::Text(Document::default()),
            Stands::Coded(code) => Form::Coded(Coded { code, bytes: PageBuffer::new() }),
        };
        Self { rest: inside, form, len_max }
    }

    /// Goes on with the buffer, which is always the same; returns what the string stands for when
    /// that is there.
    ///
    /// # Errors
    /// See [`DecodeReject`].
    pub fn step(
        &mut self,
        buffer: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<PageBuffer>, DecodeReject> {
        let mut piece = [0; PIECE_LEN];
        while !slice.is_over() {
            let len = buffer.copy_to(self.rest.clone(), &mut piece);
            if len == 0 {
                return self.finish().map(Some);
            }
            let whole = if len == self.rest.len() { len } else { whole_len(&piece[..len]) };
            slice.take(whole);
            self.rest.start += whole;
            let text = || {
                let text = core::str::from_utf8(&piece[..whole]);
                text.map_err(|_| DecodeReject::NotUtf8)
            };
            match &mut self.form {
                Form::Base64(decoder) => push_base64(decoder, &piece[..whole])?,
                Form::Text(out) => {
                    write_unescaped(out, text()?).map_err(|_| Base64Reject::OutOfFrames)?;
                }
                Form::Coded(out) => {
                    write_unescaped(out, text()?).map_err(|_| Base64Reject::OutOfFrames)?;
                }
            }
            if self.made_len() > self.len_max {
                return Err(Base64Reject::TooLong.into());
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<PageBuffer, DecodeReject> {
        let form = core::mem::replace(&mut self.form, Form::Text(Document::default()));
        Ok(match form {
            Form::Base64(decoder) => decoder.finish()?,
            Form::Text(text) => text.into_pages(),
            Form::Coded(coded) => coded.bytes,
        })
    }

    /// How many bytes it has made by now.
    #[must_use]
    pub fn made_len(&self) -> usize {
        match &self.form {
            Form::Base64(decoder) => decoder.made_len(),
            Form::Text(text) => text.len(),
            Form::Coded(coded) => coded.bytes.len(),
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
        let stands = if is_base64 { Stands::Base64 } else { Stands::Text };
        let mut decoding = Decoding::new(0..raw.len(), stands, 1 << 20);
        loop {
            if let Some(bytes) = decoding.step(&raw, &mut Slice::new(1))? {
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
    fn other_sets_are_written_whole() {
        memory::install_for_test();
        let code = |character| if character == 'ä' { 0xe4 } else { character as u8 };
        let raw = format!("{}\\n", "ä\\u00e4x".repeat(3000));
        let raw = PageBuffer::from_bytes(raw.as_bytes()).expect("frames are left");
        let mut decoding = Decoding::new(0..raw.len(), Stands::Coded(code), 1 << 20);
        let bytes = loop {
            if let Some(bytes) = decoding.step(&raw, &mut Slice::new(1)).expect("it is text") {
                break bytes.to_vec().expect("the heap has room");
            }
        };
        assert!(bytes == [&b"\xe4\xe4x".repeat(3000)[..], b"\n"].concat());
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
