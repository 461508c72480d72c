//! The header fields of a response, composed as they are sent: one `name: value` line each.
//!
//! Whoever composes a response cannot contradict the encoder about where it ends: the fields that
//! say so have no [`Name`]. A value that came from a request or an action cannot end the line it is
//! on.

use alloc::vec::Vec;

use super::parse::is_token;
use limits::{ACTION_FIELDS_LEN_MAX, TEXT_LEN_KEPT_MAX};

/// The header fields of one response.
#[derive(Debug, Default)]
pub struct Fields(Vec<u8>);

/// The name of a field, with the colon and the space that follow it.
#[derive(Clone, Copy, Debug)]
pub struct Name(&'static str);

/// A complete line: a field that is known when the kernel is compiled.
#[derive(Clone, Copy, Debug)]
pub struct FieldLine(&'static str);

/// Why a field that an action made is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldReject {
    /// Its name is not one.
    Name,
    /// Its value has a control character.
    Value,
    /// It is about the connection, of which an action knows nothing.
    Connection,
    /// The fields are longer than [`ACTION_FIELDS_LEN_MAX`].
    TooLong,
}

impl Name {
    /// A name, given as `Name: `. Meant for constants, so that a bad one does not compile.
    ///
    /// # Panics
    /// If it is not of that form, or names a field that the encoder writes.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        let (name, end) = text.as_bytes().split_at(name_len(text));
        assert!(matches!(end, b": "), "a name ends in colon and space");
        assert!(!is_framing(name), "the encoder says where a response ends");
        Self(text)
    }
}

impl FieldLine {
    /// A line, given as `Name: value` with CR and LF. Meant for constants, as [`Name::new`].
    ///
    /// # Panics
    /// If it is not of that form, or names a field that the encoder writes.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        let (name, rest) = text.as_bytes().split_at(name_len(text));
        assert!(!is_framing(name), "the encoder says where a response ends");
        assert!(matches!(rest, [b':', b' ', .., b'\r', b'\n']), "a line has a value and an end");
        let mut index = 0;
        while index < rest.len() - 2 {
            assert!(!rest[index].is_ascii_control(), "a line has one end");
            index += 1;
        }
        Self(text)
    }
}

/// How many bytes at the beginning of a line can be those of a field's name.
const fn name_len(line: &str) -> usize {
    let bytes = line.as_bytes();
    let mut len = 0;
    while len < bytes.len() && (bytes[len].is_ascii_alphanumeric() || bytes[len] == b'-') {
        len += 1;
    }
    assert!(len > 0, "a field has a name");
    len
}

/// Fields that say where a response ends, or whether another one follows.
const fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length")
        || name.eq_ignore_ascii_case(b"connection")
        || name.eq_ignore_ascii_case(b"keep-alive")
        || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Fields that are for one connection (RFC 9110, 7.6.1), besides those the encoder writes.
