//! A deploy document, split into the code in it and the rest, in slices.
//!
//! The code is the string `exec.code`, up to 64 MiB in a document of a few hundred bytes. It is
//! copied as it stands there, and leaves an empty string behind, so that the rest
//! is read and judged as any other document. Nothing is judged here but where
//! strings begin and end; what no string has goes into the rest, whose reader says so. Of members
//! with equal names the last one counts, as everywhere.

use super::Json;
use crate::slice::Slice;
use limits::DEPLOY_REST_LEN_MAX;
use memory::{OutOfFrames, PageBuffer};

/// Longest spelling of a name that is compared.
const NAME_LEN_MAX: usize = 32;

/// Splits one document.
#[derive(Default)]
pub struct Splitter {
    /// Bytes of the document that were read.
    at: usize,
    rest: PageBuffer,
    state: State,
    /// How many brackets are open.
    depth: usize,
    /// The second of them is that of `exec`.
    is_exec: bool,
    /// A string would be a name.
    is_name: bool,
    name: Name,
    code: Option<PageBuffer>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    /// In a string that goes to the rest.
    Text {
        escaped: bool,
    },
    Code,
    /// Behind a backslash of the code.
    Escape,
    /// In an escape that lacks so many digits.
    Digits(usize),
}

/// The first bytes of a name.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    bytes: [u8; NAME_LEN_MAX],
    len: usize,
    is_longer: bool,
}

impl Name {
    fn push(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(NAME_LEN_MAX - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        self.is_longer |= count < bytes.len();
    }
}

/// Why a document cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitReject {
    /// The rest is longer than [`DEPLOY_REST_LEN_MAX`].
    RestTooLong,
    /// There is no memory for the parts.
    OutOfMemory,
}

impl From<OutOfFrames> for SplitReject {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfMemory
    }
}

impl Splitter {
    /// Goes on with a document. Returns whether it was read to its end.
    ///
    /// # Errors
    /// [`SplitReject`].
    pub fn step(&mut self, document: &PageBuffer, slice: &mut Slice) -> Result<bool, SplitReject> {
        while !slice.is_over() {
            let chunk = document.chunk_at(self.at);
            if chunk.is_empty() {
                return Ok(true);
            }
            slice.take(chunk.len());
            self.at += chunk.len();
            let mut bytes = chunk;
            while !bytes.is_empty() {
                let count = self.push(bytes)?;
                bytes = &bytes[count..];
            }
        }
        Ok(self.at == document.len())
    }

