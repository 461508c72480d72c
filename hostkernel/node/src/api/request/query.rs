//! The query of a request, and percent-encoding: read on demand, hardly ever allocating.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use limits::{PARAMETERS_LEN_MAX, PARAMETERS_MAX};

/// A query or form that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryReject {
    /// A parameter of the query.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Not encoded as browsers do.
    Encoding,
    /// More than [`PARAMETERS_MAX`] pairs.
    TooMany,
    /// There is no memory to read them.
    NoMemory,
}

/// The query of one request.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// A query without its `?`; a missing one and an empty one are the same.
    #[must_use]
    pub fn new(query: Option<&'a str>) -> Self {
        Self(query.unwrap_or_default())
    }

    /// The text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// The first value of a parameter, as it was sent. A parameter without `=` has an empty value.
    fn raw(self, name: &str) -> Option<&'a [u8]> {
        // On bytes: for pieces this short the search for characters costs more than the rest.
        self.0.as_bytes().split(|byte| *byte == b'&').find_map(|pair| {
            match pair.strip_prefix(name.as_bytes())? {
                [] => Some(&[][..]),
                [b'=', value @ ..] => Some(value),
                _ => None,
            }
        })
    }

    /// A value without its percent-encoding, if the parameter is present and not empty.
    ///
    /// # Errors
    /// [`QueryReject::Parameter`] if the encoding is broken.
    pub fn decoded(self, name: &'static str) -> Result<Option<Cow<'a, str>>, QueryReject> {
        let Some(value @ [_, ..]) = self.raw(name) else { return Ok(None) };
        let value = core::str::from_utf8(value).ok().and_then(decode_segment);
        value.map(Some).ok_or(QueryReject::Parameter { name, expected: "properly percent-encoded" })
    }

    /// Whether a parameter is present, with whatever value.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A truth value in the words that OpenWhisk's controller takes, in any case; `default` if the
    /// parameter is absent or empty.
    ///
    /// # Errors
    /// [`QueryReject::Parameter`] for anything but `true`, `yes`, `on`, `false`, `no` and `off`.
    pub fn flag(self, name: &'static str, default: bool) -> Result<bool, QueryReject> {
        let Some(value @ [_, ..]) = self.raw(name) else { return Ok(default) };
        let is_one_of =
            |words: [&str; 3]| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
        if is_one_of(["true", "yes", "on"]) {
            Ok(true)
        } else if is_one_of(["false", "no", "off"]) {
            Ok(false)
        } else {
            Err(QueryReject::Parameter { name, expected: "true or false" })
        }
    }

    /// A whole number, if the parameter is present.
    ///
    /// # Errors
    /// [`QueryReject::Parameter`] for anything but decimal digits that fit.
    pub fn number(self, name: &'static str) -> Result<Option<u64>, QueryReject> {
        let Some(digits @ [_, ..]) = self.raw(name) else { return Ok(None) };
        let mut number = 0_u64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(QueryReject::Parameter { name, expected: "a whole number" });
            }
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit - b'0')))
                .ok_or(QueryReject::Parameter { name, expected: "below 2^64" })?;
        }
        Ok(Some(number))
    }
}

