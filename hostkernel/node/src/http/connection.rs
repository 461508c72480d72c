//! One connection: received bytes become requests, a response becomes bytes to send.
//!
//! ```text
//!            first byte            complete            respond            all sent
//!   Idle ───────────▶ Receiving ───────────▶ Answering ───────▶ Sending ───────────▶ Idle
//!                        │  refused              ▲  │              ▲   or: Closing
//!                        └───────────────────────┘  └▶ Streaming ──┘
//!                                               begin          finish
//! ```
//!
//! No I/O and no clock: the caller moves bytes, and answers for a client that is too slow by
//! calling [`respond`](Connection::respond) early. One request is under way at a time; while it is,
//! bytes are not consumed, so a client that pipelines is held back by its TCP window and nothing
//! else.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::body::BodyReader;
use super::encode::Output;
use super::parse::{Framing, Head, HeadReader};
use super::{Body, Fields, Headers, MessageReject, Method, Request, RequestText, Response};
use limits::{REQUESTS_PER_CONNECTION_MAX, TEXT_LEN_KEPT_MAX};

/// Decides by method, percent-encoded path and header fields how long a request's body may be, or
/// answers the request instead of letting it be sent. Asked only if there is a body.
pub type Accept<'a> = &'a mut dyn FnMut(Method, &str, Headers<'_>) -> Result<usize, Box<Response>>;

/// State of one connection.
#[derive(Debug, Default)]
pub struct Connection {
    state: State,
    output: Output,
    /// What the text of the next request will be in.
    buffer: Vec<u8>,
    requests: u32,
    /// The current request is the last.
    last: bool,
    /// The next answer is the last.
    draining: bool,
    /// The client reads chunks.
    takes_chunks: bool,
    /// That of the current request, as far as it is known.
    method: Option<Method>,
}

// A connection without a request is in `Head`, and then a variant's size is what it costs.
#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body(Head, BodyReader),
    Answering,
    Streaming(Coding),
    Sending,
    Closing,
}

/// How the pieces of an answer of unknown length are told from what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// In chunks. This ends the chunk before.
    Chunks(&'static [u8]),
    /// They are all that comes.
    UntilClose,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(HeadReader::default())
    }
}

/// What received bytes led to.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet.
    More,
    /// The client waits to be asked for the body. The interim response is in
    /// [`output`](Connection::output); nothing else is to be done.
    Continue,
    /// A request, to be answered with [`respond`](Connection::respond).
    Request(Request),
    /// No acceptable request, to be answered likewise; then the connection is closed.
    Reject(MessageReject),
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// Part of a request has arrived.
    Receiving,
    /// A request or a reject was handed out and not yet answered.
    Answering,
    /// Part of an answer is in the output, or was sent; more will come.
    Streaming,
    /// The answer is in the output; [`Idle`](Self::Idle) follows.
    Sending,
    /// The last answer is in the output, or was sent: close when the output is empty.
    Closing,
}

impl Connection {
    /// A connection on which nothing has arrived.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds received bytes; returns how many were consumed, and what happened.
    ///
    /// [`Step::More`] while idle or receiving means that all were consumed. While a request is
    /// being answered nothing is consumed: offer the rest again when the phase is [`Phase::Idle`].
    /// After the last answer everything is consumed and dropped, so that a client that is still
    /// sending its body gets to read the answer (RFC 9112, 9.6).
    pub fn receive(&mut self, bytes: &[u8], accept: Accept) -> (usize, Step) {
        let received = match self.state {
            State::Head(_) => self.receive_head(bytes, accept),
            State::Body(..) => self.receive_body(bytes),
            State::Answering | State::Streaming(_) | State::Sending => return (0, Step::More),
            State::Closing => return (bytes.len(), Step::More),
        };
        received.unwrap_or_else(|reject| {
            self.state = State::Answering;
            self.last = true;
            (bytes.len(), Step::Reject(reject))
        })
    }

    fn receive_head(
        &mut self,
        bytes: &[u8],
        accept: Accept,
    ) -> Result<(usize, Step), MessageReject> {
        let State::Head(reader) = &mut self.state else { return Ok((0, Step::More)) };
        let received = reader.receive(bytes, &mut self.buffer);
        if received.is_err() {
            self.method = reader.is_head_request(bytes).then_some(Method::Head);
        }
        let (consumed, Some(head)) = received? else {
            return Ok((bytes.len(), Step::More));
        };
        self.requests += 1;
        self.last = !head.persistent || self.requests >= REQUESTS_PER_CONNECTION_MAX;
        self.method = Some(head.method);
        self.takes_chunks = head.takes_chunks;
        let len_max = match head.framing {
            Framing::Length(0) => 0,
            _ => match accept(head.method, head.text.path(), head.text.headers()) {
                Ok(len_max) => len_max,
                Err(response) => {
                    self.state = State::Answering;
                    self.last = true;
                    self.respond(*response);
                    return Ok((bytes.len(), Step::More));
                }
            },
        };
        let mut reader = BodyReader::new(head.framing, len_max)?;
        let rest = &bytes[consumed..];
        let consumed = consumed + reader.receive(rest)?;
        if reader.is_complete() {
            return Ok((consumed, self.hand_out(head, reader)));
        }
        // Who has sent part of the body does not wait to be asked.
        let ask = head.expects_continue && rest.is_empty();
        self.state = State::Body(head, reader);
        if ask {
            self.output.push_continue();
            return Ok((consumed, Step::Continue));
        }
        Ok((consumed, Step::More))
    }

