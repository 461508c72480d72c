//! The program's answer to the client, on its way to the result.
//!
//! What the program writes is an HTTP/1.1 response (RFC 9112). The result is what a CGI program
//! would have written (RFC 3875): a line `Status`, the fields that are not about the connection,
//! an empty line, the body without its transfer coding. So the node need not decode anything that
//! a program made; it takes such results from others, too.
//!
//! Nothing here trusts the program, and nothing has to: it is the program's own result.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::fmt;

use httparse::{EMPTY_HEADER, Header, Status};

use crate::limits::{ANSWER_FIELDS_MAX, ANSWER_HEAD_LEN_MAX, CHUNK_LINE_LEN_MAX, TRAILER_LEN_MAX};

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The connection was closed first.
    Nothing,
    /// The connection was closed, or the program ended, in the middle of it.
    Truncated,
    /// The program waits for something that cannot happen.
    Waits,
    /// The program ended without having taken the request.
    Ended,
    /// It does not begin as HTTP/1.1 or 1.0 has it.
    NotHttp,
    /// Its head is longer than [`ANSWER_HEAD_LEN_MAX`], or has more than [`ANSWER_FIELDS_MAX`].
    HeadTooLong,
    /// It says twice how long it is, and not the same, or what is no length.
    Length,
    /// It has a transfer coding other than `chunked`.
    Coding,
    /// Its chunks are malformed.
    Chunks,
    /// It wants to speak another protocol from here on.
    Switches,
    /// The result has no room for all of it.
    TooLong,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "the server closed the connection without an answer",
            Self::Truncated => "the server's answer ended before it was complete",
            Self::Waits => "the server waits for something that cannot happen, without an answer",
            Self::Ended => "the server ended without an answer",
            Self::NotHttp => "the server's answer is not HTTP/1.1",
            Self::HeadTooLong => {
                return write!(
                    f,
                    "the head of the server's answer is longer than {ANSWER_HEAD_LEN_MAX} bytes \
                     or {ANSWER_FIELDS_MAX} fields"
                );
            }
            Self::Length => "the server's answer does not say clearly how long it is",
            Self::Coding => "the server's answer has a transfer coding other than chunked",
            Self::Chunks => "the chunks of the server's answer are malformed",
            Self::Switches => "the server's answer switches to another protocol",
            Self::TooLong => "the server's answer is longer than a result may be",
        })
    }
}

/// Takes bytes of the result, all or none.
pub type Put<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// An answer that comes piece by piece.
#[derive(Debug, Default)]
pub struct Answer {
    state: State,
    /// The head, or the line, of which not all has come.
    line: Vec<u8>,
    /// It is a stream of events, of which each is wanted as soon as it is there.
    is_of_events: bool,
    /// It is one to `HEAD`: there is no body, whatever its fields say.
    is_bare: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In its head.
    #[default]
    Head,
    /// So many bytes are to come.
    Length(u64),
    /// In the line that says how long a chunk is.
    ChunkSize,
    /// In a chunk, of which so much is to come.
    Chunk(u64),
    /// In the line break behind a chunk.
    ChunkEnd,
    /// Behind the last chunk; so much of it has come.
    Trailer(usize),
    /// It ends with the connection.
    UntilClose,
    /// There is no more of it.
    Over(Result<(), Unanswered>),
}

impl Answer {
    /// An answer of which nothing has come, to `HEAD` or to another method.
    #[must_use]
    pub const fn new(is_bare: bool) -> Self {
        Self { state: State::Head, line: Vec::new(), is_of_events: false, is_bare }
    }

