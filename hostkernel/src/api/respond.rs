//! Building answers: the headers every answer has, and documents composed in frames.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::text::push_id;
use crate::config::{HEAP_RESERVE_LEN, REQUEST_ID_LEN_MAX};
use crate::http::{Body, Headers, Response};
use crate::memory::{OutOfFrames, PageBuffer};

/// Name of the header that carries a [`RequestId`].
const REQUEST_ID: &str = "X-Request-ID";

/// What lets a browser script of any origin use the API. Requests carry no cookies, so this gives
/// nothing away that the script's author could not fetch alone.
const CORS: [(&str, &str); 3] = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Origin, X-Requested-With, Content-Type, Accept, User-Agent",
    ),
    ("Access-Control-Allow-Methods", "GET, DELETE, POST, PUT, HEAD"),
];

/// The same for functions, which have every method.
const CORS_METHODS_FUNCTION: &str = "OPTIONS, GET, DELETE, POST, PUT, HEAD, PATCH";

/// Content types the node itself states.
pub const JSON: &str = "application/json";
/// See [`JSON`].
pub const TEXT: &str = "text/plain; charset=utf-8";
/// See [`JSON`].
pub const BYTES: &str = "application/octet-stream";

/// Names one request in answers and logs; clients may bring their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// Ours: random, 32 hexadecimal digits.
    Generated(u128),
    /// The client's: visible ASCII, at most [`REQUEST_ID_LEN_MAX`] bytes.
    Given(Box<str>),
}

impl RequestId {
    /// The client's id if it is sane, else one of our own.
    #[must_use]
    pub fn choose(headers: &Headers, random_id: u128) -> Self {
        match headers.get("x-request-id") {
            Some(id) if is_sane(id) => Self::Given(id.into()),
            _ => Self::Generated(random_id),
        }
    }

    /// Appends it.
    pub fn push_to(&self, out: &mut String) {
        match self {
            Self::Generated(id) => push_id(out, *id),
            Self::Given(id) => out.push_str(id),
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(32);
        self.push_to(&mut text);
        text
    }
}

fn is_sane(id: &str) -> bool {
    (1..=REQUEST_ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An answer of the API: with the headers that browsers ask for.
#[must_use]
pub fn api(status: u16, body: Body, request_id: &RequestId) -> Response {
    let mut response = plain(status, JSON, body, request_id);
    response.headers.extend(CORS.map(|(name, value)| (name, Cow::Borrowed(value))));
    response
}

/// An answer without those.
#[must_use]
pub fn plain(status: u16, kind: &'static str, body: Body, request_id: &RequestId) -> Response {
    // Room for what invocations add, so that it grows once.
    let mut headers = Vec::with_capacity(8);
    headers.push(("Content-Type", Cow::Borrowed(kind)));
    headers.push((REQUEST_ID, Cow::Owned(request_id.text())));
    Response { status, headers, body }
}

/// The answer to `OPTIONS`: what a browser may send.
#[must_use]
pub fn preflight(is_function: bool, allow: &'static str, request_id: &RequestId) -> Response {
    let mut response = api(200, Body::Empty, request_id);
    response.headers.remove(0);
    if is_function {
        let methods = response.headers.last_mut();
        methods.into_iter().for_each(|(_, value)| *value = Cow::Borrowed(CORS_METHODS_FUNCTION));
    }
    response.headers.push(("Allow", Cow::Borrowed(allow)));
    response
}

/// The header that lets a browser script read the result of a function.
pub const ANY_ORIGIN: (&str, Cow<'static, str>) = (CORS[0].0, Cow::Borrowed(CORS[0].1));

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
    let first = buffer.chunk_at(0);
    if first.len() == buffer.len() {
        return Ok(Cow::Borrowed(first));
    }
    keeping_reserve(|| buffer.to_vec()).map(Cow::Owned)
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
    use core::fmt::Write as _;

    #[test]
    fn a_request_id_is_taken_over_only_if_sane() {
        let choose = |id: &str| {
            let mut headers = Headers::default();
            headers.push("X-Request-ID", id);
            RequestId::choose(&headers, 0xab).text()
        };
        let own = "000000000000000000000000000000ab";
        assert_eq!(choose("abc-1\"\\"), "abc-1\"\\");
        for id in ["", "a b", "a\tb", "ä", "\u{7f}"] {
            assert_eq!(choose(id), own, "{id:?}");
        }
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX)), "x".repeat(REQUEST_ID_LEN_MAX));
        assert_eq!(choose(&"x".repeat(REQUEST_ID_LEN_MAX + 1)), own);
        assert_eq!(RequestId::choose(&Headers::default(), 0xab).text(), own);
    }

    #[test]
    fn documents_span_pages() {
        crate::memory::install_for_test();
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
