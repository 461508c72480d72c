//! Building answers: the headers every answer has, and documents composed in frames.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::text::Hex;
use crate::http::fields::push_decimal;
use crate::http::{Body, Fields, Headers, Line, Name, Response};
use limits::{HEAP_RESERVE_LEN, REQUEST_ID_LEN_MAX, RETRY_AFTER_S};
use memory::{OutOfFrames, PageBuffer};

/// Name of the header that carries a [`RequestId`].
const REQUEST_ID: Name = Name::new("X-Request-ID: ");
const ALLOW: Name = Name::new("Allow: ");
const ALLOW_HEADERS: Name = Name::new("Access-Control-Allow-Headers: ");
const RETRY_AFTER: Name = Name::new("Retry-After: ");

/// What lets a browser script of any origin read an answer. Requests carry no cookies, so this
/// gives nothing away that the script's author could not fetch alone.
pub const ANY_ORIGIN: Line = Line::new("Access-Control-Allow-Origin: *\r\n");
/// What such a script may send.
const ALLOWED_HEADERS: Line = Line::new(
    "Access-Control-Allow-Headers: \
     Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent\r\n",
);
/// How it may use the API.
const METHODS: Line = Line::new("Access-Control-Allow-Methods: GET, DELETE, POST, PUT, HEAD\r\n");
/// How it may use functions, which have every method.
const METHODS_FUNCTION: Line =
    Line::new("Access-Control-Allow-Methods: OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH\r\n");

/// Content types the node itself states.
pub const JSON: Line = Line::new("Content-Type: application/json\r\n");
/// See [`JSON`].
pub const TEXT: Line = Line::new("Content-Type: text/plain; charset=utf-8\r\n");
/// See [`JSON`].
pub const HTML: Line = Line::new("Content-Type: text/html; charset=UTF-8\r\n");
/// See [`JSON`].
pub const SVG: Line = Line::new("Content-Type: image/svg+xml\r\n");
/// See [`JSON`].
pub const BYTES: Line = Line::new("Content-Type: application/octet-stream\r\n");

/// Names one request in answers and logs; clients may bring their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// Ours: random, as the activation id.
    Generated(Hex),
    /// The client's: visible ASCII, at most [`REQUEST_ID_LEN_MAX`] bytes.
    Given(Box<str>),
}

impl RequestId {
    /// The client's id, if it is sane.
    #[must_use]
    pub fn given(headers: Headers<'_>) -> Option<&str> {
        headers.get("x-request-id").filter(|id| is_sane(id))
    }

    /// The client's id if it is sane, else one of our own.
    #[must_use]
    pub fn choose(headers: Headers<'_>, own: Hex) -> Self {
        Self::of(headers.get("x-request-id"), own)
    }

    /// The same, given the header's value.
    #[must_use]
    pub fn of(given: Option<&str>, own: Hex) -> Self {
        match given {
            Some(id) if is_sane(id) => Self::Given(id.into()),
            _ => Self::Generated(own),
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Generated(id) => id.as_str(),
            Self::Given(id) => id,
        }
    }

    /// Its text, as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Generated(id) => id.as_bytes(),
            Self::Given(id) => id.as_bytes(),
        }
    }
}

fn is_sane(id: &str) -> bool {
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

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
pub fn plain(status: u16, kind: Line, body: Body, request_id: &RequestId) -> Response {
    plain_with(Fields::new(), status, kind, body, request_id)
}

/// The same, behind other fields.
#[must_use]
pub fn plain_with(
    mut fields: Fields,
    status: u16,
    kind: Line,
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

fn push_cors(headers: &mut Fields, methods: Line) {
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

/// A document that may grow long, composed in frames: it needs no contiguous memory, and when there
/// is none at all that is an error, where growing a `String` would be the end of the node.
#[derive(Debug, Default)]
pub struct Document(PageBuffer);

impl Document {
    /// How long it is by now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Composes a document.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is no memory for it.
    pub fn compose(
        write: impl FnOnce(&mut Self) -> fmt::Result,
    ) -> Result<PageBuffer, OutOfFrames> {
        let mut document = Self::default();
        write(&mut document).map_err(|fmt::Error| OutOfFrames)?;
        Ok(document.0)
    }
}

impl fmt::Write for Document {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.append(text.as_bytes()).map_err(|OutOfFrames| fmt::Error)
    }
}

/// The bytes of a buffer in one piece: where they are if they fit one page, else a copy.
///
/// # Errors
/// [`OutOfFrames`] if the heap has no room for the copy.
pub fn contiguous(buffer: &PageBuffer) -> Result<Cow<'_, [u8]>, OutOfFrames> {
    gather((buffer.len(), buffer.chunks()))
}

/// Pieces as one: where they are if there is only one, else a copy.
///
/// # Errors
/// As [`contiguous`].
pub fn gather<'a>(
    (len, mut pieces): (usize, impl Iterator<Item = &'a [u8]>),
) -> Result<Cow<'a, [u8]>, OutOfFrames> {
    let first = pieces.next().unwrap_or_default();
    if first.len() == len {
        return Ok(Cow::Borrowed(first));
    }
    keeping_reserve(|| {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| OutOfFrames)?;
        core::iter::once(first).chain(pieces).for_each(|piece| bytes.extend_from_slice(piece));
        Ok(Cow::Owned(bytes))
    })
}

/// Makes a large allocation that may fail such that the small ones after it, which may not, still
/// find [`HEAP_RESERVE_LEN`] bytes: whoever chooses the length of a request must not be able to use
/// up the heap to the last byte.
///
/// # Errors
/// [`OutOfFrames`] if the heap has no room for both.
pub fn keeping_reserve<T>(
    allocate: impl FnOnce() -> Result<T, OutOfFrames>,
) -> Result<T, OutOfFrames> {
    let mut reserve: Vec<u8> = Vec::new();
    reserve.try_reserve_exact(HEAP_RESERVE_LEN).map_err(|_| OutOfFrames)?;
    let allocated = allocate();
    // Without this the compiler may see that nobody uses the reserve, and leave it out.
    drop(core::hint::black_box(reserve));
    allocated
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestText;
    use core::fmt::Write as _;

    #[test]
    fn a_request_id_is_taken_over_only_if_sane() {
        let choose = |id: &str| {
            let text = RequestText::of("/", None, &[("X-Request-ID", id)]);
            let id = RequestId::choose(text.headers(), Hex::of(0xab));
            assert_eq!(id.text().as_bytes(), id.as_bytes());
            String::from(id.text())
        };
        let own = "000000000000000000000000000000ab";
        assert_eq!(choose("abc-1\"\\"), "abc-1\"\\");
        for id in ["", "a b", "a\tb", "ä", "\u{7f}"] {
            assert_eq!(choose(id), own, "{id:?}");
        }
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX)), "x".repeat(REQUEST_ID_LEN_MAX));
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX + 1)), own);
        assert_eq!(RequestId::choose(Headers::default(), Hex::of(0xab)).text(), own);
    }

    #[test]
    fn documents_span_pages() {
        memory::install_for_test();
        let pages =
            Document::compose(|out| (0..3000).try_for_each(|number| write!(out, "{number},")));
        let pages = pages.expect("frames are left");
        let text = contiguous(&pages).expect("the heap has room");
        assert!(matches!(text, Cow::Owned(_)) && text.ends_with(b"2998,2999,"));
        let short = Document::compose(|out| out.write_str("short")).expect("frames are left");
        assert!(matches!(contiguous(&short), Ok(Cow::Borrowed(b"short"))));
        assert!(matches!(contiguous(&PageBuffer::new()), Ok(Cow::Borrowed(b""))));
    }
}
