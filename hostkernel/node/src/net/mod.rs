//! What moves frames and bytes: the card, the wire, smoltcp above it, and what the node itself says
//! on the network.
//!
//! ```text
//! card ─▶ adapter ─▶ link (ARP)       neighbours, place
//!            └────▶ arrival ─▶ smoltcp with the sockets it concerns ─▶ serve
//! ```
//!
//! Who may connect and what is answered is decided above, in [`serve`](crate::serve), which tells
//! through [`Connections`] whose packet is whose.

pub(crate) mod adapter;
mod address;
pub(crate) mod arrival;
mod checksum;
mod dhcp;
mod dns;
pub(crate) mod forge;
mod fragments;
mod link;
mod neighbours;
pub mod nic;
mod out;
mod outgoing;
mod outward;
pub(crate) mod paths;
mod place;
mod reassembly;
mod sequence;
mod sntp;
mod syslog;
pub(crate) mod time;
pub(crate) mod transplant;
pub(crate) mod windows;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::iface::{Interface, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};

use self::adapter::Adapter;
use self::address::Addressing;
use self::arrival::{Arrival, Connect, Peer, Segment, TooBig};
pub use self::dns::Lookup;
use self::dns::Resolver;
use self::forge::{Forged, Injected};
use self::fragments::Fragments;
pub use self::outgoing::ConnectionId;
use self::outgoing::Outgoing;
pub use self::outward::{Outward, Path};
use self::outward::{SEND_RETRY_NS, interface};
use self::sequence::{Sequences, seed_for};
use self::sntp::Sntp;
use self::syslog::Sender;
use self::time::{earliest, instant, ns};
use crate::journal::syslog::Queue;
use crate::net::nic::Nic;
use crate::random::{Keyed, Random};
use crate::settings::{Server, Settings};
use crate::state::statistics::Traffic;
use crate::wall::trust::{Judge, Opinion, Reading};
use limits::{ACKNOWLEDGED_STEPS_MAX, DNS_PORT, FRAMES_PER_POLL_MAX, SNTP_PORT, SYSLOG_PORT};

/// The network of one node.
pub struct Network {
    adapter: Adapter,
    fragments: Fragments,
    interface: Interface,
    /// The node's own: what gets it the time.
    sockets: SocketSet<'static>,
    /// No sockets, for segments that belong to none: smoltcp answers them with a reset.
    nobody: SocketSet<'static>,
    addressing: Addressing,
    port: u16,
    time_server: Server,
    sntp: Sntp,
    /// What a time server has said, until somebody asks.
    reading: Option<Reading>,
    judge: Judge,
    log_server: Server,
    name_server: Server,
    resolver: Resolver,
    /// What the node itself has opened.
    outgoing: Outgoing,
    /// If somebody wants the log.
    syslog: Option<Sender>,
    /// When the node's own business wants to be looked at.
    own_ns: Option<u64>,
    sequences: Sequences,
    random: Random,
}

/// Whose packet is whose, and what becomes of it.
pub enum Verdict<'a> {
    /// smoltcp reads it, with these sockets, whose windows are to be shifted so much further.
    Read(&'a mut SocketSet<'static>, u8),
    /// The same, but what it acknowledges is acknowledged in steps of this length before, from this
    /// segment on.
    Stepwise(&'a mut SocketSet<'static>, u8, Forged, u32),
    /// The same; a connection may begin with it.
    Begin(&'a mut SocketSet<'static>),
    /// smoltcp reads this one instead, with these sockets.
    Instead(&'a mut SocketSet<'static>, Forged, u8),
    /// It belongs to no connection, which its sender is told.
    Nobody,
    /// It is dropped: who means it sends it again.
    Drop,
}

/// Who decides about connections.
pub trait Connections {
    /// A client has sent a segment.
    fn segment(&mut self, segment: Segment) -> Verdict<'_>;

    /// A client asks to connect. Our bytes would begin behind `first`.
    fn connect(&mut self, connect: Connect, first: u32, now_ns: u64) -> Verdict<'_>;

    /// A client wants its connection to be forgotten.
    fn reset(&mut self, peer: Peer, sequence: u32) -> Verdict<'_>;

    /// A router could not pass on what was sent to a client.
    fn too_big(&mut self, message: TooBig, now_ns: u64);
}

