//! The query of a request, and percent-encoding: read on demand, hardly ever allocating.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use limits::{PARAMETER_NAME_LEN_MAX, PARAMETERS_LEN_MAX, PARAMETERS_MAX};

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
    /// A name longer than [`PARAMETER_NAME_LEN_MAX`].
    LongName,
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
    let len = decode(&mut decoded)?;
    decoded.truncate(len);
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Takes percent-encoding away, in place. Says how many bytes are left.
fn decode(bytes: &mut [u8]) -> Option<usize> {
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
            byte => byte,
        };
        bytes[to] = decoded;
        to += 1;
    }
    Some(to)
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
            Self::LongName => write!(
                f,
                "A name in the query or form is longer than {PARAMETER_NAME_LEN_MAX} bytes."
            ),
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

    proptest! {
        #[test]
        fn nothing_panics(text in "[%&=a-f0-9\\PC]{0,80}") {
            let query = Query::new(Some(&text));
            let _ = (query.flag("a", true), query.number("b"), decode_segment(&text));
        }
    }
}
