//! A JSON text in frames, checked in slices.
//!
//! What [`Json`] does in one go, for texts of which that would take long: encoding, nesting and
//! syntax of every byte, and the members of the outermost object. It accepts exactly the texts that
//! [`Json::read`] and a walk accept, and may stop after any byte, to go on with the next: all it
//! knows is the state below, and nothing grows with the text. What it refuses may have several
//! faults; then it names the first, where [`Json`] prefers some.

use core::ops::Range;

use super::{ESCAPED_LEN, Json, JsonReject};
use crate::slice::Slice;
use limits::{JSON_DEPTH_MAX, PARAMETER_NAME_LEN_MAX};
use memory::PageBuffer;

/// Longest spelling of a name that is told; a longer one is no name that anybody looks for.
const NAME_LEN_MAX: usize = ESCAPED_LEN * PARAMETER_NAME_LEN_MAX;

/// Which of the open brackets are those of objects, a bit for each.
type Brackets = u128;
const _: () = assert!(JSON_DEPTH_MAX <= Brackets::BITS as usize, "each level has its bit");

/// Reads one text.
pub struct Scanner {
    /// Bytes of the text that were read.
    at: usize,
    state: State,
    encoding: Encoding,
    depth: usize,
    objects: Brackets,
    takes: Takes,
    /// Where the text ends, unless that is the end of its buffer.
    end: usize,
    /// The outermost value, as far as it was read.
    outer: Range<usize>,
    /// Name of the member that is read, with its quotes, and where its value begins.
    name: Name,
    value_start: usize,
}

/// What a text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// An object.
    Object,
    /// An object or an array.
    Container,
    /// Any value.
    Anything,
}

/// A member of the outermost object, or an element of the outermost array.
pub struct Member<'a> {
    /// Its name, if it has one that is not so long that nobody looks for it.
    pub name: Option<Json<'a>>,
    /// Where its value is.
    pub value: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value comes; or the end of its array, if it would be the first.
    Value {
        may_end: bool,
    },
    /// A name comes; or the end of its object, if it would be the first.
    Name {
        may_end: bool,
    },
    Colon,
    /// A value has ended: a comma comes, or the end of what it is in, or that of the text.
    Behind,
    Text {
        is_name: bool,
    },
    Escape {
        is_name: bool,
    },
    /// In an escape that lacks so many digits.
    Digits {
        left: u8,
        is_name: bool,
    },
    Number(Number),
    /// In `true`, `false` or `null`, of which this is left.
    Word(&'static [u8]),
}

/// Where in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

impl Number {
    /// Where it is after one more byte; `None` if that is none of it.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Power)
    }
}

/// What is still to come of a character in UTF-8 (RFC 3629, 4).
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoding {
    missing: u8,
    /// What the next byte may be.
    low: u8,
    high: u8,
}

impl Encoding {
    /// Takes a byte of a string; returns whether the text can be UTF-8.
    pub fn take(&mut self, byte: u8) -> bool {
        if self.missing > 0 {
            let fits = (self.low..=self.high).contains(&byte);
            *self = Self { missing: self.missing - 1, low: 0x80, high: 0xbf };
            return fits;
        }
        let (missing, low, high) = match byte {
            ..0x80 => return true,
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return false,
        };
        *self = Self { missing, low, high };
        true
    }

    /// Whether the text can end here.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.missing == 0
    }
}

/// The first bytes of a name.
struct Name {
    bytes: [u8; NAME_LEN_MAX],
    len: usize,
    is_read: bool,
    is_longer: bool,
}

impl Name {
    fn push(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(NAME_LEN_MAX - self.len);
        self.bytes[self.len..self.len + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        self.is_longer |= count < bytes.len();
    }

    fn json(&self) -> Option<Json<'_>> {
        let text = core::str::from_utf8(&self.bytes[..self.len]).ok()?;
        (!self.is_longer).then_some(Json(text))
    }
}

impl Scanner {
    /// One for a text that is all of its buffer.
    #[must_use]
    pub const fn new(takes: Takes) -> Self {
        Self::within(takes, 0..usize::MAX)
    }

    /// One for a text that is a part of its buffer. Places in it are those of the buffer.
    #[must_use]
    pub const fn within(takes: Takes, part: Range<usize>) -> Self {
        let name = Name { bytes: [0; NAME_LEN_MAX], len: 0, is_read: false, is_longer: false };
        Self {
            at: part.start,
            state: State::Value { may_end: false },
            encoding: Encoding { missing: 0, low: 0, high: 0 },
            depth: 0,
            objects: 0,
            takes,
            end: part.end,
            outer: 0..0,
            name,
            value_start: 0,
        }
    }

