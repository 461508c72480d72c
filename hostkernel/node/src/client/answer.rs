//! An answer of another server: bytes in, status, fields and body out.
//!
//! As strict as the reader of requests, and for the same reason: two readers of the same bytes must
//! not disagree about where an answer ends, or what follows it on the connection would be taken for
//! the next one. What comes out depends on the bytes alone, not on how they were cut.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::http::body::BodyReader;
use crate::http::parse::Framing;
use crate::http::{Headers, Malformed, MessageReject};
use limits::{ANSWER_HEAD_LEN_MAX, ANSWER_HEADERS_MAX, ANSWER_INTERIM_MAX};
use memory::PageBuffer;

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// Status code, 200 to 599.
    pub status: u16,
    lines: String,
    /// Whether the connection may be used for another request.
    pub is_persistent: bool,
}

impl Head {
    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::of(&self.lines)
    }
}

/// Why bytes are no acceptable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerReject {
    /// The head is malformed, or can be read in more than one way.
    Head,
    /// The head is longer than [`ANSWER_HEAD_LEN_MAX`], or has too many fields.
    HeadTooLarge,
    /// There are too many interim answers.
    Interim,
    /// The body is malformed.
    Body(Malformed),
    /// The body is longer than is wanted.
    TooLarge,
    /// The connection ended before the answer did.
    Truncated,
    /// There is no memory for it.
    NoMemory,
}

/// Reads one answer.
#[derive(Debug)]
pub struct AnswerReader {
    /// The answer has no body whatever its head says, as those to `HEAD`.
    is_bodiless: bool,
    len_max: usize,
    buffer: Vec<u8>,
    /// Bytes of it in which no end was found.
    seen: usize,
    interim: usize,
    head: Option<Head>,
    body: Option<BodyReader>,
}

impl AnswerReader {
    /// A reader of an answer whose body has at most `len_max` bytes.
    #[must_use]
    pub fn new(is_bodiless: bool, len_max: usize) -> Self {
        let buffer = Vec::new();
        Self { is_bodiless, len_max, buffer, seen: 0, interim: 0, head: None, body: None }
    }

    /// Whether nothing has arrived.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.head.is_none() && self.buffer.is_empty() && self.interim == 0
    }

    /// Whether the whole answer has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.body.as_ref().is_some_and(BodyReader::is_complete)
    }

    /// The body as far as it has arrived.
    #[must_use]
    pub fn body(&self) -> Option<&PageBuffer> {
        self.body.as_ref().map(BodyReader::body)
    }

    /// What has arrived, if it is complete.
    #[must_use]
    pub fn finish(self) -> Option<(Head, PageBuffer)> {
        let body = self.body.filter(BodyReader::is_complete)?;
        Some((self.head?, body.into_body()))
    }

    /// Takes bytes up to the end of the answer; returns how many.
    ///
    /// # Errors
    /// Why they are no acceptable answer.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize, AnswerReject> {
        let mut taken = 0;
        while self.body.is_none() {
            let rest = &bytes[taken..];
            if rest.is_empty() {
                return Ok(taken);
            }
            taken += self.receive_head(rest)?;
        }
        let Some(body) = &mut self.body else { return Ok(taken) };
        Ok(taken + body.receive(&bytes[taken..]).map_err(AnswerReject::of)?)
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// [`AnswerReject::Truncated`] if that is not where the answer ends.
    pub fn end(&mut self) -> Result<(), AnswerReject> {
        let is_complete = self.body.as_mut().is_some_and(BodyReader::end);
        if is_complete { Ok(()) } else { Err(AnswerReject::Truncated) }
    }

    /// Takes bytes up to the end of a head.
    fn receive_head(&mut self, bytes: &[u8]) -> Result<usize, AnswerReject> {
        let before = self.buffer.len();
        let kept = &bytes[..bytes.len().min(ANSWER_HEAD_LEN_MAX - before)];
        self.buffer.try_reserve(kept.len()).map_err(|_| AnswerReject::NoMemory)?;
        self.buffer.extend_from_slice(kept);
        // What starts it tells at once that it is something else.
        let start = &self.buffer[..self.buffer.len().min(START.len())];
        if !START.starts_with(start) {
            return Err(AnswerReject::Head);
        }
        let from = self.seen.saturating_sub(END.len() - 1);
        let Some(at) = self.buffer[from..].windows(END.len()).position(|it| it == END) else {
            self.seen = self.buffer.len();
            let is_full = self.buffer.len() == ANSWER_HEAD_LEN_MAX;
            return if is_full { Err(AnswerReject::HeadTooLarge) } else { Ok(kept.len()) };
        };
        let len = from + at + END.len();
        self.buffer.truncate(len);
        let (head, framing) = read(&self.buffer, self.is_bodiless)?;
        self.buffer.clear();
        self.seen = 0;
        if head.status < 200 {
            self.interim += 1;
            // Nobody asked for another protocol.
            let is_switch = head.status == 101;
            if is_switch || self.interim > ANSWER_INTERIM_MAX {
                return Err(AnswerReject::Interim);
            }
        } else {
            let body = BodyReader::new(framing, self.len_max).map_err(AnswerReject::of)?;
            (self.head, self.body) = (Some(head), Some(body));
            self.buffer = Vec::new();
        }
        Ok(len - before)
    }
}

