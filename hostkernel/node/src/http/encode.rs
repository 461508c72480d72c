//! A response on its way out: the head as bytes, the body where it lies.
//!
//! The head and a small body are one piece of memory, so that they leave in one TCP segment; two
//! small ones cost a delayed acknowledgement (40 ms) behind many proxies. A large body is not
//! copied: its pages are sent from where the action wrote them.

use alloc::vec::Vec;

use super::{Body, Fields, Response};
use crate::digits::{push_decimal, push_hexadecimal};
use limits::{INLINE_BODY_LEN_MAX, KEEP_ALIVE_ANNOUNCED_S, OUTPUT_LEN_KEPT_MAX};

/// Bytes that wait to be sent.
#[derive(Debug, Default)]
pub struct Output {
    // Interim responses, heads, and bodies of up to `INLINE_BODY_LEN_MAX`.
    front: Vec<u8>,
    front_sent: usize,
    body: Body,
    body_sent: usize,
}

impl Output {
    /// Queues the interim response that asks for the body of a request.
    pub fn push_continue(&mut self) {
        self.front.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    }

    /// Queues a response. At most one at a time: the body of an earlier one must have been sent.
    /// `with_body` is false in answers to `HEAD`, which keep the length only. Returns the buffer
    /// the header fields were in.
    pub fn push_response(
        &mut self,
        response: Response,
        persistent: bool,
        with_body: bool,
    ) -> Vec<u8> {
        assert!(self.body.is_empty(), "one response at a time");
        let Response { status, headers, body } = response;
        let len = body.len();
        let framing = match body {
            Body::Unsent(None) => Framing::Nothing,
            Body::Unsent(Some(len)) => Framing::Length(len),
            _ => Framing::Length(len),
        };
        push_head(&mut self.front, status, &headers, framing, persistent);
        if with_body && may_have_body(status) {
            self.push_body(body);
        }
        headers.into_buffer()
    }

    /// Queues the head of a response whose length is not known yet. In `chunks`, or until the
    /// connection ends. Returns the buffer the header fields were in.
    pub fn push_beginning(
        &mut self,
        status: u16,
        headers: Fields,
        persistent: bool,
        chunks: bool,
    ) -> Vec<u8> {
        assert!(self.body.is_empty(), "one response at a time");
        let framing = if chunks { Framing::Chunks } else { Framing::Nothing };
        push_head(&mut self.front, status, &headers, framing, persistent);
        headers.into_buffer()
    }

    /// Queues a piece of such a response, which has bytes, if those before have been sent. As a
    /// chunk, `chunk` is what ends the one before it.
    pub fn push_piece(&mut self, piece: Body, chunk: Option<&[u8]>) {
        assert!(self.body.is_empty(), "one piece at a time");
        if let Some(before) = chunk {
            self.front.extend_from_slice(before);
            push_hexadecimal(&mut self.front, piece.len());
            self.front.extend_from_slice(b"\r\n");
        }
        self.push_body(piece);
    }

    /// Queues what ends a response in chunks: that of the chunk before, and the empty one.
    pub fn push_end(&mut self, before: &[u8]) {
        self.front.extend_from_slice(before);
        self.front.extend_from_slice(b"0\r\n\r\n");
    }

    /// Queues a body, where it lies or, if it is small, with what is in front of it.
    fn push_body(&mut self, mut body: Body) {
        let len = body.len();
        if len > INLINE_BODY_LEN_MAX {
            self.body = body;
            return;
        }
        let mut copied = 0;
        while copied < len {
            body.prepare(copied);
            let chunk = body.chunk_at(copied);
            self.front.extend_from_slice(chunk);
            copied += chunk.len();
        }
    }

