//! HTTP by hand: a TCP connection that sends any bytes and understands answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Where actions are deployed.
pub const ACTIONS: &str = "/api/v1/namespaces/_/actions";
/// The header line with the key of development nodes, [`hk::GUEST_KEY`].
pub const AUTHORIZATION: &str = "Authorization: Basic \
    MjNiYzQ2YjEtNzFmNi00ZWQ1LThjNTQtODE2YWE0ZjhjNTAyOjEyM3pPM3haQ0xyTU42djJCS0sxZFhZRnBYbFBrY2NPRn\
    FtMTJDZEFzTWdSVTRWck5aOWx5R1ZDR3VNREdJd1A=";
/// How long an answer may take; generous, for the host may be busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Header fields an answer may have.
const HEADERS_MAX: usize = 64;

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
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What was received and belongs to no answer yet.
    received: Vec<u8>,
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
    /// Connects.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new() })
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
        let (mut response, head_len) = loop {
            if let Some(head) = parse_head(&self.received)? {
                break head;
            }
            if self.read_more()? == 0 {
                return Err(self.ended());
            }
        };
        self.received.drain(..head_len);
        let bodiless = method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304);
        let len = match response.header("content-length") {
            _ if bodiless => Some(0),
            Some(len) => Some(len.parse().map_err(|_| malformed("bad Content-Length"))?),
            None => None,
        };
        match len {
            Some(len) => {
                while self.received.len() < len {
                    if self.read_more()? == 0 {
                        return Err(self.ended());
                    }
                }
                response.body = self.received.drain(..len).collect();
            }
            None => {
                while self.read_more()? > 0 {}
                response.body = std::mem::take(&mut self.received);
            }
        }
        Ok(response)
    }

    /// Waits for the node to close the connection and returns what it sent until then. A reset
    /// counts as closing.
    ///
    /// # Errors
    /// When the connection stays open.
    pub fn wait_closed(&mut self) -> io::Result<Vec<u8>> {
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

    fn read_more(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let len = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(len)
    }

    fn ended(&self) -> io::Error {
        let text = String::from_utf8_lossy(&self.received);
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the connection ended within an answer, after {text:?}"),
        )
    }
}

/// An answer without its body, and how many bytes its head has; `None` if it is not complete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(Response, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(bytes).map_err(|error| malformed(&error.to_string()))?;
    let httparse::Status::Complete(len) = parsed else {
        return Ok(None);
    };
    let headers = head.headers.iter().map(|field| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_ascii_lowercase(), value)
    });
    let response = Response {
        status: head.code.unwrap_or_default(),
        minor_version: head.version.unwrap_or_default(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    Ok(Some((response, len)))
}

fn malformed(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A connection to a server that says `answer` and closes.
    fn hearing(answer: &'static [u8]) -> Connection {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            stream.write_all(answer).expect("the client listens");
        });
        let connection = Connection::open(address).expect("the server listens");
        server.join().expect("the server ends");
        connection
    }

    #[test]
    fn answers_follow_each_other_on_one_connection() {
        let mut connection = hearing(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\
              HTTP/1.0 204 No Content\r\n\r\n",
        );
        assert_eq!(connection.receive().expect("an answer").status, 100);
        let response = connection.receive().expect("an answer");
        assert_eq!((response.status, response.text().as_str()), (200, "hi"));
        assert_eq!(connection.receive().expect("an answer").minor_version, 0);
        assert_eq!(connection.wait_closed().expect("the end"), b"");
    }

    #[test]
    fn half_an_answer_is_an_error() {
        assert!(hearing(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi").receive().is_err());
        assert!(hearing(b"HTTP/1.1 200 OK\r\n").receive().is_err());
        assert!(hearing(b"nonsense\r\n\r\n").receive().is_err());
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        let response = hearing(b"HTTP/1.1 200 OK\r\n\r\nhello").receive().expect("an answer");
        assert_eq!(response.text(), "hello");
    }

    #[test]
    fn a_body_has_its_length() {
        let bytes = request("POST", "/", &["A: b"], b"xy");
        assert_eq!(bytes, b"POST / HTTP/1.1\r\nHost: node\r\nA: b\r\nContent-Length: 2\r\n\r\nxy");
    }
}
