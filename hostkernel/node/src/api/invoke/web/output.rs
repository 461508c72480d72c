//! From the JSON result of an exported action to an HTTP response.
//!
//! Of a result that is an error, the value of `error` counts: so an action answers 404 by
//! `{"error":{"statusCode":404,…}}`. What cannot be sent is 400, in `OpenWhisk`'s words.

use core::fmt;

use super::charset::{Charset, Encoder};
use super::content_type::ContentType;
use crate::api::answer::error::{Reject, error};
use crate::api::answer::respond;
use crate::api::invoke::admission::Media;
use crate::api::invoke::admission::Pending;
use crate::api::invoke::outcome::{Verdict, reason};
use crate::dispatch::{Completion, End};
use crate::document::{Document, contiguous};
use crate::http::{Body, Fields, Response};
use crate::json::Json;
use crate::json::base64::{self, Base64Reject};
use limits::CODE_LEN_MAX;
use limits::{ACTION_FIELDS_LEN_MAX, HEADER_NAME_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// Why a result is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
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

impl From<OutOfFrames> for Failure {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// What is sent: the action's output as it is, or what was made of it.
enum Content {
    Output,
    Made(PageBuffer),
    Nothing,
}

/// The answer to an invocation that ran.
pub fn complete(
    pending: &mut Pending,
    completion: Completion,
    (media, cors): (Media, bool),
) -> Response {
    let mut fields = pending.take_fields();
    let Completion { end, output, .. } = completion;
    let (status, content) = match transcode(&mut fields, media, end, &output) {
        Ok(made) => made,
        Err(failure) => return failure.response(pending),
    };
    let body = match content {
        Content::Output => Body::Pages(output),
        Content::Made(pages) => Body::Pages(pages),
        Content::Nothing => Body::Empty,
    };
    respond::push_request_id(&mut fields, pending.request_id());
    if cors {
        respond::push_web_cors(&mut fields);
    }
    Response { status, headers: fields, body }
}

fn transcode(
    fields: &mut Fields,
    media: Media,
    end: End,
    output: &PageBuffer,
) -> Result<(u16, Content), Failure> {
    let text = contiguous(output)?;
    if reason(end, None).is_some() {
        return Err(Failure::NoResult);
    }
    let (result, is_output) = match Verdict::of_output(&text) {
        Verdict::Success(text) => (text, true),
        Verdict::ApplicationError(error) => (error, false),
        Verdict::DeveloperError(_) => return Err(Failure::NoResult),
    };
    let result = Json::read(result.as_bytes()).map_err(|_| Failure::NoResult)?;
    match media {
        Media::Http => http(fields, result),
        Media::Json if is_output => {
            fields.push_line(respond::JSON);
            Ok((200, Content::Output))
        }
        Media::Json if result.is_object() || result.is_array() => {
            fields.push_line(respond::JSON);
            Ok((200, verbatim(result)?))
        }
        Media::Json => Err(Failure::NotMedia("application/json")),
        Media::Html => {
            fields.push_line(respond::HTML);
            Ok((200, string_in(result, "html").ok_or(Failure::NotMedia("text/html"))??))
        }
        Media::Svg => {
            fields.push_line(respond::SVG);
            Ok((200, string_in(result, "svg").ok_or(Failure::NotMedia("image/svg+xml"))??))
        }
        Media::Text => {
            fields.push_line(respond::TEXT);
            let value = value_in(result, "text").ok_or(Failure::NoField)?;
            Ok((200, if value.is_string() { decoded(value)? } else { verbatim(value)? }))
        }
    }
}

/// The field `body` of a result, else the one of this name; a result that is no object is all there
/// is.
fn value_in<'a>(result: Json<'a>, name: &str) -> Option<Json<'a>> {
    if !result.is_object() {
        return Some(result);
    }
    let [body, named] = result.pick(["body", name]).ok()?;
    body.or(named)
}