    /// How much memory the parts take by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.rest.len() + self.code.as_ref().map_or(0, PageBuffer::len)
    }

    /// The rest, and the inside of the code if there is a string of that name, escapes and all.
    #[must_use]
    pub fn into_parts(self) -> (PageBuffer, Option<PageBuffer>) {
        (self.rest, self.code)
    }

    /// Takes a byte or more, or knows better what to take; returns how many.
    fn push(&mut self, bytes: &[u8]) -> Result<usize, SplitReject> {
        match self.state {
            State::Between => self.push_between(bytes),
            State::Text { escaped } => self.push_text(bytes, escaped),
            State::Code => self.push_code(bytes),
            State::Escape => self.push_escape(bytes[0]),
            State::Digits(left) => self.push_digit(bytes[0], left),
        }
    }

    fn push_between(&mut self, bytes: &[u8]) -> Result<usize, SplitReject> {
        let is_special = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':');
        let Some(at) = bytes.iter().position(is_special) else {
            self.keep(bytes)?;
            return Ok(bytes.len());
        };
        self.keep(&bytes[..=at])?;
        let is_looked_at = self.depth == 1 || self.depth == 2 && self.is_exec;
        match bytes[at] {
            b'"' if is_looked_at && self.is_name => {
                self.name = Name::default();
                self.name.push(b"\"");
                self.state = State::Text { escaped: false };
            }
            b'"' if is_looked_at && self.depth == 2 && self.is_named("code") => {
                self.code = Some(PageBuffer::new());
                self.state = State::Code;
            }
            b'"' => self.state = State::Text { escaped: false },
            b'{' | b'[' => {
                let is_object = bytes[at] == b'{';
                self.depth += 1;
                if self.depth == 2 {
                    self.is_exec = is_object && self.is_named("exec");
                }
                self.is_name = is_object;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.is_name = false;
            }
            b',' => self.is_name = is_looked_at,
            _ => self.is_name = false,
        }
        Ok(at + 1)
    }

    fn push_text(&mut self, bytes: &[u8], escaped: bool) -> Result<usize, SplitReject> {
        let end = match escaped {
            true => 0,
            false => {
                bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len())
            }
        };
        let text = &bytes[..bytes.len().min(end + 1)];
        self.keep(text)?;
        if self.is_name {
            self.name.push(text);
        }
        self.state = match bytes.get(end) {
            Some(b'"') if !escaped => State::Between,
            Some(b'\\') if !escaped => State::Text { escaped: true },
            _ => State::Text { escaped: false },
        };
        if self.state == State::Between {
            self.is_name = false;
        }
        Ok(text.len())
    }

    fn push_code(&mut self, bytes: &[u8]) -> Result<usize, SplitReject> {
        let is_special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        let at = bytes.iter().position(is_special).unwrap_or(bytes.len());
        self.append(&bytes[..at])?;
        let Some(byte) = bytes.get(at) else { return Ok(at) };
        match byte {
            b'"' => {
                self.keep(b"\"")?;
                self.state = State::Between;
            }
            b'\\' => {
                self.append(b"\\")?;
                self.state = State::Escape;
            }
            // No string has such a byte, as the reader of the rest will say.
            _ => self.keep(&[*byte])?,
        }
        Ok(at + 1)
    }

    fn push_escape(&mut self, byte: u8) -> Result<usize, SplitReject> {
        self.append(&[byte])?;
        self.state = if byte == b'u' { State::Digits(4) } else { State::Code };
        if !matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') {
            // Likewise.
            self.keep(&[b'\\', byte])?;
        }
        Ok(1)
    }

    fn push_digit(&mut self, byte: u8, left: usize) -> Result<usize, SplitReject> {
        if !byte.is_ascii_hexdigit() {
            // Likewise; it may be the end of the string.
            self.keep(b"\\u")?;
            self.state = State::Code;
            return Ok(0);
        }
        self.append(&[byte])?;
        self.state = if left > 1 { State::Digits(left - 1) } else { State::Code };
        Ok(1)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SplitReject> {
        match &mut self.code {
            Some(code) => Ok(code.append(bytes)?),
            None => Ok(()),
        }
    }

    /// Whether the last name that was looked at is this one.
    fn is_named(&self, name: &str) -> bool {
        let text = core::str::from_utf8(&self.name.bytes[..self.name.len]);
        !self.name.is_longer && text.is_ok_and(|text| Json(text).is(name))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), SplitReject> {
        if self.rest.len() + bytes.len() > DEPLOY_REST_LEN_MAX {
            return Err(SplitReject::RestTooLong);
        }
        Ok(self.rest.append(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn split(document: &str) -> Result<(String, Option<Vec<u8>>), SplitReject> {
        memory::install_for_test();
        let document = PageBuffer::from_bytes(document.as_bytes()).expect("frames are left");
        let mut splitter = Splitter::default();
        while !splitter.step(&document, &mut Slice::new(1))? {}
        let (rest, code) = splitter.into_parts();
        let code = code.map(|code| code.to_vec().expect("the heap has room"));
        let rest = rest.to_vec().expect("the heap has room");
        Ok((String::from_utf8(rest).expect("text"), code))
    }

    #[test]
    fn the_code_is_taken_out_wherever_it_stands() {
        for (document, rest, inside) in [
            (r#"{"exec":{"code":"QUJD"}}"#, r#"{"exec":{"code":""}}"#, "QUJD"),
            (
                r#" { "exec" : { "code" : "Q U\nJD" } } "#,
                r#" { "exec" : { "code" : "" } } "#,
                r"Q U\nJD",
            ),
            (
                r#"{"a":[{"exec":{"code":"x"}},"\"","}"],"exec":{"code":"\u0051UJD","b":[{}]}}"#,
                r#"{"a":[{"exec":{"code":"x"}},"\"","}"],"exec":{"code":"","b":[{}]}}"#,
                r"\u0051UJD",
            ),
            (r#"{"e\u0078ec":{"\u0063ode":"QUJD"}}"#, r#"{"e\u0078ec":{"\u0063ode":""}}"#, "QUJD"),
            (
                r#"{"exec":{"code":"eA==","code":"QUJD"}}"#,
                r#"{"exec":{"code":"","code":""}}"#,
                "QUJD",
            ),
            (
                r#"{"exec":{"code":"eA=="},"exec":{"code":"QUJD"}}"#,
                r#"{"exec":{"code":""},"exec":{"code":""}}"#,
                "QUJD",
            ),
            (r#"{"exec":{"code":"\"a\\"}}"#, r#"{"exec":{"code":""}}"#, r#"\"a\\"#),
        ] {
            let (found, code) = split(document).expect(document);
            let code = code.map(|code| String::from_utf8(code).expect("text"));
            assert_eq!((&*found, code.as_deref()), (rest, Some(inside)), "{document}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for document in [
            "",
            "[]",
            "\"exec\"",
            r#"{"exec":"code","code":"QUJD"}"#,
            r#"{"exec":["code","QUJD"]}"#,
            r#"{"exec":{"code":7,"kind":"code","x":"QUJD"}}"#,
            r#"["exec",{"code":"!"}]"#,
            r#"{"x":{"exec":{"code":"!"}},"y":["exec",{"code":"!"}]}"#,
            r#"{"exec":[{"code":"!"}]}"#,
            "}}]]{{\"",
        ] {
            assert_eq!(split(document), Ok((document.into(), None)));
        }
    }

    #[test]
    fn what_no_string_has_is_left_to_the_reader_of_the_rest() {
        for (code, left) in
            [("QUJD\n", "\n"), ("QU\\qJD", "\\q"), ("\0", "\0"), ("\\u12", "\\u"), ("\\u", "\\u")]
        {
            let (rest, _) = split(&format!(r#"{{"exec":{{"code":"{code}"}}}}"#)).expect(code);
            assert_eq!(rest, format!(r#"{{"exec":{{"code":"{left}"}}}}"#));
            assert!(Json(&rest).check().is_err());
        }
    }

    #[test]
    fn a_long_rest_is_refused() {
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(DEPLOY_REST_LEN_MAX));
        assert_eq!(split(&long), Err(SplitReject::RestTooLong));
    }

    proptest! {
        #[test]
        fn any_document_is_the_same_with_its_code_put_back(
            code in proptest::collection::vec(any::<u8>(), 0..5000),
            others in
                proptest::collection::btree_map("[a-e\\\\\"{}\\[\\],:]{0,6}", any::<u8>(), 0..4),
            first in any::<bool>(),
        ) {
            let text = STANDARD.encode(&code);
            let mut members: Vec<String> = others
                .iter()
                .map(|(name, value)| format!("{}:[{value}]", super::super::Quoted(name)))
                .collect();
            let with = |members: &[String], code: &str| {
                let exec = format!(r#""exec":{{"kind":"x","code":"{code}"}}"#);
                let mut all = members.to_vec();
                let place = if first { 0 } else { all.len() };
                all.insert(place, exec);
                format!("{{{}}}", all.join(","))
            };
            members.sort();
            let (rest, found) = split(&with(&members, &text)).expect("it can be split");
            prop_assert_eq!(rest, with(&members, ""));
            prop_assert_eq!(found, Some(text.into_bytes()));
        }

        #[test]
        fn nothing_panics(document in "[execod\"{}\\[\\]:,\\\\u0 ]{0,60}") {
            let _ = split(&document);
        }
    }
}
