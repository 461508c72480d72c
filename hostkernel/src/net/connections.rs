//! The HTTP connections: which socket carries which request, who waits for which completion.
//!
//! Every slot has a socket for good. A slot is closed, listening or open; enough of them are kept
//! listening that a burst of connects finds one each, because a smoltcp socket takes one.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use crate::api::{self, Load, Node, Now, Pending, Readiness, Reject, Reply};
use crate::config::{
    HALF_OPEN_MIN, HEAP_RESERVE_LEN, IDLE_TIMEOUT_MS, LISTENING_MIN, PROGRESS_TIMEOUT_MS,
    RECEIVE_BUFFER_LEN, REQUEST_TIMEOUT_MS, SEND_BUFFER_LEN,
};
use crate::dispatch::{Dispatcher, QueueFull, Ticket};
use crate::http::connection::{Accept, Connection, Phase, Step};
use crate::http::{self, Request};
use crate::memory;
use crate::observe::trace::{self, Event};
use crate::random::Random;

const NS_PER_MS: u64 = 1_000_000;
/// How often time-outs are looked for while connections are open.
const CHECK_INTERVAL_NS: u64 = 1_000 * NS_PER_MS;
/// How often while there is no room for more of them.
const CROWDED_INTERVAL_NS: u64 = 100 * NS_PER_MS;
/// A connection idle for less does not make room for others: its first request may be on the way.
const IDLE_SPARED_NS: u64 = 1_000 * NS_PER_MS;

/// All connections, and the node they talk to.
pub struct Connections<'a> {
    port: u16,
    slots_max: usize,
    slots: Vec<Slot>,
    listening: usize,
    open: usize,
    node: Node,
    dispatcher: &'a Dispatcher,
    random: Random,
    next_check_ns: u64,
}

struct Slot {
    socket: SocketHandle,
    state: SlotState,
    connection: Connection,
    /// Counts requests, so that the completion of one cannot answer another.
    generation: u32,
    pending: Option<Pending>,
    /// When bytes last moved, into the socket, out of it, or to the client.
    progress_ns: u64,
    /// Bytes in the socket that the client had not acknowledged at the last look.
    unacknowledged: usize,
    /// The client has closed a connection that we closed first; only its socket is left.
    parted: bool,
    /// When the current request began.
    request_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotState {
    Closed,
    Listening,
    Open,
}

impl<'a> Connections<'a> {
    pub fn new(
        port: u16,
        slots_max: usize,
        node: Node,
        dispatcher: &'a Dispatcher,
        random: Random,
    ) -> Self {
        Self {
            port,
            slots_max,
            slots: Vec::with_capacity(slots_max),
            listening: 0,
            open: 0,
            node,
            dispatcher,
            random,
            next_check_ns: 0,
        }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Whether a further connection finds no socket.
    pub fn is_full(&self) -> bool {
        self.listening == 0
    }

    /// When time-outs must be looked for again.
    pub fn next_check_ns(&self) -> Option<u64> {
        (self.open > 0).then_some(self.next_check_ns)
    }

    /// Turns listening sockets that became connections into open slots, frees those of connections
    /// that both sides have closed, and makes new ones listen. To be called before anything is
    /// received.
    pub fn keep_listening(&mut self, sockets: &mut SocketSet<'static>, now_ns: u64) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let listens = sockets.get::<tcp::Socket>(slot.socket).state() == State::Listen;
            match slot.state {
                SlotState::Listening if !listens => {
                    slot.state = SlotState::Open;
                    // What the slot did before does not count against its new connection.
                    slot.progress_ns = now_ns;
                    self.listening -= 1;
                    self.open += 1;
                    trace::record(Event::Open, index as u64);
                }
                // smoltcp listens again when a half-open connection is reset.
                SlotState::Open if listens => {
                    slot.state = SlotState::Listening;
                    self.listening += 1;
                    self.open -= 1;
                    trace::record(Event::Close, index as u64);
                }
                _ => {}
            }
            if slot.parted {
                sockets.remove(slot.socket);
                slot.socket = sockets.add(new_socket());
                slot.reset();
                self.open -= 1;
                trace::record(Event::Close, index as u64);
            }
        }
        while self.listening < LISTENING_MIN
            && (self.listen_on_one(sockets) || self.give_up_half_open(sockets))
        {}
        if self.listening < LISTENING_MIN {
            // It got crowded since the last check: the next one, which makes room, comes sooner.
            self.next_check_ns = self.next_check_ns.min(now_ns + CROWDED_INTERVAL_NS);
        }
    }

