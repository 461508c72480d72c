//! From an HTTP request to the JSON that an exported action gets.
//!
//! ```text
//! bound parameters  <  __ow_method, __ow_headers, __ow_path  <  query  <  body
//! ```
//!
//! What is further to the right wins. A body that is no JSON object and no form is `__ow_body`; so
//! is every body with the annotation `raw-http`, and then the query is `__ow_query`.
//!
//! The body is read twice, in slices: for the names in it, and to be written. What there is of the
//! head is bounded, and written at once.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::ops::Range;

use super::charset::Charset;
use super::content_type::ContentType;
use crate::api::answer::error::Reject;
use crate::api::invoke::merging::Bound;
use crate::api::request::Parts;
use crate::api::request::form::{Form, FormReader};
use crate::document::Document;
use crate::http::Headers;
use crate::http::grouped::Grouped;
use crate::json::scan::{Member, Scanner, Takes};
use crate::json::{
    ESCAPED_LEN, Json, Quoted, base64, whole_characters, write_escaped, write_escaped_lossy,
};
use crate::registry::{Action, KeyValues, Namespace};
use crate::slice::Slice;
use limits::{JSON_AT_ONCE_LEN_MAX, PARAMETER_NAME_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// Names that say where a request came from; a request must not say it itself.
const RESERVED: [&str; 6] =
    ["__ow_method", "__ow_headers", "__ow_path", "__ow_user", "__ow_query", "__ow_body"];

/// Text that is escaped at a time.
const PIECE_LEN: usize = 1024;

/// An input that is being composed.
pub struct Composing {
    body: PageBuffer,
    names: Names,
    /// What the query is written as, if it is not to be read.
    raw_query: Option<Document>,
    is_raw: bool,
    len_max: usize,
    out: Document,
    stage: Stage,
}

enum Stage {
    /// JSON is read.
    Scan(Box<Scanner>),
    /// A form is read.
    Form(FormReader, usize),
    /// Bound parameters are written, and then the body.
    Bound(Bound, Payload),
    Payload(Payload),
    Over,
}

/// A body as the action sees it, or what is left of it to be written.
enum Payload {
    None,
    /// The members of an object.
    Members(Range<usize>),
    /// A form from this pair on, of whose value so much was written.
    Form(Form, usize, usize),
    /// Another JSON value.
    Value(Range<usize>),
    Text(Range<usize>),
    /// Text in another set than UTF-8.
    Encoded(Charset, Range<usize>),
    /// Bytes from this piece on.
    Bytes(usize),
}

/// Which parameters are named by something that wins over them.
struct Names {
    bound: Vec<bool>,
    query: Form,
    in_query: Vec<bool>,
    /// Bound parameters are not for requests to set.
    is_final: bool,
}

impl Composing {
    /// Begins with a request. `user` is whose key it carries.
    ///
    /// # Errors
    /// It is too long, its query says something that is not allowed, or there is no memory.
    pub fn new(
        action: &Action,
        parts: &Parts<'_>,
        body: PageBuffer,
        path: &str,
        user: Option<&Namespace>,
    ) -> Result<Self, Reject> {
        let len_max = parts.body_len_max;
        if body.len() > len_max {
            return Err(Reject::InputTooLong { max: len_max });
        }
        let is_raw = action.annotations.is_raw;
        let query = parts.query.text();
        let stage = stage(&body, parts.headers, is_raw)?;
        let mut raw_query = None;
        let mut out = Document::default();
        let written = write_metadata(&mut out, parts, path, user).and_then(|()| {
            if is_raw {
                write!(raw_query.insert(Document::default()), ",\"__ow_query\":{}", Quoted(query))?;
            }
            Ok(())
        });
        written.map_err(|fmt::Error| Reject::NoMemory)?;
        let query = if is_raw { Form::default() } else { Form::read(query.as_bytes())? };
        let mut names = Names {
            bound: unnamed(action.parameters.len())?,
            in_query: unnamed(query.len())?,
            query: Form::default(),
            is_final: action.annotations.is_final,
        };
        for (name, _) in query.iter() {
            names.claim_bound(&action.parameters, name, &Quoted(name).to_string())?;
        }
        names.query = query;
        Ok(Self { body, names, raw_query, is_raw, len_max, out, stage })
    }

    /// Whether it is to be composed in slices.
    #[must_use]
    pub fn is_long(&self, parameters: &KeyValues) -> bool {
        self.body.len().saturating_add(parameters.items().len()) > JSON_AT_ONCE_LEN_MAX
    }

    /// Goes on; `parameters` are always those of the action. Returns the input when it is there.
    ///
    /// # Errors
    /// Why there is none.
    pub fn step(
        &mut self,
        parameters: &KeyValues,
        slice: &mut Slice,
    ) -> Result<Option<PageBuffer>, Reject> {
        while !slice.is_over() {
            let before = self.out.len();
            self.go_on(parameters, slice)?;
            slice.take(self.out.len() - before);
            if self.out.len() > self.len_max {
                return Err(Reject::InputTooLong { max: self.len_max });
            }
            if matches!(self.stage, Stage::Over) {
                self.body = PageBuffer::new();
                return Ok(Some(core::mem::take(&mut self.out).into_pages()));
            }
        }
        Ok(None)
    }

    /// All of it at once.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn whole(mut self, parameters: &KeyValues) -> Result<PageBuffer, Reject> {
        loop {
            if let Some(input) = self.step(parameters, &mut Slice::new(usize::MAX))? {
                return Ok(input);
            }
        }
    }

    fn go_on(&mut self, parameters: &KeyValues, slice: &mut Slice) -> Result<(), Reject> {
        let Self { body, names, out, stage, .. } = self;
        match stage {
            Stage::Scan(scanner) => {
                let mut outcome = Ok(());
                let visit = &mut |member: Member<'_>| {
                    if let (Ok(()), Some(name)) = (&outcome, member.name) {
                        outcome = names.claim_member(parameters, name);
                    }
                };
                let is_whole = scanner.step(body, slice, visit)?;
                outcome?;
                if is_whole {
                    let payload = scanned(scanner, body);
                    self.stage = Stage::Bound(Bound::default(), payload);
                }
            }
            Stage::Form(reader, at) => {
                let chunk = body.chunk_at(*at);
                slice.take(chunk.len());
                *at += chunk.len();
                reader.push(chunk)?;
                if chunk.is_empty() {
                    let form = core::mem::take(reader).finish()?;
                    for (name, _) in form.iter() {
                        names.claim(parameters, name, &Quoted(name).to_string())?;
                    }
                    let payload = Payload::Form(form, 0, 0);
                    self.stage = Stage::Bound(Bound::default(), payload);
                }
            }
            Stage::Bound(bound, _) => {
                // What these say of the request is not for the action's owner to say.
                let is_left_out = |at, key: &str| {
                    names.bound.get(at) == Some(&true) || RESERVED.contains(&key.trim_matches('"'))
                };
                if bound.step(out, parameters, &mut ",", is_left_out, slice)? {
                    self.write_query()?;
                    self.begin_payload()?;
                }
            }
            Stage::Payload(payload) => {
                if payload.write(out, body, slice)? {
                    out.append(b"}")?;
                    self.stage = Stage::Over;
                }
            }
            Stage::Over => {}
        }
        Ok(())
    }

    /// What of the query the body does not say.
    fn write_query(&mut self) -> Result<(), OutOfFrames> {
        let Self { names, raw_query, out, .. } = self;
        if let Some(query) = raw_query.take() {
            query.into_pages().chunks().try_for_each(|chunk| out.append(chunk))?;
        }
        let pairs = names.query.iter().zip(&names.in_query).filter(|(_, is_named)| !**is_named);
        for ((name, value), _) in pairs {
            write!(out, ",{}:{}", Quoted(name), Quoted(value)).map_err(|fmt::Error| OutOfFrames)?;
        }
        Ok(())
    }

    fn begin_payload(&mut self) -> Result<(), OutOfFrames> {
        let Stage::Bound(_, payload) = core::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(());
        };
        self.out.append(match &payload {
            Payload::None if self.is_raw => b",\"__ow_body\":\"\"",
            Payload::None | Payload::Form(..) => b"",
            Payload::Members(_) => b",",
            Payload::Value(_) => b",\"__ow_body\":",
            Payload::Text(_) | Payload::Encoded(..) | Payload::Bytes(_) => b",\"__ow_body\":\"",
        })?;
        self.stage = Stage::Payload(payload);
        Ok(())
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let form = match &self.stage {
            Stage::Form(reader, _) => reader.held_len(),
            Stage::Bound(_, Payload::Form(form, ..)) | Stage::Payload(Payload::Form(form, ..)) => {
                form.held_len()
            }
            _ => 0,
        };
        self.body.len() + self.out.len() + form
    }
}

