//! JSON from outside: read as spans of its own text, never as a tree.
//!
//! A tree of values costs many times the memory of its text and a stack frame per level; a request
//! of a few megabytes could exhaust either. Here a [`Json`] is a piece of text whose encoding and
//! nesting have been checked; walking an object or array hands out pieces of it. Syntax is checked
//! by `serde_json`, which skips over values without recursion.

pub mod base64;
pub mod decode;
pub mod scan;
pub mod split;

use alloc::borrow::Cow;
use core::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use limits::JSON_DEPTH_MAX;

/// Bytes that a character of one byte takes when it is escaped.
pub const ESCAPED_LEN: usize = r"\u0000".len();

/// JSON text in UTF-8, nested at most [`JSON_DEPTH_MAX`] deep. Whether it is well-formed turns out
/// when it is walked; what a walk hands out is.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(&'a str);

/// Why a text is not the JSON it should be.
#[derive(Debug)]
pub enum JsonReject {
    /// It is not UTF-8.
    NotUtf8,
    /// It is nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep,
    /// It is something else than an object.
    NotAnObject,
    /// It is something else than an array.
    NotAnArray,
    /// It is something else than a string, or one with half of a surrogate pair.
    NotAString,
    /// It is a string longer than its place allows.
    StringTooLong,
    /// It is not JSON, from this place on.
    Syntax(serde_json::Error),
    /// The same of one that was read in slices.
    Malformed {
        /// How many bytes are in front of the place.
        at: usize,
    },
}

/// A field of a document is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldReject {
    /// The field, as a path.
    pub name: &'static str,
    /// What it should be.
    pub expected: &'static str,
}

impl fmt::Display for FieldReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expected } = self;
        write!(f, "The request content was malformed: {name} must be {expected}.")
    }
}

impl<'a> Json<'a> {
    /// Checks encoding and nesting of a whole text.
    ///
    /// # Errors
    /// [`JsonReject::NotUtf8`], [`JsonReject::TooDeep`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, JsonReject> {
        let text = core::str::from_utf8(bytes).map_err(|_| JsonReject::NotUtf8)?;
        if is_shallow(text) { Ok(Self(text)) } else { Err(JsonReject::TooDeep) }
    }

    /// The text.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Calls `visit` with the name and value of each member, in order.
    ///
    /// # Errors
    /// [`JsonReject::NotAnObject`], or [`JsonReject::Syntax`] after the members before it.
    pub fn members(self, visit: impl FnMut(Json<'a>, Json<'a>)) -> Result<(), JsonReject> {
        // Asked here because the error of `serde_json` would quote the value, however long.
        if self.first() != Some(b'{') {
            return Err(JsonReject::NotAnObject);
        }
        let mut deserializer = Deserializer::from_str(self.0);
        deserializer
            .deserialize_map(Members(visit))
            .and_then(|()| deserializer.end())
            .map_err(JsonReject::Syntax)
    }

    /// The values of the members with these names; `null` is the same as nothing. Of equal names
    /// the last one counts, others are passed over.
    ///
    /// # Errors
    /// As for [`Json::members`].
    pub fn pick<const N: usize>(self, names: [&str; N]) -> Result<[Option<Self>; N], JsonReject> {
        let mut found = [None; N];
        self.members(|name, value| {
            if let Some(position) = names.iter().position(|wanted| name.is(wanted)) {
                found[position] = (!value.is_null()).then_some(value);
            }
        })?;
        Ok(found)
    }

    /// Whether it is this string, in whatever spelling.
    #[must_use]
    pub fn is(self, text: &str) -> bool {
        self.raw_string() == Some(text)
            || self.0.bytes().any(|byte| byte == b'\\')
                && self.string(ESCAPED_LEN * text.len()).is_ok_and(|decoded| decoded == text)
    }

    /// Calls `visit` with each element, in order.
    ///
    /// # Errors
    /// [`JsonReject::NotAnArray`], or [`JsonReject::Syntax`] after the elements before it.
    pub fn elements(self, visit: impl FnMut(Json<'a>)) -> Result<(), JsonReject> {
        if self.first() != Some(b'[') {
            return Err(JsonReject::NotAnArray);
        }
        let mut deserializer = Deserializer::from_str(self.0);
        deserializer
            .deserialize_seq(Elements(visit))
            .and_then(|()| deserializer.end())
            .map_err(JsonReject::Syntax)
    }

    /// The string it is, if its JSON text has at most `len_max` bytes.
    ///
    /// # Errors
    /// [`JsonReject::NotAString`], [`JsonReject::StringTooLong`].
    pub fn string(self, len_max: usize) -> Result<Cow<'a, str>, JsonReject> {
        match self.raw_string() {
            None => Err(JsonReject::NotAString),
            Some(raw) if raw.len() > len_max => Err(JsonReject::StringTooLong),
            Some(raw) if !raw.contains('\\') => Ok(Cow::Borrowed(raw)),
            Some(_) => {
                serde_json::from_str(self.0).map(Cow::Owned).map_err(|_| JsonReject::NotAString)
            }
        }
    }

    /// What is between the quotes of the string it is, escapes and all.
    #[must_use]
    pub fn raw_string(self) -> Option<&'a str> {
        self.0.trim_ascii().strip_prefix('"')?.strip_suffix('"')
    }

    /// The non-negative integer it is.
    #[must_use]
    pub fn unsigned(self) -> Option<u64> {
        self.0.trim_ascii().parse().ok()
    }

    /// The truth value it is.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        self.0.trim_ascii().parse().ok()
    }

    /// Checks the syntax of a value of any type.
    ///
    /// # Errors
    /// [`JsonReject::Syntax`].
    pub fn check(self) -> Result<(), JsonReject> {
        serde_json::from_str::<&RawValue>(self.0).map(|_| ()).map_err(JsonReject::Syntax)
    }

    /// Whether it is an object; this and the next three take its syntax for granted.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.first() == Some(b'{')
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.first() == Some(b'[')
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.first() == Some(b'"')
    }

    /// Whether it is a number.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self.first(), Some(b'-' | b'0'..=b'9'))
    }

    /// Writes the characters of the string it is, however long, without memory of its own. Half of
    /// a surrogate pair becomes the replacement character.
    ///
    /// # Errors
    /// When `out` has no room.
    pub fn write_decoded(self, out: &mut impl fmt::Write) -> fmt::Result {
        write_unescaped(out, self.raw_string().unwrap_or_default())
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0.trim_ascii() == "null"
    }

    fn first(self) -> Option<u8> {
        self.0.trim_ascii_start().bytes().next()
    }
}