const HOP_BY_HOP: [&str; 7] = [
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

/// Fields of every answer that are not for an action to state. The length is what it is; clients
/// that relay somebody else's answer often state it.
const OWN: [&str; 4] = ["content-length", "date", "x-request-id", "x-openwhisk-activation-id"];

impl Fields {
    /// No field yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No field yet; they will be written into this buffer, whatever is in it. One that a long
    /// request made long is given back instead.
    #[must_use]
    pub fn in_buffer(mut buffer: Vec<u8>) -> Self {
        if buffer.capacity() > TEXT_LEN_KEPT_MAX {
            return Self::new();
        }
        buffer.clear();
        Self(buffer)
    }

    /// The buffer, for another use.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.0
    }

    /// Appends a field that is a constant, unless there is one of its name.
    pub fn push_default(&mut self, line: FieldLine) {
        if !self.has(line.0.split_once(':').map_or("", |(name, _)| name)) {
            self.push_line(line);
        }
    }

    /// Appends a field that is a constant.
    #[inline]
    pub fn push_line(&mut self, line: FieldLine) {
        self.0.extend_from_slice(line.0.as_bytes());
    }

    /// Appends a line that is known to be one, with its end.
    #[inline]
    pub(super) fn push_complete(&mut self, line: &[u8]) {
        self.0.extend_from_slice(line);
    }

    /// Appends a field, with a space for every control character of the value.
    #[inline]
    pub fn push(&mut self, name: Name, value: &[u8]) {
        self.push_with(name, |out| out.extend_from_slice(value));
    }

    /// Appends a field whose value is known to have no control characters: nothing is replaced.
    #[inline]
    pub fn push_visible(&mut self, name: Name, write: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.0;
        out.extend_from_slice(name.0.as_bytes());
        let start = out.len();
        write(out);
        debug_assert!(!out[start..].iter().any(u8::is_ascii_control));
        out.extend_from_slice(b"\r\n");
    }

    /// Appends a field whose value `write` appends to what it is given.
    #[inline]
    pub fn push_with(&mut self, name: Name, write: impl FnOnce(&mut Vec<u8>)) {
        let out = &mut self.0;
        out.extend_from_slice(name.0.as_bytes());
        let start = out.len();
        write(out);
        clean(&mut out[start..]);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends a field that an action made. What is not for it to say is left out.
    ///
    /// # Errors
    /// See [`FieldReject`].
    pub fn push_foreign(&mut self, name: &str, value: &str) -> Result<(), FieldReject> {
        let is = |other: &&str| name.eq_ignore_ascii_case(other);
        if OWN.iter().any(is) {
            return Ok(());
        }
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(FieldReject::Name);
        }
        if is_framing(name.as_bytes()) || HOP_BY_HOP.iter().any(is) {
            return Err(FieldReject::Connection);
        }
        let value = value.trim_ascii();
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(FieldReject::Value);
        }
        let pieces = [name, ": ", value, "\r\n"];
        if self.0.len() + pieces.map(str::len).iter().sum::<usize>() > ACTION_FIELDS_LEN_MAX {
            return Err(FieldReject::TooLong);
        }
        pieces.iter().for_each(|piece| self.0.extend_from_slice(piece.as_bytes()));
        Ok(())
    }

    /// Whether there is a field of this name, in whatever case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    /// The lines, each with its end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All fields in order: name and value. Values that are not text are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.0.split_inclusive(|byte| *byte == b'\n');
        lines.filter_map(|line| core::str::from_utf8(line).ok()?.trim_end().split_once(": "))
    }
}

/// Puts a space in place of every control character, as RFC 9110, 5.5 suggests.
fn clean(value: &mut [u8]) {
    if !may_have_control(value) {
        return;
    }
    for byte in value {
        if byte.is_ascii_control() && *byte != b'\t' {
            *byte = b' ';
        }
    }
}

