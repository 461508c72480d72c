//! Names and values of a query, or of a form that is as long as a body, read piece by piece.

use alloc::vec::Vec;
use core::ops::Range;

use super::query::QueryReject;
use crate::document::keeping_reserve;
use crate::json::scan::Encoding;
use limits::{PARAMETER_NAME_LEN_MAX, PARAMETERS_MAX};
use memory::OutOfFrames;

/// Names and values, decoded, each name once: of equal ones the last counts.
#[derive(Debug, Default)]
pub struct Form {
    // Decoded, with nothing between the pieces.
    text: Vec<u8>,
    // Sorted by name.
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

/// A form that is being read.
#[derive(Default)]
pub struct FormReader {
    form: Form,
    /// Where the piece begins that is read, and the name in front of it if it is a value.
    start: usize,
    name: Option<Range<usize>>,
    /// Something of a pair was read.
    is_begun: bool,
    escape: Escape,
    encoding: Encoding,
}

/// Where in an escape.
#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    /// Behind the percent sign.
    First,
    /// Behind a digit of this value.
    Second(u8),
}

impl Form {
    /// Reads `name=value` pairs with ampersands between, encoded as browsers do.
    ///
    /// # Errors
    /// See [`QueryReject`].
    pub fn read(text: &[u8]) -> Result<Self, QueryReject> {
        let mut reader = FormReader::new(text.len())?;
        reader.push(text)?;
        reader.finish()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// How much memory it takes.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.text.capacity()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (self.text(name), self.text(value)))
    }

    /// Position of a name in the order of [`Form::iter`].
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.pairs.binary_search_by(|(found, _)| self.text(found).cmp(name)).ok()
    }

    /// The name at a position, and the bytes of its value, which are text.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<(&str, &[u8])> {
        let (name, value) = self.pairs.get(position)?;
        Some((self.text(name), self.text.get(value.clone())?))
    }

    fn text(&self, piece: &Range<usize>) -> &str {
        self.text.get(piece.clone()).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl FormReader {
    /// One for a form of at most so many bytes.
    ///
    /// # Errors
    /// [`QueryReject::NoMemory`].
    pub fn new(len: usize) -> Result<Self, QueryReject> {
        let mut reader = Self::default();
        let reserved =
            keeping_reserve(|| reader.form.text.try_reserve_exact(len).map_err(|_| OutOfFrames));
        reserved.map_err(|OutOfFrames| QueryReject::NoMemory)?;
        Ok(reader)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`QueryReject::Encoding`], [`QueryReject::TooMany`], [`QueryReject::LongName`],
    /// [`QueryReject::NoMemory`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), QueryReject> {
        for byte in bytes {
            let decoded = match (self.escape, byte) {
                (Escape::None, b'&') => {
                    self.end_pair()?;
                    continue;
                }
                (Escape::None, b'=') if self.name.is_none() => {
                    self.name = Some(self.end_piece()?);
                    continue;
                }
                (Escape::None, b'%') => {
                    (self.escape, self.is_begun) = (Escape::First, true);
                    continue;
                }
                (Escape::None, b'+') => b' ',
                (Escape::None, byte) => *byte,
                (Escape::First, digit) => {
                    self.escape = Escape::Second(value(*digit)?);
                    continue;
                }
                (Escape::Second(high), digit) => {
                    self.escape = Escape::None;
                    high << 4 | value(*digit)?
                }
            };
            self.is_begun = true;
            if !self.encoding.take(decoded) {
                return Err(QueryReject::Encoding);
            }
            if self.name.is_none() && self.form.text.len() - self.start == PARAMETER_NAME_LEN_MAX {
                return Err(QueryReject::LongName);
            }
            // What is decoded is not longer, and has its room.
            self.form.text.push(decoded);
        }
        Ok(())
    }

    /// All there was.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn finish(mut self) -> Result<Form, QueryReject> {
        self.end_pair()?;
        let Form { text, mut pairs } = self.form;
        // The last of equal names is the last among them.
        let key = |name: &Range<usize>| (&text[name.clone()], name.start);
        pairs.sort_unstable_by(|(a, _), (b, _)| key(a).cmp(&key(b)));
        pairs.reverse();
        pairs.dedup_by(|(a, _), (b, _)| text[a.clone()] == text[b.clone()]);
        pairs.reverse();
        Ok(Form { text, pairs })
    }

    /// How much memory it takes.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.form.held_len()
    }

    fn end_pair(&mut self) -> Result<(), QueryReject> {
        if !self.is_begun && self.name.is_none() {
            return Ok(());
        }
        let last = self.end_piece()?;
        let end = last.end;
        let (name, value) = match self.name.take() {
            Some(name) => (name, last),
            None => (last, end..end),
        };
        let pairs = &mut self.form.pairs;
        if pairs.len() == PARAMETERS_MAX {
            return Err(QueryReject::TooMany);
        }
        pairs.try_reserve(1).map_err(|_| QueryReject::NoMemory)?;
        pairs.push((name, value));
        self.is_begun = false;
        Ok(())
    }

    fn end_piece(&mut self) -> Result<Range<usize>, QueryReject> {
        if !matches!(self.escape, Escape::None) || !self.encoding.is_whole() {
            return Err(QueryReject::Encoding);
        }
        let end = self.form.text.len();
        Ok(core::mem::replace(&mut self.start, end)..end)
    }
}

