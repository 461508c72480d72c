//! From the JSON result of an exported action to an HTTP response, in slices.
//!
//! Of a result that is an error, the value of `error` counts: so an action answers 404 by
//! `{"error":{"statusCode":404,…}}`. What cannot be sent is 400, in `OpenWhisk`'s words.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use super::charset::Charset;
use super::content_type::ContentType;
use crate::api::answer::error::{Reject, error};
use crate::api::answer::respond;
use crate::api::invoke::admission::Pending;
use crate::api::invoke::outcome::reason;
use crate::api::invoke::shape::Media;
use crate::dispatch::Completion;
use crate::http::{Body, Fields, Response};
use crate::json::Json;
use crate::json::base64::Base64Reject;
use crate::json::decode::{DecodeReject, Decoding, Stands};
use crate::json::scan::{Member, Scanner, Takes};
use crate::slice::Slice;
use limits::{ACTION_FIELDS_LEN_MAX, BODY_LEN_MAX, HEADER_NAME_LEN_MAX, JSON_AT_ONCE_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// Longest text of a status: a string of three digits.
const STATUS_LEN_MAX: usize = 5;

/// Why a result is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is not what the extension, or `message/http`, stands for.
    NotMedia(&'static str),
    /// It is not what its content type says.
    NotKind,
    /// Its content type is none.
    UnknownKind,
    /// It has no field for this extension.
    NoField,
    /// There is none: the action failed.
    NoResult,
    /// There is no memory to send it.
    OutOfFrames,
}

impl From<DecodeReject> for Failure {
    fn from(reject: DecodeReject) -> Self {
        match reject {
            DecodeReject::Base64(Base64Reject::OutOfFrames) => Self::OutOfFrames,
            DecodeReject::Base64(_) | DecodeReject::NotUtf8 => Self::NotKind,
        }
    }
}

impl From<OutOfFrames> for Failure {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// An answer but for what the node adds to it.
pub struct Transcoded {
    status: u16,
    fields: Fields,
    /// What is sent, unless that is the action's output as it is.
    body: Option<PageBuffer>,
}

/// A result that becomes an answer.
pub struct Transcoding {
    media: Media,
    fields: Fields,
    stage: Stage,
}

enum Stage {
    /// The result is read, or what it says of an error.
    Scan {
        scanner: Box<Scanner>,
        found: Found,
        is_output: bool,
    },
    /// A part of it is copied, or decoded.
    Copy {
        status: u16,
        rest: Range<usize>,
        copy: PageBuffer,
    },
    Decode {
        status: u16,
        decoding: Box<Decoding>,
    },
}

/// Where in a result the values of these members are; of equal names the last one counts.
#[derive(Clone, Default)]
struct Found {
    status: Option<Range<usize>>,
    headers: Option<Range<usize>>,
    body: Option<Range<usize>>,
    html: Option<Range<usize>>,
    svg: Option<Range<usize>>,
    text: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

/// What is to be sent.
enum Content {
    Output,
    Verbatim(Range<usize>),
    String(Range<usize>, Stands),
    Nothing,
}

impl Found {
    /// Notes where a member is; `null` is the same as nothing.
    fn note(&mut self, output: &PageBuffer, Member { name, value }: Member<'_>) {
        let Some(name) = name else { return };
        let is_null = output.is_at(&value, b"null");
        let places = [
            ("statusCode", &mut self.status),
            ("headers", &mut self.headers),
            ("body", &mut self.body),
            ("html", &mut self.html),
            ("svg", &mut self.svg),
            ("text", &mut self.text),
        ];
        for (_, place) in places.into_iter().filter(|(known, _)| name.is(known)) {
            *place = (!is_null).then(|| value.clone());
        }
        if name.is("error") {
            self.error = Some(value);
        }
    }
}

impl Transcoding {
    /// Begins with an invocation that ended.
    pub fn new(pending: &mut Pending, media: Media) -> Self {
        let scanner = Box::new(Scanner::new(Takes::Container));
        let stage = Stage::Scan { scanner, found: Found::default(), is_output: true };
        Self { media, fields: pending.take_fields(), stage }
    }

    /// Goes on with its output, which is always the same. Returns what became of it when that is
    /// known.
    pub fn step(
        &mut self,
        output: &PageBuffer,
        slice: &mut Slice,
    ) -> Option<Result<Transcoded, Failure>> {
        while !slice.is_over() {
            match self.go_on(output, slice) {
                Ok(None) => {}
                Ok(Some((status, body))) => {
                    let fields = core::mem::take(&mut self.fields);
                    return Some(Ok(Transcoded { status, fields, body }));
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    /// All of it at once.
    fn whole(mut self, output: &PageBuffer) -> Result<Transcoded, Failure> {
        loop {
            if let Some(made) = self.step(output, &mut Slice::new(usize::MAX)) {
                return made;
            }
        }
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.stage {
            Stage::Scan { .. } => 0,
            Stage::Copy { copy, .. } => copy.len(),
            Stage::Decode { decoding, .. } => decoding.made_len(),
        }
    }

    fn go_on(
        &mut self,
        output: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<(u16, Option<PageBuffer>)>, Failure> {
        match &mut self.stage {
            Stage::Scan { scanner, found, is_output } => {
                let visit = &mut |member: Member<'_>| found.note(output, member);
                let is_whole = scanner.step(output, slice, visit);
                if !is_whole.map_err(|_| Failure::NoResult)? {
                    return Ok(None);
                }
                if let (true, Some(error)) = (*is_output, found.error.take()) {
                    let scanner = Box::new(Scanner::within(Takes::Anything, error));
                    self.stage = Stage::Scan { scanner, found: Found::default(), is_output: false };
                    return Ok(None);
                }
                let (result, found) = (scanner.outer(), core::mem::take(found));
                let result = Value { output, range: result, is_output: *is_output, found };
                let (status, content) = result.judge(&mut self.fields, self.media)?;
                self.stage = match content {
                    Content::Output => return Ok(Some((status, None))),
                    Content::Nothing => return Ok(Some((status, Some(PageBuffer::new())))),
                    Content::Verbatim(rest) => {
                        Stage::Copy { status, rest, copy: PageBuffer::new() }
                    }
                    Content::String(inside, stands) => {
                        let decoding = Box::new(Decoding::new(inside, stands, BODY_LEN_MAX));
                        Stage::Decode { status, decoding }
                    }
                };
                Ok(None)
            }
            Stage::Copy { status, rest, copy } => {
                let chunk = output.chunk_at(rest.start);
                let piece = chunk.get(..rest.len()).unwrap_or(chunk);
                slice.take(piece.len());
                copy.append(piece)?;
                rest.start += piece.len();
                let is_whole = Range::is_empty(rest);
                Ok(is_whole.then(|| (*status, Some(core::mem::take(copy)))))
            }
            Stage::Decode { status, decoding } => {
                let decoded = decoding.step(output, slice)?;
                Ok(decoded.map(|decoded| (*status, Some(decoded))))
            }
        }
    }
}

/// The answer to an invocation that ran. What its result became is `made`, if that took long.
pub fn complete(
    pending: &mut Pending,
    completion: Completion,
    (media, cors): (Media, bool),
    made: Option<Result<Transcoded, Failure>>,
) -> Response {
    let Completion { end, output, .. } = completion;
    let made = match made {
        _ if reason(end, None).is_some() => Err(Failure::NoResult),
        Some(made) => made,
        None => Transcoding::new(pending, media).whole(&output),
    };
    let Transcoded { status, mut fields, body } = match made {
        Ok(made) => made,
        Err(failure) => return failure.response(pending),
    };
    let body = match body {
        None => Body::Pages(output),
        Some(pages) if pages.is_empty() => Body::Empty,
        Some(pages) => Body::Pages(pages),
    };
    respond::push_request_id(&mut fields, pending.request_id());
    if cors {
        respond::push_web_cors(&mut fields);
    }
    Response { status, headers: fields, body }
}

/// The result of an action, or what it says of an error: JSON at a place in its output.
struct Value<'a> {
    output: &'a PageBuffer,
    range: Range<usize>,
    is_output: bool,
    found: Found,
}

impl Value<'_> {
    /// What is sent, and with which status.
    fn judge(self, fields: &mut Fields, media: Media) -> Result<(u16, Content), Failure> {
        let ok = |content| Ok((200, content));
        match media {
            Media::Http => self.http(fields),
            Media::Json if self.is_output => {
                fields.push_line(respond::JSON);
                ok(Content::Output)
            }
            Media::Json if matches!(self.first(&self.range), Some(b'{' | b'[')) => {
                fields.push_line(respond::JSON);
                ok(Content::Verbatim(self.range))
            }
            Media::Json => Err(Failure::NotMedia("application/json")),
            Media::Html => {
                fields.push_line(respond::HTML);
                ok(self.string(&self.found.html).ok_or(Failure::NotMedia("text/html"))?)
            }
            Media::Svg => {
                fields.push_line(respond::SVG);
                ok(self.string(&self.found.svg).ok_or(Failure::NotMedia("image/svg+xml"))?)
            }
            Media::Text => {
                fields.push_line(respond::TEXT);
                let value = self.named(&self.found.text).ok_or(Failure::NoField)?;
                ok(match self.inside(&value) {
                    Some(inside) => Content::String(inside, Stands::Text),
                    None => Content::Verbatim(value),
                })
            }
        }
    }

    fn first(&self, range: &Range<usize>) -> Option<u8> {
        self.output.chunk_at(range.start).first().copied()
    }

    /// What is between the quotes of a value, if it is a string.
    fn inside(&self, value: &Range<usize>) -> Option<Range<usize>> {
        (self.first(value) == Some(b'"')).then(|| value.start + 1..value.end - 1)
    }

    /// The field `body`, else this one; a value that is no object is all there is.
    fn named(&self, field: &Option<Range<usize>>) -> Option<Range<usize>> {
        if self.first(&self.range) != Some(b'{') {
            return Some(self.range.clone());
        }
        self.found.body.as_ref().or(field.as_ref()).cloned()
    }

    fn string(&self, field: &Option<Range<usize>>) -> Option<Content> {
        let inside = self.inside(&self.named(field)?)?;
        Some(Content::String(inside, Stands::Text))
    }

    /// `{"statusCode":…,"headers":{…},"body":…}`
    fn http(self, fields: &mut Fields) -> Result<(u16, Content), Failure> {
        const BAD: Failure = Failure::NotMedia("message/http");
        if self.first(&self.range) != Some(b'{') {
            return Err(BAD);
        }
        let Found { status, headers, body, .. } = &self.found;
        let status = status.as_ref().map(|status| {
            let mut text = [0; STATUS_LEN_MAX];
            let len = if status.len() <= text.len() { status.len() } else { 0 };
            self.output.copy_to(status.clone(), &mut text[..len]);
            Json::read(&text[..len]).ok().and_then(read_status).ok_or(BAD)
        });
        let status = status.transpose()?;
        let mut text = Vec::new();
        if let Some(headers) = headers {
            if headers.len() > JSON_AT_ONCE_LEN_MAX {
                return Err(BAD);
            }
            text.try_reserve_exact(headers.len()).map_err(|_| Failure::OutOfFrames)?;
            text.resize(headers.len(), 0);
            self.output.copy_to(headers.clone(), &mut text);
        }
        let mut kind = None;
        if headers.is_some() {
            let mut outcome = Some(());
            let walked = Json::read(&text).map_err(|_| BAD)?.members(|name, value| {
                outcome = outcome.and_then(|()| push_header(fields, &mut kind, name, value));
            });
            walked.map_err(|_| BAD)?;
            outcome.ok_or(BAD)?;
        }
        let is_empty = |body: &Range<usize>| self.inside(body).is_some_and(|it| it.is_empty());
        let Some(body) = body.clone().filter(|body| !is_empty(body)) else {
            // A content type without content is left out.
            return Ok((status.unwrap_or(204), Content::Nothing));
        };
        let content = content(fields, kind, self.inside(&body), body)?;
        Ok((status.unwrap_or(200), content))
    }
}

fn read_status(status: Json<'_>) -> Option<u16> {
    const DIGITS: usize = 3;
    let text = status.string(DIGITS);
    let text = text.as_deref().unwrap_or(status.text().trim_ascii());
    text.parse().ok().filter(|status| (200..600).contains(status))
}

/// Takes over a field, or several of one name. The first content type is set aside.
fn push_header<'a>(
    fields: &mut Fields,
    kind: &mut Option<Json<'a>>,
    name: Json<'a>,
    value: Json<'a>,
) -> Option<()> {
    let name = name.string(HEADER_NAME_LEN_MAX).ok()?;
    if name.eq_ignore_ascii_case("content-type") {
        kind.get_or_insert(value).is_string().then_some(())
    } else if value.is_array() {
        let mut outcome = Some(());
        let walked = value.elements(|value| {
            outcome = outcome.and_then(|()| push_value(fields, &name, value));
        });
        walked.ok().and(outcome)
    } else {
        push_value(fields, &name, value)
    }
}

fn push_value(fields: &mut Fields, name: &str, value: Json<'_>) -> Option<()> {
    if value.is_string() {
        fields.push_foreign(name, &value.string(ACTION_FIELDS_LEN_MAX).ok()?).ok()
    } else if value.is_object() || value.is_array() || value.is_null() {
        None
    } else {
        fields.push_foreign(name, value.text().trim_ascii()).ok()
    }
}

/// A body that is not empty, with its content type. `inside` is what it is as a string.
fn content(
    fields: &mut Fields,
    stated: Option<Json<'_>>,
    inside: Option<Range<usize>>,
    body: Range<usize>,
) -> Result<Content, Failure> {
    let Some(stated) = stated else {
        fields.push_line(if inside.is_some() { respond::HTML } else { respond::JSON });
        return Ok(match inside {
            Some(inside) => Content::String(inside, Stands::Text),
            None => Content::Verbatim(body),
        });
    };
    let stated = stated.string(ACTION_FIELDS_LEN_MAX).map_err(|_| Failure::UnknownKind)?;
    let kind = ContentType::of(&stated);
    if !kind.is_well_formed() {
        return Err(Failure::UnknownKind);
    }
    let charset = kind.charset().and_then(Charset::named);
    let stated = if kind.lacks_charset() {
        alloc::format!("{stated}; charset=UTF-8")
    } else if inside.is_some() && kind.is_text() && charset.is_none() && !kind.is_utf8() {
        // Bytes and header must agree, and these are the bytes there are.
        alloc::format!("{}; charset=UTF-8", kind.essence())
    } else {
        alloc::format!("{stated}")
    };
    fields.push_foreign("Content-Type", &stated).map_err(|_| Failure::UnknownKind)?;
    let Some(inside) = inside else {
        return if kind.is_json() { Ok(Content::Verbatim(body)) } else { Err(Failure::NotKind) };
    };
    let is_text = kind.is_text() && !kind.is_json();
    Ok(Content::String(
        inside,
        match charset {
            Some(charset) if is_text => Stands::Coded(charset.encoder()),
            _ if is_text => Stands::Text,
            // A string is JSON in base64, as OpenWhisk's controller has it.
            _ => Stands::Base64,
        },
    ))
}

impl Failure {
    fn response(self, pending: &Pending) -> Response {
        let (status, text) = match self {
            Self::NotMedia(media) => {
                let text = alloc::format!("Response is not valid '{media}'.");
                return error(400, &text, pending.request_id());
            }
            Self::NotKind => (400, "Response type in header did not match generated content type."),
            Self::UnknownKind => (400, "Response did not specify a known content-type."),
            Self::NoField => (404, "Response does not include requested property."),
            Self::NoResult => (400, "There was an error processing your request."),
            Self::OutOfFrames => return Reject::NoMemory.response(pending.request_id()),
        };
        error(status, text, pending.request_id())
    }
}