    /// What it came to, once that is known.
    #[must_use]
    pub fn end(&self) -> Option<Result<(), Unanswered>> {
        match self.state {
            State::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Whether it has begun, has not ended, and says nowhere how long it is.
    #[must_use]
    pub const fn is_open_ended(&self) -> bool {
        !matches!(self.state, State::Head | State::Length(_) | State::Over(_))
    }

    /// Whether it is a stream of server-sent events.
    #[must_use]
    pub const fn is_of_events(&self) -> bool {
        self.is_of_events
    }

    /// Takes the next bytes. What comes behind its end is nobody's.
    pub fn take(&mut self, bytes: &[u8], put: Put) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            match self.step(bytes, put) {
                Ok(Some(taken)) => bytes = &bytes[taken..],
                Ok(None) => return,
                Err(why) => self.state = State::Over(Err(why)),
            }
        }
    }

    /// Nothing more will come.
    pub fn close(&mut self) {
        self.state = State::Over(match self.state {
            State::Over(end) => end,
            State::UntilClose => Ok(()),
            State::Head if self.line.is_empty() => Err(Unanswered::Nothing),
            _ => Err(Unanswered::Truncated),
        });
    }

    /// Nothing more will come, for this reason, unless it is complete.
    pub fn give_up(&mut self, why: Unanswered) {
        let is_begun = self.state != State::Head || !self.line.is_empty();
        if self.end().is_none() {
            let truncated = is_begun && why == Unanswered::Ended;
            self.state = State::Over(Err(if truncated { Unanswered::Truncated } else { why }));
        }
    }

    /// Takes some bytes, and says how many; `None` once it is over.
    fn step(&mut self, bytes: &[u8], put: Put) -> Result<Option<usize>, Unanswered> {
        let taken = match self.state {
            State::Head => self.head(bytes, put)?,
            State::Length(left) => {
                let (taken, left) = body(bytes, left, put)?;
                self.state = if left == 0 { State::Over(Ok(())) } else { State::Length(left) };
                taken
            }
            State::UntilClose => body(bytes, u64::MAX, put)?.0,
            State::Chunk(left) => {
                let (taken, left) = body(bytes, left, put)?;
                self.state = if left == 0 { State::ChunkEnd } else { State::Chunk(left) };
                taken
            }
            State::ChunkSize | State::ChunkEnd | State::Trailer(_) => {
                let taken = self.collect(bytes)?;
                if self.line.ends_with(b"\n") {
                    self.state = self.line_ended()?;
                    self.line.clear();
                }
                taken
            }
            State::Over(_) => return Ok(None),
        };
        Ok(Some(taken))
    }

    /// Takes bytes up to the end of a line.
    fn collect(&mut self, bytes: &[u8]) -> Result<usize, Unanswered> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        if self.line.len() + end > CHUNK_LINE_LEN_MAX {
            return Err(Unanswered::Chunks);
        }
        self.line.extend_from_slice(&bytes[..end]);
        Ok(end)
    }

    /// What follows a line of the chunked coding.
    fn line_ended(&self) -> Result<State, Unanswered> {
        let is_empty = matches!(&self.line[..], b"\r\n" | b"\n");
        match self.state {
            State::ChunkEnd if is_empty => Ok(State::ChunkSize),
            State::Trailer(_) if is_empty => Ok(State::Over(Ok(()))),
            State::Trailer(len) if len + self.line.len() <= TRAILER_LEN_MAX => {
                Ok(State::Trailer(len + self.line.len()))
            }
            State::ChunkSize => match httparse::parse_chunk_size(&self.line) {
                Ok(Status::Complete((_, 0))) => Ok(State::Trailer(0)),
                Ok(Status::Complete((_, len))) => Ok(State::Chunk(len)),
                _ => Err(Unanswered::Chunks),
            },
            _ => Err(Unanswered::Chunks),
        }
    }

    /// Takes bytes of the head; with its last one writes what the node is told of it.
    fn head(&mut self, bytes: &[u8], put: Put) -> Result<usize, Unanswered> {
        let before = self.line.len();
        let room = ANSWER_HEAD_LEN_MAX - before;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some(end) = head_end(&self.line, before) else {
            let is_full = self.line.len() == ANSWER_HEAD_LEN_MAX;
            return if is_full { Err(Unanswered::HeadTooLong) } else { Ok(bytes.len()) };
        };
        let mut fields = [EMPTY_HEADER; ANSWER_FIELDS_MAX];
        let mut head = httparse::Response::new(&mut fields);
        match head.parse(&self.line[..end]) {
            Ok(Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Unanswered::HeadTooLong),
            _ => return Err(Unanswered::NotHttp),
        }
        let status = head.code.unwrap_or_default();
        self.state = match status {
            101 => return Err(Unanswered::Switches),
            100..=199 => State::Head,
            200..=599 => {
                let framing = framing(head.headers, status, self.is_bare)?;
                self.is_of_events = values(head.headers, "content-type")
                    .any(|value| value.to_ascii_lowercase().starts_with(b"text/event-stream"));
                if !put(&described(head.headers, status, self.is_bare)) {
                    return Err(Unanswered::TooLong);
                }
                framing
            }
            _ => return Err(Unanswered::NotHttp),
        };
        self.line.clear();
        Ok(end - before)
    }
}

