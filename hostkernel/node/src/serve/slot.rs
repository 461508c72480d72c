//! One connection: its socket, what it is in HTTP, and how long it may stand still.

mod numbers;
mod patience;
mod stream;
mod wide;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use super::room::{Buffers, USUAL};
use super::timers::NEVER;
pub use stream::Pulled;
use stream::Streaming;

use crate::dispatch::Ticket;
use crate::http::connection::{Accept, Connection, Phase, Step};
use crate::net::Path;
use crate::net::arrival::{Connect, Options, Peer};
use crate::net::windows::{WINDOW_SHIFT, shift_of};
use crate::registry::{Holding, Namespace};
use limits::{HURRY_MS, HURRY_ROUND_TRIPS};

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
    /// When it was overdue, as of the last look; that can be looked for anew at the next one.
    pub overdue_ns: u64,
    /// When it was last seen idle, or an answer began.
    pub busy_ns: u64,
    /// Bytes in the socket that the client had not acknowledged at the last look.
    unacknowledged: usize,
    /// Something happened that has not been looked at.
    pub is_touched: bool,
    /// Its request was admitted, and the answer is not in the socket yet.
    pub is_held: bool,
    /// What its request or its answer holds.
    pub holding: Holding,
    /// Where the connection stands in its bytes.
    pub numbers: Numbers,
    /// The largest packet that gets to the client, if that is less than usual.
    pub mtu: Option<usize>,
    /// When the client last acknowledged something, or had nothing to.
    acknowledged_ns: u64,
    /// How long it may take to; 0 before that is known.
    patience_ns: u64,
    /// When its last bytes seem to be lost.
    hurry_at_ns: u64,
    /// What had been taken when the current request began.
    request_taken: u32,
    /// Length of the answer under way.
    pub answer_len: usize,
    /// If its answer began to leave before the invocation ended.
    streaming: Option<Streaming>,
    /// What the client said when it connected.
    options: Options,
    /// By how much the windows of this connection are shifted beyond what smoltcp does.
    pub window_shift: u8,
    /// The usual socket, while another one with these buffers is in its place.
    usual: Option<(SocketSet<'static>, SocketHandle, Buffers)>,
    /// More room was looked for: for the body, and for the answer.
    sought: (bool, bool),
}

