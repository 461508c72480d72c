//! HTTP/1.1 and 1.0, without I/O: bytes in, values out.
//!
//! [`connection`] turns the bytes of one TCP connection into [`Request`]s and a [`Response`] into
//! bytes; [`parse`] reads one request head into a [`text`], [`body`] what follows it; [`encode`]
//! writes one response with its [`fields`]. What comes out depends on the bytes alone, not on how
//! they were cut into segments. Nothing here knows routes or sockets; [`date`] is told the time.
//! Every length is bounded by [`limits`]; what exceeds a bound is a [`MessageReject`] with its
//! status code, never an allocation.
//!
//! The memory of a request's text becomes that of its answer's header fields, and then that of the
//! connection's next request: on a connection that stays open neither is allocated.

pub mod body;
pub mod connection;
pub mod date;
pub mod encode;
pub mod encoded;
pub mod fields;
pub mod grouped;
pub mod parse;
pub mod text;

pub use fields::{FieldLine, FieldReject, Fields, Name};
pub use text::{Headers, RequestText};

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use encoded::Encoded;
use memory::PageBuffer;

/// Request methods the node knows. Everything else is answered 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`: answered like `GET`, without the body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
}

impl Method {
    /// The method's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
        }
    }

    /// The method with this name. Names are case-sensitive (RFC 9110, 9.1).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PATCH" => Self::Patch,
            "OPTIONS" => Self::Options,
            _ => return None,
        })
    }
}

/// One complete request: head and body have arrived and are within bounds.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path, query and header fields.
    pub text: RequestText,
    /// The body with transfer coding removed; empty if there was none.
    pub body: PageBuffer,
}

/// What the node answers.
#[derive(Debug)]
pub struct Response {
    /// Status code, 200..=599.
    pub status: u16,
    /// Header fields besides those the encoder adds (`Content-Length`, `Connection`, `Keep-Alive`).
    pub headers: Fields,
    /// The body.
    pub body: Body,
}

/// Where the bytes of a response body live.
#[derive(Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A constant.
    Static(&'static [u8]),
    /// Text the node composed.
    Heap(Vec<u8>),
    /// An action's result, still in the frames the action wrote it to.
    Pages(PageBuffer),
    /// The rest of one, from this byte on.
    PagesFrom(PageBuffer, usize),
    /// Documents, one behind the other.
    Parts(Box<[PageBuffer; 3]>),
    /// Text with bytes in base64 in it, made as it is taken.
    Encoded(Box<Encoded>),
    /// One that is not sent, in answer to `HEAD`, with its length if that is known.
    Unsent(Option<usize>),
}