/// Writes up to `left` bytes of a body; says how many, and how many are left then.
fn body(bytes: &[u8], left: u64, put: Put) -> Result<(usize, u64), Unanswered> {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    if !put(&bytes[..len]) {
        return Err(Unanswered::TooLong);
    }
    Ok((len, left - len as u64))
}

/// Where the head ends, if its last bytes are among those from `from` on.
fn head_end(head: &[u8], from: usize) -> Option<usize> {
    // The line break that ends the last field may have come before.
    let start = from.saturating_sub(3);
    let found = head[start..].iter().enumerate().find(|(at, byte)| {
        let before = &head[..start + at];
        **byte == b'\n' && (before.ends_with(b"\n") || before.ends_with(b"\n\r"))
    });
    found.map(|(at, _)| start + at + 1)
}

/// How the end of the body is found (RFC 9112, 6.3).
fn framing(fields: &[Header<'_>], status: u16, is_bare: bool) -> Result<State, Unanswered> {
    let mut codings = values(fields, "transfer-encoding").flat_map(|value| value.split(comma));
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if coding.trim_ascii().eq_ignore_ascii_case(b"chunked") => true,
        _ => return Err(Unanswered::Coding),
    };
    let mut len = None;
    for value in values(fields, "content-length") {
        let text = str::from_utf8(value.trim_ascii()).map_err(|_| Unanswered::Length)?;
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = text.parse().map_err(|_| Unanswered::Length)?;
        if !is_number || len.is_some_and(|len| len != number) {
            return Err(Unanswered::Length);
        }
        len = Some(number);
    }
    Ok(match len {
        _ if is_bare || matches!(status, 204 | 304) => State::Over(Ok(())),
        _ if is_chunked => State::ChunkSize,
        Some(0) => State::Over(Ok(())),
        Some(len) => State::Length(len),
        None => State::UntilClose,
    })
}

/// Fields for one connection only (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Status and fields as a CGI program writes them. The length is the node's to say, but for
/// answers to `HEAD`, where nothing else tells it.
fn described(fields: &[Header<'_>], status: u16, is_bare: bool) -> Vec<u8> {
    let mut text = b"Status: ".to_vec();
    let digit = |power: u16| b'0' + (status / power % 10) as u8;
    text.extend_from_slice(&[digit(100), digit(10), digit(1), b'\r', b'\n']);
    for Header { name, value } in fields {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let is_named = values(fields, "connection")
            .flat_map(|value| value.split(comma))
            .any(|named| named.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        let is_length = is("content-length") && !is_bare;
        if is_named || is_length || HOP_BY_HOP.iter().any(|other| is(other)) {
            continue;
        }
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            text.extend_from_slice(piece);
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn values<'a>(fields: &'a [Header<'_>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

fn comma(byte: &u8) -> bool {
    *byte == b','
}