/// A path segment without its percent-encoding; `None` if that is broken or not UTF-8.
#[must_use]
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.bytes().any(|byte| byte == b'%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut decoded = segment.as_bytes().to_vec();
    let len = decode(&mut decoded, false)?;
    decoded.truncate(len);
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Takes percent-encoding away, in place; in forms a plus is a space. Says how many bytes are left.
fn decode(bytes: &mut [u8], is_form: bool) -> Option<usize> {
    let (mut from, mut to) = (0, 0);
    while let Some(&byte) = bytes.get(from) {
        from += 1;
        let decoded = match byte {
            b'%' => {
                let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
                let (high, low) = (digit(from)?, digit(from + 1)?);
                from += 2;
                (high << 4 | low) as u8
            }
            b'+' if is_form => b' ',
            byte => byte,
        };
        bytes[to] = decoded;
        to += 1;
    }
    Some(to)
}

/// Names and values of a query or form, decoded, each name once: of equal ones the last counts.
#[derive(Debug, Default)]
pub struct Form {
    // Decoded in place, with what is left over between the pieces.
    text: Vec<u8>,
    // Sorted by name.
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

impl Form {
    /// Reads `name=value` pairs with ampersands between, encoded as browsers do.
    ///
    /// # Errors
    /// [`QueryReject::Encoding`], [`QueryReject::TooMany`], [`QueryReject::NoMemory`].
    pub fn read(mut text: Vec<u8>) -> Result<Self, QueryReject> {
        let mut pairs = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let len = text[start..].iter().position(|byte| *byte == b'&');
            let end = len.map_or(text.len(), |len| start + len);
            if start < end {
                if pairs.len() == PARAMETERS_MAX {
                    return Err(QueryReject::TooMany);
                }
                let name_len = text[start..end].iter().position(|byte| *byte == b'=');
                let name_end = name_len.map_or(end, |len| start + len);
                let name = decoded(&mut text, start..name_end)?;
                let value = decoded(&mut text, end.min(name_end + 1)..end)?;
                pairs.try_reserve(1).map_err(|_| QueryReject::NoMemory)?;
                pairs.push((name, value));
            }
            start = end + 1;
        }
        // The last of equal names is the last among them.
        let key = |name: &Range<usize>| (&text[name.clone()], name.start);
        pairs.sort_unstable_by(|(a, _), (b, _)| key(a).cmp(&key(b)));
        pairs.reverse();
        pairs.dedup_by(|(a, _), (b, _)| text[a.clone()] == text[b.clone()]);
        pairs.reverse();
        Ok(Self { text, pairs })
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (self.piece(name), self.piece(value)))
    }

    /// Position of a name in the order of [`Form::iter`].
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.pairs.binary_search_by(|(found, _)| self.piece(found).cmp(name)).ok()
    }

    fn piece(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Decodes a piece of a form in its place, and says where it ends then.
fn decoded(text: &mut [u8], piece: Range<usize>) -> Result<Range<usize>, QueryReject> {
    let bytes = text.get_mut(piece.clone()).unwrap_or_default();
    let len = decode(bytes, true).ok_or(QueryReject::Encoding)?;
    str::from_utf8(&bytes[..len]).map_err(|_| QueryReject::Encoding)?;
    Ok(piece.start..piece.start + len)
}

impl fmt::Display for QueryReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter { name, expected } => {
                write!(f, "The query parameter '{name}' must be {expected}.")
            }
            Self::Encoding => {
                f.write_str("The query or form is not properly percent-encoded UTF-8.")
            }
            Self::NoMemory => {
                f.write_str("The node has no memory left for this request now; try again.")
            }
            Self::TooMany => {
                write!(
                    f,
                    "The parameters exceed the limit of {PARAMETERS_MAX} entries or \
                     {PARAMETERS_LEN_MAX} bytes."
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flags_and_numbers_are_strict() {
        let query =
            Query::new(Some("a=true&b=false&c=1&d&e=&a=false&f=x&g=-1&h=99999999999999999999"));
        assert!(query.flag("a", false).expect("the first one counts"));
        assert!(!query.flag("b", true).expect("a flag"));
        assert!(query.flag("d", true).expect("empty is absent"));
        assert!(query.flag("z", true).expect("absent"));
        assert!(query.flag("c", true).is_err());
        assert_eq!(query.number("c").expect("a number"), Some(1));
        assert_eq!(query.number("e").expect("empty is absent"), None);
        for name in ["f", "g", "h", "a"] {
            assert!(query.number(name).is_err(), "{name}");
        }
        for (words, expected) in
            [(["true", "True", "YES", "on"], true), (["false", "False", "no", "OFF"], false)]
        {
            for word in words {
                let query = alloc::format!("a={word}");
                let flag = Query::new(Some(&query)).flag("a", !expected);
                assert_eq!(flag, Ok(expected), "{word}");
            }
        }
        let names = Query::new(Some("a=x%20y&b=%&c="));
        assert_eq!(names.decoded("a").expect("well encoded").as_deref(), Some("x y"));
        assert!(names.decoded("b").is_err());
        assert_eq!(names.decoded("c").expect("empty is absent"), None);
        assert!(Query::new(None).number("a").expect("absent").is_none());
        assert!(!Query::new(Some("")).flag("a", false).expect("absent"));
    }

    #[test]
    fn segments_are_decoded_once() {
        for (segment, text) in
            [("a", "a"), ("a%20b", "a b"), ("%5f", "_"), ("%2525", "%25"), ("a+b", "a+b"), ("", "")]
        {
            assert_eq!(decode_segment(segment).as_deref(), Some(text), "{segment}");
        }
        for broken in ["%", "%4", "a%zz", "%+1", "%ff", "%c3", "%-1", "%u0041"] {
            assert_eq!(decode_segment(broken), None, "{broken}");
        }
    }

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
            let form = Form::read(text.into()).expect(text);
            assert_eq!(form.iter().collect::<Vec<_>>(), pairs, "{text}");
            for (position, (name, _)) in pairs.iter().enumerate() {
                assert_eq!(form.position(name), Some(position));
            }
            assert_eq!(form.position("absent"), None);
        }
        for text in ["%", "a=%4", "%zz=1", "a=%ff", "%c3=%a4"] {
            assert!(matches!(Form::read(text.into()), Err(QueryReject::Encoding)), "{text}");
        }
        assert!(matches!(Form::read(b"a=\xff".to_vec()), Err(QueryReject::Encoding)));
        let many = "a&".repeat(PARAMETERS_MAX);
        assert_eq!(Form::read(many.clone().into()).expect("just as many").len(), 1);
        assert!(Form::read((many + "b").into()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[%&=a-f0-9\\PC]{0,80}") {
            let query = Query::new(Some(&text));
            let _ = (query.flag("a", true), query.number("b"), decode_segment(&text));
            let _ = Form::read(text.into());
        }
    }
}
