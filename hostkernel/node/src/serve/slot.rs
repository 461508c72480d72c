//! One connection: its socket, what it is in HTTP, and how long it may stand still.

use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, SocketBuffer, State};

use crate::dispatch::Ticket;
use crate::http::connection::{Accept, Connection, Phase, Step};
use crate::net::arrival::Peer;
use limits::{
    IDLE_TIMEOUT_MS, PROGRESS_TIMEOUT_MS, RECEIVE_BUFFER_LEN, REQUEST_TIMEOUT_MS, SEND_BUFFER_LEN,
};

const NS_PER_MS: u64 = 1_000_000;

/// A place for one connection. Its socket has a set to itself, so that whatever the interface does
/// for it costs the same however many others there are.
pub struct Slot {
    pub sockets: SocketSet<'static>,
    socket: SocketHandle,
    /// The client, while the slot is in use.
    pub peer: Option<Peer>,
    pub connection: Connection,
    /// The invocation whose end is the answer.
    pub waits_for: Option<Ticket>,
    /// When the client is told not to wait for it.
    pub waits_until_ns: Option<u64>,
    /// When bytes last moved, into the socket, out of it, or to the client.
    pub progress_ns: u64,
    /// When the current request began; on an idle connection, when it was looked at last.
    pub request_ns: u64,
    /// When it was last seen idle, or an answer began.
    pub busy_ns: u64,
    /// Bytes in the socket that the client had not acknowledged at the last look.
    unacknowledged: usize,
    /// Something happened that has not been looked at.
    pub is_touched: bool,
}

/// What happens to a connection that has stood still for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It is asked to end.
    Close,
    /// It ends.
    Abort,
    /// Its request is answered 408.
    Refuse,
    /// Its request is answered 202: the invocation goes on, and the client may ask for it later.
    Accept,
}