    /// With every slot taken, frees the one that has been half-open longest. Who floods the node
    /// with connects never completes one; who means it needs a slot for one round trip, and gets it
    /// as long as there are fewer connects in that time than slots.
    fn give_up_half_open(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let half_open = |(_, slot): &(usize, &Slot)| {
            slot.state == SlotState::Open
                && sockets.get::<tcp::Socket>(slot.socket).state() == State::SynReceived
        };
        let candidates = || self.slots.iter().enumerate().filter(half_open);
        if candidates().count() < HALF_OPEN_MIN {
            return false;
        }
        let oldest = candidates().min_by_key(|(_, slot)| slot.progress_ns);
        let Some((index, _)) = oldest else { return false };
        let slot = &mut self.slots[index];
        sockets.get_mut::<tcp::Socket>(slot.socket).abort();
        slot.reset();
        self.open -= 1;
        trace::record(Event::Close, index as u64);
        true
    }

    fn listen_on_one(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let closed = self.slots.iter().position(|slot| slot.state == SlotState::Closed);
        let index = match closed {
            Some(index) => index,
            None if self.slots.len() < self.slots_max => {
                self.slots.push(Slot::new(sockets));
                self.slots.len() - 1
            }
            None => return false,
        };
        let slot = &mut self.slots[index];
        // A closed socket and a port that is not 0 are all `listen` asks for.
        let listening = sockets.get_mut::<tcp::Socket>(slot.socket).listen(self.port).is_ok();
        if listening {
            slot.state = SlotState::Listening;
            self.listening += 1;
        }
        listening
    }

    /// Hands out completions, serves every open connection, and enforces time-outs.
    pub fn poll(&mut self, sockets: &mut SocketSet<'static>, now: Now) {
        while let Some(completion) = self.dispatcher.completed() {
            let Ticket { slot: index, generation } = completion.ticket;
            let Some(slot) = self.slots.get_mut(index as usize) else { continue };
            if slot.generation == generation
                && let Some(pending) = slot.pending.take()
            {
                slot.connection.respond(api::complete(&pending, *completion, now));
                slot.progress_ns = now.monotonic_ns;
                trace::record(Event::Respond, u64::from(index));
            }
        }
        let check = now.monotonic_ns >= self.next_check_ns;
        for index in 0..self.slots.len() {
            if self.slots[index].state == SlotState::Open {
                self.serve(index, sockets, now);
                if check {
                    self.check_time(index, sockets, now);
                }
                self.close_if_done(index, sockets);
            }
        }
        if check {
            self.make_room(sockets, now.monotonic_ns);
            let crowded = self.listening < LISTENING_MIN;
            let interval_ns = if crowded { CROWDED_INTERVAL_NS } else { CHECK_INTERVAL_NS };
            self.next_check_ns = now.monotonic_ns + interval_ns;
        }
    }

    /// With every slot taken, gives up the connections that have been idle longest, so that clients
    /// which only hold connections do not keep others out.
    fn make_room(&mut self, sockets: &mut SocketSet<'static>, now_ns: u64) {
        if self.slots.len() < self.slots_max {
            return;
        }
        for _ in self.listening..LISTENING_MIN {
            let is_idle = |slot: &&mut Slot| {
                let socket = sockets.get::<tcp::Socket>(slot.socket);
                slot.state == SlotState::Open
                    && slot.connection.phase() == Phase::Idle
                    && slot.progress_ns + IDLE_SPARED_NS <= now_ns
                    && socket.is_open()
                    && socket.send_queue() == 0
            };
            let oldest = self.slots.iter_mut().filter(is_idle).min_by_key(|slot| slot.progress_ns);
            let Some(slot) = oldest else { return };
            sockets.get_mut::<tcp::Socket>(slot.socket).abort();
        }
    }

