//! One call: from a name to an answer.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddrV4;

use sha2::{Digest as _, Sha256};
use smoltcp::socket::tcp::{self, State};

use super::answer::{AnswerReader, Head};
use super::url::{Url, UrlReject};
use super::{Answer, Failure, Request, Upload};
use crate::digits::push_decimal;
use crate::http::Method;
use crate::net::{ConnectionId, Lookup, Network};
use crate::registry::Digest;
use limits::{
    CALL_PROGRESS_TIMEOUT_MS, CALL_RATE_MIN, CALL_SLICE_LEN, CALL_TIMEOUT_MS, CONNECT_TIMEOUT_MS,
    FIRST_BYTE_TIMEOUT_MS, REDIRECTS_MAX,
};
use memory::PageBuffer;

const NS_PER_MS: u64 = 1_000_000;
const HTTP_PORT: u16 = 80;

/// See the head of this file.
pub struct Call {
    request: Request,
    stage: Stage,
    redirects: usize,
    /// A connection that was open already turned out to be none.
    needs_new: bool,
    begun_ns: u64,
    /// When something moved last, or the stage began.
    moved_ns: u64,
    moved_len: u64,
}

enum Stage {
    /// For its host's address, and then for a connection.
    Waiting(Option<SocketAddrV4>),
    Connecting(ConnectionId),
    Exchanging(Box<Exchange>),
    Done(Result<Answer, Failure>),
    /// It was taken.
    Over,
}

/// Request and answer on a connection.
struct Exchange {
    connection: ConnectionId,
    is_reused: bool,
    head: Vec<u8>,
    /// Bytes of head and body that are in the socket.
    sent: usize,
    reader: AnswerReader,
    hash: Option<Hash>,
}

/// The digest of a body that grows.
struct Hash {
    state: Sha256,
    at: usize,
}

/// What a step led to.
pub enum Progress {
    /// Nothing can be done before this time, or something arrives.
    Later(Option<u64>),
    /// There is more to do.
    Again,
    /// It needs a connection.
    WantsLine,
    /// It has ended, and this connection can be used for another.
    Spares(ConnectionId),
}