impl Network {
    /// A network behind `nic`. `log` is what a log server shall hear.
    pub fn new(
        nic: Box<dyn Nic>,
        settings: &Settings,
        log: Option<Arc<Queue>>,
        mut random: Random,
        now_ns: u64,
    ) -> Self {
        let mut adapter = Adapter::new(nic, settings.port, random.word());
        let addressing = Addressing::new(settings.address, adapter.link.mac(), now_ns);
        let interface = interface(&mut adapter, None, random.word(), now_ns);
        let mut sockets = SocketSet::new(vec![]);
        let sntp = Sntp::new(&mut sockets);
        let mut network = Self {
            adapter,
            fragments: Fragments::default(),
            interface,
            sockets,
            nobody: SocketSet::new(vec![]),
            addressing,
            port: settings.port,
            time_server: settings.time_server,
            sntp,
            reading: None,
            judge: Judge::default(),
            log_server: settings.log_server,
            name_server: settings.name_server,
            resolver: Resolver::new(),
            outgoing: Outgoing::default(),
            syslog: log.map(|queue| Sender::new(queue, random.word())),
            own_ns: Some(now_ns),
            sequences: Sequences::new(Keyed::new(random.seed())),
            random,
        };
        network.follow_address(now_ns);
        network
    }

    /// Passes the packets that wait to smoltcp, each with the sockets it may concern.
    pub fn receive(&mut self, now_ns: u64, connections: &mut impl Connections) {
        for _ in 0..FRAMES_PER_POLL_MAX {
            let Some(arrival) = self.adapter.arrival(now_ns) else { break };
            self.pass(arrival, now_ns, connections);
        }
        if self.adapter.link.take_news() {
            self.own_ns = Some(now_ns);
        }
    }

    /// Passes on the packet that waits. Apart from [`Self::receive`], so that a poll that finds
    /// none does not prepare for one.
    #[inline(never)]
    fn pass(&mut self, arrival: Arrival, now_ns: u64, connections: &mut impl Connections) {
        let timestamp = instant(now_ns);
        let verdict = match arrival {
            Arrival::Segment(segment) => match connections.segment(segment) {
                Verdict::Stepwise(sockets, shift, first, step_len) => {
                    self.adapter.window_shift = shift;
                    let last = segment.acknowledged;
                    self.acknowledge(sockets, first, step_len, last, timestamp);
                    Verdict::Read(sockets, shift)
                }
                other => other,
            },
            Arrival::Connect(connect) => {
                let first = self.sequences.first(connect.peer.number(), now_ns);
                match connections.connect(connect, first, now_ns) {
                    Verdict::Begin(sockets) => {
                        self.begin(sockets, first, now_ns);
                        return;
                    }
                    other => other,
                }
            }
            Arrival::Reset(peer, sequence) => connections.reset(peer, sequence),
            Arrival::TooBig(message) => {
                connections.too_big(message, now_ns);
                Verdict::Drop
            }
            Arrival::Fragment => {
                self.part(now_ns, connections);
                return;
            }
            Arrival::Lease => {
                if self.addressing.receive(self.adapter.packet(), now_ns) {
                    self.follow_address(now_ns);
                }
                self.own_ns = Some(now_ns);
                self.adapter.release();
                return;
            }
            Arrival::Other => {
                let packet = self.adapter.packet();
                if let Some(message) = self.outgoing.refused(packet) {
                    self.outgoing.too_big(message, self.adapter.mtu(), now_ns);
                    Verdict::Drop
                } else if let Some(sockets) = self.outgoing.of(packet) {
                    Verdict::Read(sockets, 0)
                } else if self.resolver.is_for(packet) {
                    Verdict::Read(self.resolver.sockets(), 0)
                } else {
                    self.own_ns = Some(now_ns);
                    Verdict::Read(&mut self.sockets, 0)
                }
            }
        };
        let sockets = match verdict {
            Verdict::Read(sockets, shift) | Verdict::Stepwise(sockets, shift, ..) => {
                self.adapter.window_shift = shift;
                sockets
            }
            Verdict::Begin(sockets) => sockets,
            Verdict::Nobody => {
                self.adapter.window_shift = 0;
                &mut self.nobody
            }
            Verdict::Instead(sockets, forged, shift) => {
                self.adapter.release();
                self.adapter.window_shift = shift;
                let Self { interface, adapter, addressing, port, .. } = self;
                hear(interface, adapter, (addressing, *port), sockets, forged, timestamp);
                return;
            }
            Verdict::Drop => {
                self.adapter.discard();
                return;
            }
        };
        self.interface.poll_ingress_single(timestamp, &mut self.adapter, sockets);
    }

