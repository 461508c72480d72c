//! One request head: from bytes to method, path, header fields and the framing of the body.
//!
//! Two passes. The `Scanner` sees each byte once, as it arrives: it finds the end of the head and
//! refuses at the earliest byte what can be refused there (TLS, other protocols, other versions,
//! what is too long). The complete head is then parsed once, by `httparse`, and checked against RFC
//! 9112. So a head that drips in byte by byte costs no more than one that comes at once, and one
//! that comes at once is never copied.
//!
//! Strict wherever two readers of the same bytes could disagree about where a request ends or whom
//! it is for: such requests are refused, not repaired. Stricter than RFC 9112 asks in two places:
//! a line must end in CR LF, not in a lone LF; repeated `Content-Length` is refused even if
//! identical.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::ops::Range;

use super::text::{Names, find_newline};
use super::{Malformed, MessageReject, Method, RequestText};
use limits::{BLANK_LINES_MAX, HEAD_LEN_MAX, HEADERS_MAX, METHOD_LEN_MAX, TARGET_LEN_MAX};

/// A request without its body, and how to read the body.
#[derive(Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path, query and header fields.
    pub text: RequestText,
    /// What follows the head.
    pub framing: Framing,
    /// Whether the client wants the connection to stay open.
    pub persistent: bool,
    /// Whether the client reads an answer in chunks: it speaks HTTP/1.1.
    pub takes_chunks: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes; 0 if the head names no length.
    Length(usize),
    /// As many as the chunks say.
    Chunked,
    /// As many as come. Only answers can be like that (RFC 9112, 6.3).
    UntilClose,
}

/// Collects the bytes of one head and turns them into a [`Head`].
#[derive(Debug, Default)]
pub struct HeadReader {
    // Empty as long as all bytes of the head are in the caller's slice.
    buffer: Vec<u8>,
    scanner: Scanner,
}

impl HeadReader {
    /// Whether no byte of a request has arrived; blank lines before it do not count.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.buffer.len() == self.scanner.head_start
    }

    /// Whether what was received, or else `bytes`, is the beginning of a `HEAD` request: an answer
    /// to one has no body, also when the rest of it is refused.
    #[must_use]
    pub fn is_head_request(&self, bytes: &[u8]) -> bool {
        let all = if self.buffer.is_empty() { bytes } else { &self.buffer };
        all.get(self.scanner.head_start..).is_some_and(|rest| rest.starts_with(b"HEAD "))
    }

    /// Takes bytes up to the end of the head. Returns how many, and the head when it is complete;
    /// the reader is then ready for the next one. The head's text is put into the memory of
    /// `buffer`, which is empty after that.
    ///
    /// # Errors
    /// Why the bytes are no acceptable request.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(usize, Option<Head>), MessageReject> {
        let before = self.buffer.len();
        if before > 0 {
            self.keep(bytes)?;
        }
        let all = if before > 0 { &self.buffer } else { bytes };
        let Some(range) = self.scanner.scan(all)? else {
            if before == 0 {
                self.keep(bytes)?;
            }
            return Ok((bytes.len(), None));
        };
        let consumed = range.end - before;
        let lines = self.scanner.lines_start - range.start;
        let head = parse(&all[range], lines, buffer)?;
        *self = Self::default();
        Ok((consumed, Some(head)))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), MessageReject> {
        let kept = &bytes[..bytes.len().min(HEAD_LEN_MAX - self.buffer.len())];
        self.buffer.try_reserve(kept.len()).map_err(|_| MessageReject::NoMemory)?;
        self.buffer.extend_from_slice(kept);
        Ok(())
    }
}

/// Finds the end of a head and what is wrong with its beginning. Every check looks at a prefix of
/// the stream only, so the verdict does not depend on how the stream is cut.
#[derive(Debug, Default)]
struct Scanner {
    /// Bytes that hold no unseen line end.
    position: usize,
    /// First byte of the line that is not complete.
    line_start: usize,
    /// First byte after the blank lines.
    head_start: usize,
    blank_lines: usize,
    /// Lines seen: the request line and header fields.
    lines: usize,
    /// First byte after the request line.
    lines_start: usize,
    /// Offset of the target in the request line; 0 until the method is complete.
    target_start: usize,
}

