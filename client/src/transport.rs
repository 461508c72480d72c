//! One request over HTTP, and its answer as it came.

use std::io::{self, Read};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request, Response, header};
use ureq::{Agent, AsSendBody, Body, SendBody};

use crate::{Error, Timing};

/// Largest answer that is read. Larger than any result a node accepts.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Idle connections that are kept open to one node.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// From this length on the node is asked before a body is sent: who refuses it early closes the
/// connection, and would not be heard while we still write.
const ASK_FIRST_LEN: usize = 1 << 20;

/// How long a connection may take to open, unless set otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may be heard, or taken, of a request that a node answers by itself.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The same for a request that runs an action: the longest an action may run, and some air.
const RUN_SILENCE_MAX: Duration = Duration::from_secs(330);

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The node, which answers at once.
    Node,
    /// An action, or the checks of what is deployed.
    Action,
}

impl Patience {
    const fn silence_max(self) -> Duration {
        match self {
            Self::Node => SILENCE_MAX,
            Self::Action => RUN_SILENCE_MAX,
        }
    }
}

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Transport {
    agent: Agent,
    pub base_url: String,
    pub authorization: String,
    /// For a connection to open.
    pub connect_timeout: Duration,
    /// For all of a request; without it only silence ends one.
    pub timeout: Option<Duration>,
}

/// The body of a request, and who wants to know how much of it is sent.
pub struct Upload<'a> {
    pub content_type: &'a str,
    pub bytes: &'a [u8],
    pub progress: &'a mut dyn FnMut(u64),
}

impl Transport {
    pub fn new(base_url: &str, key: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A node of ours is reached directly; a proxy for the rest of the world is in the way.
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(IDLE_CONNECTIONS_MAX)
            .max_idle_connections_per_host(IDLE_CONNECTIONS_MAX)
            .user_agent(concat!("hk/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            base_url: with_scheme(base_url.trim_end_matches('/')),
            authorization: basic(key),
            connect_timeout: CONNECT_TIMEOUT,
            timeout: None,
        }
    }

    pub fn get(&self, path: &str) -> Result<Answer, Error> {
        self.send(Method::GET, path, None, Patience::Node)
    }

    pub fn send(
        &self,
        method: Method,
        path: &str,
        upload: Option<Upload<'_>>,
        patience: Patience,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.base_url);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header(header::AUTHORIZATION, &self.authorization);
        let response = match upload {
            Some(Upload { content_type, bytes, progress }) => {
                request = request
                    .header(header::CONTENT_TYPE, content_type)
                    .header(header::CONTENT_LENGTH, bytes.len());
                if bytes.len() >= ASK_FIRST_LEN {
                    request = request.header(header::EXPECT, "100-continue");
                }
                let mut watched = Watched { rest: bytes, sent: 0, progress };
                self.run(request.body(SendBody::from_reader(&mut watched)), patience)
            }
            None => self.run(request.body(()), patience),
        };
        let unreachable =
            |cause: ureq::Error| Error::Unreachable { url: url.clone(), cause: cause.into() };
        let (parts, mut body) = response.map_err(unreachable)?.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unreachable)?;
        Ok(Answer { url, status: parts.status.as_u16(), headers: parts.headers, body })
    }

    fn run(
        &self,
        request: Result<Request<impl AsSendBody>, ureq::http::Error>,
        patience: Patience,
    ) -> Result<Response<Body>, ureq::Error> {
        let silence_max = Some(patience.silence_max());
        let request = self
            .agent
            .configure_request(request?)
            .timeout_connect(Some(self.connect_timeout))
            .timeout_recv_response(silence_max)
            .timeout_per_read(silence_max)
            .timeout_per_write(silence_max)
            .timeout_global(self.timeout)
            .build();
        self.agent.run(request)
    }
}

/// A body that tells how much of it has been read.
struct Watched<'a> {
    rest: &'a [u8],
    sent: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.rest.read(buffer)?;
        self.sent += len as u64;
        (self.progress)(self.sent);
        Ok(len)
    }
}

/// An answer as it came.
pub struct Answer {
    url: String,
    pub status: u16,
    headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn timing(&self) -> Timing {
        self.header("server-timing").map(Timing::parse).unwrap_or_default()
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// The body of a successful answer as text, or what the node has against the request.
    pub fn text(self) -> Result<String, Error> {
        match self.status {
            200..300 => String::from_utf8(self.body)
                .map_err(|error| unexpected(self.url, self.status, error.to_string())),
            _ => Err(self.refusal()),
        }
    }

    /// The value of a successful answer, or what the node has against the request.
    pub fn accept<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match self.status {
            200..300 => self.json(),
            _ => Err(self.refusal()),
        }
    }

    fn refusal(&self) -> Error {
        let body: Value = match self.json() {
            Ok(body) => body,
            Err(error) => return error,
        };
        let Some(message) = body["error"].as_str() else {
            return self.unexpected("the error has no text".to_owned());
        };
        Error::Refused {
            status: self.status,
            // It becomes part of a sentence of ours.
            message: message.trim_end_matches('.').to_owned(),
            request_id: body["code"].as_str().map(str::to_owned),
            retry_after_s: self.header("retry-after").and_then(|seconds| seconds.parse().ok()),
        }
    }

    /// That this answer is none a node gives.
    pub fn unexpected(&self, reason: String) -> Error {
        unexpected(self.url.clone(), self.status, reason)
    }
}

fn unexpected(url: String, status: u16, reason: String) -> Error {
    Error::Unexpected { url, status, reason }
}

/// Percent-encodes everything a path segment or a query value cannot hold.
pub fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `10.0.0.5:3233` is what people type.
fn with_scheme(url: &str) -> String {
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// The value of the `Authorization` header for `user:password`.
pub fn basic(key: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    format!("Basic {}", BASE64_STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_the_path() {
        assert_eq!(encode("my action/1"), "my%20action%2F1");
        assert_eq!(encode("a-b_c.d@e"), "a-b_c.d@e");
        assert_eq!(encode("ä"), "%C3%A4");
    }

    #[test]
    fn keys_become_a_basic_authorization() {
        assert_eq!(basic("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