/// Whether there is a control character, eight bytes at a time: this sees every value.
fn may_have_control(value: &[u8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let control_bits = |found: u64, bytes: &[u8; 8]| {
        let word = u64::from_ne_bytes(*bytes);
        let delete = word ^ each(0x7f);
        // A byte borrows from its neighbour only if it is itself one of those looked for.
        found | word.wrapping_sub(each(b' ')) & !word | delete.wrapping_sub(each(1)) & !delete
    };
    match value.last_chunk::<8>() {
        // The last eight bytes may have been seen in part.
        Some(last) => {
            let found = value.as_chunks::<8>().0.iter().fold(0, control_bits);
            control_bits(found, last) & each(0x80) != 0
        }
        None => value.iter().any(u8::is_ascii_control),
    }
}

#[cfg(test)]
mod tests {
    use crate::digits::push_decimal;
    extern crate std;

    use std::format;
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    const A: Name = Name::new("A: ");
    const B: Name = Name::new("X-B: ");

    #[test]
    fn fields_are_lines() {
        let mut fields = Fields::in_buffer(b"rest".to_vec());
        fields.push_line(FieldLine::new("Content-Type: text/plain; charset=utf-8\r\n"));
        fields.push(A, b"a\r\nContent-Length: 9");
        fields.push_with(B, |out| push_decimal(out, 12));
        assert_eq!(
            fields.as_bytes(),
            b"Content-Type: text/plain; charset=utf-8\r\nA: a  Content-Length: 9\r\nX-B: 12\r\n"
        );
        let all: Vec<_> = fields.iter().collect();
        let kind = ("Content-Type", "text/plain; charset=utf-8");
        assert_eq!(all, [kind, ("A", "a  Content-Length: 9"), ("X-B", "12")]);
        assert!(fields.into_buffer().starts_with(b"Content-Type"));
        assert!(Fields::new().as_bytes().is_empty());
    }

    #[test]
    fn where_a_response_ends_is_not_for_others_to_say() {
        let framing = [
            ["Content-Length: ", "Content-Length: 9\r\n"],
            ["connection: ", "connection: close\r\n"],
            ["Keep-Alive: ", "KEEP-ALIVE: timeout=9\r\n"],
            ["TRANSFER-Encoding: ", "Transfer-Encoding: chunked\r\n"],
        ];
        let malformed = [
            ["", ""],
            [": ", ": a\r\n"],
            ["A", "A: a"],
            ["A:", "A:a\r\n"],
            ["A:  ", "A: a\r\n\r\n"],
            ["A : ", "A : a\r\n"],
            ["A: a", "A: a\r\nConnection: close\r\n"],
            ["A\r\n: ", "A\r\n: a\r\n"],
        ];
        for [name, line] in framing.into_iter().chain(malformed) {
            assert!(std::panic::catch_unwind(|| Name::new(name)).is_err(), "{name:?}");
            assert!(std::panic::catch_unwind(|| FieldLine::new(line)).is_err(), "{line:?}");
        }
    }

    #[test]
    fn an_action_cannot_say_what_is_not_its_own() {
        let mut fields = Fields::new();
        for (name, value) in [("X-A!", " b\t\u{e4} "), ("set-cookie", "1"), ("Set-Cookie", "")] {
            assert_eq!(fields.push_foreign(name, value), Ok(()), "{name}");
        }
        for name in ["Content-Length", "date", "x-request-id", "X-OpenWhisk-Activation-Id"] {
            assert_eq!(fields.push_foreign(name, "1"), Ok(()), "left out");
        }
        let expected = "X-A!: b\t\u{e4}\r\nset-cookie: 1\r\nSet-Cookie: \r\n";
        assert_eq!(fields.as_bytes(), expected.as_bytes());
        for (name, value, reject) in [
            ("", "a", FieldReject::Name),
            ("a b", "a", FieldReject::Name),
            ("a:", "a", FieldReject::Name),
            ("a\r\nb", "a", FieldReject::Name),
            ("\u{e4}", "a", FieldReject::Name),
            ("a", "a\r\nContent-Length: 0", FieldReject::Value),
            ("a", "a\nb", FieldReject::Value),
            ("a", "a\0b", FieldReject::Value),
            ("CONNECTION", "close", FieldReject::Connection),
            ("Keep-Alive", "timeout=1", FieldReject::Connection),
            ("Transfer-Encoding", "chunked", FieldReject::Connection),
            ("Upgrade", "h2c", FieldReject::Connection),
            ("TE", "trailers", FieldReject::Connection),
            ("a", &"x".repeat(ACTION_FIELDS_LEN_MAX), FieldReject::TooLong),
        ] {
            assert_eq!(fields.push_foreign(name, value), Err(reject), "{name}");
        }
        assert_eq!(fields.as_bytes(), expected.as_bytes());
        assert!(fields.has("x-a!") && fields.has("SET-COOKIE") && !fields.has("x-a"));
        fields.push_default(FieldLine::new("X-A: c\r\n"));
        fields.push_default(FieldLine::new("x-a: d\r\n"));
        assert_eq!(fields.iter().last(), Some(("X-A", "c")));
    }

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(out, format!("{number}").into_bytes());
        }
    }

    proptest! {
        #[test]
        fn control_characters_become_spaces(value: Vec<u8>, plain in "[ -~]{0,40}", at: usize) {
            let cleaned = |mut value: Vec<u8>| {
                clean(&mut value);
                value
            };
            let space = |byte: &u8| match byte {
                b'\t' => b'\t',
                byte if byte.is_ascii_control() => b' ',
                byte => *byte,
            };
            let expected: Vec<u8> = value.iter().map(space).collect();
            prop_assert_eq!(cleaned(value), expected);

            // One alone among others, wherever it is.
            for control in 0..=u8::MAX {
                let mut value = String::from(&plain).into_bytes();
                value.insert(at % (plain.len() + 1), control);
                let expected: Vec<u8> = value.iter().map(space).collect();
                prop_assert_eq!(cleaned(value), expected);
            }
        }
    }
}
