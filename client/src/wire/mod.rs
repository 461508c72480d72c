//! HTTP by hand: a connection that sends any bytes, and the one reader of answers by hand.
//!
//! [`Client`](crate::Client) is the way to a node. This is for who must know every byte and every
//! microsecond: load generators, for which a general client costs more than the node they measure,
//! and tests, which send what no HTTP library would.

mod head;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub use head::{BODY_LEN_MAX, Flaw, Framing, HEAD_LEN_MAX, Head};

/// How long an answer may take; generous, for the host may be busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Most that is read at once.
const READ_LEN: usize = 16 << 10;

/// The bytes of one request. `headers` are whole lines without their ends; `Host`, and for a body
/// `Content-Length`, are added.
#[must_use]
pub fn request(method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: node\r\n").into_bytes();
    for header in headers {
        request.extend_from_slice(format!("{header}\r\n").as_bytes());
    }
    if !body.is_empty() {
        request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    request
}

/// A connection to a node.
///
/// An answer that is none is an error of the kind `InvalidData` with a [`Flaw`] inside; one whose
/// connection ends early is `UnexpectedEof`.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// The last answer, its body decoded, and what was received after it.
    received: Vec<u8>,
    /// Bytes of the last answer.
    answer_len: usize,
    /// Room for a read.
    room: Box<[u8]>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Minor version of HTTP/1.
    pub minor_version: u8,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header field, by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

impl Connection {
    /// Connects, with generous time-outs.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::open_within(address, CONNECT_TIMEOUT, ANSWER_TIMEOUT)
    }

    /// Connects. Nothing being heard, or taken, for longer than `answer` is an error from then on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_within(
        address: SocketAddr,
        connect: Duration,
        answer: Duration,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, connect)?;
        stream.set_read_timeout(Some(answer))?;
        stream.set_write_timeout(Some(answer))?;
        stream.set_nodelay(true)?;
        let room = vec![0; READ_LEN].into_boxed_slice();
        Ok(Self { stream, received: Vec::new(), answer_len: 0, room })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the node has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Tells the node that nothing more will come.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads one answer. Interim answers such as 100 count as answers.
    ///
    /// # Errors
    /// When the connection ends before the answer does, or what comes is not HTTP.
    pub fn receive(&mut self) -> io::Result<Response> {
        self.receive_for("GET")
    }

    /// Reads the answer to a request with this method: the one to `HEAD` has no body.
    ///
    /// # Errors
    /// See [`receive`](Self::receive).
    pub fn receive_for(&mut self, method: &str) -> io::Result<Response> {
        let head = self.read(method)?;
        Ok(Response {
            status: head.status,
            minor_version: head.minor_version,
            headers: head::fields(&self.received[..head.len]),
            body: self.received[head.len..self.answer_len].to_vec(),
        })
    }

    /// Reads one answer to a request other than `HEAD` without copying it.
    ///
    /// # Errors
    /// See [`receive`](Self::receive).
    pub fn receive_in_place(&mut self) -> io::Result<(Head, &[u8])> {
        let head = self.read("GET")?;
        Ok((head, &self.received[head.len..self.answer_len]))
    }

    /// Whether bytes came that belong to no answer yet.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.received.len() > self.answer_len
    }

    /// Waits for the node to close the connection and returns what it sent until then. A reset
    /// counts as closing.
    ///
    /// # Errors
    /// When the connection stays open.
    pub fn wait_closed(&mut self) -> io::Result<Vec<u8>> {
        self.forget_answer();
        loop {
            match self.read_more() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(error),
            }
        }
        Ok(std::mem::take(&mut self.received))
    }

    /// The stream underneath, for time-outs and the like.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads one answer. Its head and its decoded body are then the first `answer_len` bytes.
    fn read(&mut self, method: &str) -> io::Result<Head> {
        self.forget_answer();
        let head = loop {
            if let Some(head) = Head::parse(&self.received, method).map_err(malformed)? {
                break head;
            }
            self.expect_more()?;
        };
        self.answer_len = match head.framing {
            Framing::Length(len) => {
                self.fill(head.len + len)?;
                head.len + len
            }
            Framing::Chunked => self.join_chunks(head.len)?,
            Framing::UntilClose => {
                while self.read_more()? > 0 {
                    bounded(self.received.len() - head.len)?;
                }
                self.received.len()
            }
        };
        Ok(head)
    }

    /// Joins the chunks from `start` on (RFC 9112, section 7.1). Returns where the body ends.
    fn join_chunks(&mut self, start: usize) -> io::Result<usize> {
        let (mut end, mut at) = (start, start);
        loop {
            let (line_len, len) = loop {
                let rest = &self.received[at..];
                let line = httparse::parse_chunk_size(rest).map_err(|_| malformed(Flaw::Chunk))?;
                match line {
                    httparse::Status::Complete(line) => break line,
                    httparse::Status::Partial if rest.len() > HEAD_LEN_MAX => {
                        return Err(malformed(Flaw::Chunk));
                    }
                    httparse::Status::Partial => self.expect_more()?,
                }
            };
            at += line_len;
            if len == 0 {
                break;
            }
            let len = usize::try_from(len).map_err(|_| malformed(Flaw::BodyTooLong))?;
            bounded((end - start).saturating_add(len))?;
            self.fill(at + len + 2)?;
            if self.received[at + len..at + len + 2] != *b"\r\n" {
                return Err(malformed(Flaw::Chunk));
            }
            self.received.copy_within(at..at + len, end);
            (end, at) = (end + len, at + len + 2);
        }
        at = self.skip_trailer(at)?;
        self.received.drain(end..at);
        Ok(end)
    }

    /// Where the lines after the last chunk end, with an empty one.
    fn skip_trailer(&mut self, mut at: usize) -> io::Result<usize> {
        let start = at;
        loop {
            let line = self.received[at..].windows(2).position(|pair| pair == b"\r\n");
            match line {
                Some(0) => return Ok(at + 2),
                Some(len) => at += len + 2,
                None => self.expect_more()?,
            }
            if self.received.len() - start > HEAD_LEN_MAX {
                return Err(malformed(Flaw::HeadTooLong));
            }
        }
    }

    fn forget_answer(&mut self) {
        self.received.drain(..std::mem::take(&mut self.answer_len));
    }

    fn fill(&mut self, len: usize) -> io::Result<()> {
        while self.received.len() < len {
            self.expect_more()?;
        }
        Ok(())
    }

    fn expect_more(&mut self) -> io::Result<()> {
        if self.read_more()? > 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&self.received);
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the connection ended within an answer, after {text:?}"),
        ))
    }

    fn read_more(&mut self) -> io::Result<usize> {
        let len = self.stream.read(&mut self.room)?;
        self.received.extend_from_slice(&self.room[..len]);
        Ok(len)
    }
}

fn bounded(body_len: usize) -> io::Result<()> {
    if body_len > BODY_LEN_MAX { Err(malformed(Flaw::BodyTooLong)) } else { Ok(()) }
}

fn malformed(flaw: Flaw) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, flaw)
}

#[cfg(test)]
mod tests;