/// The value of a hexadecimal digit.
fn value(digit: u8) -> Result<u8, QueryReject> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(QueryReject::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_are_decoded_and_the_last_of_equal_names_counts() {
        for (text, pairs) in [
            ("", &[][..]),
            ("&&", &[]),
            ("b=1&a=2", &[("a", "2"), ("b", "1")]),
            ("a=1&a=2&a=3&%61=4+5%2B", &[("a", "4 5+")]),
            ("a", &[("a", "")]),
            ("=x", &[("", "x")]),
            ("a=b=c&d=", &[("a", "b=c"), ("d", "")]),
            ("%C3%A4=%26%3d%00", &[("ä", "&=\0")]),
        ] {
            let form = Form::read(text.as_bytes()).expect(text);
            assert_eq!(form.iter().collect::<Vec<_>>(), pairs, "{text}");
            for (position, (name, _)) in pairs.iter().enumerate() {
                assert_eq!(form.position(name), Some(position));
            }
            assert_eq!(form.position("absent"), None);
        }
        for text in ["%", "a=%4", "%zz=1", "a=%ff", "%c3=%a4"] {
            assert!(matches!(Form::read(text.as_bytes()), Err(QueryReject::Encoding)), "{text}");
        }
        assert!(matches!(Form::read(b"a=\xff"), Err(QueryReject::Encoding)));
        let many = "a&".repeat(PARAMETERS_MAX);
        assert_eq!(Form::read(many.as_bytes()).expect("just as many").len(), 1);
        assert!(Form::read((many + "b").as_bytes()).is_err());
    }

    #[test]
    fn long_names_are_refused_and_long_values_are_not() {
        let name = "n".repeat(PARAMETER_NAME_LEN_MAX);
        let form = Form::read(alloc::format!("{name}={name}{name}").as_bytes()).expect("fits");
        assert_eq!(form.at(0).map(|(name, value)| (name.len(), value.len())), Some((256, 512)));
        let long = Form::read(alloc::format!("a=1&{name}n").as_bytes());
        assert!(matches!(long, Err(QueryReject::LongName)));
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_of_it(text in "[%&=+a-f0-9\\PC]{0,80}", len in 1..9_usize) {
            let whole = Form::read(text.as_bytes());
            let mut reader = FormReader::new(text.len()).expect("the heap has room");
            let pushed = text.as_bytes().chunks(len).try_for_each(|piece| reader.push(piece));
            let pieces = pushed.and_then(|()| reader.finish());
            let told = |form: Result<Form, QueryReject>| {
                form.map(|form| form.iter().map(|(a, b)| alloc::format!("{a}\0{b}")).collect())
            };
            let [whole, pieces]: [Result<Vec<_>, _>; 2] = [told(whole), told(pieces)];
            prop_assert_eq!(whole, pieces);
        }
    }
}
