//! A connection: bytes in, requests out, and answers back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use httparse::{EMPTY_HEADER, Request, Status};

use crate::bare;
use crate::peer::Peers;

/// Longest request, with its body, which nobody reads.
const REQUEST_LEN_MAX: usize = 64 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 32;
/// How much is read at once: nearly every request is shorter.
const READ_LEN: usize = 4 << 10;

/// What a connection is after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More requests may come.
    Open,
    /// It is to be closed.
    Done,
}

/// A client.
pub struct Connection {
    stream: TcpStream,
    /// What has arrived and is not answered.
    received: Vec<u8>,
}

/// What the server needs to know of a request.
struct Head {
    path: String,
    /// Length with the body.
    len: usize,
    keep_alive: bool,
}

/// Memory that serves one request after the other.
#[derive(Default)]
pub struct Scratch {
    body: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    /// A connection on which nothing has arrived yet.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Reads what has arrived and answers each complete request in it.
    pub fn serve(&mut self, peers: &Peers, scratch: &mut Scratch) -> State {
        match self.receive_and_answer(peers, scratch) {
            Ok(state) => state,
            Err(error) if error.kind() == ErrorKind::WouldBlock => State::Open,
            // A client that is gone or speaks nonsense is nobody to tell about it.
            Err(_) => State::Done,
        }
    }

    fn receive_and_answer(&mut self, peers: &Peers, scratch: &mut Scratch) -> io::Result<State> {
        if self.receive()? == 0 {
            return Ok(State::Done);
        }
        self.answer(peers, scratch)
    }

    /// Reads once, for what is left makes the connection ready again. 0 is the end.
    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; READ_LEN];
        let len = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(len)
    }

    fn answer(&mut self, peers: &Peers, scratch: &mut Scratch) -> io::Result<State> {
        while let Some(head) = parse(&self.received)? {
            if self.received.len() < head.len {
                break;
            }
            self.received.drain(..head.len);
            scratch.fill(peers, &head);
            self.send(&scratch.answer)?;
            if !head.keep_alive {
                return Ok(State::Done);
            }
        }
        Ok(if self.received.len() < REQUEST_LEN_MAX { State::Open } else { State::Done })
    }

    /// Answers are short but for those of `/bare`, for which it is worth to wait.
    fn send(&mut self, answer: &[u8]) -> io::Result<()> {
        match self.stream.write(answer) {
            Ok(len) if len == answer.len() => Ok(()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            written => {
                self.stream.set_nonblocking(false)?;
                self.stream.write_all(&answer[written.unwrap_or(0)..])?;
                self.stream.set_nonblocking(true)
            }
        }
    }
}

/// The head of the first request, if it has arrived.
fn parse(received: &[u8]) -> io::Result<Option<Head>> {
    let mut fields = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut fields);
    let Status::Complete(mut len) = request.parse(received).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let mut keep_alive = true;
    for field in &*request.headers {
        if field.name.eq_ignore_ascii_case("content-length") {
            let body = str::from_utf8(field.value).ok().and_then(|body| body.parse().ok());
            len = body.and_then(|body| len.checked_add(body)).ok_or(ErrorKind::InvalidData)?;
        } else if field.name.eq_ignore_ascii_case("connection") {
            keep_alive = !field.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(Head { path: request.path.unwrap_or_default().to_owned(), len, keep_alive }))
}

impl Scratch {
    /// Makes the answer to a request.
    fn fill(&mut self, peers: &Peers, head: &Head) {
        self.body.clear();
        let status = match respond(peers, &head.path, &mut self.body) {
            Ok(true) => "200 OK",
            Ok(false) => "404 Not Found",
            Err(error) => {
                self.body.clear();
                self.body.extend(error.to_string().bytes());
                "500 Internal Server Error"
            }
        };
        let connection = if head.keep_alive { "" } else { "Connection: close\r\n" };
        self.answer.clear();
        // Writing to memory cannot fail.
        let _ = write!(
            self.answer,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{connection}\
             Content-Length: {}\r\n\r\n",
            self.body.len()
        );
        self.answer.extend(&self.body);
    }
}

/// Appends the answer for a path to `body`; `false` if there is nothing at that path.
fn respond(peers: &Peers, path: &str, body: &mut Vec<u8>) -> io::Result<bool> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if path == "/readyz" {
        return Ok(true);
    }
    if let Some(peer) = path.strip_prefix("/bare/").and_then(|name| peers.find(name)) {
        return bare::run(peer, query, body).map(|()| true);
    }
    match path.strip_prefix('/').and_then(|name| peers.find(name)) {
        Some(peer) => peer.run(body).map(|()| true),
        None => Ok(false),
    }
}
