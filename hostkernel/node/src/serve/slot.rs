//! One connection: its socket, what it is in HTTP, and how long it may stand still.

use core::mem;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use super::room::{Buffers, Need, USUAL};
use super::timers::NEVER;

use crate::dispatch::Ticket;
use crate::http::connection::{Accept, Connection, Phase, Step};
use crate::net::arrival::{Connect, Options, Peer, Segment};
use crate::net::forge::Forged;
use crate::net::transplant::{MAX_SEGMENT_DEFAULT, Standing};
use crate::net::windows::{WINDOW_SHIFT, shift_of};
use crate::net::{Outward, Path};
use crate::registry::{Holding, Namespace};
use limits::{
    BLACK_HOLE_MS, HURRY_MS, HURRY_ROUND_TRIPS, INITIAL_WINDOW_LEN_MAX, PATH_MTU_MIN,
    PROGRESS_TIMEOUT_MS, REQUEST_RATE_MIN, REQUEST_TIMEOUT_MS, STALL_TIMEOUT_MS,
    UNADMITTED_SPARED_MS, WIDE_AFTER_LEN,
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

    /// Takes the usual socket back without a connection. Returns the buffers the other had.
    pub fn give_back(&mut self) -> Option<Buffers> {
        let (sockets, socket, had) = self.usual.take()?;
        (self.sockets, self.socket) = (sockets, socket);
        Some(had)
    }

    /// Forgets the connection. Returns whose it was.
    pub fn reset(&mut self) -> Option<Peer> {
        self.connection = Connection::new();
        self.waits_for = None;
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

    /// Whether large packets seem to vanish on their way: several were sent, again and again, and
    /// nothing was acknowledged for a time.
    pub fn is_swallowed(&self, now_ns: u64) -> bool {
        self.acknowledged_ns + BLACK_HOLE_MS * NS_PER_MS <= now_ns
            && self.numbers.window > 0
            && self.unacknowledged > PATH_MTU_MIN
            && self.unacknowledged == self.socket().send_queue()
    }

    /// Whether a byte with this number is under way.
    pub fn is_under_way(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.acknowledged_to());
        (ahead as usize) < self.socket().send_queue()
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

    /// What the connection could use more room for that it has not been looked for yet.
    pub fn need(&self) -> Option<Need> {
        if self.answer_len > USUAL.send_len && !self.sought.1 {
            let is_wider = self.answer_len > self.socket().send_capacity();
            return is_wider.then_some(Need::Send(self.answer_len));
        }
        let is_long = self.request_len() as usize >= WIDE_AFTER_LEN;
        let is_sought = is_long && !self.sought.0 && self.connection.phase() == Phase::Receiving;
        (is_sought && self.socket().recv_capacity() == USUAL.receive_len).then_some(Need::Receive)
    }

    /// Room for this is looked for now, and not again for the same request.
    pub fn note_sought(&mut self, need: Need) {
        match need {
            Need::Receive => self.sought.0 = true,
            Need::Send(_) => self.sought.1 = true,
        }
    }

    /// Whether the socket could be replaced: nothing is in it, and both sides may go on.
    pub fn is_quiet(&self) -> bool {
        let socket = self.socket();
        socket.state() == State::Established && socket.send_queue() == 0 && socket.recv_queue() == 0
    }

    /// Whether the socket has more room than usual.
    pub fn is_wide(&self) -> bool {
        self.usual.is_some()
    }

    /// Puts a quiet connection into a socket with these buffers. Returns those it had, if they were
    /// not the usual ones; the new ones, if it stays where it was.
    pub fn widen(
        &mut self,
        buffers: Buffers,
        port: u16,
        outward: &mut Outward<'_>,
    ) -> Option<Buffers> {
        let Some((mut sockets, socket)) = buffers.socket() else { return Some(buffers) };
        let sends_much = buffers.send_len > USUAL.send_len;
        if !self.transplant(&mut sockets, socket, port, sends_much, outward) {
            return Some(buffers);
        }
        let before =
            (mem::replace(&mut self.sockets, sockets), mem::replace(&mut self.socket, socket));
        let (usual, given_back) = match self.usual.take() {
            Some((sockets, socket, had)) => ((sockets, socket), Some(had)),
            None => (before, None),
        };
        self.usual = Some((usual.0, usual.1, buffers));
        given_back
    }

    /// Puts a quiet connection back into its usual socket. Returns the buffers it had.
    pub fn narrow(&mut self, port: u16, outward: &mut Outward<'_>) -> Option<Buffers> {
        let (mut sockets, socket, had) = self.usual.take()?;
        if !self.transplant(&mut sockets, socket, port, false, outward) {
            self.usual = Some((sockets, socket, had));
            return None;
        }
        (self.sockets, self.socket) = (sockets, socket);
        Some(had)
    }

    fn transplant(
        &mut self,
        sockets: &mut SocketSet<'static>,
        socket: SocketHandle,
        port: u16,
        sends_much: bool,
        outward: &mut Outward<'_>,
    ) -> bool {
        let Some(peer) = self.peer else { return false };
        let receive_len = sockets.get::<tcp::Socket>(socket).recv_capacity();
        let standing = Standing {
            peer,
            port,
            options: self.options,
            received_to: self.received_to(),
            acknowledged_to: self.acknowledged_to(),
            window: self.numbers.window,
            sends_much,
            window_shift: self.shift_for(receive_len),
        };
        let stands = outward.transplant(sockets, socket, &standing);
        if stands {
            self.window_shift = standing.window_shift;
            let taken = self.request_len();
            self.numbers = Numbers {
                theirs: standing.received_to.wrapping_sub(1),
                ours: standing.acknowledged_to.wrapping_sub(1),
                window: standing.window,
                taken: 0,
                put: 0,
            };
            self.request_taken = 0_u32.wrapping_sub(taken);
        }
        stands
    }

    /// Bytes of the current request that have arrived.
    pub fn request_len(&self) -> u32 {
        self.numbers.taken.wrapping_sub(self.request_taken)
    }

    /// The number of the next byte from the client: all before it are in the socket or taken.
    pub fn received_to(&self) -> u32 {
        use State::{CloseWait, Closing, LastAck, TimeWait};
        let waiting = self.socket().recv_queue() as u32;
        // The end of what a client sends has a number, too.
        let end =
            u32::from(matches!(self.socket().state(), CloseWait | Closing | LastAck | TimeWait));
        let Numbers { theirs, taken, .. } = self.numbers;
        theirs.wrapping_add(1).wrapping_add(taken).wrapping_add(waiting).wrapping_add(end)
    }

    /// The number of the first byte that the client has not acknowledged.
    pub fn acknowledged_to(&self) -> u32 {
        let waiting = self.socket().send_queue() as u32;
        let end = u32::from(matches!(self.socket().state(), State::FinWait2 | State::TimeWait));
        let Numbers { ours, put, .. } = self.numbers;
        ours.wrapping_add(1).wrapping_add(put).wrapping_sub(waiting).wrapping_add(end)
    }

    /// Where an acknowledgement of several segments starts and how long a step is, if the socket is
    /// one that counts them. Only what is in its place and acknowledges what is under way is taken
    /// for one: whoever can send that sees the connection.
    pub fn steps_to(&self, segment: Segment) -> Option<(Forged, u32)> {
        let first = self.probe()?;
        let step_len = u32::from(self.options.max_segment.unwrap_or(MAX_SEGMENT_DEFAULT));
        let len = segment.acknowledged.wrapping_sub(first.acknowledged?);
        let is_many = len > step_len && len as usize <= self.socket().send_queue();
        let is_next = segment.sequence == self.received_to();
        // The steps are in their place, too, so that they ask for no answer.
        (is_many && is_next).then_some((Forged { sequence: segment.sequence, ..first }, step_len))
    }

    /// A segment that has the socket say where it stands: one from before the window, as clients
    /// send to keep a connection alive (RFC 9293, 3.8.4). smoltcp answers one a second.
    pub fn probe(&self) -> Option<Forged> {
        Some(Forged {
            peer: self.peer?,
            sequence: self.received_to().wrapping_sub(1),
            acknowledged: Some(self.acknowledged_to()),
            window: self.numbers.window,
            options: Options::default(),
        })
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

    /// The client has taken so long to send its request or to take its answer that it may not do so
    /// at the cost of others. Who has not said what it wants, or was refused, has less time.
    pub fn is_slow(&self, now_ns: u64) -> bool {
        let spared_ms = if self.is_held { PROGRESS_TIMEOUT_MS } else { UNADMITTED_SPARED_MS };
        self.connection.phase() != Phase::Answering
            && self.busy_ns + spared_ms * NS_PER_MS <= now_ns
    }

    /// The client has had time to take its answer, or has taken nothing of it for some.
    pub fn dawdles(&self, now_ns: u64) -> bool {
        let is_stuck = self.progress_ns + UNADMITTED_SPARED_MS * NS_PER_MS <= now_ns;
        is_stuck || self.is_slow(now_ns)
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
        matches!(self.connection.phase(), Phase::Sending | Phase::Closing)
            && self.holds_for(namespace)
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

    /// How long ago the current request began.
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.request_ns)
    }

    /// Begins to look: notes that the client has acknowledged bytes since the last time, and that
    /// it is idle.
    pub fn begin_look(&mut self, now_ns: u64) {
        if self.unacknowledged != self.socket().send_queue() {
            self.progress_ns = now_ns;
            self.acknowledged_ns = now_ns;
            self.hurry_at_ns = now_ns + self.patience_ns;
        }
        if self.is_idle() {
            self.busy_ns = now_ns;
        }
    }

    /// Remembers what the client has to acknowledge, for [`Self::begin_look`].
    pub fn note_unacknowledged(&mut self, now_ns: u64) {
        if self.unacknowledged == 0 {
            self.acknowledged_ns = now_ns;
            self.hurry_at_ns = now_ns + self.patience_ns;
        }
        self.unacknowledged = self.socket().send_queue();
    }

    /// When what is under way seems to be lost; [`NEVER`] if nothing is.
    pub fn hurry_ns(&self) -> u64 {
        if self.unacknowledged == 0 { NEVER } else { self.hurry_at_ns }
    }

    /// Sends once more what was not acknowledged in time, if it is little. When much is under way,
    /// what arrives of it brings acknowledgements that say what did not. Once: who then says
    /// nothing is asked again when smoltcp thinks so, after a second or more.
    #[inline(never)]
    pub fn hurry(&mut self, port: u16, outward: &mut Outward<'_>) {
        self.hurry_at_ns = NEVER;
        let is_little = self.unacknowledged <= INITIAL_WINDOW_LEN_MAX && self.numbers.window > 0;
        if let Some(probe) = self.probe().filter(|_| is_little) {
            let again = Forged { sequence: self.received_to(), ..probe };
            outward.repeat(&mut self.sockets, again, port);
        }
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

    /// Asks the client to end what is answered or abandoned.
    pub fn close_if_done(&mut self) {
        let finished = !self.connection.has_output()
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
    pub fn overdue(&self, idle_ns: u64) -> Option<(u64, Overdue)> {
        let socket = self.socket();
        let established = matches!(socket.state(), State::Established | State::CloseWait);
        let all_sent = socket.send_queue() == 0;
        let still = |ms: u64| self.progress_ns + ms * NS_PER_MS;
        match self.connection.phase() {
            Phase::Answering => self.waits_until_ns.map(|at_ns| (at_ns, Overdue::Accept)),
            Phase::Receiving => {
                // Who makes progress is given the time that takes.
                let earned_ms = u64::from(self.request_len()) * 1000 / REQUEST_RATE_MIN;
                let whole = self.request_ns + (REQUEST_TIMEOUT_MS + earned_ms) * NS_PER_MS;
                Some((still(PROGRESS_TIMEOUT_MS).min(whole), Overdue::Refuse))
            }
            // Only the handshake at the beginning or the end is missing.
            _ if !established && all_sent => Some((still(PROGRESS_TIMEOUT_MS), Overdue::Abort)),
            Phase::Idle if established && all_sent => {
                Some((self.progress_ns + idle_ns, Overdue::Close))
            }
            _ => Some((still(STALL_TIMEOUT_MS), Overdue::Abort)),
        }
    }
}