impl Scanner {
    /// Looks at the bytes that are new in `bytes`, which begins where the connection or the
    /// previous request ended. Returns where the head is once it is complete.
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, MessageReject> {
        let bytes = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
        loop {
            let newline = find_newline(&bytes[self.position..]).map(|at| self.position + at);
            let line = &bytes[self.line_start..newline.unwrap_or(bytes.len())];
            if self.lines == 0 {
                self.check_request_line_start(line)?;
            }
            let Some(newline) = newline else {
                self.position = bytes.len();
                let full = bytes.len() == HEAD_LEN_MAX;
                return if full { Err(MessageReject::HeadTooLarge) } else { Ok(None) };
            };
            let line =
                line.strip_suffix(b"\r").ok_or(MessageReject::Malformed(Malformed::LineEnd))?;
            self.position = newline + 1;
            self.line_start = newline + 1;
            if !line.is_empty() {
                if self.lines == 0 {
                    check_version(line)?;
                    self.lines_start = newline + 1;
                }
                self.lines += 1;
                if self.lines > 1 + HEADERS_MAX {
                    return Err(MessageReject::HeadTooLarge);
                }
            } else if self.lines > 0 {
                return Ok(Some(self.head_start..newline + 1));
            } else {
                self.head_start = newline + 1;
                self.blank_lines += 1;
                if self.blank_lines > BLANK_LINES_MAX {
                    return Err(MessageReject::Malformed(Malformed::EmptyLines));
                }
            }
        }
    }

    /// Judges the request line by as much of it as there is. `line` may end in the CR of its end.
    fn check_request_line_start(&mut self, line: &[u8]) -> Result<(), MessageReject> {
        if line.is_empty() || line == b"\r" {
            return Ok(());
        }
        if self.target_start == 0 {
            let method = &line[..line.len().min(METHOD_LEN_MAX)];
            match method.iter().position(|byte| !is_token(*byte)) {
                None if method.len() == METHOD_LEN_MAX => return Err(MessageReject::UnknownMethod),
                None => return Ok(()),
                Some(end) if end > 0 && method[end] == b' ' => self.target_start = end + 1,
                Some(_) if method[0] == TLS_HANDSHAKE => {
                    return Err(MessageReject::Malformed(Malformed::Tls));
                }
                Some(_) => return Err(MessageReject::Malformed(Malformed::NotHttp)),
            }
        }
        if line.len() - self.target_start > TARGET_LEN_MAX + VERSION.len() + 1 {
            return Err(MessageReject::TargetTooLong);
        }
        Ok(())
    }
}

const VERSION: &[u8] = b" HTTP/1.1";
/// First byte of a TLS client hello (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Refuses other versions as soon as the request line is there, because their clients may not send
/// what ends a head: HTTP/0.9 has none, HTTP/2 goes on in binary.
fn check_version(line: &[u8]) -> Result<(), MessageReject> {
    if line.ends_with(VERSION) || line.ends_with(b" HTTP/1.0") {
        return Ok(());
    }
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match words.next() {
        None => Err(MessageReject::UnknownVersion),
        Some(version) if version.starts_with(b"HTTP/") && words.next().is_none() => {
            Err(MessageReject::UnknownVersion)
        }
        Some(_) => Err(MessageReject::Malformed(Malformed::RequestLine)),
    }
}

/// Parses one complete head, of which the header lines begin at `lines_start`.
fn parse(bytes: &[u8], lines_start: usize, buffer: &mut Vec<u8>) -> Result<Head, MessageReject> {
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(len)) if len == bytes.len() => {}
        Ok(_) => return Err(MessageReject::Malformed(Malformed::Head)),
        Err(error) => return Err(reject_of(error)),
    }
    let method = request.method.and_then(Method::from_name).ok_or(MessageReject::UnknownMethod)?;
    let (path, query) = split_target(method, request.path.unwrap_or_default())?;

    // Without the CR LF of the empty line.
    let lines = as_text(&bytes[lines_start..bytes.len() - 2]);
    let mut connection = ConnectionFields::default();
    let mut names = Names::default();
    for field in request.headers.iter() {
        names.include(field.name.as_bytes());
        connection.note(field.name.as_bytes(), field.value)?;
    }
    let version_1_1 = request.version == Some(1);
    connection.check(version_1_1)?;
    Ok(Head {
        method,
        text: RequestText::new(core::mem::take(buffer), path, query, &lines, names),
        framing: connection.framing(),
        persistent: !connection.close && (version_1_1 || connection.keep_alive),
        takes_chunks: version_1_1,
        expects_continue: version_1_1 && connection.expectation == Some(Expectation::Continue),
    })
}

/// Header lines as text. Bytes above 0x7f are opaque (RFC 9110, 5.5): a line in which they are no
/// UTF-8 is what it was meant to be when fields were ISO 8859-1, and keeps each byte apart.
fn as_text(lines: &[u8]) -> Cow<'_, str> {
    if let Ok(lines) = core::str::from_utf8(lines) {
        return Cow::Borrowed(lines);
    }
    let mut text = String::with_capacity(2 * lines.len());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match core::str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) => text.extend(line.iter().map(|byte| char::from(*byte))),
        }
    }
    Cow::Owned(text)
}

fn reject_of(error: httparse::Error) -> MessageReject {
    use httparse::Error;
    match error {
        Error::TooManyHeaders => MessageReject::HeadTooLarge,
        Error::HeaderName => MessageReject::Malformed(Malformed::FieldName),
        Error::HeaderValue => MessageReject::Malformed(Malformed::FieldValue),
        // The scanner has seen a version at the end of the line; this is one too early.
        Error::Token | Error::Version => MessageReject::Malformed(Malformed::RequestLine),
        Error::NewLine | Error::Status => MessageReject::Malformed(Malformed::Head),
    }
}

