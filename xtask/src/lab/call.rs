//! What is asked for, and how a right answer is recognised: the same for a node and for its peers.

use std::net::SocketAddr;

use super::LabError;
use crate::connection::{Connection, Response, request};

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub struct Call {
    path: String,
    keep_alive: Vec<u8>,
    closing: Vec<u8>,
    expected: Option<Vec<u8>>,
}

impl Call {
    /// A call that only has to succeed.
    #[must_use]
    pub fn new(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Self {
        let closing = [headers, &["Connection: close"]].concat();
        Self {
            path: path.to_owned(),
            keep_alive: request(method, path, headers, body),
            closing: request(method, path, &closing, body),
            expected: None,
        }
    }

    /// `hello` on a node, with a name as JSON, so that input and output are both parsed and made.
    #[must_use]
    pub fn hello() -> Self {
        let json = ["Content-Type: application/json"];
        Self::new("POST", "/function/hello", &json, br#"{"name":"you"}"#)
            .expecting(br#"{"greeting":"Hello, you!"}"#)
    }

    /// A function of a node with raw input.
    #[must_use]
    pub fn function(name: &str, body: &[u8]) -> Self {
        let octets = ["Content-Type: application/octet-stream"];
        Self::new("POST", &format!("/function/{name}"), &octets, body)
    }

    /// The same, whose answer has to end with these bytes.
    #[must_use]
    pub fn expecting(mut self, end: &[u8]) -> Self {
        self.expected = Some(end.to_vec());
        self
    }

    /// The bytes of the request; the connection stays open after it.
    #[must_use]
    pub fn keep_alive(&self) -> &[u8] {
        &self.keep_alive
    }

    /// The bytes of the request after whose answer the connection ends.
    #[must_use]
    pub fn closing(&self) -> &[u8] {
        &self.closing
    }

    /// A connection for calls one after the other.
    ///
    /// # Errors
    /// [`LabError::Answer`] when nobody listens.
    pub fn connect(&self, address: SocketAddr) -> Result<Requests, LabError> {
        let connection = Connection::open(address).map_err(|error| self.wrong(error))?;
        Ok(Requests { connection })
    }

    /// What went wrong with this call.
    #[must_use]
    pub fn wrong(&self, reason: impl ToString) -> LabError {
        LabError::Answer { path: self.path.clone(), reason: reason.to_string() }
    }

    /// Whether an answer is the right one.
    ///
    /// # Errors
    /// [`LabError::Answer`] if it is not.
    pub fn check(&self, status: u16, body: &[u8]) -> Result<(), LabError> {
        let is_expected = self.expected.as_ref().is_none_or(|end| body.ends_with(end));
        match is_expected && (200..300).contains(&status) {
            true => Ok(()),
            false => Err(self.wrong(format!("{status} {}", String::from_utf8_lossy(body)))),
        }
    }
}

/// See [`Call::connect`].
#[derive(Debug)]
pub struct Requests {
    connection: Connection,
}

impl Requests {
    /// Sends a call a number of times, each when the one before has been answered.
    ///
    /// # Errors
    /// [`LabError::Answer`] at the first wrong answer.
    pub fn send(&mut self, call: &Call, count: u64) -> Result<(), LabError> {
        for _ in 0..count {
            self.exchange(call)?;
        }
        Ok(())
    }

    /// Sends a call and returns the answer.
    ///
    /// # Errors
    /// [`LabError::Answer`] if it is wrong.
    pub fn exchange(&mut self, call: &Call) -> Result<Response, LabError> {
        let sent = self.connection.send(&call.keep_alive);
        let response = sent.and_then(|()| self.connection.receive());
        let response = response.map_err(|error| call.wrong(error))?;
        call.check(response.status, &response.body)?;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_when_it_is_right() {
        let call = Call::hello();
        let right = br#"{"greeting":"Hello, you!"}"#;
        assert!(call.check(200, right).is_ok());
        assert!(call.check(200, b"no").is_err());
        assert!(call.check(503, right).is_err());
    }
}
