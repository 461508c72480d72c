//! Whether a file is text, told piece by piece.

/// What a file is as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// It is none.
    None,
    /// It is UTF-8.
    Sound,
    /// It is UTF-8, with the character in it that stands for what was no text.
    Damaged,
}

/// Looks at a file from its start, in any pieces.
#[derive(Debug)]
pub struct TextCheck {
    text: Text,
    /// The beginning of a character whose end has not come.
    open: [u8; 4],
    open_len: usize,
}

impl Default for TextCheck {
    fn default() -> Self {
        Self { text: Text::Sound, open: [0; 4], open_len: 0 }
    }
}

impl TextCheck {
    /// Looks at the next piece.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while self.open_len > 0
            && let [byte, rest @ ..] = bytes
        {
            self.open[self.open_len] = *byte;
            bytes = rest;
            let len = self.open_len + 1;
            self.open_len = match core::str::from_utf8(&self.open[..len]) {
                Ok(character) => {
                    note(&mut self.text, character);
                    0
                }
                Err(error) if error.error_len().is_none() => len,
                Err(_) => {
                    self.text = Text::None;
                    0
                }
            };
        }
        if self.text == Text::None {
            return;
        }
        match core::str::from_utf8(bytes) {
            Ok(text) => note(&mut self.text, text),
            Err(error) if error.error_len().is_none() => {
                let (whole, open) = bytes.split_at(error.valid_up_to());
                note(&mut self.text, core::str::from_utf8(whole).unwrap_or_default());
                self.open[..open.len()].copy_from_slice(open);
                self.open_len = open.len();
            }
            Err(_) => self.text = Text::None,
        }
    }

    /// What the file is, now that it has ended.
    pub fn end(self) -> Text {
        if self.open_len > 0 { Text::None } else { self.text }
    }
}

fn note(known: &mut Text, text: &str) {
    if *known == Text::Sound && text.contains(char::REPLACEMENT_CHARACTER) {
        *known = Text::Damaged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Text {
        match core::str::from_utf8(bytes) {
            Ok(text) if text.contains('\u{fffd}') => Text::Damaged,
            Ok(_) => Text::Sound,
            Err(_) => Text::None,
        }
    }

    proptest! {
        #[test]
        fn pieces_are_judged_as_the_whole(
            text in "[a-z\u{fffd}\u{e4}\u{20ac}\u{10348}]{0,8}",
            more in prop_oneof![Just(Vec::new()), proptest::collection::vec(any::<u8>(), 0..3)],
            cut in 1..5_usize,
        ) {
            let bytes = [text.as_bytes(), &more, text.as_bytes()].concat();
            let mut check = TextCheck::default();
            bytes.chunks(cut).for_each(|piece| check.push(piece));
            prop_assert_eq!(check.end(), whole(&bytes));
            let half = &bytes[..bytes.len() / 2];
            let mut check = TextCheck::default();
            half.chunks(cut).for_each(|piece| check.push(piece));
            prop_assert_eq!(check.end(), whole(half));
        }
    }
}
