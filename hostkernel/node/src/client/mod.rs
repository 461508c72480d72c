//! The client side: requests of the node to other servers, and their answers.
//!
//! ```text
//! begin ─▶ Waiting ─▶ Connecting ─▶ Exchanging ─▶ Done ─▶ take
//!             ▲  name, socket              │ redirect
//!             └────────────────────────────┘
//! ```
//!
//! A small state machine for each call, over the same TCP as everything else. Nothing waits: calls
//! are looked at when something arrived or a time has come, and take a slice each. A connection on
//! which nothing is under way stays open for a while for the next call to the same server.

pub mod answer;
mod call;
pub mod url;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use self::answer::{AnswerReject, Head};
use self::call::{Call, Progress};
use self::url::Url;
use crate::http::Method;
use crate::net::{ConnectionId, Network};
use crate::registry::Digest;
use limits::{CALLS_MAX, OUTGOING_IDLE_MS};
use memory::PageBuffer;

const NS_PER_MS: u64 = 1_000_000;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Header fields besides those every request has, each a line with its end.
    pub fields: Vec<u8>,
    /// Value of `Authorization`; no other server gets it.
    pub authorization: Option<Box<str>>,
    /// The body.
    pub upload: Upload,
    /// The most bytes that the answer's body may have.
    pub len_max: usize,
    /// Whether its digest is wanted.
    pub is_hashed: bool,
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub enum Upload {
    /// There is none, as in `GET`.
    #[default]
    None,
    /// A piece of memory.
    Bytes(Arc<[u8]>),
    /// Frames.
    Pages(Arc<PageBuffer>),
}

/// What came of it.
#[derive(Debug)]
pub struct Answer {
    /// Status and header fields.
    pub head: Head,
    /// The body.
    pub body: PageBuffer,
    /// Its digest, if that was wanted.
    pub digest: Option<Digest>,
    /// Who answered, behind redirects.
    pub url: Url,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The host has no address that could be found.
    Name,
    /// It does not accept connections there.
    Refused,
    /// It did not accept one in time.
    Unreachable,
    /// It did not begin to answer in time.
    Silent,
    /// Nothing moved for too long.
    Stalled,
    /// The whole took too long.
    TooSlow,
    /// It ended the connection without an answer, or the node has another address.
    Closed,
    /// It sends the node to where only TLS is spoken.
    Tls,
    /// It sends the node to nowhere.
    Location,
    /// It sends the node around.
    Redirects,
    /// What it sent is no answer.
    Answer(AnswerReject),
}

/// Names a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(usize);

/// All calls, and connections that wait for the next.
#[derive(Default)]
pub struct Client {
    calls: Vec<Option<Call>>,
    idle: Vec<Idle>,
}

/// A connection on which nothing is under way.
struct Idle {
    connection: ConnectionId,
    host: Box<str>,
    port: u16,
    until_ns: u64,
}

impl Client {
    /// Begins a call. `None` if there are as many as there may be.
    pub fn begin(&mut self, request: Request, now_ns: u64) -> Option<CallId> {
        let place = match self.calls.iter().position(Option::is_none) {
            Some(place) => place,
            None if self.calls.len() < CALLS_MAX => {
                self.calls.push(None);
                self.calls.len() - 1
            }
            None => return None,
        };
        self.calls[place] = Some(Call::new(request, now_ns));
        Some(CallId(place))
    }

    /// Takes what came of a call, if it has ended.
    pub fn take(&mut self, id: CallId) -> Option<Result<Answer, Failure>> {
        let place = self.calls.get_mut(id.0)?;
        let is_done = place.as_ref().is_some_and(Call::is_done);
        place.take_if(|_| is_done)?.into_result()
    }

    /// Whether there is room for another call.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.calls.iter().flatten().count() < CALLS_MAX
    }

    /// Whether there is nothing to do, now or later.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.idle.is_empty() && self.calls.iter().all(Option::is_none)
    }

    /// Moves every call on. Returns when to be called again at the latest.
    pub fn poll(&mut self, network: &mut Network, now_ns: u64) -> Option<u64> {
        self.drop_idle(network, now_ns);
        let mut next_ns: Option<u64> = None;
        for index in 0..self.calls.len() {
            let Some(mut call) = self.calls[index].take() else { continue };
            let at_ns = self.move_on(&mut call, network, now_ns);
            next_ns = next_ns.into_iter().chain(at_ns).min();
            self.calls[index] = Some(call);
        }
        next_ns.into_iter().chain(self.idle.iter().map(|idle| idle.until_ns)).min()
    }

    fn move_on(&mut self, call: &mut Call, network: &mut Network, now_ns: u64) -> Option<u64> {
        loop {
            match call.step(network, now_ns) {
                Progress::Later(at_ns) => return at_ns,
                Progress::Again => {}
                Progress::WantsLine => {
                    let Url { host, port, .. } = call.url();
                    let is_it = |idle: &Idle| idle.port == *port && idle.host == *host;
                    match self.idle.iter().position(is_it) {
                        Some(at) if call.may_reuse() => {
                            call.reuse(self.idle.remove(at).connection, now_ns)
                        }
                        _ => {
                            // One that waits for another server makes room.
                            let had = call.dial(network, now_ns);
                            if !had && !self.idle.is_empty() {
                                network.hang_up(self.idle.remove(0).connection);
                                call.dial(network, now_ns);
                            }
                            if !call.has_line() {
                                return Some(now_ns + REDIAL_NS);
                            }
                        }
                    }
                }
                Progress::Spares(connection) => {
                    let Url { host, port, .. } = call.url().clone();
                    let until_ns = now_ns + OUTGOING_IDLE_MS * NS_PER_MS;
                    self.idle.push(Idle { connection, host, port, until_ns });
                }
            }
        }
    }

    /// Ends connections that nobody needed for long, or that their server has ended.
    fn drop_idle(&mut self, network: &mut Network, now_ns: u64) {
        self.idle.retain(|idle| {
            let is_open = network.connection(idle.connection).is_some_and(|socket| {
                socket.may_send() && socket.may_recv() && socket.recv_queue() == 0
            });
            let stays = is_open && now_ns < idle.until_ns;
            if !stays {
                network.hang_up(idle.connection);
            }
            stays
        });
    }
}

/// How long to wait before a connection is tried to be had again.
const REDIAL_NS: u64 = 10 * NS_PER_MS;

impl Upload {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Pages(pages) => pages.len(),
        }
    }

    fn chunk_at(&self, offset: usize) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Bytes(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Pages(pages) => pages.chunk_at(offset),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "its name has no address",
            Self::Refused => "it refuses connections",
            Self::Unreachable => "it cannot be reached",
            Self::Silent => "it does not answer",
            Self::Stalled => "it stopped in the middle",
            Self::TooSlow => "it is too slow",
            Self::Closed => "it ended the connection",
            Self::Tls => "it redirects to https, which the node does not speak",
            Self::Location => "it redirects to nowhere",
            Self::Redirects => "it redirects in circles",
            Self::Answer(reject) => return reject.fmt(f),
        })
    }
}
