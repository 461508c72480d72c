//! The client: one request, one connection, one answer.
#![forbid(unsafe_code)]

use super::answer::{Answer, Put, Unanswered};
use super::request::Request;
use crate::limits::FLUSH_LEN;

/// The port that web servers are expected on, unless `PORT` names another.
pub const PORT: u16 = 8080;

/// The request, and what becomes of it.
#[derive(Debug)]
pub struct Exchange {
    stage: Stage,
    request: Request,
    answer: Answer,
    /// Where the client connects if several sockets listen.
    port: u16,
    /// The program listens: it is a server, and its result is the answer.
    is_server: bool,
    /// The answer is over, and nobody has been told yet.
    is_news: bool,
    /// The answer is over, and the program may go on until this time.
    pub runs_until_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no request yet.
    Expected,
    /// The client waits to be accepted.
    Offered,
    /// It is connected, or was.
    Taken,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// No request yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stage: Stage::Expected,
            request: Request::new(&[], &[]),
            answer: Answer::new(false),
            port: PORT,
            is_server: false,
            is_news: false,
            runs_until_ns: None,
        }
    }

    /// The client begins to connect.
    pub(super) fn begin(&mut self, request: Request) {
        self.stage = Stage::Offered;
        self.answer = Answer::new(request.is_head());
        self.request = request;
    }

    /// Where the client looks for a server first.
    pub(super) fn expect_at(&mut self, port: u16) {
        self.port = port;
    }

    /// The program listens.
    pub(super) fn listens(&mut self) {
        self.is_server = true;
    }

    /// Whether the program is a server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.is_server
    }

    /// Whether there is a request, taken or not.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.stage != Stage::Expected
    }

    /// Whether the client waits to be accepted.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.stage == Stage::Offered
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn accept(&mut self) {
        self.stage = Stage::Taken;
    }

    pub(super) fn request(&mut self) -> &mut Request {
        &mut self.request
    }

    /// Bytes that the program can still read: none once it has answered.
    pub(super) fn readable_len(&self) -> usize {
        self.request.left()
    }

    /// What the answer came to, once it is over.
    #[must_use]
    pub fn end(&self) -> Option<Result<(), Unanswered>> {
        self.answer.end().filter(|_| self.is_server)
    }

    /// The program wrote to the client.
    pub(super) fn write(&mut self, bytes: &[u8], put: Put) {
        let was_over = self.answer.end().is_some();
        self.answer.take(bytes, put);
        self.is_news |= !was_over && self.answer.end().is_some();
    }

    /// Whether what the program has written may leave before the rest: it does not say how long the
    /// answer is.
    pub(crate) fn may_leave(&self) -> bool {
        self.is_server && self.answer.is_open_ended()
    }

    /// Whether that is due, with so many bytes which have not.
    pub(crate) fn is_due(&self, kept_len: usize) -> bool {
        self.may_leave() && (kept_len >= FLUSH_LEN || kept_len > 0 && self.answer.is_of_events())
    }

    /// The program writes no more to the client.
    pub(super) fn close(&mut self) {
        let was_over = self.answer.end().is_some();
        self.answer.close();
        self.is_news |= !was_over;
    }

    /// The program waits for nothing, or has ended: what the answer is then.
    pub fn give_up(&mut self, why: Unanswered) -> Result<(), Unanswered> {
        self.answer.give_up(why);
        self.answer.end().unwrap_or(Err(why))
    }

    /// The client leaves, and another one is expected.
    pub(super) fn dismiss(&mut self) {
        let Self { port, is_server, .. } = *self;
        *self = Self { port, is_server, ..Self::new() };
    }

    /// Whether the answer is over since this was asked last.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.is_news)
    }
}