    /// Has the sockets hear of an acknowledgement in steps. smoltcp's congestion control counts
    /// acknowledgements, as if each were of one segment, but clients send one for many; what counts
    /// is the bytes (RFC 3465).
    #[inline(never)]
    fn acknowledge(
        &mut self,
        sockets: &mut SocketSet<'static>,
        mut step: Forged,
        step_len: u32,
        last: u32,
        timestamp: Instant,
    ) {
        if !arrival::is_whole(self.adapter.packet()) {
            return;
        }
        for _ in 0..ACKNOWLEDGED_STEPS_MAX {
            let next = step.acknowledged.unwrap_or(last).wrapping_add(step_len);
            // What is left is said by the segment itself.
            if last.wrapping_sub(next).cast_signed() <= 0 {
                return;
            }
            step.acknowledged = Some(next);
            let Self { interface, adapter, addressing, port, .. } = self;
            hear(interface, adapter, (addressing, *port), sockets, step, timestamp);
        }
    }

    /// Has a connect read by an interface whose generator yields the number ours begins with.
    #[inline(never)]
    fn begin(&mut self, sockets: &mut SocketSet<'static>, first: u32, now_ns: u64) {
        let address = self.addressing.place().map(|place| place.address);
        let seed = seed_for(first, self.random.word());
        let mut interface = interface(&mut self.adapter, address, seed, now_ns);
        interface.poll_ingress_single(instant(now_ns), &mut self.adapter, sockets);
    }

    /// Gets and keeps the node's address, and the time.
    pub fn work(&mut self, now_ns: u64) {
        if self.own_ns.is_none_or(|own_ns| own_ns > now_ns) {
            return;
        }
        if self.addressing.expire(now_ns) {
            self.follow_address(now_ns);
        }
        while let Some(message) = self.addressing.poll(&mut self.random, now_ns) {
            match message.to {
                Some(to) => self.adapter.send_to(&message.packet, to, instant(now_ns)),
                None => self.adapter.broadcast(&message.packet),
            }
        }
        let ready = self.has_address();
        let named = self.addressing.named;
        let server = endpoint(self.time_server, named.time_server, SNTP_PORT);
        self.sntp.set_server(server.filter(|_| ready), now_ns);
        let server = endpoint(self.name_server, named.name_server, DNS_PORT);
        self.resolver.set_server(server.filter(|_| ready));
        if let Some(syslog) = &mut self.syslog {
            let server = endpoint(self.log_server, named.log_server, SYSLOG_PORT);
            syslog.set_server(server.filter(|_| ready), ready);
        }
        let Self { interface, adapter, sockets, sntp, random, .. } = self;
        let reading = sntp.poll(sockets, random, now_ns);
        self.reading = reading.or(self.reading);
        let outward = &mut Outward { interface, adapter, now_ns };
        let network_ns = sntp.server().and_then(|server| outward.egress_if_known(sockets, server));
        sntp.note_sent(sockets, now_ns);
        let times = [network_ns, self.sntp.next_ns(), self.addressing.next_ns()];
        self.own_ns = earliest(times);
    }

    /// Puts card and smoltcp where the address says.
    fn follow_address(&mut self, now_ns: u64) {
        self.outgoing.clear();
        let place = self.addressing.place();
        self.fragments.clear();
        self.adapter.move_to(place.cloned(), instant(now_ns));
        let address = place.map(|place| place.address);
        self.interface = interface(&mut self.adapter, address, self.random.word(), now_ns);
    }

    /// Sends lines to the log server, behind everything else.
    pub fn send_log(&mut self, now_ns: u64) -> Option<u64> {
        let syslog = self.syslog.as_mut()?;
        let Self { interface, adapter, .. } = self;
        let host = interface.ipv4_addr();
        syslog.poll(host, &mut Outward { interface, adapter, now_ns }, now_ns)
    }

    /// Begins a connection. `None` if there can be none more now; then try again later.
    pub fn dial(&mut self, remote: SocketAddrV4, now_ns: u64) -> Option<ConnectionId> {
        let Self { outgoing, addressing, adapter, random, .. } = self;
        let address = addressing.place()?.address;
        outgoing.dial(remote, address, adapter, random, now_ns)
    }