/// The numbers of a connection, as far as they are counted here and not by smoltcp.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    /// What the client's bytes begin behind.
    pub theirs: u32,
    /// What ours begin behind.
    pub ours: u32,
    /// Room the client had last, as it stood in the header.
    pub window: u16,
    /// Bytes taken out of the socket.
    taken: u32,
    /// Bytes put into it.
    put: u32,
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
        let (sockets, socket) = USUAL.socket()?;
        Some(Self {
            sockets,
            socket,
            peer: None,
            connection: Connection::new(),
            waits_for: None,
            waits_until_ns: None,
            progress_ns: 0,
            request_ns: 0,
            overdue_ns: NEVER,
            busy_ns: 0,
            unacknowledged: 0,
            is_touched: false,
            is_held: false,
            holding: Holding::default(),
            numbers: Numbers::default(),
            mtu: None,
            acknowledged_ns: 0,
            patience_ns: 0,
            hurry_at_ns: NEVER,
            request_taken: 0,
            answer_len: 0,
            streaming: None,
            options: Options::default(),
            window_shift: 0,
            usual: None,
            sought: (false, false),
        })
    }

    pub fn socket(&self) -> &tcp::Socket<'static> {
        self.sockets.get(self.socket)
    }

    pub fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    /// Waits for this client's connection.
    pub fn listen(&mut self, connect: Connect, ours: u32, port: u16, now_ns: u64) {
        let Connect { peer, sequence, options } = connect;
        self.numbers = Numbers { theirs: sequence, ours, ..Numbers::default() };
        self.options = options;
        self.window_shift = self.shift_for(USUAL.receive_len);
        self.peer = Some(peer);
        self.mtu = None;
        self.progress_ns = now_ns;
        self.acknowledged_ns = now_ns;
        self.patience_ns = 0;
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
        self.streaming = None;
        self.holding.clear();
        self.unacknowledged = 0;
        self.peer.take()
    }

    /// Where what is sent goes.
    pub fn path(&self) -> Option<Path> {
        self.peer.map(|peer| Path {
            to: peer.address,
            mtu: self.mtu,
            window_shift: self.window_shift,
        })
    }

    /// A request may begin now.
    pub fn begin_request(&mut self, now_ns: u64) {
        if self.patience_ns == 0 && self.socket().state() == State::Established {
            // Nothing has moved since the client asked to connect: that was one round trip.
            let round_trip_ns = now_ns.saturating_sub(self.progress_ns);
            self.patience_ns = HURRY_MS * NS_PER_MS + HURRY_ROUND_TRIPS * round_trip_ns;
        }
        self.request_ns = now_ns;
        self.request_taken = self.numbers.taken;
        self.answer_len = 0;
        self.sought = (false, false);
    }

    /// By how much the windows of a socket with such a buffer are to be shifted beyond what smoltcp
    /// does.
    fn shift_for(&self, receive_len: usize) -> u8 {
        match self.options.window_shift {
            Some(_) => WINDOW_SHIFT - shift_of(receive_len),
            None => 0,
        }
    }

    /// The handshake has not ended: nobody has shown to be at the other end.
    pub fn is_half_open(&self) -> bool {
        self.socket().state() == State::SynReceived
    }

    /// Nothing is under way: no request, no answer, not a byte of either.
    pub fn is_idle(&self) -> bool {
        let socket = self.socket();
        self.connection.phase() == Phase::Idle && socket.is_open() && socket.send_queue() == 0
    }

    /// Something is being answered or sent.
    pub fn is_busy(&self) -> bool {
        !matches!(self.connection.phase(), Phase::Idle | Phase::Closing)
            || self.connection.has_output()
            || self.socket().send_queue() > 0
    }

    /// Whether it sends a body for this namespace.
    pub fn is_sender_of(&self, namespace: &Namespace) -> bool {
        self.connection.phase() == Phase::Receiving && self.holds_for(namespace)
    }

    fn holds_for(&self, namespace: &Namespace) -> bool {
        self.holding.owner().is_some_and(|(owner, _)| owner == namespace)
    }

    /// Whether it is a reader for this namespace: part of an answer waits to be taken.
    pub fn is_reader_of(&self, namespace: &Namespace) -> bool {
        let waits_to_be_taken = match self.connection.phase() {
            Phase::Sending | Phase::Closing => true,
            Phase::Streaming => self.connection.has_output(),
            _ => false,
        };
        waits_to_be_taken && self.holds_for(namespace)
    }

    /// Nothing of an answer is left but what fits into the socket, and has its room there anyway.
    pub fn is_answered(&self) -> bool {
        matches!(self.connection.phase(), Phase::Idle | Phase::Closing)
            && !self.connection.has_output()
    }

    /// The client has everything, and was told that no more will come.
    pub fn is_finished(&self) -> bool {
        self.socket().state() == State::FinWait2
    }

    /// Moves output into the socket. Returns whether anything moved.
    pub fn send(&mut self) -> bool {
        let Self { sockets, socket, connection, numbers, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket>(*socket);
        let mut moved = false;
        while connection.has_output() && socket.can_send() {
            match socket.send_slice(connection.output()) {
                Ok(count) if count > 0 => {
                    connection.advance(count);
                    numbers.put = numbers.put.wrapping_add(count as u32);
                }
                _ => break,
            }
            moved = true;
        }
        moved
    }

    /// Moves received bytes into the connection. Returns what they led to; `None` if nothing moved.
    pub fn receive(&mut self, accept: Accept) -> Option<Step> {
        let Self { sockets, socket, connection, numbers, .. } = self;
        let socket = sockets.get_mut::<tcp::Socket>(*socket);
        if socket.recv_queue() == 0 {
            return None;
        }
        let (count, step) = socket
            .recv(|bytes| {
                let (count, step) = connection.receive(bytes, accept);
                (count, (count, step))
            })
            .ok()?;
        numbers.taken = numbers.taken.wrapping_add(count as u32);
        (count > 0 || !matches!(step, Step::More)).then_some(step)
    }

    /// Asks the client to end what is answered or abandoned, and ends what it has left itself.
    pub fn close_if_done(&mut self) {
        if self.has_left_stream() {
            return self.socket_mut().abort();
        }
        let finished = !self.connection.has_output()
            && match self.connection.phase() {
                Phase::Closing => true,
                // The client said that nothing more will come.
                Phase::Idle | Phase::Receiving => self.socket().state() == State::CloseWait,
                Phase::Answering | Phase::Streaming | Phase::Sending => false,
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
}
