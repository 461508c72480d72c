//! Building answers: the headers every answer has, and documents composed in frames.

use alloc::string::String;

use crate::api::request::RequestId;
use crate::digits::push_decimal;
use crate::http::{Body, FieldLine, Fields, Name, Response};
use limits::RETRY_AFTER_S;

/// Name of the header that carries a [`RequestId`].
const REQUEST_ID: Name = Name::new("X-Request-ID: ");
const ALLOW: Name = Name::new("Allow: ");
const ALLOW_HEADERS: Name = Name::new("Access-Control-Allow-Headers: ");
const RETRY_AFTER: Name = Name::new("Retry-After: ");

/// What lets a browser script of any origin read an answer. Requests carry no cookies, so this
/// gives nothing away that the script's author could not fetch alone.
pub const ANY_ORIGIN: FieldLine = FieldLine::new("Access-Control-Allow-Origin: *\r\n");
/// What such a script may send.
const ALLOWED_HEADERS: FieldLine = FieldLine::new(
    "Access-Control-Allow-Headers: \
     Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent\r\n",
);
/// How it may use the API.
const METHODS: FieldLine =
    FieldLine::new("Access-Control-Allow-Methods: GET, DELETE, POST, PUT, HEAD\r\n");
/// How it may use functions, which have every method.
const METHODS_FUNCTION: FieldLine = FieldLine::new(
    "Access-Control-Allow-Methods: OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH\r\n",
);

/// Content types the node itself states.
pub const JSON: FieldLine = FieldLine::new("Content-Type: application/json\r\n");
/// See [`JSON`].
pub const TEXT: FieldLine = FieldLine::new("Content-Type: text/plain; charset=utf-8\r\n");
/// See [`JSON`].
pub const HTML: FieldLine = FieldLine::new("Content-Type: text/html; charset=UTF-8\r\n");
/// See [`JSON`].
pub const SVG: FieldLine = FieldLine::new("Content-Type: image/svg+xml\r\n");
/// See [`JSON`].
pub const BYTES: FieldLine = FieldLine::new("Content-Type: application/octet-stream\r\n");

/// An answer of the API: with the headers that browsers ask for.
#[must_use]
pub fn api(status: u16, body: Body, request_id: &RequestId) -> Response {
    api_with(Fields::new(), status, body, request_id)
}

/// The same, behind other fields.
#[must_use]
pub fn api_with(fields: Fields, status: u16, body: Body, request_id: &RequestId) -> Response {
    let mut response = plain_with(fields, status, JSON, body, request_id);
    push_cors(&mut response.headers, METHODS);
    response
}

/// An answer without those.
#[must_use]
pub fn plain(status: u16, kind: FieldLine, body: Body, request_id: &RequestId) -> Response {
    plain_with(Fields::new(), status, kind, body, request_id)
}

/// The same, behind other fields.
#[must_use]
pub fn plain_with(
    mut fields: Fields,
    status: u16,
    kind: FieldLine,
    body: Body,
    request_id: &RequestId,
) -> Response {
    fields.push_line(kind);
    push_request_id(&mut fields, request_id);
    Response { status, headers: fields, body }
}

/// Appends what every answer carries. Ours or the client's, it was found sane.
pub fn push_request_id(headers: &mut Fields, request_id: &RequestId) {
    headers.push_visible(REQUEST_ID, |out| out.extend_from_slice(request_id.as_bytes()));
}

/// The answer to `OPTIONS`: what a browser may send.
#[must_use]
pub fn preflight(is_function: bool, allow: &'static str, request_id: &RequestId) -> Response {
    let mut headers = Fields::new();
    push_request_id(&mut headers, request_id);
    push_cors(&mut headers, if is_function { METHODS_FUNCTION } else { METHODS });
    push_allow(&mut headers, allow);
    Response { status: 200, headers, body: Body::Empty }
}

/// The same for an exported action: also what it asks for in this field.
#[must_use]
pub fn preflight_web(asked: Option<&str>, request_id: &RequestId) -> Response {
    let mut headers = Fields::new();
    push_request_id(&mut headers, request_id);
    if let Some(asked) = asked {
        headers.push(ALLOW_HEADERS, asked.as_bytes());
    }
    push_web_cors(&mut headers);
    Response { status: 200, headers, body: Body::Empty }
}

/// Appends what lets scripts read an exported action's answer, unless the action said otherwise.
pub fn push_web_cors(headers: &mut Fields) {
    for line in [ANY_ORIGIN, ALLOWED_HEADERS, METHODS_FUNCTION] {
        headers.push_default(line);
    }
}

fn push_cors(headers: &mut Fields, methods: FieldLine) {
    [ANY_ORIGIN, ALLOWED_HEADERS, methods].into_iter().for_each(|line| headers.push_line(line));
}

/// Appends the methods a path has.
pub fn push_allow(headers: &mut Fields, methods: &'static str) {
    headers.push(ALLOW, methods.as_bytes());
}

/// Appends when to try again, as every 503 says.
pub fn push_retry_after(headers: &mut Fields) {
    push_retry_after_s(headers, RETRY_AFTER_S);
}

/// The same, for those who know when.
pub fn push_retry_after_s(headers: &mut Fields, seconds: u32) {
    headers.push_with(RETRY_AFTER, |out| push_decimal(out, seconds.into()));
}

/// A body of text.
#[must_use]
pub fn text(text: String) -> Body {
    Body::Heap(text.into_bytes())
}