    fn receive_body(&mut self, bytes: &[u8]) -> Result<(usize, Step), MessageReject> {
        let State::Body(_, reader) = &mut self.state else { return Ok((0, Step::More)) };
        let consumed = reader.receive(bytes)?;
        if !reader.is_complete() {
            return Ok((consumed, Step::More));
        }
        match core::mem::replace(&mut self.state, State::Answering) {
            State::Body(head, reader) => Ok((consumed, self.hand_out(head, reader))),
            _ => Ok((consumed, Step::More)),
        }
    }

    fn hand_out(&mut self, head: Head, reader: BodyReader) -> Step {
        self.state = State::Answering;
        let Head { method, text, .. } = head;
        Step::Request(Request { method, text, body: reader.into_body() })
    }

    /// Hands over the answer to the current request or reject. While idle or receiving, this gives
    /// up on a request that has not arrived: the answer is the last.
    pub fn respond(&mut self, response: Response) {
        let last = match &self.state {
            State::Answering => self.last || self.draining,
            State::Head(reader) => {
                self.method = reader.is_head_request(&[]).then_some(Method::Head);
                true
            }
            State::Body(..) => true,
            State::Streaming(_) | State::Sending | State::Closing => {
                panic!("a request is answered once")
            }
        };
        let with_body = self.method != Some(Method::Head);
        let buffer = self.output.push_response(response, !last, with_body);
        if buffer.capacity() <= TEXT_LEN_KEPT_MAX {
            self.buffer = buffer;
        }
        self.state = if last { State::Closing } else { State::Sending };
    }

    /// Whether the answer to the current request may leave before all of it is there.
    #[must_use]
    pub fn may_stream(&self) -> bool {
        self.state_is_answering() && self.method.is_some_and(|method| method != Method::Head)
    }

    fn state_is_answering(&self) -> bool {
        matches!(self.state, State::Answering)
    }

    /// Begins an answer to the current request, of which [pieces](Self::push_piece) follow: to a
    /// client that reads no chunks until the connection ends.
    pub fn begin(&mut self, status: u16, headers: Fields) {
        assert!(self.state_is_answering(), "a request is answered once");
        self.last |= self.draining || !self.takes_chunks;
        let buffer = self.output.push_beginning(status, headers, !self.last, self.takes_chunks);
        if buffer.capacity() <= TEXT_LEN_KEPT_MAX {
            self.buffer = buffer;
        }
        let coding = if self.takes_chunks { Coding::Chunks(b"") } else { Coding::UntilClose };
        self.state = State::Streaming(coding);
    }

    /// Goes on with an answer that was begun, once the pieces before were taken.
    pub fn push_piece(&mut self, piece: Body) {
        let State::Streaming(coding) = &mut self.state else { return };
        if piece.is_empty() {
            return;
        }
        let before = match coding {
            Coding::Chunks(before) => Some(core::mem::replace(before, b"\r\n")),
            Coding::UntilClose => None,
        };
        self.output.push_piece(piece, before);
    }

    /// Ends an answer that was begun, once the pieces before were taken.
    pub fn finish(&mut self) {
        let State::Streaming(coding) = self.state else { return };
        if let Coding::Chunks(before) = coding {
            self.output.push_end(before);
        }
        let is_last = self.last || self.draining;
        self.state = if is_last { State::Closing } else { State::Sending };
    }

    /// Gives an answer up that was begun: what was sent of it is no whole one, and the client can
    /// tell if the connection ends without what ends an answer.
    pub fn cut(&mut self) {
        self.state = State::Closing;
    }

    /// The next contiguous bytes to send; empty when everything was taken. To be looked at after
    /// every [`receive`](Self::receive) and [`respond`](Self::respond).
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Forgets the first `sent` bytes of [`output`](Self::output).
    pub fn advance(&mut self, sent: usize) {
        self.output.advance(sent);
        if matches!(self.state, State::Sending) && self.output.is_empty() {
            self.state = State::default();
            self.method = None;
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Head(reader) if reader.is_idle() => Phase::Idle,
            State::Head(_) | State::Body(..) => Phase::Receiving,
            State::Answering => Phase::Answering,
            State::Streaming(_) => Phase::Streaming,
            State::Sending => Phase::Sending,
            State::Closing => Phase::Closing,
        }
    }

    /// The head of a request whose body has not arrived as a whole.
    #[must_use]
    pub fn head(&self) -> Option<(Method, &RequestText)> {
        match &self.state {
            State::Body(head, _) => Some((head.method, &head.text)),
            _ => None,
        }
    }

    /// How much of such a body has arrived.
    #[must_use]
    pub fn body_len(&self) -> usize {
        match &self.state {
            State::Body(_, reader) => reader.arrived_len(),
            _ => 0,
        }
    }

    /// The method of the current request; `None` if it is not known, or not yet.
    #[must_use]
    pub fn method(&self) -> Option<Method> {
        self.method
    }

    /// Makes the next answer the last, and say so.
    pub fn close_after_response(&mut self) {
        self.draining = true;
    }
}

#[cfg(test)]
mod tests;