impl Call {
    pub fn new(request: Request, now_ns: u64) -> Self {
        Self {
            request,
            stage: Stage::Waiting(None),
            redirects: 0,
            needs_new: false,
            begun_ns: now_ns,
            moved_ns: now_ns,
            moved_len: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    pub fn into_result(self) -> Option<Result<Answer, Failure>> {
        match self.stage {
            Stage::Done(result) => Some(result),
            _ => None,
        }
    }

    pub fn url(&self) -> &Url {
        &self.request.url
    }

    /// Whether a connection that is open already will do.
    pub fn may_reuse(&self) -> bool {
        !self.needs_new
    }

    pub fn has_line(&self) -> bool {
        matches!(self.stage, Stage::Connecting(_))
    }

    /// Uses a connection that is open.
    pub fn reuse(&mut self, connection: ConnectionId, now_ns: u64) {
        self.exchange(connection, true, now_ns);
    }

    /// Opens a connection. Returns whether there can be one more.
    pub fn dial(&mut self, network: &mut Network, now_ns: u64) -> bool {
        let Stage::Waiting(Some(address)) = self.stage else { return true };
        let Some(connection) = network.dial(address, now_ns) else { return false };
        self.stage = Stage::Connecting(connection);
        self.moved_ns = now_ns;
        true
    }

    /// Moves on by one step.
    pub fn step(&mut self, network: &mut Network, now_ns: u64) -> Progress {
        let end_ns = self.end_ns();
        if end_ns <= now_ns && !self.is_done() {
            self.fail(Failure::TooSlow, network);
        }
        match &mut self.stage {
            Stage::Waiting(Some(_)) => Progress::WantsLine,
            Stage::Waiting(address) => match network.lookup(&self.request.url.host, now_ns) {
                Lookup::At(host) => {
                    *address = Some(SocketAddrV4::new(host, self.request.url.port));
                    Progress::Again
                }
                Lookup::Asked => Progress::Later(Some(end_ns)),
                Lookup::Nowhere => self.fail(Failure::Name, network),
            },
            Stage::Connecting(connection) => {
                let connection = *connection;
                let state =
                    network.connection(connection).map_or(State::Closed, |socket| socket.state());
                let at_ns = self.moved_ns + CONNECT_TIMEOUT_MS * NS_PER_MS;
                match state {
                    State::SynSent | State::SynReceived if now_ns < at_ns => {
                        Progress::Later(Some(at_ns.min(end_ns)))
                    }
                    State::SynSent | State::SynReceived => {
                        network.forget(&self.request.url.host);
                        self.fail(Failure::Unreachable, network)
                    }
                    State::Closed => {
                        network.forget(&self.request.url.host);
                        self.fail(Failure::Refused, network)
                    }
                    _ => {
                        self.exchange(connection, false, now_ns);
                        Progress::Again
                    }
                }
            }
            Stage::Exchanging(_) => self.step_exchange(network, now_ns),
            Stage::Done(_) | Stage::Over => Progress::Later(None),
        }
    }

    /// Who makes progress is given the time that takes.
    fn end_ns(&self) -> u64 {
        let earned_ms = self.moved_len * 1000 / CALL_RATE_MIN;
        self.begun_ns + (CALL_TIMEOUT_MS + earned_ms) * NS_PER_MS
    }

    fn exchange(&mut self, connection: ConnectionId, is_reused: bool, now_ns: u64) {
        let Request { method, len_max, is_hashed, .. } = self.request;
        self.stage = Stage::Exchanging(Box::new(Exchange {
            connection,
            is_reused,
            head: head(&self.request),
            sent: 0,
            reader: AnswerReader::new(method == Method::Head, len_max),
            hash: is_hashed.then(|| Hash { state: Sha256::new(), at: 0 }),
        }));
        self.moved_ns = now_ns;
    }

    fn step_exchange(&mut self, network: &mut Network, now_ns: u64) -> Progress {
        let Stage::Exchanging(exchange) = &mut self.stage else { return Progress::Again };
        let Some(socket) = network.connection(exchange.connection) else {
            return self.fail(Failure::Closed, network);
        };
        let sent = exchange.send(socket, &self.request.upload);
        let received = exchange.receive(socket);
        let is_at_end = !socket.may_recv() && socket.recv_queue() == 0;
        let is_clean = socket.recv_queue() == 0 && socket.may_send();
        let received = match received {
            Ok(len) => len,
            Err(reject) => return self.fail(Failure::Answer(reject), network),
        };
        if sent + received > 0 {
            self.moved_ns = now_ns;
            self.moved_len += (sent + received) as u64;
        }
        let is_hashed = exchange.hash();
        if exchange.reader.is_complete() {
            if !is_hashed {
                // A slice of it; the others have their turn.
                return Progress::Later(Some(now_ns));
            }
            return self.finish(is_clean, network, now_ns);
        }
        if is_at_end {
            if exchange.reader.is_idle() && exchange.is_reused {
                // It was closed before this request came: that happens, and means nothing.
                network.hang_up(exchange.connection);
                (self.stage, self.needs_new) = (Stage::Waiting(None), true);
                return Progress::Again;
            }
            if exchange.reader.is_idle() {
                return self.fail(Failure::Closed, network);
            }
            return match exchange.reader.end() {
                Ok(()) => Progress::Again,
                Err(reject) => self.fail(Failure::Answer(reject), network),
            };
        }
        if received >= CALL_SLICE_LEN {
            return Progress::Later(Some(now_ns));
        }
        let all_sent = exchange.sent == exchange.head.len() + self.request.upload.len();
        let (limit_ms, failure) = if all_sent && exchange.reader.is_idle() {
            (FIRST_BYTE_TIMEOUT_MS, Failure::Silent)
        } else {
            (CALL_PROGRESS_TIMEOUT_MS, Failure::Stalled)
        };
        let at_ns = self.moved_ns + limit_ms * NS_PER_MS;
        if at_ns <= now_ns {
            return self.fail(failure, network);
        }
        Progress::Later(Some(at_ns.min(self.end_ns())))
    }

    /// The answer is complete.
    fn finish(&mut self, is_clean: bool, network: &mut Network, now_ns: u64) -> Progress {
        let Stage::Exchanging(exchange) = mem::replace(&mut self.stage, Stage::Over) else {
            return Progress::Again;
        };
        let Exchange { connection, sent, head: asked, reader, hash, .. } = *exchange;
        let all_sent = sent == asked.len() + self.request.upload.len();
        let Some((head, body)) = reader.finish() else {
            network.hang_up(connection);
            return self.fail(Failure::Closed, network);
        };
        let is_spared = is_clean && all_sent && head.is_persistent;
        if !is_spared {
            network.hang_up(connection);
        }
        let old_url = self.request.url.clone();
        match self.redirected(&head) {
            Some(Ok(url)) => {
                if !url.is_beside(&old_url) {
                    self.request.authorization = None;
                }
                self.redirects += 1;
                self.needs_new = false;
                self.moved_ns = now_ns;
                self.stage = Stage::Waiting(None);
                if is_spared {
                    // It belongs to the server that was left.
                    network.hang_up(connection);
                }
                self.request.url = url;
                return Progress::Again;
            }
            Some(Err(failure)) => self.stage = Stage::Done(Err(failure)),
            None => {
                let digest = hash.map(|hash| Digest(hash.state.finalize().into()));
                self.stage = Stage::Done(Ok(Answer { head, body, digest, url: old_url }));
            }
        }
        if is_spared { Progress::Spares(connection) } else { Progress::Again }
    }

    /// Where an answer sends the node, if it does.
    fn redirected(&self, head: &Head) -> Option<Result<Url, Failure>> {
        let is_read = matches!(self.request.method, Method::Get | Method::Head);
        if !is_read || !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        if self.redirects == REDIRECTS_MAX {
            return Some(Err(Failure::Redirects));
        }
        let location = head.headers().get("location").unwrap_or_default();
        Some(self.request.url.join(location).map_err(|reject| match reject {
            UrlReject::Tls => Failure::Tls,
            UrlReject::Malformed => Failure::Location,
        }))
    }

    fn fail(&mut self, failure: Failure, network: &mut Network) -> Progress {
        match &self.stage {
            Stage::Connecting(connection) => network.hang_up(*connection),
            Stage::Exchanging(exchange) => network.hang_up(exchange.connection),
            Stage::Waiting(_) | Stage::Done(_) | Stage::Over => {}
        }
        self.stage = Stage::Done(Err(failure));
        Progress::Again
    }
}

impl Exchange {
    /// Moves the request into the socket. Returns how many bytes.
    fn send(&mut self, socket: &mut tcp::Socket<'static>, upload: &Upload) -> usize {
        let before = self.sent;
        while socket.can_send() && self.sent - before < CALL_SLICE_LEN {
            let piece = match self.head.get(self.sent..) {
                Some(piece @ [_, ..]) => piece,
                _ => upload.chunk_at(self.sent - self.head.len()),
            };
            match socket.send_slice(piece) {
                Ok(count @ 1..) => self.sent += count,
                _ => break,
            }
        }
        self.sent - before
    }

    /// Moves a slice of the answer out of it. Returns how many bytes.
    fn receive(
        &mut self,
        socket: &mut tcp::Socket<'static>,
    ) -> Result<usize, super::answer::AnswerReject> {
        let mut received = 0;
        while socket.can_recv() && !self.reader.is_complete() && received < CALL_SLICE_LEN {
            let reader = &mut self.reader;
            let taken = socket.recv(|bytes| match reader.receive(bytes) {
                Ok(count) => (count, Ok(count)),
                Err(reject) => (bytes.len(), Err(reject)),
            });
            match taken {
                Ok(count) => received += count?,
                Err(_) => break,
            }
        }
        Ok(received)
    }

    /// Hashes a slice of what has arrived. Returns whether that was all.
    fn hash(&mut self) -> bool {
        let (Some(hash), Some(body)) = (&mut self.hash, self.reader.body()) else { return true };
        hash.advance(body)
    }
}

impl Hash {
    fn advance(&mut self, body: &PageBuffer) -> bool {
        let end = body.len().min(self.at + CALL_SLICE_LEN);
        while self.at < end {
            let piece = body.chunk_at(self.at);
            self.state.update(piece);
            self.at += piece.len();
        }
        self.at == body.len()
    }
}

/// The head of a request.
fn head(request: &Request) -> Vec<u8> {
    let Request { method, url, fields, authorization, upload, .. } = request;
    let mut head = Vec::with_capacity(256 + url.target.len() + fields.len());
    for piece in [method.name(), " ", &url.target, " HTTP/1.1\r\nHost: ", &url.host] {
        head.extend_from_slice(piece.as_bytes());
    }
    if url.port != HTTP_PORT {
        head.push(b':');
        push_decimal(&mut head, url.port.into());
    }
    head.extend_from_slice(b"\r\nUser-Agent: hostkernel\r\n");
    head.extend_from_slice(fields);
    if let Some(authorization) = authorization {
        for piece in ["Authorization: ", authorization, "\r\n"] {
            head.extend_from_slice(piece.as_bytes());
        }
    }
    if !matches!(method, Method::Get | Method::Head | Method::Delete) {
        head.extend_from_slice(b"Content-Length: ");
        push_decimal(&mut head, upload.len() as u64);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