    /// The next contiguous bytes to send; empty when there are none.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.front[self.front_sent..] {
            [] if matches!(self.body, Body::Empty) => &[],
            [] => self.body.chunk_at(self.body_sent),
            front => front,
        }
    }

    /// Whether there are none: then `advance` has emptied both.
    pub fn is_empty(&self) -> bool {
        self.front.is_empty() && matches!(self.body, Body::Empty)
    }

    /// Forgets the first `sent` of [`bytes`](Self::bytes). Once all are sent, memory is given back.
    pub fn advance(&mut self, sent: usize) {
        assert!(sent <= self.bytes().len(), "only what was handed out can have been sent");
        if self.front_sent < self.front.len() {
            self.front_sent += sent;
        } else {
            self.body_sent += sent;
            self.body.prepare(self.body_sent);
        }
        if self.bytes().is_empty() {
            self.front.clear();
            self.front.shrink_to(OUTPUT_LEN_KEPT_MAX);
            self.front_sent = 0;
            self.body = Body::Empty;
            self.body_sent = 0;
        }
    }
}

/// Whether a response with this status can have a body, and with it a length (RFC 9110, 8.6).
#[must_use]
pub fn may_have_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// How a head says where the body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// It is so long.
    Length(usize),
    /// It is in chunks (RFC 9112, 7.1).
    Chunks,
    /// Not at all.
    Nothing,
}

/// What a head has at most besides its header fields.
const HEAD_FIXED_LEN_MAX: usize = 192;