    /// Moves bytes and answers requests on one connection until nothing moves any more.
    fn serve(&mut self, index: usize, sockets: &mut SocketSet<'static>, now: Now) {
        let slot = &mut self.slots[index];
        let socket = sockets.get_mut::<tcp::Socket>(slot.socket);
        if slot.unacknowledged != socket.send_queue() {
            slot.progress_ns = now.monotonic_ns;
        }
        loop {
            let slot = &mut self.slots[index];
            let sent = slot.send(socket);
            let phase = slot.connection.phase();
            let received = match phase {
                Phase::Idle | Phase::Receiving | Phase::Closing => {
                    let (node, random) = (&self.node, &mut self.random);
                    slot.receive(socket, &mut |method, path, headers| {
                        api::check_head(node, method, path, headers, random.id())?;
                        Ok(api::body_len_max(method, path))
                    })
                }
                Phase::Answering | Phase::Sending => None,
            };
            // What comes after the last answer is dropped, and keeps nothing alive.
            if sent || received.is_some() && phase != Phase::Closing {
                slot.progress_ns = now.monotonic_ns;
            }
            match received {
                Some((Step::Request(request), _)) => self.answer(index, request, now),
                Some((Step::Reject(reject), _)) => {
                    let id = self.random.id();
                    self.slots[index].connection.respond(api::malformed(reject, id));
                }
                Some((Step::More | Step::Continue, began)) => {
                    if began {
                        self.slots[index].request_ns = now.monotonic_ns;
                    }
                }
                None if sent => {}
                None => break,
            }
        }
        self.slots[index].unacknowledged = socket.send_queue();
    }

    fn answer(&mut self, index: usize, request: Request, now: Now) {
        trace::record(Event::Request, index as u64);
        let id = self.random.id();
        let slot = &mut self.slots[index];
        if memory::heap_free() < HEAP_RESERVE_LEN {
            slot.connection.respond(api::overloaded(id));
            return;
        }
        self.node.load = Load { connections: self.open, in_flight: self.dispatcher.outstanding() };
        match api::handle(&mut self.node, request, now, id) {
            Reply::Respond(response) => slot.connection.respond(response),
            Reply::Invoke(admission) => {
                slot.generation = slot.generation.wrapping_add(1);
                let ticket = Ticket { slot: index as u32, generation: slot.generation };
                let (invocation, pending) = admission.split(ticket);
                match self.dispatcher.submit(Box::new(invocation)) {
                    Ok(()) => slot.pending = Some(pending),
                    Err(QueueFull(_)) => {
                        slot.connection.respond(api::refuse(&pending, &Reject::QueueFull));
                    }
                }
            }
        }
    }

    fn check_time(&mut self, index: usize, sockets: &mut SocketSet<'static>, now: Now) {
        let slot = &mut self.slots[index];
        let socket = sockets.get_mut::<tcp::Socket>(slot.socket);
        let still_ms = now.monotonic_ns.saturating_sub(slot.progress_ns) / NS_PER_MS;
        let request_ms = now.monotonic_ns.saturating_sub(slot.request_ns) / NS_PER_MS;
        let established = matches!(socket.state(), State::Established | State::CloseWait);
        let all_sent = socket.send_queue() == 0;
        match slot.connection.phase() {
            // The action has its own deadline.
            Phase::Answering => {}
            Phase::Receiving
                if still_ms >= PROGRESS_TIMEOUT_MS || request_ms >= REQUEST_TIMEOUT_MS =>
            {
                let id = self.random.id();
                slot.connection.respond(api::malformed(http::Reject::TooSlow, id));
                slot.send(socket);
                slot.progress_ns = now.monotonic_ns;
            }
            // Only the handshake at the beginning or the end is missing.
            _ if !established && all_sent && still_ms >= PROGRESS_TIMEOUT_MS => socket.abort(),
            Phase::Idle if established && all_sent && still_ms >= IDLE_TIMEOUT_MS => {
                socket.close();
                slot.progress_ns = now.monotonic_ns;
            }
            _ if still_ms >= IDLE_TIMEOUT_MS => socket.abort(),
            _ => {}
        }
    }

