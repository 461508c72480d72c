//! A program as a web server: when it has its request, and when it is done.
//!
//! Once it has answered it may go on until it waits, as a rule for the next connection, but not
//! for long: then the invocation is over, whatever else the program had in mind.
#![forbid(unsafe_code)]

use super::answer::Unanswered;
use super::exchange::PORT;
use super::request::{self, Request};
use crate::limits::{AFTERWARDS_NS, REST_NS};
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Break;

/// In the environment: the port on which a server is expected.
const PORT_VARIABLE: &[u8] = b"PORT=";

impl<N: Native> Os<N> {
    /// Takes the request of an instance out of its environment and input, and lets the client
    /// connect. What is left of the environment is the program's.
    pub(crate) fn meet_client(
        &mut self,
        environment: &'static [u8],
        input: &'static [u8],
    ) -> &'static [u8] {
        let (head, environment) = request::part(request::VARIABLE, environment);
        if self.sockets.exchange.is_server() {
            self.sockets.exchange.expect_at(port(environment));
        }
        self.sockets.offer(Request::new(head.unwrap_or_default(), input));
        environment
    }

    /// The program listens for the first time. Only now somebody wants to know at which port.
    pub(super) fn becomes_server(&mut self) {
        self.sockets.exchange.expect_at(port(self.identity.environment));
    }

    /// Notes that the answer is over, if it has become so.
    #[inline]
    pub(crate) fn note_answer(&mut self) {
        if self.sockets.exchange.take_news() {
            let len_ns = if self.is_warming() { REST_NS } else { AFTERWARDS_NS };
            let until = self.native.now_ns().saturating_add(len_ns);
            self.sockets.exchange.runs_until_ns = Some(until);
            // So that an alarm is set, and a thread that waits for nothing is found.
            self.attention = true;
        }
    }

    /// Lets leave what the program has written of its result, because it waits for something else.
    pub(crate) fn let_out(&mut self) {
        let exchange = &self.sockets.exchange;
        if !exchange.is_server() || exchange.may_leave() {
            self.files.output.flush(&mut self.native);
        }
    }

    /// Ends an invocation whose answer has been over for long enough.
    pub(crate) fn check_answer(&self) -> Result<(), Break> {
        match self.sockets.exchange.runs_until_ns {
            Some(until) if until <= self.native.now_ns() => Err(Break::Answered),
            _ => Ok(()),
        }
    }

    /// Whether the program is a server that has a request to answer.
    pub(crate) fn is_serving(&self) -> bool {
        self.sockets.exchange.is_server() && self.sockets.exchange.has_begun()
    }

    /// What the answer has come to when the program goes no further.
    pub(crate) fn answer(&mut self, otherwise: Unanswered) -> Result<(), Unanswered> {
        self.sockets.exchange.give_up(otherwise)
    }
}

/// The port at which an environment says that the client will look for a server.
fn port(environment: &[u8]) -> u16 {
    let mut entries = environment.split(|byte| *byte == 0);
    let named = entries.find_map(|entry| entry.strip_prefix(PORT_VARIABLE));
    let port = named.and_then(|port| str::from_utf8(port).ok()?.parse().ok());
    port.unwrap_or(PORT)
}
