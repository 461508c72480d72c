//! Names of actions, checked once.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;

use limits::NAME_LEN_MAX;

/// The name of an action: what `\A([\w]|[\w][\w@ .-]*[\w@.-]+)\z` matches, which is the rule of
/// `OpenWhisk`, and at most [`NAME_LEN_MAX`] bytes. ASCII, no slash, no space at either end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameReject {
    /// There is nothing.
    Empty,
    /// It is longer than [`NAME_LEN_MAX`].
    TooLong,
    /// It has a character that names do not have, or not there.
    BadCharacter,
}

impl Name {
    /// Checks a text and makes it a name.
    ///
    /// # Errors
    /// See [`NameReject`].
    pub fn new(text: &str) -> Result<Self, NameReject> {
        Self::check(text).map(|()| Self(text.into()))
    }

    /// Checks a text.
    ///
    /// # Errors
    /// See [`NameReject`].
    pub fn check(text: &str) -> Result<(), NameReject> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let inner = |byte: u8| word(byte) || b"@ .-".contains(&byte);
        let (Some(&first), Some(&last)) = (text.as_bytes().first(), text.as_bytes().last()) else {
            return Err(NameReject::Empty);
        };
        if text.len() > NAME_LEN_MAX {
            return Err(NameReject::TooLong);
        }
        if word(first) && last != b' ' && text.bytes().all(inner) {
            Ok(())
        } else {
            Err(NameReject::BadCharacter)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// The derived order is that of the text, as `Borrow` demands.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::TooLong => write!(f, "the name is longer than {NAME_LEN_MAX} bytes"),
            Self::BadCharacter => f.write_str(
                "the name contains illegal characters: allowed are letters, digits and _, and \
                 after the first character also @ . - and inner spaces",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_rule_of_openwhisk_allows() {
        for good in ["a", "_", "9", "hello", "a b", "a@b.c-d", "a.", "a@", "a-", "A_0", "a  b"] {
            assert_eq!(Name::check(good), Ok(()), "{good:?}");
        }
        for bad in [" ", "a ", " a", ".a", "..", "@a", "-a", "a/b", "a\0", "ä", "a\n", "a+", "\""]
        {
            assert_eq!(Name::check(bad), Err(NameReject::BadCharacter), "{bad:?}");
        }
        assert_eq!(Name::check(""), Err(NameReject::Empty));
        assert_eq!(Name::check(&"a".repeat(NAME_LEN_MAX)), Ok(()));
        assert_eq!(Name::check(&"a".repeat(NAME_LEN_MAX + 1)), Err(NameReject::TooLong));
    }

    #[test]
    fn every_reject_has_a_sentence() {
        for reject in [NameReject::Empty, NameReject::TooLong, NameReject::BadCharacter] {
            assert!(alloc::format!("{reject}").starts_with("the name"));
        }
    }
}