    /// Closes what is answered or abandoned, and frees the slot of what is closed.
    fn close_if_done(&mut self, index: usize, sockets: &mut SocketSet<'static>) {
        let slot = &mut self.slots[index];
        let socket = sockets.get_mut::<tcp::Socket>(slot.socket);
        let finished = slot.connection.output().is_empty()
            && match slot.connection.phase() {
                Phase::Closing => true,
                // The client said that nothing more will come.
                Phase::Idle | Phase::Receiving => socket.state() == State::CloseWait,
                Phase::Answering | Phase::Sending => false,
            };
        if finished {
            socket.close();
        }
        // smoltcp waits out ten seconds on a connection we closed first. What that protects from, a
        // late segment, finds no connection here and is reset; a socket and its buffers for each
        // such client would let a few hundred of them keep everybody else out. It goes before the
        // next poll receives anything: the acknowledgement of the client's end leaves in this one.
        slot.parted = socket.state() == State::TimeWait;
        if socket.state() == State::Closed {
            slot.reset();
            self.open -= 1;
            trace::record(Event::Close, index as u64);
        }
    }

    /// Every answer from now on is its connection's last.
    pub fn drain(&mut self) {
        self.node.readiness = Readiness::Draining;
        for slot in &mut self.slots {
            slot.connection.close_after_response();
        }
    }

    /// Whether nothing is being answered or sent any more.
    pub fn is_drained(&self, sockets: &SocketSet<'static>) -> bool {
        let busy = |slot: &Slot| {
            slot.state == SlotState::Open
                && (!matches!(slot.connection.phase(), Phase::Idle | Phase::Closing)
                    || !slot.connection.output().is_empty()
                    || sockets.get::<tcp::Socket>(slot.socket).send_queue() > 0)
        };
        self.dispatcher.outstanding() == 0 && !self.slots.iter().any(busy)
    }
}

impl Slot {
    fn new(sockets: &mut SocketSet<'static>) -> Self {
        Self {
            socket: sockets.add(new_socket()),
            state: SlotState::Closed,
            connection: Connection::new(),
            generation: 0,
            pending: None,
            progress_ns: 0,
            unacknowledged: 0,
            parted: false,
            request_ns: 0,
        }
    }

    /// Forgets the connection; a completion that still comes finds another generation.
    fn reset(&mut self) {
        self.state = SlotState::Closed;
        self.connection = Connection::new();
        self.generation = self.generation.wrapping_add(1);
        self.pending = None;
        self.unacknowledged = 0;
        self.parted = false;
    }

    /// Moves output into the socket. Returns whether anything moved.
    fn send(&mut self, socket: &mut tcp::Socket<'static>) -> bool {
        let mut moved = false;
        while !self.connection.output().is_empty() && socket.can_send() {
            match socket.send_slice(self.connection.output()) {
                Ok(count) if count > 0 => self.connection.advance(count),
                _ => break,
            }
            moved = true;
        }
        moved
    }

    /// Moves received bytes into the connection. Returns what they led to, and whether they began a
    /// request; `None` if nothing moved.
    fn receive(
        &mut self,
        socket: &mut tcp::Socket<'static>,
        accept: Accept,
    ) -> Option<(Step, bool)> {
        let was_idle = self.connection.phase() == Phase::Idle;
        let connection = &mut self.connection;
        let (count, step) = socket
            .recv(|bytes| {
                let (count, step) = connection.receive(bytes, accept);
                (count, (count, step))
            })
            .ok()?;
        let began = was_idle && self.connection.phase() != Phase::Idle;
        (count > 0 || !matches!(step, Step::More)).then_some((step, began))
    }
}

fn new_socket() -> tcp::Socket<'static> {
    let buffer = |len: usize| tcp::SocketBuffer::new(vec![0; len]);
    let mut socket = tcp::Socket::new(buffer(RECEIVE_BUFFER_LEN), buffer(SEND_BUFFER_LEN));
    // An answer leaves when it is complete; there is nothing to wait for.
    socket.set_nagle_enabled(false);
    // No time-out of smoltcp's: it would end connections on which the client has nothing to say
    // while its invocation runs. `check_time` tells them apart.
    socket
}
