//! HTTP for the load generator: a request of ready bytes, one system call to send it, and of the
//! answer only the head is looked at.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::failure::Failure;

/// Longest wait for an answer unless one is set: longer than an action may run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(330);
/// Longest wait for a connection unless one is set.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the node is, as often as one likes.
pub struct Address {
    pub host: String,
    /// All the name stands for: the first that listens is taken.
    sockets: Vec<SocketAddr>,
    prefix: String,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

/// Why there was no success.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// Something else than HTTP.
    Malformed,
    /// An answer of this status.
    Status(u16),
    /// Due, but no connection was free until the end.
    Unsent,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("no connection"),
            Self::Timeout => f.write_str("time-out"),
            Self::Closed => f.write_str("connection closed"),
            Self::Malformed => f.write_str("malformed answer"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unsent => f.write_str("never sent"),
        }
    }
}

impl Address {
    pub fn parse(url: &str) -> Result<Self, Failure> {
        let wrong = |reason: String| Failure::usage(format!("{url}: {reason}"));
        let address = hk::Address::parse(url).map_err(|error| wrong(error.to_string()))?;
        let sockets = address.authority().to_socket_addrs();
        let sockets = sockets.map_err(|error| wrong(error.to_string()))?.collect();
        Ok(Self {
            host: address.authority(),
            sockets,
            prefix: address.prefix,
            connect_timeout: CONNECT_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
        })
    }

    /// Waits no longer than that for a connection and for an answer, where it is said.
    pub fn within(mut self, connect: Option<Duration>, answer: Option<Duration>) -> Self {
        self.connect_timeout = connect.unwrap_or(self.connect_timeout);
        self.answer_timeout = answer.unwrap_or(self.answer_timeout);
        self
    }

    /// Whether it is this computer. A node is a machine of its own, so something is between.
    pub fn is_loopback(&self) -> bool {
        self.sockets.iter().all(|socket| socket.ip().is_loopback())
    }

    /// A request that costs a node next to nothing.
    pub fn probe(&self) -> Vec<u8> {
        let Self { host, prefix, .. } = self;
        format!("GET {prefix}/healthz HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
    }

    /// The bytes of a request.
    pub fn post(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let Self { host, prefix, .. } = self;
        let len = body.len();
        let head = format!(
            "POST {prefix}{path} HTTP/1.1\r\nHost: {host}\r\n\
            Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

impl Kind {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Closed,
        }
    }
}

/// One connection, kept open from answer to answer.
pub struct Connection {
    wire: hk::wire::Connection,
}

impl Connection {
    pub fn open(address: &Address) -> Result<Self, Kind> {
        let Address { connect_timeout, answer_timeout, .. } = *address;
        let open = |socket: &SocketAddr| {
            hk::wire::Connection::open_within(*socket, connect_timeout, answer_timeout).ok()
        };
        let wire = address.sockets.iter().find_map(open).ok_or(Kind::Connect)?;
        Ok(Self { wire })
    }

    /// Sends a request and reads its answer: the status, and whether the connection stays open.
    pub fn exchange(&mut self, request: &[u8]) -> Result<(u16, bool), Kind> {
        // Who answers early and closes makes writing fail; the answer tells more.
        let written = self.wire.send(request);
        match self.wire.receive_in_place() {
            Ok((head, _)) => Ok((head.status, head.stays_open)),
            Err(error) => Err(Kind::of(written.as_ref().err().unwrap_or(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    /// What a client makes of a server that says `answer` and closes.
    fn hearing(answer: &'static [u8]) -> Result<(u16, bool), Kind> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(answer).expect("the client listens");
        });
        let address = Address::parse(&url).expect("an address");
        let mut connection = Connection::open(&address).expect("the server listens");
        let heard = connection.exchange(&address.post("/", b"x"));
        server.join().expect("the server ends");
        heard
    }

    #[test]
    fn answers_and_their_absence_are_told_apart() {
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(hearing(ok), Ok((200, true)));
        let close = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(hearing(close), Ok((503, false)));
        assert_eq!(hearing(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi"), Err(Kind::Closed));
        assert_eq!(hearing(b"SSH-2.0\r\n\r\n"), Err(Kind::Malformed));
        assert_eq!(hearing(b""), Err(Kind::Closed));
    }

    #[test]
    fn an_address_is_where_to_connect_and_what_to_ask() {
        let address = Address::parse("http://127.0.0.1/base").expect("an address");
        assert_eq!((address.sockets[0].port(), address.prefix.as_str()), (80, "/base"));
        assert!(address.is_loopback());
        assert!(
            address.probe().starts_with(b"GET /base/healthz HTTP/1.1\r\nHost: 127.0.0.1:80\r\n")
        );
        assert!(Address::parse("https://127.0.0.1").is_err());
    }
}