/// How a body is read, by its content type.
fn stage(body: &PageBuffer, headers: Headers<'_>, is_raw: bool) -> Result<Stage, Reject> {
    let written = |payload| Ok(Stage::Bound(Bound::default(), payload));
    if body.is_empty() {
        return written(Payload::None);
    }
    let kind = ContentType::of(headers.get("content-type").unwrap_or_default());
    if kind.is_json() && !is_raw {
        return Ok(Stage::Scan(Box::new(Scanner::new(Takes::Anything))));
    }
    if kind.is("application/x-www-form-urlencoded") && !is_raw {
        return Ok(Stage::Form(FormReader::new(body.len())?, 0));
    }
    // JSON that is not to be read is bytes, as it always was in `OpenWhisk`.
    let is_text = kind.is_text() && !kind.is("application/json");
    let all = 0..body.len();
    written(match kind.charset().and_then(Charset::named) {
        _ if !is_text => Payload::Bytes(0),
        Some(charset) => Payload::Encoded(charset, all),
        None if kind.is_utf8() => Payload::Text(all),
        // What it says is not known here.
        None => Payload::Bytes(0),
    })
}

/// What JSON is to be written as.
fn scanned(scanner: &Scanner, body: &PageBuffer) -> Payload {
    let Range { start, end } = scanner.outer();
    match body.chunk_at(start).first() {
        Some(b'{') if scanner.has_members() => Payload::Members(start + 1..end.saturating_sub(1)),
        Some(b'{') => Payload::None,
        _ => Payload::Value(start..end),
    }
}