fn push_head(out: &mut Vec<u8>, status: u16, fields: &Fields, framing: Framing, persistent: bool) {
    let fields = fields.as_bytes();
    let body_len = if let Framing::Length(len) = framing { len } else { 0 };
    out.reserve(HEAD_FIXED_LEN_MAX + fields.len() + INLINE_BODY_LEN_MAX.min(body_len));
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let digit = |power: u16| b'0' + (status / power % 10) as u8;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
        out.extend_from_slice(reason(status).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(fields);
    match framing {
        Framing::Length(len) if may_have_body(status) => {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, len as u64);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunks => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(_) | Framing::Nothing => {}
    }
    out.extend_from_slice(if persistent { &KEEP_ALIVE } else { b"Connection: close\r\n\r\n" });
}

/// What ends a head after which the connection stays. Named even to HTTP/1.1 clients, to whom it is
/// the default: `Keep-Alive` is for this connection only, and `Connection` tells proxies so.
const KEEP_ALIVE: [u8; 50] = {
    assert!(KEEP_ALIVE_ANNOUNCED_S >= 10 && KEEP_ALIVE_ANNOUNCED_S < 100, "two digits are written");
    let mut text = *b"Connection: keep-alive\r\nKeep-Alive: timeout=00\r\n\r\n";
    text[44] += (KEEP_ALIVE_ANNOUNCED_S / 10) as u8;
    text[45] += (KEEP_ALIVE_ANNOUNCED_S % 10) as u8;
    text
};

/// The reason phrase of a status code; empty, which is allowed, for codes without a usual one.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec;

    use proptest::prelude::*;

    use super::super::{FieldLine, Name};
    use super::*;
    use memory::{PageBuffer, install_for_test};

    fn drain(output: &mut Output) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        while !output.bytes().is_empty() {
            pieces.push(output.bytes().to_vec());
            output.advance(output.bytes().len());
        }
        pieces
    }

    fn sent(response: Response, persistent: bool, with_body: bool) -> Vec<Vec<u8>> {
        let mut output = Output::default();
        output.push_response(response, persistent, with_body);
        drain(&mut output)
    }

    fn response(status: u16, body: Body) -> Response {
        let mut headers = Fields::new();
        headers.push_line(FieldLine::new("Content-Type: text/plain\r\n"));
        Response { status, headers, body }
    }

    #[test]
    fn heads_to_the_byte() {
        let hello = || Body::Static(b"hello");
        let one = |pieces: Vec<Vec<u8>>| String::from_utf8(pieces.concat()).expect("text");
        assert_eq!(
            one(sent(response(200, hello()), true, true)),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\
             Connection: keep-alive\r\nKeep-Alive: timeout=70\r\n\r\nhello"
        );
        assert_eq!(
            one(sent(response(404, Body::Empty), false, true)),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        assert!(
            one(sent(response(200, hello()), false, false))
                .ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n")
        );
        let head = |len| one(sent(response(200, Body::Unsent(len)), false, false));
        assert!(head(Some(7)).ends_with("Content-Length: 7\r\nConnection: close\r\n\r\n"));
        assert!(!head(None).contains("Content-Length"));
        for status in [204, 304] {
            let text = one(sent(response(status, hello()), false, true));
            assert!(!text.contains("Content-Length") && text.ends_with("close\r\n\r\n"), "{text}");
        }
        assert!(
            one(sent(response(599, Body::Empty), false, true)).starts_with("HTTP/1.1 599 \r\n")
        );
    }

    #[test]
    fn a_small_body_leaves_with_the_head_and_a_large_one_is_not_copied() {
        install_for_test();
        let bytes = |len: usize| -> Vec<u8> { (0..len).map(|n| n as u8).collect() };
        for len in [1, INLINE_BODY_LEN_MAX, INLINE_BODY_LEN_MAX + 1, 10_000] {
            let pages = PageBuffer::from_bytes(&bytes(len)).expect("frames");
            let page_start = pages.chunk_at(0).as_ptr();
            let mut output = Output::default();
            output.push_response(response(200, Body::Pages(pages)), true, true);
            let inline = len <= INLINE_BODY_LEN_MAX;
            if !inline {
                output.advance(output.bytes().len());
                assert_eq!(output.bytes().as_ptr(), page_start);
            }
            let pieces = drain(&mut output);
            assert_eq!(pieces.len(), if inline { 1 } else { len.div_ceil(4096) });
            assert!(pieces.concat().ends_with(&bytes(len)));
            assert!(output.front.capacity() <= OUTPUT_LEN_KEPT_MAX && output.body.is_empty());
        }
    }

    #[test]
    fn any_number_of_bytes_can_be_taken_at_a_time() {
        for body in [Body::Static(b"abc"), Body::Heap(vec![7; 3000])] {
            let expected = body.chunk_at(0).to_vec();
            let mut output = Output::default();
            output.push_continue();
            output.push_response(response(200, body), true, true);
            let mut all = Vec::new();
            while let [byte, ..] = output.bytes() {
                all.push(*byte);
                output.advance(0);
                output.advance(1);
            }
            assert!(all.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
            assert!(all.ends_with(&expected));
        }
    }

    #[test]
    fn the_buffer_of_the_fields_comes_back() {
        let mut headers = Fields::in_buffer(Vec::with_capacity(100));
        headers.push(Name::new("A: "), b"b");
        let address = headers.as_bytes().as_ptr();
        let mut output = Output::default();
        let response = Response { status: 200, headers, body: Body::Empty };
        let buffer = output.push_response(response, true, true);
        assert_eq!(buffer.as_ptr(), address);
    }

    proptest! {
        /// Whatever the values hold, a client sees the same fields and the same body.
        #[test]
        fn values_cannot_leave_their_line(
            values in
                prop::collection::vec("(\\PC|[\r\n\t\0:\u{85}]|Content-Length: 9){0,12}", 0..3),
            status in 200_u16..600,
        ) {
            let mut headers = Fields::new();
            for (value, name) in values.iter().zip([Name::new("A: "), Name::new("B: ")]) {
                headers.push(name, value.as_bytes());
            }
            let body = Body::Static(b"body");
            let bytes = sent(Response { status, headers, body }, false, true).concat();

            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Response::new(&mut fields);
            let head_len = parsed.parse(&bytes).expect("valid").unwrap();
            prop_assert_eq!(parsed.code, Some(status));
            let has_body = may_have_body(status);
            prop_assert_eq!(parsed.headers.len(), values.len() + usize::from(has_body) + 1);
            prop_assert_eq!(&bytes[head_len..], if has_body { &b"body"[..] } else { b"" });
            let lengths = parsed.headers.iter().filter(|field| field.name == "Content-Length");
            prop_assert!(lengths.map(|field| field.value).eq(has_body.then_some(&b"4"[..])));
            for (field, value) in parsed.headers.iter().zip(&values) {
                let replaced = value.replace(|c: char| c.is_ascii_control() && c != '\t', " ");
                let trimmed = replaced.trim_matches([' ', '\t']);
                prop_assert_eq!(field.value, trimmed.as_bytes());
            }
        }
    }
}