impl Body {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty | Self::Unsent(_) => 0,
            Self::Static(bytes) => bytes.len(),
            Self::Heap(bytes) => bytes.len(),
            Self::Pages(pages) => pages.len(),
            Self::PagesFrom(pages, start) => pages.len().saturating_sub(*start),
            Self::Parts(parts) => parts.iter().map(PageBuffer::len).sum(),
            Self::Encoded(encoded) => encoded.text_len(),
        }
    }

    /// How much memory it holds that nobody else has anyway.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match self {
            Self::Empty | Self::Static(_) | Self::Unsent(_) => 0,
            Self::Heap(bytes) => bytes.capacity(),
            Self::Pages(pages) | Self::PagesFrom(pages, _) => pages.len(),
            Self::Parts(_) => self.len(),
            Self::Encoded(encoded) => encoded.held_len(),
        }
    }

    /// Makes what [`chunk_at`](Self::chunk_at) will be asked for next, where it is not there yet.
    pub fn prepare(&mut self, offset: usize) {
        if let Self::Encoded(encoded) = self {
            encoded.prepare(offset);
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest contiguous piece that starts at `offset`, which was
    /// [prepared](Self::prepare); empty at the end.
    #[must_use]
    pub fn chunk_at(&self, offset: usize) -> &[u8] {
        match self {
            Self::Empty | Self::Unsent(_) => &[],
            Self::Static(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Heap(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Pages(pages) => pages.chunk_at(offset),
            Self::PagesFrom(pages, start) => pages.chunk_at(start.saturating_add(offset)),
            Self::Parts(parts) => chunk_of(&parts[..], offset),
            Self::Encoded(encoded) => encoded.chunk_at(offset),
        }
    }
}

/// The longest contiguous piece that starts at `offset` of documents one behind the other.
fn chunk_of(parts: &[PageBuffer], mut offset: usize) -> &[u8] {
    for part in parts {
        let Some(behind) = offset.checked_sub(part.len()) else { return part.chunk_at(offset) };
        offset = behind;
    }
    &[]
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// Why the bytes of a connection were refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageReject {
    /// Not HTTP, or HTTP that two readers could read differently. 400.
    Malformed(Malformed),
    /// The method is not one of [`Method`]. 501.
    UnknownMethod,
    /// The target is longer than [`limits::TARGET_LEN_MAX`]. 414.
    TargetTooLong,
    /// The head is longer than [`limits::HEAD_LEN_MAX`] or has too many fields, or the
    /// extensions and trailers of a chunked body exceed their bound. 431.
    HeadTooLarge,
    /// The body is longer than the route allows. 413.
    BodyTooLarge,
    /// There is no memory for the body right now. 503.
    NoMemory,
    /// A transfer coding other than `chunked`. 501.
    UnknownCoding,
    /// Neither HTTP/1.1 nor HTTP/1.0. 505.
    UnknownVersion,
    /// An `Expect` other than `100-continue`. 417.
    UnknownExpectation,
    /// The request did not arrive in time. 408.
    TooSlow,
}

/// What is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The chunked coding is.
    Chunks,
    /// The size of a chunk has too many digits.
    ChunkSize,
    /// A line ends without CR.
    LineEnd,
    /// There are too many empty lines before a request.
    EmptyLines,
    /// It is a TLS handshake.
    Tls,
    /// It is something else.
    NotHttp,
    /// The request line is.
    RequestLine,
    /// The head is, in another place.
    Head,
    /// The name of a field is.
    FieldName,
    /// The value of a field has a control character.
    FieldValue,
    /// The request target is.
    Target,
    /// `Host` is.
    Host,
    /// There is more than one `Content-Length`.
    ContentLengths,
    /// There is more than one `Transfer-Encoding`.
    TransferEncodings,
    /// There is no `Host`, or more than one.
    Hosts,
    /// There are both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// There is a `Transfer-Encoding` in HTTP/1.0.
    OldTransferEncoding,
    /// `Content-Length` is not a number.
    ContentLength,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chunks => "the chunked coding is malformed",
            Self::ChunkSize => "a chunk's size has too many digits",
            Self::LineEnd => "a line ends without CR",
            Self::EmptyLines => "too many empty lines before a request",
            Self::Tls => "this port speaks HTTP, not TLS",
            Self::NotHttp => "not an HTTP request",
            Self::RequestLine => "the request line is malformed",
            Self::Head => "the head is malformed",
            Self::FieldName => "a header name is malformed",
            Self::FieldValue => "a header value has a control character",
            Self::Target => "the request target is malformed",
            Self::Host => "Host is malformed",
            Self::ContentLengths => "more than one Content-Length",
            Self::TransferEncodings => "more than one Transfer-Encoding",
            Self::Hosts => "exactly one Host is needed",
            Self::TwoLengths => "both Content-Length and Transfer-Encoding",
            Self::OldTransferEncoding => "Transfer-Encoding in HTTP/1.0",
            Self::ContentLength => "Content-Length is not a number",
        })
    }
}

impl MessageReject {
    /// The status code of the answer.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge => 431,
            Self::UnknownMethod | Self::UnknownCoding => 501,
            Self::NoMemory => 503,
            Self::UnknownVersion => 505,
        }
    }
}
