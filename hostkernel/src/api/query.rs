//! The query of a request, and percent-encoding: read on demand, hardly ever allocating.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::Reject;

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
    /// [`Reject::Query`] if the encoding is broken.
    pub fn decoded(self, name: &'static str) -> Result<Option<Cow<'a, str>>, Reject> {
        let Some(value @ [_, ..]) = self.raw(name) else { return Ok(None) };
        let value = core::str::from_utf8(value).ok().and_then(decode_segment);
        value.map(Some).ok_or(Reject::Query { name, expected: "properly percent-encoded" })
    }

    /// Whether a parameter is present, with whatever value.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A truth value; `default` if the parameter is absent or empty.
    ///
    /// # Errors
    /// [`Reject::Query`] for anything but `true` and `false`.
    pub fn flag(self, name: &'static str, default: bool) -> Result<bool, Reject> {
        match self.raw(name) {
            None | Some(b"") => Ok(default),
            Some(b"true") => Ok(true),
            Some(b"false") => Ok(false),
            Some(_) => Err(Reject::Query { name, expected: "true or false" }),
        }
    }

    /// A whole number, if the parameter is present.
    ///
    /// # Errors
    /// [`Reject::Query`] for anything but decimal digits that fit.
    pub fn number(self, name: &'static str) -> Result<Option<u64>, Reject> {
        let Some(digits @ [_, ..]) = self.raw(name) else { return Ok(None) };
        let mut number = 0_u64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return Err(Reject::Query { name, expected: "a whole number" });
            }
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit - b'0')))
                .ok_or(Reject::Query { name, expected: "below 2^64" })?;
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
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            decoded.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
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

    proptest! {
        #[test]
        fn nothing_panics(text in "[%&=a-f0-9\\PC]{0,80}") {
            let query = Query::new(Some(&text));
            let _ = (query.flag("a", true), query.number("b"), decode_segment(&text));
        }
    }
}