/// So many that nothing names.
fn unnamed(count: usize) -> Result<Vec<bool>, Reject> {
    let mut named = Vec::new();
    named.try_reserve_exact(count).map_err(|_| Reject::NoMemory)?;
    named.resize(count, false);
    Ok(named)
}

impl Payload {
    /// Writes a piece of a body. Returns whether it was the last one.
    fn write(
        &mut self,
        out: &mut Document,
        body: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<bool, OutOfFrames> {
        match self {
            Self::None => Ok(true),
            Self::Members(rest) | Self::Value(rest) => {
                let chunk = body.chunk_at(rest.start);
                let piece = chunk.get(..rest.len()).unwrap_or(chunk);
                out.append(piece)?;
                rest.start += piece.len();
                Ok(Range::is_empty(rest))
            }
            Self::Form(form, next, written) => write_pair(out, form, next, written),
            Self::Text(rest) => {
                let mut piece = [0; PIECE_LEN];
                let len = body.copy_to(rest.clone(), &mut piece);
                let piece = &piece[..len];
                let piece = if len < rest.len() { whole_characters(piece) } else { piece };
                write_escaped_lossy(out, piece).map_err(|fmt::Error| OutOfFrames)?;
                slice.take(piece.len());
                rest.start += piece.len();
                end_string(out, Range::is_empty(rest))
            }
            Self::Encoded(charset, rest) => {
                let mut piece = [0; PIECE_LEN];
                let len = body.copy_to(rest.clone(), &mut piece);
                slice.take(len);
                let mut utf8 = [0; 4];
                for byte in &piece[..len] {
                    let character = charset.decode(*byte).encode_utf8(&mut utf8);
                    write_escaped(out, character).map_err(|fmt::Error| OutOfFrames)?;
                }
                rest.start += len;
                end_string(out, Range::is_empty(rest))
            }
            Self::Bytes(number) => {
                let mut piece = [0; base64::PIECE_LEN];
                let len = base64::piece(body, *number, &mut piece);
                out.append(&piece[..len])?;
                *number += 1;
                end_string(out, len < piece.len())
            }
        }
    }
}

/// Writes a piece of a form. Returns whether it was the last one.
fn write_pair(
    out: &mut Document,
    form: &Form,
    next: &mut usize,
    written: &mut usize,
) -> Result<bool, OutOfFrames> {
    let Some((name, value)) = form.at(*next) else { return Ok(true) };
    let rest = value.get(*written..).unwrap_or_default();
    let piece = match rest.get(..PIECE_LEN) {
        Some(piece) if piece.len() < rest.len() => whole_characters(piece),
        _ => rest,
    };
    let is_last = piece.len() == rest.len();
    let write = |out: &mut Document| {
        if *written == 0 {
            write!(out, ",{}:\"", Quoted(name))?;
        }
        write_escaped_lossy(out, piece)?;
        out.write_str(if is_last { "\"" } else { "" })
    };
    write(out).map_err(|fmt::Error| OutOfFrames)?;
    (*next, *written) = if is_last { (*next + 1, 0) } else { (*next, *written + piece.len()) };
    Ok(false)
}

fn end_string(out: &mut Document, is_last: bool) -> Result<bool, OutOfFrames> {
    if is_last {
        out.append(b"\"")?;
    }
    Ok(is_last)
}

impl Names {
    fn claim_member(&mut self, parameters: &KeyValues, name: Json<'_>) -> Result<(), Reject> {
        // A longer one is nobody else's.
        match name.string(ESCAPED_LEN * PARAMETER_NAME_LEN_MAX) {
            Ok(Cow::Borrowed(decoded)) => self.claim(parameters, decoded, name.text()),
            Ok(Cow::Owned(decoded)) => {
                self.claim(parameters, &decoded, &Quoted(&decoded).to_string())
            }
            Err(_) => Ok(()),
        }
    }

