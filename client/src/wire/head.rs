//! The head of an answer, and what it says about the body that follows (RFC 9112, section 6.3).
//!
//! Whoever answers may be anybody: a stranger on the port, a balancer, a peer under test. What two
//! readers could understand in two ways is refused, not guessed.

use httparse::{EMPTY_HEADER, Header, Status};

/// Header fields an answer may have.
const FIELDS_MAX: usize = 64;
/// Longest head of an answer.
pub const HEAD_LEN_MAX: usize = 64 << 10;
/// Longest body of an answer: longer than any result a node accepts.
pub const BODY_LEN_MAX: usize = 64 << 20;

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The head does not follow the grammar.
    #[error("not an HTTP answer: {0}")]
    Grammar(httparse::Error),
    /// The head does not end.
    #[error("the head of the answer is longer than {HEAD_LEN_MAX} bytes")]
    HeadTooLong,
    /// `Content-Length` is no number, or there are two of them.
    #[error("the answer has a bad Content-Length")]
    Length,
    /// A transfer coding that is not `chunked`, or one beside a length.
    #[error("the answer has a transfer coding that nobody asked for")]
    Coding,
    /// The body is longer than anything a node sends.
    #[error("the body of the answer is longer than {BODY_LEN_MAX} bytes")]
    BodyTooLong,
    /// A chunk of the body does not begin or end as one.
    #[error("the body of the answer has a malformed chunk")]
    Chunk,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It has so many bytes.
    Length(usize),
    /// It comes in chunks, the last of which is empty.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// What of a head matters to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Status.
    pub status: u16,
    /// Minor version of HTTP/1.
    pub minor_version: u8,
    /// Bytes of the head, with the empty line.
    pub len: usize,
    /// How its body ends.
    pub framing: Framing,
    /// Whether the connection can be used for another request.
    pub stays_open: bool,
}

impl Head {
    /// Reads the head of the answer to a request with this method; `None` if it is not complete.
    ///
    /// # Errors
    /// [`Flaw`]
    pub fn parse(bytes: &[u8], method: &str) -> Result<Option<Self>, Flaw> {
        let mut fields = [EMPTY_HEADER; FIELDS_MAX];
        let mut answer = httparse::Response::new(&mut fields);
        let len = match answer.parse(bytes).map_err(Flaw::Grammar)? {
            Status::Complete(len) if len <= HEAD_LEN_MAX => len,
            Status::Partial if bytes.len() <= HEAD_LEN_MAX => return Ok(None),
            _ => return Err(Flaw::HeadTooLong),
        };
        let (Some(status), Some(minor_version)) = (answer.code, answer.version) else {
            return Err(Flaw::Grammar(httparse::Error::Status));
        };
        let framing = framing(status, answer.headers, method)?;
        let says = |word| tokens(answer.headers, "connection").any(|token| is(token, word));
        let persists = if minor_version == 0 { says("keep-alive") } else { !says("close") };
        let stays_open = persists && framing != Framing::UntilClose;
        Ok(Some(Self { status, minor_version, len, framing, stays_open }))
    }
}

/// The fields of a head that was parsed: names in lower case, in order.
pub fn fields(head: &[u8]) -> Vec<(String, String)> {
    let mut fields = [EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    // It was parsed before, and parses again.
    let _ = answer.parse(head);
    let owned = |field: &Header<'_>| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned())
    };
    answer.headers.iter().map(owned).collect()
}