    /// Begins anew, with another part.
    pub const fn restart(&mut self, takes: Takes, part: Range<usize>) {
        (self.at, self.end) = (part.start, part.end);
        (self.state, self.depth) = (State::Value { may_end: false }, 0);
        (self.takes, self.outer) = (takes, 0..0);
        (self.name.len, self.name.is_read, self.name.is_longer) = (0, false, false);
    }

    /// Goes on with a text. Returns whether it was read to its end, and is one. `visit` is told of
    /// members, or elements, as they end, in order.
    ///
    /// # Errors
    /// Why it is not what it should be.
    pub fn step(
        &mut self,
        text: &PageBuffer,
        slice: &mut Slice,
        visit: &mut dyn FnMut(Member<'_>),
    ) -> Result<bool, JsonReject> {
        while !slice.is_over() {
            let chunk = text.chunk_at(self.at);
            let chunk = chunk.get(..self.end.saturating_sub(self.at)).unwrap_or(chunk);
            if chunk.is_empty() {
                if let (0, State::Number(number)) = (self.depth, self.state)
                    && number.may_end()
                {
                    self.end_value(self.at, visit);
                }
                if self.takes == Takes::Object && self.is_unbegun() {
                    return Err(JsonReject::NotAnObject);
                }
                let is_whole = self.state == State::Behind && self.depth == 0;
                return if is_whole { Ok(true) } else { Err(self.malformed()) };
            }
            slice.take(chunk.len());
            self.read(chunk, visit)?;
        }
        Ok(false)
    }

    /// Where the outermost value is, without what is around it. Known at the end.
    #[must_use]
    pub fn outer(&self) -> Range<usize> {
        self.outer.clone()
    }

    /// Whether the outermost object has members. Known at the end.
    #[must_use]
    pub const fn has_members(&self) -> bool {
        self.name.len > 0
    }

    fn read(
        &mut self,
        mut bytes: &[u8],
        visit: &mut dyn FnMut(Member<'_>),
    ) -> Result<(), JsonReject> {
        while let Some((byte, after)) = bytes.split_first() {
            if matches!(self.state, State::Text { .. }) && self.encoding.missing == 0 {
                let is_plain = |byte: &u8| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~');
                let plain = bytes.iter().position(|byte| !is_plain(byte)).unwrap_or(bytes.len());
                if plain > 0 {
                    let (plain, after) = bytes.split_at(plain);
                    self.note_name(plain);
                    self.at += plain.len();
                    bytes = after;
                    continue;
                }
            }
            self.push(*byte, visit)?;
            self.at += 1;
            bytes = after;
        }
        Ok(())
    }

    fn push(&mut self, byte: u8, visit: &mut dyn FnMut(Member<'_>)) -> Result<(), JsonReject> {
        match self.state {
            State::Text { is_name } => self.push_text(byte, is_name, visit),
            State::Escape { is_name } => {
                self.note_name(&[byte]);
                self.state = match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                        State::Text { is_name }
                    }
                    b'u' => State::Digits { left: 4, is_name },
                    _ => return Err(self.malformed()),
                };
                Ok(())
            }
            State::Digits { left, is_name } => {
                self.note_name(&[byte]);
                if !byte.is_ascii_hexdigit() {
                    return Err(self.malformed());
                }
                let left = left - 1;
                self.state = match left {
                    0 => State::Text { is_name },
                    _ => State::Digits { left, is_name },
                };
                Ok(())
            }
            State::Number(number) => match number.after(byte) {
                Some(number) => {
                    self.state = State::Number(number);
                    Ok(())
                }
                // Only what follows it says that it has ended.
                None if number.may_end() => {
                    self.end_value(self.at, visit);
                    self.push_between(byte, visit)
                }
                None => Err(self.malformed()),
            },
            State::Word(left) => {
                let left = left.strip_prefix(&[byte]).ok_or_else(|| self.malformed())?;
                self.state = State::Word(left);
                if left.is_empty() {
                    self.end_value(self.at + 1, visit);
                }
                Ok(())
            }
            _ => self.push_between(byte, visit),
        }
    }

    fn push_text(
        &mut self,
        byte: u8,
        is_name: bool,
        visit: &mut dyn FnMut(Member<'_>),
    ) -> Result<(), JsonReject> {
        self.note_name(&[byte]);
        match byte {
            _ if !self.encoding.take(byte) => return Err(JsonReject::NotUtf8),
            b'"' if is_name => {
                self.name.is_read = false;
                self.state = State::Colon;
            }
            b'"' => self.end_value(self.at + 1, visit),
            b'\\' => self.state = State::Escape { is_name },
            ..b' ' => return Err(self.malformed()),
            _ => {}
        }
        Ok(())
    }

    fn push_between(
        &mut self,
        byte: u8,
        visit: &mut dyn FnMut(Member<'_>),
    ) -> Result<(), JsonReject> {
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (State::Value { may_end: true } | State::Behind, b']') if self.is_in(false) => {
                self.close(visit);
            }
            (State::Name { may_end: true } | State::Behind, b'}') if self.is_in(true) => {
                self.close(visit);
            }
            (State::Value { .. }, _) => self.begin_value(byte)?,
            (State::Name { .. }, b'"') => {
                self.state = State::Text { is_name: true };
                if self.depth == 1 {
                    (self.name.len, self.name.is_longer, self.name.is_read) = (0, false, true);
                    self.note_name(b"\"");
                }
            }
            (State::Colon, b':') => self.state = State::Value { may_end: false },
            (State::Behind, b',') if self.is_in(true) => {
                self.state = State::Name { may_end: false };
            }
            (State::Behind, b',') if self.is_in(false) => {
                self.state = State::Value { may_end: false };
            }
            _ => return Err(self.malformed()),
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), JsonReject> {
        match (self.depth, byte) {
            (0, b'{') => self.outer.start = self.at,
            (0, b'[') if self.takes != Takes::Object => self.outer.start = self.at,
            (0, _) if self.takes == Takes::Anything => self.outer.start = self.at,
            (0, _) => return Err(JsonReject::NotAnObject),
            (1, _) => self.value_start = self.at,
            _ => {}
        }
        self.state = match byte {
            b'{' => {
                self.open(true)?;
                State::Name { may_end: true }
            }
            b'[' => {
                self.open(false)?;
                State::Value { may_end: true }
            }
            b'"' => State::Text { is_name: false },
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            _ => return Err(self.malformed()),
        };
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<(), JsonReject> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(JsonReject::TooDeep);
        }
        let bit = 1 << self.depth;
        self.objects = if is_object { self.objects | bit } else { self.objects & !bit };
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, visit: &mut dyn FnMut(Member<'_>)) {
        self.depth = self.depth.saturating_sub(1);
        self.end_value(self.at + 1, visit);
    }

    /// Whether the innermost bracket that is open is that of an object, or else an array.
    fn is_in(&self, object: bool) -> bool {
        let Some(level) = self.depth.checked_sub(1) else { return false };
        (self.objects >> level & 1 == 1) == object
    }

    fn end_value(&mut self, end: usize, visit: &mut dyn FnMut(Member<'_>)) {
        self.state = State::Behind;
        if self.depth == 0 {
            self.outer.end = end;
        }
        if self.depth == 1 {
            let name = if self.is_in(true) { self.name.json() } else { None };
            visit(Member { name, value: self.value_start..end });
        }
    }

    fn note_name(&mut self, bytes: &[u8]) {
        if self.name.is_read {
            self.name.push(bytes);
        }
    }

    /// Whether there was nothing but blanks.
    fn is_unbegun(&self) -> bool {
        self.depth == 0 && self.state == State::Value { may_end: false }
    }

    const fn malformed(&self) -> JsonReject {
        JsonReject::Malformed { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    type Found = Vec<(String, String)>;

    /// What is told of a text that is read in one go.
    fn whole(text: &[u8], takes: Takes) -> Option<Found> {
        let json = Json::read(text).ok()?;
        let mut found = Vec::new();
        let is_other = match takes {
            Takes::Object => false,
            Takes::Container => json.is_array(),
            Takes::Anything => !json.is_object(),
        };
        let told = |text: Json<'_>| text.text().to_string();
        if is_other && json.is_array() {
            json.elements(|value| found.push((String::new(), told(value)))).ok()?;
            return Some(found);
        }
        if is_other {
            return json.check().is_ok().then_some(found);
        }
        json.members(|name, value| found.push((told(name), told(value)))).ok()?;
        Some(found)
    }

    /// The same of one that is read in slices; its own length is the largest that matters.
    fn sliced(text: &[u8], takes: Takes, slice_len: usize) -> Option<Found> {
        memory::install_for_test();
        let mut scanner = Scanner::new(takes);
        let mut found = Vec::new();
        for piece in text.chunks(slice_len) {
            let visit = &mut |Member { name, value }: Member<'_>| {
                let name = name.map_or_else(String::new, |name| name.text().to_string());
                let value = str::from_utf8(&text[value]).expect("text").to_string();
                found.push((name, value));
            };
            scanner.read(piece, visit).ok()?;
        }
        let buffer = PageBuffer::from_bytes(text).expect("frames are left");
        scanner.step(&buffer, &mut Slice::new(1), &mut |_| {}).ok()?;
        let around = [&text[..scanner.outer().start], &text[scanner.outer().end..]];
        assert!(around.iter().all(|around| around.trim_ascii().is_empty()));
        Some(found)
    }

    /// How many members are told of when it is a part of something longer.
    fn part(text: &[u8], takes: Takes) -> Option<usize> {
        let buffer = [b"12{", text, b"}34"].concat();
        let buffer = PageBuffer::from_bytes(&buffer).expect("frames are left");
        let mut scanner = Scanner::within(takes, 3..3 + text.len());
        let mut count = 0;
        while !scanner.step(&buffer, &mut Slice::new(1), &mut |_| count += 1).ok()? {}
        Some(count)
    }

    fn is_same(text: &[u8]) {
        for takes in [Takes::Object, Takes::Container, Takes::Anything] {
            let expected = whole(text, takes);
            for slice_len in [1, 3, text.len().max(1)] {
                let found = sliced(text, takes, slice_len);
                assert_eq!(found, expected, "{slice_len}: {}", text.escape_ascii());
            }
            assert_eq!(part(text, takes), expected.map(|found| found.len()));
        }
    }

    #[test]
    fn what_is_json_and_what_is_not() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let values = [
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".5",
            "1.5",
            "-0.0e+10",
            "1e",
            "1e+",
            "1E-2",
            "1.e1",
            "+1",
            "1e5.5",
            "true",
            "tru",
            "truex",
            "false",
            "null",
            "nul",
            "nulll",
            "\"\"",
            "\"\\\"\"",
            "\"\\u00e4\"",
            "\"\\u00g4\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\u{7f}\"",
            "\"ä€𐍈\"",
            "{}",
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{1:2}",
            "{\"a\" : [ { } , 1 ] }",
            "[}",
            "{]",
            "",
            "\u{feff}1",
            "'a'",
        ];
        let deep = [JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX].map(nested);
        for value in values.into_iter().chain(deep.iter().map(String::as_str)) {
            for text in [
                value.to_string(),
                format!(" {value}\r\n\t"),
                format!("{{\"a\":{value}}}"),
                format!("{{\"a\":{value} , \"\\u0062\" : 1 }}"),
                format!("{{\"\":[{value}]}} x"),
                format!("[{value},{value}]"),
            ] {
                is_same(text.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_text_is_refused_wherever_it_is_cut() {
        let sequences: [&[u8]; 12] = [
            b"\x80",
            b"\xc0\x80",
            b"\xc2",
            b"\xc2\"",
            b"\xe0\x9f\xbf",
            b"\xed\xa0\x80",
            b"\xef\xbf\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf4\x8f\xbf\xbf",
            b"\xf4\x90\x80\x80",
            b"\xf5",
            b"\xff",
        ];
        for sequence in sequences {
            is_same(&[b"{\"", sequence, b"\":\"", sequence, b"\"}"].concat());
            is_same(&[b"{\"a\":1}", sequence].concat());
        }
    }

    #[test]
    fn a_long_name_is_passed_over() {
        let text = format!("{{\"{}\":1}}", "x".repeat(NAME_LEN_MAX));
        let mut scanner = Scanner::new(Takes::Object);
        let mut names = Vec::new();
        let visit = &mut |member: Member<'_>| names.push(member.name.is_some());
        scanner.read(text.as_bytes(), visit).expect("it is an object");
        assert_eq!(names, [false]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_about_mutants(
            pieces in proptest::collection::vec(
                proptest::sample::select(alloc::vec![
                    "{", "}", "[", "]", ",", ":", "\"a\"", "\"", "1", "-", "0", ".", "e", "true",
                    "null", " ", "\\", "u0041", "ä", "{\"a\":", "{\"b\":[1,{}]}",
                ]),
                0..12,
            ),
        ) {
            is_same(pieces.concat().as_bytes());
        }

        #[test]
        fn it_agrees_with_serde_about_one_wrong_byte(at in 0..60_usize, byte in any::<u8>()) {
            let text = r#"{"a":[1.5e-3,"x\u00e4",{"b":null}],"c":{"d":false},"e":"~"} "#;
            let mut text = text.as_bytes().to_vec();
            text[at] = byte;
            is_same(&text);
        }
    }
}