/// Splits a target into path and query. RFC 9112, 3.2: origin-form, absolute-form (of which the
/// host is dropped: a node has one), and asterisk-form for `OPTIONS`.
fn split_target(method: Method, target: &str) -> Result<(&str, Option<&str>), MessageReject> {
    const MALFORMED: MessageReject = MessageReject::Malformed(Malformed::Target);
    const SCHEME: &str = "http://";
    if target == "*" && method == Method::Options {
        return Ok((target, None));
    }
    let local = if target.starts_with('/') {
        target
    } else {
        let (scheme, rest) = target.split_at_checked(SCHEME.len()).ok_or(MALFORMED)?;
        let host_len = rest.find(['/', '?']).unwrap_or(rest.len());
        let host = &rest.as_bytes()[..host_len];
        if !scheme.eq_ignore_ascii_case(SCHEME) || host.is_empty() || !is_host(host) {
            return Err(MALFORMED);
        }
        &rest[host_len..]
    };
    let path_len = local.bytes().position(|byte| !is_path(byte)).unwrap_or(local.len());
    let (path, rest) = local.split_at(path_len);
    let query = match rest.strip_prefix('?') {
        None if rest.is_empty() => None,
        Some(query) if query.bytes().all(|byte| is_path(byte) || byte == b'?') => Some(query),
        _ => return Err(MALFORMED),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// What can be in a path; a query can have a `?` besides. Neither has bytes that are not ASCII, and
/// a fragment, after `#`, is dropped by some readers and kept by others. `httparse` has refused
/// controls and spaces.
fn is_path(byte: u8) -> bool {
    static PATH: [bool; 256] = {
        let mut class = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            class[byte] = byte != b'?' as usize && byte != b'#' as usize;
            byte += 1;
        }
        class
    };
    PATH[usize::from(byte)]
}

/// What the fields that concern the connection say.
#[derive(Default)]
struct ConnectionFields {
    hosts: usize,
    content_length: Option<usize>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expectation: Option<Expectation>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expectation {
    Continue,
    Unknown,
}

impl ConnectionFields {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), MessageReject> {
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if !is_host(value) {
                return Err(MessageReject::Malformed(Malformed::Host));
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let len = parse_content_length(value)?;
            if self.content_length.replace(len).is_some() {
                return Err(MessageReject::Malformed(Malformed::ContentLengths));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked {
                return Err(MessageReject::Malformed(Malformed::TransferEncodings));
            }
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(MessageReject::UnknownCoding);
            }
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name.eq_ignore_ascii_case(b"expect") {
            let known = value.eq_ignore_ascii_case(b"100-continue")
                && self.expectation != Some(Expectation::Unknown);
            self.expectation =
                Some(if known { Expectation::Continue } else { Expectation::Unknown });
        }
        Ok(())
    }

    fn check(&self, version_1_1: bool) -> Result<(), MessageReject> {
        if self.hosts > 1 || (version_1_1 && self.hosts == 0) {
            return Err(MessageReject::Malformed(Malformed::Hosts));
        }
        if self.chunked && self.content_length.is_some() {
            return Err(MessageReject::Malformed(Malformed::TwoLengths));
        }
        if self.chunked && !version_1_1 {
            return Err(MessageReject::Malformed(Malformed::OldTransferEncoding));
        }
        if version_1_1 && self.expectation == Some(Expectation::Unknown) {
            return Err(MessageReject::UnknownExpectation);
        }
        Ok(())
    }

    fn framing(&self) -> Framing {
        if self.chunked {
            Framing::Chunked
        } else {
            Framing::Length(self.content_length.unwrap_or(0))
        }
    }
}

/// Digits only: no sign, no list, no space.
fn parse_content_length(value: &[u8]) -> Result<usize, MessageReject> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(MessageReject::Malformed(Malformed::ContentLength));
    }
    let append = |len: usize, byte: &u8| len.checked_mul(10)?.checked_add(usize::from(byte - b'0'));
    value.iter().try_fold(0, append).ok_or(MessageReject::BodyTooLarge)
}

/// The characters of `uri-host [":" port]` (RFC 3986, 3.2.2); notably no space, `/`, `@` or `,`,
/// with which one field could name two hosts.
fn is_host(value: &[u8]) -> bool {
    static HOST: [bool; 256] = alphanumeric_or(b"-._~%!$&'()*+;=:[]");
    value.iter().all(|byte| HOST[usize::from(*byte)])
}

/// RFC 9110, 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    static TOKEN: [bool; 256] = alphanumeric_or(b"!#$%&'*+-.^_`|~");
    TOKEN[usize::from(byte)]
}

const fn alphanumeric_or(others: &[u8]) -> [bool; 256] {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        class[others[index] as usize] = true;
        index += 1;
    }
    class
}

#[cfg(test)]
mod tests;