/// Whether no more than [`JSON_DEPTH_MAX`] brackets are open anywhere.
fn is_shallow(text: &str) -> bool {
    if text.len() <= JSON_DEPTH_MAX {
        return true;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return false;
        }
    }
    true
}

struct Members<F>(F);

impl<'a, F: FnMut(Json<'a>, Json<'a>)> Visitor<'a> for Members<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&'a RawValue, &'a RawValue>()? {
            (self.0)(Json(name.get()), Json(value.get()));
        }
        Ok(())
    }
}

struct Elements<F>(F);

impl<'a, F: FnMut(Json<'a>)> Visitor<'a> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(value) = sequence.next_element::<&'a RawValue>()? {
            (self.0)(Json(value.get()));
        }
        Ok(())
    }
}

impl fmt::Display for JsonReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
            Self::TooDeep => write!(f, "it is nested deeper than {JSON_DEPTH_MAX} levels"),
            Self::NotAnObject => f.write_str("a JSON object was expected"),
            Self::NotAnArray => f.write_str("a JSON array was expected"),
            Self::NotAString => f.write_str("a JSON string was expected"),
            Self::StringTooLong => f.write_str("a string in it is too long for its place"),
            Self::Syntax(error) => error.fmt(f),
            Self::Malformed { at } => write!(f, "it is not JSON from byte {} on", at + 1),
        }
    }
}

/// Text as a JSON string, with its quotes.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_escaped(f, self.0)?;
        f.write_str("\"")
    }
}

/// Writes what the inside of a string stands for.
fn write_unescaped(out: &mut impl fmt::Write, mut rest: &str) -> fmt::Result {
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.write_str(plain)?;
        let (character, after) = unescape(escape);
        out.write_char(character)?;
        rest = after;
    }
    out.write_str(rest)
}

/// The character that the escape stands for whose backslash was in front of `escape`, and what
/// follows it.
fn unescape(escape: &str) -> (char, &str) {
    let hex = |text: &str| u32::from_str_radix(text, 16).unwrap_or(0);
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let (first, after) = characters.as_str().split_at_checked(4).unwrap_or_default();
            let (first, second) = (hex(first), after.strip_prefix("\\u"));
            let second = second.and_then(|second| second.split_at_checked(4));
            if let (0xd800..0xdc00, Some((second, after))) = (first, second)
                && let second @ 0xdc00..0xe000 = hex(second)
            {
                let pair = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return (char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER), after);
            }
            return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), after);
        }
        Some(itself) => itself,
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, characters.as_str())
}

/// Writes bytes as the inside of a JSON string, those that are no text as replacement characters.
///
/// # Errors
/// When `out` has no room.
pub fn write_escaped_lossy(out: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        write_escaped(out, chunk.valid())?;
        if !chunk.invalid().is_empty() {
            out.write_char(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

/// A piece of text without the beginning of a character at its end, which goes on behind it. Where
/// it is no text, it is cut where a character would begin.
#[must_use]
pub fn whole_characters(piece: &[u8]) -> &[u8] {
    let len_of = |lead: u8| match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    };
    let last = piece.iter().rev().take(3).position(|byte| *byte >= 0xc0);
    match last.map(|behind| piece.len() - 1 - behind) {
        Some(at) if at > 0 && at + len_of(piece[at]) > piece.len() => &piece[..at],
        _ => piece,
    }
}

/// Writes text as the inside of a JSON string.
///
/// # Errors
/// When `out` has no room.
pub fn write_escaped(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\')
    {
        // Both cuts are beside an ASCII character, hence between characters.
        let (plain, special) = rest.split_at(at);
        out.write_str(plain)?;
        let (special, after) = special.split_at(1);
        match special {
            "\"" => out.write_str("\\\"")?,
            "\\" => out.write_str("\\\\")?,
            "\n" => out.write_str("\\n")?,
            "\r" => out.write_str("\\r")?,
            "\t" => out.write_str("\\t")?,
            control => control.bytes().try_for_each(|byte| write!(out, "\\u{byte:04x}"))?,
        }
        rest = after;
    }
    out.write_str(rest)
}

#[cfg(test)]
mod tests;