const START: &[u8] = b"HTTP/1.";
const END: &[u8] = b"\r\n\r\n";

fn read(bytes: &[u8], is_bodiless: bool) -> Result<(Head, Framing), AnswerReject> {
    let mut fields = [httparse::EMPTY_HEADER; ANSWER_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(AnswerReject::HeadTooLarge),
        _ => return Err(AnswerReject::Head),
    }
    let is_bare = bytes.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
    let text = core::str::from_utf8(bytes).map_err(|_| AnswerReject::Head)?;
    let (_, lines) = text.split_once("\r\n").ok_or(AnswerReject::Head)?;
    let (version, status) = response.version.zip(response.code).ok_or(AnswerReject::Head)?;
    if is_bare || !(100..600).contains(&status) {
        return Err(AnswerReject::Head);
    }
    let mut framing = None;
    let (mut closes, mut keeps) = (false, false);
    for field in response.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let stated = if is("content-length") {
            Framing::Length(length(field.value).ok_or(AnswerReject::Head)?)
        } else if is("transfer-encoding") {
            if version == 0 || !field.value.eq_ignore_ascii_case(b"chunked") {
                return Err(AnswerReject::Head);
            }
            Framing::Chunked
        } else {
            if is("connection") {
                for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    closes |= option.eq_ignore_ascii_case(b"close");
                    keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            continue;
        };
        // Two lengths, also equal ones, can be read as one or the other.
        if framing.replace(stated).is_some() {
            return Err(AnswerReject::Head);
        }
    }
    // What has no body may still say how long it would be (RFC 9110, 8.6).
    let framing = match framing {
        _ if is_bodiless || matches!(status, 100..200 | 204 | 304) => Framing::Length(0),
        Some(framing) => framing,
        None => Framing::UntilClose,
    };
    let may_stay = framing != Framing::UntilClose && !closes && (version == 1 || keeps);
    let head = Head { status, lines: lines.into(), is_persistent: may_stay };
    Ok((head, framing))
}

/// Digits only: no sign, no list, no space.
fn length(value: &[u8]) -> Option<usize> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(value).ok()?.parse().ok()
}

impl AnswerReject {
    fn of(reject: MessageReject) -> Self {
        match reject {
            MessageReject::Malformed(what) => Self::Body(what),
            MessageReject::NoMemory => Self::NoMemory,
            MessageReject::HeadTooLarge => Self::HeadTooLarge,
            _ => Self::TooLarge,
        }
    }
}

impl fmt::Display for AnswerReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the head of its answer is malformed",
            Self::HeadTooLarge => "the head of its answer is too large",
            Self::Interim => "it sends interim answers without end",
            Self::Body(what) => return what.fmt(f),
            Self::TooLarge => "its answer is larger than it may be",
            Self::Truncated => "it ended the connection in the middle of its answer",
            Self::NoMemory => "there is no memory for its answer",
        })
    }
}

#[cfg(test)]
mod tests;