fn string_in(result: Json<'_>, name: &str) -> Option<Result<Content, Failure>> {
    value_in(result, name).filter(|value| value.is_string()).map(decoded)
}

fn verbatim(value: Json<'_>) -> Result<Content, Failure> {
    Ok(Content::Made(PageBuffer::from_bytes(value.text().trim_ascii().as_bytes())?))
}

/// The characters of a string.
fn decoded(string: Json<'_>) -> Result<Content, Failure> {
    Ok(Content::Made(Document::compose(|out| string.write_decoded(out))?))
}

/// The characters of a string, in another set than UTF-8.
fn encoded(string: Json<'_>, charset: Charset) -> Result<Content, Failure> {
    let mut pages = PageBuffer::new();
    let sink = |bytes: &[u8]| pages.append(bytes).map_err(|OutOfFrames| fmt::Error);
    let written = string.write_decoded(&mut Encoder { charset, sink });
    written.map_err(|fmt::Error| Failure::OutOfFrames)?;
    Ok(Content::Made(pages))
}

/// `{"statusCode":…,"headers":{…},"body":…}`
fn http(fields: &mut Fields, result: Json<'_>) -> Result<(u16, Content), Failure> {
    const BAD: Failure = Failure::NotMedia("message/http");
    let [status, headers, body] =
        result.pick(["statusCode", "headers", "body"]).map_err(|_| BAD)?;
    let status = status.map(|status| read_status(status).ok_or(BAD)).transpose()?;
    let mut kind = None;
    if let Some(headers) = headers {
        let mut outcome = Some(());
        let walked = headers.members(|name, value| {
            outcome = outcome.and_then(|()| push_header(fields, &mut kind, name, value));
        });
        walked.map_err(|_| BAD)?;
        outcome.ok_or(BAD)?;
    }
    let Some(body) = body.filter(|body| body.raw_string() != Some("")) else {
        // A content type without content is left out.
        return Ok((status.unwrap_or(204), Content::Nothing));
    };
    let content = content(fields, kind, body)?;
    Ok((status.unwrap_or(200), content))
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

/// A body that is not empty, with its content type.
fn content(
    fields: &mut Fields,
    stated: Option<Json<'_>>,
    body: Json<'_>,
) -> Result<Content, Failure> {
    let raw = body.raw_string();
    let Some(stated) = stated else {
        fields.push_line(if raw.is_some() { respond::HTML } else { respond::JSON });
        return if raw.is_some() { decoded(body) } else { verbatim(body) };
    };
    let stated = stated.string(ACTION_FIELDS_LEN_MAX).map_err(|_| Failure::UnknownKind)?;
    let kind = ContentType::of(&stated);
    if !kind.is_well_formed() {
        return Err(Failure::UnknownKind);
    }
    let charset = kind.charset().and_then(Charset::named);
    let stated = if kind.lacks_charset() {
        alloc::format!("{stated}; charset=UTF-8")
    } else if raw.is_some() && kind.is_text() && charset.is_none() && !kind.is_utf8() {
        // Bytes and header must agree, and these are the bytes there are.
        alloc::format!("{}; charset=UTF-8", kind.essence())
    } else {
        alloc::format!("{stated}")
    };
    fields.push_foreign("Content-Type", &stated).map_err(|_| Failure::UnknownKind)?;
    match (raw, charset) {
        (None, _) if kind.is_json() => verbatim(body),
        (None, _) => Err(Failure::NotKind),
        (Some(_), Some(charset)) if kind.is_text() && !kind.is_json() => encoded(body, charset),
        // A string is JSON in base64, as OpenWhisk's controller has it.
        (Some(_), _) if kind.is_text() && !kind.is_json() => decoded(body),
        (Some(raw), _) => {
            base64::decode(raw, CODE_LEN_MAX).map(Content::Made).map_err(|reject| match reject {
                Base64Reject::OutOfFrames => Failure::OutOfFrames,
                Base64Reject::Malformed | Base64Reject::TooLong => Failure::NotKind,
            })
        }
    }
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