fn framing(status: u16, fields: &[Header<'_>], method: &str) -> Result<Framing, Flaw> {
    if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let length = length(fields)?;
    let mut codings = tokens(fields, "transfer-encoding");
    match (codings.next(), codings.next(), length) {
        (None, _, Some(len)) => Ok(Framing::Length(len)),
        (None, _, None) => Ok(Framing::UntilClose),
        (Some(coding), None, None) if is(coding, "chunked") => Ok(Framing::Chunked),
        _ => Err(Flaw::Coding),
    }
}

/// Digits and nothing else, once.
fn length(fields: &[Header<'_>]) -> Result<Option<usize>, Flaw> {
    let mut lengths = tokens(fields, "content-length");
    let Some(text) = lengths.next() else { return Ok(None) };
    if lengths.next().is_some() || text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Flaw::Length);
    }
    // What no integer holds is too long, too.
    let len = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    len.filter(|len| *len <= BODY_LEN_MAX).map(Some).ok_or(Flaw::BodyTooLong)
}

/// The members of a list, which several fields may hold.
fn tokens<'a>(fields: &'a [Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let named = fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.flat_map(|field| field.value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is(token: &[u8], word: &str) -> bool {
    token.eq_ignore_ascii_case(word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(fields: &str) -> Result<Head, Flaw> {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        Head::parse(head.as_bytes(), "GET").map(|head| head.expect("all of it"))
    }

    #[test]
    fn every_beginning_of_a_head_is_incomplete() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 26\r\nConnection: close\r\n\r\n";
        for len in 0..head.len() {
            assert_eq!(Head::parse(&head[..len], "GET"), Ok(None), "{len}");
        }
        let head = Head::parse(head, "GET").expect("a head").expect("all of it");
        assert_eq!((head.status, head.framing, head.len), (200, Framing::Length(26), 58));
        assert!(!head.stays_open);
    }

    #[test]
    fn the_body_ends_as_rfc_9112_says() {
        let framing = |fields: &str| parsed(fields).map(|head| head.framing);
        assert_eq!(framing("Content-Length: 2\r\n"), Ok(Framing::Length(2)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framing(""), Ok(Framing::UntilClose));
        for bad in ["", "-1", "+2", "2x", "0x2", "2 2", "2, 2", "2,", "2\r\ncontent-length: 2"] {
            let fields = format!("Content-Length: {bad}\r\n");
            assert_eq!(framing(&fields), Err(Flaw::Length), "{bad:?}");
        }
        for bad in ["67108865", "18446744073709551616", "99999999999999999999999999"] {
            let fields = format!("Content-Length: {bad}\r\n");
            assert_eq!(framing(&fields), Err(Flaw::BodyTooLong), "{bad}");
        }
        for bad in [
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(framing(bad), Err(Flaw::Coding), "{bad:?}");
        }
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_say() {
        let head = |status: u16, method| {
            let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n");
            Head::parse(text.as_bytes(), method).expect("a head").expect("all of it").framing
        };
        for (status, method) in [(200, "HEAD"), (100, "PUT"), (204, "GET"), (304, "GET")] {
            assert_eq!(head(status, method), Framing::Length(0), "{status} {method}");
        }
        assert_eq!(head(200, "GET"), Framing::Length(9));
    }

    #[test]
    fn a_connection_stays_open_if_both_say_so() {
        let open = |text: &str| {
            let head = Head::parse(text.as_bytes(), "GET").expect("a head");
            head.expect("all of it").stays_open
        };
        assert!(open("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!open("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: te, Close\r\n\r\n"));
        assert!(!open("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(open("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
        assert!(!open("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bytes in ["SSH-2.0-OpenSSH\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 x\r\n\r\n", "\0\0"]
        {
            let refused = Head::parse(bytes.as_bytes(), "GET");
            assert!(matches!(refused, Err(Flaw::Grammar(_))), "{bytes:?}: {refused:?}");
        }
        let many = "A: b\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(parsed(&many), Err(Flaw::Grammar(httparse::Error::TooManyHeaders)));
        let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(HEAD_LEN_MAX));
        assert_eq!(Head::parse(endless.as_bytes(), "GET"), Err(Flaw::HeadTooLong));
        let long = format!("A: {}\r\n", "b".repeat(HEAD_LEN_MAX));
        assert_eq!(parsed(&long), Err(Flaw::HeadTooLong));
    }
}