    /// The socket of a connection that was begun; `None` if it is gone with the node's address.
    pub fn connection(&mut self, connection: ConnectionId) -> Option<&mut tcp::Socket<'static>> {
        self.outgoing.socket(connection)
    }

    /// Gives such a connection up.
    pub fn hang_up(&mut self, connection: ConnectionId) {
        self.outgoing.hang_up(connection);
    }

    /// Where a host is. If that is not known yet, ask again at the next look.
    pub fn lookup(&mut self, host: &str, now_ns: u64) -> Lookup {
        self.resolver.lookup(host, &mut self.random, now_ns)
    }

    /// Nobody answered where a host should be.
    pub fn forget(&mut self, host: &str) {
        self.resolver.forget(host);
    }

    /// Sends what the connections of the node have to send, and questions for names. Returns when
    /// they will have more.
    pub fn send_own(&mut self, now_ns: u64) -> Option<u64> {
        let Self { interface, adapter, outgoing, resolver, random, .. } = self;
        let outward = &mut Outward { interface, adapter, now_ns };
        let times = [outgoing.egress(outward), resolver.poll(outward, random, now_ns)];
        times.into_iter().flatten().min()
    }

    /// Says what is due on the wire, and tells the card of everything. Returns when to be called
    /// again.
    pub fn finish(&mut self, now_ns: u64) -> Option<u64> {
        if let Some(due) = self.adapter.link.due()
            && ns(due) <= now_ns
        {
            self.adapter.work(instant(now_ns));
        }
        let link_ns = self.adapter.link.due().map(ns);
        let retry_ns = self.adapter.flush().then_some(now_ns + SEND_RETRY_NS);
        earliest([link_ns, self.own_ns, retry_ns])
    }

    /// The way out.
    pub fn outward(&mut self, now_ns: u64) -> Outward<'_> {
        let Self { interface, adapter, .. } = self;
        Outward { interface, adapter, now_ns }
    }

    /// Whether the node has an address.
    pub fn has_address(&self) -> bool {
        self.addressing.place().is_some()
    }

    /// The node's address.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.interface.ipv4_addr()
    }

    /// What the card moved.
    pub fn traffic(&self) -> Traffic {
        self.adapter.traffic
    }

    /// Whether the log has a line to send that was written since the last call.
    pub fn has_log(&self) -> bool {
        self.syslog.as_ref().is_some_and(Sender::is_pending)
    }

    /// Whether a frame waits.
    pub fn is_pending(&mut self) -> bool {
        self.adapter.is_pending()
    }

    /// Prepares for sleep: a frame from now on interrupts. Returns false if one is there already.
    pub fn arm(&mut self) -> bool {
        self.adapter.arm()
    }

    /// Ends the state that [`arm`](Self::arm) began.
    pub fn disarm(&mut self) {
        self.adapter.disarm();
    }

    /// What a time server has said since the last call, and what to make of it. `machine_ns` asks
    /// the machine's own clock.
    pub fn take_reading(
        &mut self,
        machine_ns: impl FnOnce() -> Option<u64>,
    ) -> Option<(Reading, Opinion)> {
        let reading = self.reading.take()?;
        let opinion = self.judge.judge(reading, machine_ns);
        if let Opinion::Doubted(_) = opinion {
            self.sntp.ask_again(reading.at_ns);
            self.own_ns = Some(reading.at_ns);
        }
        Some((reading, opinion))
    }
}

/// Has the sockets hear a segment that nobody sent.
#[inline(never)]
fn hear(
    interface: &mut Interface,
    adapter: &mut Adapter,
    (addressing, port): (&Addressing, u16),
    sockets: &mut SocketSet<'static>,
    forged: Forged,
    timestamp: Instant,
) {
    if let Some(place) = addressing.place() {
        let packet = forged.packet(place.address.address(), port);
        let mut injected = Injected::new(adapter, Some(&packet), None);
        interface.poll_ingress_single(timestamp, &mut injected, sockets);
    }
}

/// Where a server is, if there can be one.
fn endpoint(server: Server, named: Option<Ipv4Addr>, usual_port: u16) -> Option<IpEndpoint> {
    let (address, port) = match server {
        Server::Dhcp => (named?, usual_port),
        Server::Nobody => return None,
        Server::At(server) => (*server.ip(), server.port()),
    };
    let is_one = !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    (is_one && port != 0).then(|| IpEndpoint::new(IpAddress::Ipv4(address), port))
}
