//! Text in other character sets than UTF-8: those that are a page of a table. Browsers and old
//! programs still send them; what is not here goes through as bytes.

/// A character set in which each byte is a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// ISO 8859-1: the first 256 characters of Unicode. ASCII is a part of it.
    Latin1,
    /// Windows-1252: Latin-1 with letters and signs in place of 27 control characters.
    Windows1252,
}

/// What Windows-1252 has from 0x80 to 0x9f; 0 where it has nothing (WHATWG Encoding Standard, index
/// windows-1252).
const WINDOWS: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
    0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];
const WINDOWS_START: u8 = 0x80;

/// What stands for a character that the set does not have.
const REPLACEMENT: u8 = b'?';

impl Charset {
    /// The set of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_one_of(&["iso-8859-1", "iso8859-1", "latin1", "l1", "us-ascii", "ascii"]) {
            Some(Self::Latin1)
        } else if is_one_of(&["windows-1252", "cp1252", "x-cp1252"]) {
            Some(Self::Windows1252)
        } else {
            None
        }
    }

    /// The character of a byte.
    #[must_use]
    pub fn decode(self, byte: u8) -> char {
        let place = usize::from(byte).checked_sub(usize::from(WINDOWS_START));
        match place.and_then(|place| WINDOWS.get(place)) {
            Some(0) if self == Self::Windows1252 => char::REPLACEMENT_CHARACTER,
            Some(code) if self == Self::Windows1252 => {
                char::from_u32((*code).into()).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => char::from(byte),
        }
    }

    /// What finds the byte of a character.
    #[must_use]
    pub fn encoder(self) -> fn(char) -> u8 {
        match self {
            Self::Latin1 => |character| Self::Latin1.encode(character),
            Self::Windows1252 => |character| Self::Windows1252.encode(character),
        }
    }

    /// The byte of a character; a question mark for one that the set does not have.
    #[must_use]
    pub fn encode(self, character: char) -> u8 {
        let code = u32::from(character);
        let place = WINDOWS.iter().position(|known| *known != 0 && u32::from(*known) == code);
        match (self, place) {
            (Self::Windows1252, Some(place)) => WINDOWS_START + place as u8,
            (Self::Windows1252, None) if (0x80..0xa0).contains(&code) => REPLACEMENT,
            _ => u8::try_from(code).unwrap_or(REPLACEMENT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_are_each_others_reverse() {
        for charset in [Charset::Latin1, Charset::Windows1252] {
            for byte in 0..=u8::MAX {
                let character = charset.decode(byte);
                if character != char::REPLACEMENT_CHARACTER {
                    assert_eq!(charset.encode(character), byte, "{charset:?} {byte:#x}");
                }
            }
        }
        assert_eq!(Charset::Windows1252.decode(0x80), '€');
        assert_eq!(Charset::Latin1.encode('€'), b'?');
        assert_eq!(Charset::named("ISO-8859-1"), Some(Charset::Latin1));
        assert_eq!(Charset::named("utf-8"), None);
    }
}