    /// A name in the body, as it is and as JSON.
    fn claim(&mut self, parameters: &KeyValues, name: &str, quoted: &str) -> Result<(), Reject> {
        let named = self.query.position(name);
        if let Some(named) = named.and_then(|position| self.in_query.get_mut(position)) {
            *named = true;
        }
        self.claim_bound(parameters, name, quoted)
    }

    fn claim_bound(
        &mut self,
        parameters: &KeyValues,
        name: &str,
        quoted: &str,
    ) -> Result<(), Reject> {
        if RESERVED.contains(&name) {
            return Err(Reject::ReservedParameters);
        }
        let named = parameters.position(quoted);
        if let Some(named) = named.and_then(|position| self.bound.get_mut(position)) {
            if self.is_final {
                return Err(Reject::ReservedParameters);
            }
            *named = true;
        }
        Ok(())
    }
}

fn write_metadata(
    out: &mut Document,
    parts: &Parts<'_>,
    path: &str,
    user: Option<&Namespace>,
) -> fmt::Result {
    out.write_str("{\"__ow_method\":\"")?;
    for letter in parts.method.name().chars() {
        out.write_char(letter.to_ascii_lowercase())?;
    }
    out.write_str("\",\"__ow_headers\":{")?;
    let mut separator = "";
    for (name, values) in Grouped::new(parts.headers).iter() {
        write!(out, "{separator}\"")?;
        for letter in name.chars() {
            // The characters of field names need no escapes.
            out.write_char(letter.to_ascii_lowercase())?;
        }
        out.write_str("\":\"")?;
        let mut between = "";
        for value in values {
            out.write_str(between)?;
            write_escaped(out, value)?;
            between = Headers::between(name);
        }
        out.write_str("\"")?;
        separator = ",";
    }
    write!(out, "}},\"__ow_path\":{}", Quoted(path))?;
    if let Some(user) = user {
        write!(out, ",\"__ow_user\":{}", Quoted(user.as_str()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{composing, read};
    use alloc::string::String;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The input in slices of one byte each.
    fn sliced(kind: &str, body: &[u8]) -> Result<Value, u16> {
        let (mut composing, parameters) = composing(kind, body);
        loop {
            match composing.step(&parameters, &mut Slice::new(1)) {
                Ok(Some(input)) => return Ok(read(&input)),
                Ok(None) => {}
                Err(reject) => return Err(reject.status()),
            }
        }
    }

    fn whole(kind: &str, body: &[u8]) -> Result<Value, u16> {
        let (composing, parameters) = composing(kind, body);
        composing.whole(&parameters).map(|input| read(&input)).map_err(|reject| reject.status())
    }

    const KINDS: [&str; 5] = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/plain; charset=windows-1252",
        "image/png",
    ];

    #[test]
    fn no_character_is_cut() {
        for unit in ["x", "ä", "€", "\u{10348}", "\u{1f600}y", "\n"] {
            for shift in 0..4 {
                let text = "z".repeat(shift) + &unit.repeat(3 * PIECE_LEN / unit.len());
                let body = sliced("text/plain", text.as_bytes()).expect("it is text");
                assert!(body["__ow_body"] == text, "{unit} {shift}");
                let mut form = String::from("f=");
                text.bytes().for_each(|byte| form += &alloc::format!("%{byte:02x}"));
                let body = sliced(KINDS[1], form.as_bytes()).expect("it is a form");
                assert!(body["f"] == text, "{unit} {shift}");
            }
        }
        let cut = [&b"a".repeat(PIECE_LEN - 1)[..], b"\xe2\x82", b"\xe2\x82\xac\xff\xe2"].concat();
        let body = sliced("text/plain", &cut).expect("it is some text");
        assert!(body["__ow_body"] == String::from_utf8_lossy(&cut).as_ref());
    }

    proptest! {
        #[test]
        fn slices_make_the_same_of_it(
            body in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..9),
                "[a-c&=%+0-9]{0,20}".prop_map(String::into_bytes),
                proptest::sample::select(alloc::vec![
                    "{}", " [1] ", "{\"a\":1}", "{\"bound\":{}}", "7", " -1.5 ", "\"x\"", "tru",
                    "{\"__ow_path\":1}", "null", "{\"a\":[{}], \"b\" : \"\\u00e4\"}",
                ]).prop_map(|text| text.as_bytes().to_vec()),
            ],
            kind in proptest::sample::select(KINDS.to_vec()),
        ) {
            prop_assert_eq!(sliced(kind, &body), whole(kind, &body));
        }
    }
}