impl Slot {
    /// A slot with a closed socket; `None` if there is no memory for its buffers.
    pub fn new() -> Option<Self> {
        let buffer = |len: usize| {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).ok()?;
            bytes.resize(len, 0);
            Some(SocketBuffer::new(bytes))
        };
        let mut socket = tcp::Socket::new(buffer(RECEIVE_BUFFER_LEN)?, buffer(SEND_BUFFER_LEN)?);
        // An answer leaves when it is complete; there is nothing to wait for. No time-out of
        // smoltcp's is set: it would end connections on which the client has nothing to say while
        // its invocation runs. `overdue` tells them apart.
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Some(Self {
            sockets,
            socket,
            peer: None,
            connection: Connection::new(),
            waits_for: None,
            waits_until_ns: None,
            progress_ns: 0,
            request_ns: 0,
            busy_ns: 0,
            unacknowledged: 0,
            is_touched: false,
        })
    }

    pub fn socket(&self) -> &tcp::Socket<'static> {
        self.sockets.get(self.socket)
    }

    pub fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    /// Waits for this client's connection.
    pub fn listen(&mut self, peer: Peer, port: u16, now_ns: u64) {
        self.peer = Some(peer);
        self.progress_ns = now_ns;
        self.busy_ns = now_ns;
        // Whatever the socket was before, it is over: `listen` forgets it. A port that is not 0 is
        // all it asks for.
        let socket = self.socket_mut();
        socket.abort();
        let listens = socket.listen(port);
        debug_assert!(listens.is_ok(), "an aborted socket can listen");
    }

    /// Forgets the connection. Returns whose it was.
    pub fn reset(&mut self) -> Option<Peer> {
        self.connection = Connection::new();
        self.waits_for = None;
        self.unacknowledged = 0;
        self.peer.take()
    }

    /// The handshake has not ended: nobody has shown to be at the other end.
    pub fn is_half_open(&self) -> bool {
        self.socket().state() == State::SynReceived
    }

    /// Nothing is under way: no request, no answer, not a byte of either.
    pub fn is_idle(&self) -> bool {
        self.connection.phase() == Phase::Idle
            && self.socket().is_open()
            && self.socket().send_queue() == 0
    }

    /// Something is being answered or sent.
    pub fn is_busy(&self) -> bool {
        !matches!(self.connection.phase(), Phase::Idle | Phase::Closing)
            || !self.connection.output().is_empty()
            || self.socket().send_queue() > 0
    }

    /// The client has taken so long to send its request or to take its answer that it may not do so
    /// at the cost of others.
    pub fn is_slow(&self, now_ns: u64) -> bool {
        self.connection.phase() != Phase::Answering
            && self.busy_ns + PROGRESS_TIMEOUT_MS * NS_PER_MS <= now_ns
    }

    /// How long ago the current request began.
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.request_ns)
    }

    /// Notes that the client has acknowledged bytes since the last look.
    pub fn note_acknowledged(&mut self, now_ns: u64) {
        if self.unacknowledged != self.socket().send_queue() {
            self.progress_ns = now_ns;
        }
    }

    /// Remembers what the client has to acknowledge, for [`Self::note_acknowledged`].
    pub fn note_unacknowledged(&mut self) {
        self.unacknowledged = self.socket().send_queue();
    }

    /// Moves output into the socket. Returns whether anything moved.
    pub fn send(&mut self) -> bool {
        let Self { sockets, socket, connection, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket>(*socket);
        let mut moved = false;
        while !connection.output().is_empty() && socket.can_send() {
            match socket.send_slice(connection.output()) {
                Ok(count) if count > 0 => connection.advance(count),
                _ => break,
            }
            moved = true;
        }
        moved
    }

    /// Moves received bytes into the connection. Returns what they led to; `None` if nothing moved.
    pub fn receive(&mut self, accept: Accept) -> Option<Step> {
        let Self { sockets, socket, connection, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket>(*socket);
        let (count, step) = socket
            .recv(|bytes| {
                let (count, step) = connection.receive(bytes, accept);
                (count, (count, step))
            })
            .ok()?;
        (count > 0 || !matches!(step, Step::More)).then_some(step)
    }

    /// Asks the client to end what is answered or abandoned.
    pub fn close_if_done(&mut self) {
        let finished = self.connection.output().is_empty()
            && match self.connection.phase() {
                Phase::Closing => true,
                // The client said that nothing more will come.
                Phase::Idle | Phase::Receiving => self.socket().state() == State::CloseWait,
                Phase::Answering | Phase::Sending => false,
            };
        if finished {
            self.socket_mut().close();
        }
    }

    /// Whether the connection is over, once what it had to say was sent.
    ///
    /// smoltcp waits out ten seconds on a connection we closed first. What that protects from, a
    /// late segment, finds no connection here and is reset; a slot for each such client would let a
    /// few hundred of them keep everybody else out. And it listens again when a half-open
    /// connection is reset.
    pub fn is_over(&self) -> bool {
        matches!(self.socket().state(), State::Closed | State::TimeWait | State::Listen)
    }

    /// What the connection is overdue for if nothing moves, and from when on. `None` while it waits
    /// for an action, which has its own deadline, however long.
    pub fn overdue(&self) -> Option<(u64, Overdue)> {
        let established = matches!(self.socket().state(), State::Established | State::CloseWait);
        let all_sent = self.socket().send_queue() == 0;
        let still = |ms: u64| self.progress_ns + ms * NS_PER_MS;
        match self.connection.phase() {
            Phase::Answering => self.waits_until_ns.map(|at_ns| (at_ns, Overdue::Accept)),
            Phase::Receiving => {
                let whole = self.request_ns + REQUEST_TIMEOUT_MS * NS_PER_MS;
                Some((still(PROGRESS_TIMEOUT_MS).min(whole), Overdue::Refuse))
            }
            // Only the handshake at the beginning or the end is missing.
            _ if !established && all_sent => Some((still(PROGRESS_TIMEOUT_MS), Overdue::Abort)),
            Phase::Idle if established && all_sent => {
                Some((still(IDLE_TIMEOUT_MS), Overdue::Close))
            }
            _ => Some((still(IDLE_TIMEOUT_MS), Overdue::Abort)),
        }
    }
}
