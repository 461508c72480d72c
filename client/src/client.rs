//! The requests.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request, header};
use ureq::{Agent, Body};

use crate::{Action, Activation, Error, Invocation, Timing};

/// The public key of every development node. Not a secret: the node warns while it is in use.
pub const GUEST_KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:\
    123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

/// Longest time a request takes: the longest an action may run, and some air.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(330);
/// Largest answer that is read. Larger than any result a node accepts.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Idle connections that are kept open to one node.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// A connection to one node. Cloning it is cheap and shares the open connections.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base_url: String,
    authorization: String,
    timeout: Duration,
}

/// What can be said about an action when it is deployed.
#[derive(Clone, Copy, Debug)]
pub struct DeployOptions {
    /// Replace an action of the same name; refused with 409 otherwise.
    pub overwrite: bool,
    /// Time limit of an invocation in milliseconds; the node's default if absent.
    pub timeout_ms: Option<u64>,
    /// Memory limit of an invocation in MB; the node's default if absent.
    pub memory_mb: Option<u64>,
}

impl Default for DeployOptions {
    fn default() -> Self {
        Self { overwrite: true, timeout_ms: None, memory_mb: None }
    }
}

/// The answer to a call of `/function/NAME`, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The id under which the node keeps the record.
    pub activation_id: Option<String>,
    /// Where the time went.
    pub timing: Timing,
    /// Content type.
    pub content_type: Option<String>,
    /// The action's output as it is.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// A client with the public development key for the node at, say, `http://127.0.0.1:3233`.
    #[must_use]
    pub fn new(base_url: &str) -> Self {
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
            base_url: base_url.trim_end_matches('/').to_owned(),
            authorization: basic(GUEST_KEY),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Uses another key, in the form `user:password`.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.authorization = basic(key);
        self
    }

    /// Bounds the time of each request.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the node is, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Deploys an ELF file under a name.
    ///
    /// # Errors
    /// [`Error::Refused`] with the node's reason if it is not an image it can run.
    pub fn deploy(&self, name: &str, elf: &[u8], options: &DeployOptions) -> Result<Action, Error> {
        let mut path = format!("{}?overwrite={}", action_path(name), options.overwrite);
        for (limit, value) in [("timeout", options.timeout_ms), ("memory", options.memory_mb)] {
            if let Some(value) = value {
                path.push_str(&format!("&{limit}={value}"));
            }
        }
        self.send(Method::PUT, &path, Some(("application/octet-stream", elf)))?.accept()
    }

    /// Invokes an action with a JSON object and waits for its end.
    ///
    /// An action that fails is not an error of this function; ask
    /// [`Invocation::succeeded`](crate::Invocation::succeeded).
    ///
    /// # Errors
    /// [`Error::Refused`] if nothing ran: unknown action, wrong key, node full.
    pub fn invoke(&self, name: &str, input: &Value) -> Result<Invocation, Error> {
        let path = format!("{}?blocking=true", action_path(name));
        let input = input.to_string();
        let answer =
            self.send(Method::POST, &path, Some(("application/json", input.as_bytes())))?;
        // A 502 with a record is the action's failure; one without is a refusal of somebody else.
        let activation: Activation = match answer.json() {
            Ok(activation) if answer.status == 200 || answer.status == 502 => activation,
            _ => answer.accept()?,
        };
        Ok(Invocation { http_status: answer.status, activation, timing: answer.timing() })
    }

    /// Calls `/function/NAME` with raw bytes and returns raw bytes, whatever the status.
    ///
    /// # Errors
    /// Only [`Error::Unreachable`].
    pub fn call(&self, name: &str, body: &[u8]) -> Result<Reply, Error> {
        let path = format!("/function/{}", encode(name));
        let answer = self.send(Method::POST, &path, Some(("application/octet-stream", body)))?;
        Ok(Reply {
            status: answer.status,
            activation_id: answer.header("x-openwhisk-activation-id").map(str::to_owned),
            timing: answer.timing(),
            content_type: answer.header("content-type").map(str::to_owned),
            body: answer.body,
        })
    }

    /// All deployed actions, at most 200.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn list(&self) -> Result<Vec<Action>, Error> {
        self.send(Method::GET, "/api/v1/namespaces/_/actions?limit=0", None)?.accept()
    }

    /// One action, without its code.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is none of this name.
    pub fn get(&self, name: &str) -> Result<Action, Error> {
        self.send(Method::GET, &format!("{}?code=false", action_path(name)), None)?.accept()
    }

    /// Removes an action.
    ///
    /// # Errors
    /// [`Error::Refused`] with status 404 if there is none of this name.
    pub fn delete(&self, name: &str) -> Result<Action, Error> {
        self.send(Method::DELETE, &action_path(name), None)?.accept()
    }

    /// Whether the node answers at all.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.send(Method::GET, "/healthz", None).is_ok_and(|answer| answer.status == 200)
    }

    /// Whether the node takes invocations: not while it boots or drains.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.send(Method::GET, "/readyz", None).is_ok_and(|answer| answer.status == 200)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, &[u8])>,
    ) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.base_url);
        let unreachable =
            |cause: ureq::Error| Error::Unreachable { url: url.clone(), cause: cause.into() };
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header(header::AUTHORIZATION, &self.authorization);
        let response = match body {
            Some((kind, bytes)) => request
                .header(header::CONTENT_TYPE, kind)
                .body(bytes)
                .map_err(ureq::Error::from)
                .and_then(|request| self.run(request)),
            None => {
                request.body(()).map_err(ureq::Error::from).and_then(|request| self.run(request))
            }
        };
        let response = response.map_err(unreachable)?;
        let status = response.status().as_u16();
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unreachable)?;
        Ok(Answer { url, status, headers: parts.headers, body })
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
    ) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let timeout = Some(self.timeout);
        let request = self.agent.configure_request(request).timeout_global(timeout).build();
        self.agent.run(request)
    }
}

/// An answer as it came.
struct Answer {
    url: String,
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn timing(&self) -> Timing {
        self.header("server-timing").map(Timing::parse).unwrap_or_default()
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Unexpected {
            url: self.url.clone(),
            status: self.status,
            reason: error.to_string(),
        })
    }

    /// The value of a successful answer, or what the node has against the request.
    fn accept<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if (200..300).contains(&self.status) {
            return self.json();
        }
        let body: Value = self.json()?;
        let Some(message) = body["error"].as_str() else {
            return Err(Error::Unexpected {
                url: self.url.clone(),
                status: self.status,
                reason: "the error has no text".to_owned(),
            });
        };
        Err(Error::Refused {
            status: self.status,
            // It becomes part of a sentence of ours.
            message: message.trim_end_matches('.').to_owned(),
            request_id: body["code"].as_str().map(str::to_owned),
            retry_after_s: self.header("retry-after").and_then(|seconds| seconds.parse().ok()),
        })
    }
}

fn action_path(name: &str) -> String {
    format!("/api/v1/namespaces/_/actions/{}", encode(name))
}

/// Percent-encodes everything a path segment cannot hold.
fn encode(segment: &str) -> String {
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

/// The value of the `Authorization` header for `user:password`.
fn basic(key: &str) -> String {
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
