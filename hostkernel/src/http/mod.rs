//! HTTP/1.1 and 1.0, without I/O: bytes in, values out.
//!
//! [`connection`] turns the bytes of one TCP connection into [`Request`]s and a [`Response`] into
//! bytes; [`parse`] reads one request head, [`body`] what follows it; [`encode`] writes one
//! response. What comes out depends on the bytes alone, not on how they were cut into segments.
//! Nothing here knows routes, sockets or time. Every length is bounded by [`crate::config`]; what
//! exceeds a bound is a [`Reject`] with its status code, never an allocation.
#![forbid(unsafe_code)]

pub mod body;
pub mod connection;
pub mod encode;
pub mod parse;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use crate::memory::PageBuffer;

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
    /// Percent-encoded path, starting with `/`, without the query; `*` in `OPTIONS *`.
    pub path: String,
    /// Percent-encoded query without the `?`; `None` if there was no `?`.
    pub query: Option<String>,
    /// Header fields in order of arrival.
    pub headers: Headers,
    /// The body with transfer coding removed; empty if there was none.
    pub body: PageBuffer,
}

/// Header fields of one request, names in lower case.
///
/// The text of all fields lives in one allocation; a field is two ranges of it.
#[derive(Debug, Default)]
pub struct Headers {
    text: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Headers {
    /// The value of the first field with this name (given in lower case), trimmed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// All fields in order of arrival: lower-case name and trimmed value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let part = |range: &Range<usize>| &self.text[range.clone()];
        self.fields.iter().map(move |field| (part(&field.name), part(&field.value)))
    }

    /// Appends a field. The name is stored in lower case.
    pub fn push(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(value);
        self.push_part(start..name_end, name_end..self.text.len());
    }

    /// No field yet, but the text that fields will be parts of.
    fn of_text(text: &str, fields: usize) -> Self {
        Self { text: String::from(text), fields: Vec::with_capacity(fields) }
    }

    /// Appends a field that is part of the text.
    fn push_part(&mut self, name: Range<usize>, value: Range<usize>) {
        self.text[name.clone()].make_ascii_lowercase();
        self.fields.push(Field { name, value });
    }
}

/// What the node answers.
#[derive(Debug)]
pub struct Response {
    /// Status code, 200..=599.
    pub status: u16,
    /// Header fields besides those the encoder adds (`Content-Length`, `Connection`, `Keep-Alive`).
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
}

/// Where the bytes of a response body live.
#[derive(Debug, Default)]
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
}

impl Body {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Static(bytes) => bytes.len(),
            Self::Heap(bytes) => bytes.len(),
            Self::Pages(pages) => pages.len(),
        }
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest contiguous piece that starts at `offset`; empty at the end.
    #[must_use]
    pub fn chunk_at(&self, offset: usize) -> &[u8] {
        match self {
            Self::Empty => &[],
            Self::Static(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Heap(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Pages(pages) => pages.chunk_at(offset),
        }
    }
}

/// Why the bytes of a connection were refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Not HTTP, or HTTP that two readers could read differently. 400.
    Malformed(&'static str),
    /// The method is not one of [`Method`]. 501.
    UnknownMethod,
    /// The target is longer than [`crate::config::TARGET_LEN_MAX`]. 414.
    TargetTooLong,
    /// The head is longer than [`crate::config::HEAD_LEN_MAX`] or has too many fields, or the
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

impl Reject {
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
