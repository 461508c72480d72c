//! Connections that the node opens: sockets, each in a set of its own, found by the packet.
//!
//! Their ports are random and their first numbers come from the node's generator, so that nobody
//! who does not see a connection can guess where it is. Who opens one closes it: nothing here has a
//! time of its own but what TCP has.
//!
//! A router that cannot pass a packet on is believed about connections on which something is under
//! way. Who guesses the port makes one connection's packets smaller, and no smaller than any link
//! takes. What other messages say, that a host or a port cannot be reached for instance, is no
//! reason to give a connection up (RFC 1122, 4.2.3.9); time is.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, CongestionControl, SocketBuffer};
use smoltcp::wire::{IpAddress, IpEndpoint, IpProtocol, Ipv4Cidr, Ipv4Packet, TcpPacket};

use super::adapter::Adapter;
use super::arrival::TooBig;
use super::outward::{Outward, Path, interface};
use super::paths::{FIRST_TRIED_MTU, Paths, common_below, narrowed_by};
use super::sequence::seed_for;
use super::sntp::SOURCE_PORTS;
use crate::random::Random;
use limits::{HEAP_RESERVE_LEN, OUTGOING_BLACK_HOLE_MS, OUTGOING_MAX, OUTGOING_RECEIVE_LEN};
use limits::{OUTGOING_SEND_LEN, PATH_MTU_MIN};

const NS_PER_MS: u64 = 1_000_000;

/// Names an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(usize);

/// See the head of this file.
#[derive(Default)]
pub struct Outgoing {
    places: Vec<Option<Place>>,
    /// Connections whose end is still to be said.
    leaving: Vec<Place>,
    /// Those that are known to be narrow.
    paths: Paths,
}

struct Place {
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    remote: SocketAddrV4,
    port: u16,
    /// The largest packet that gets there, if it is known to be smaller than usual.
    mtu: Option<usize>,
    /// How many bytes were not acknowledged when their number changed last, and when that was.
    queued: (usize, u64),
}

impl Place {
    fn path(&self) -> Path {
        Path { to: *self.remote.ip(), mtu: self.mtu, window_shift: 0 }
    }

    /// Whether large packets seem to vanish: for a time none has arrived.
    fn is_swallowed(&mut self, now_ns: u64) -> bool {
        let queued = self.sockets.get::<tcp::Socket>(self.socket).send_queue();
        if queued != self.queued.0 {
            self.queued = (queued, now_ns);
        }
        let is_late = now_ns - self.queued.1 >= OUTGOING_BLACK_HOLE_MS * NS_PER_MS;
        queued > PATH_MTU_MIN && is_late
    }

    fn narrow(&mut self, mtu: usize, paths: &mut Paths, now_ns: u64) {
        self.mtu = Some(mtu);
        self.queued.1 = now_ns;
        paths.note(*self.remote.ip(), mtu, now_ns);
    }
}

impl Outgoing {
    /// Begins a connection from this address. `None` if there are as many as there may be, or no
    /// memory for its buffers.
    pub fn dial(
        &mut self,
        remote: SocketAddrV4,
        address: Ipv4Cidr,
        adapter: &mut Adapter,
        random: &mut Random,
        now_ns: u64,
    ) -> Option<ConnectionId> {
        let free = match self.places.iter().position(Option::is_none) {
            Some(free) => free,
            None if self.places.len() < OUTGOING_MAX => {
                self.places.push(None);
                self.places.len() - 1
            }
            None => return None,
        };
        let word = random.word();
        let port = SOURCE_PORTS | word as u16;
        if self.is_taken(remote, port) {
            // Whoever wants it tries again, and gets another.
            return None;
        }
        let (mut sockets, socket) = socket()?;
        // smoltcp's own numbers can be guessed: see `sequence`.
        let seed = seed_for((word >> 32) as u32, random.word());
        let mut interface = interface(adapter, Some(address), seed, now_ns);
        let to = (IpAddress::Ipv4(*remote.ip()), remote.port());
        let connected = sockets.get_mut::<tcp::Socket>(socket).connect(
            interface.context(),
            IpEndpoint::from(to),
            port,
        );
        connected.ok()?;
        let mtu = self.paths.mtu(*remote.ip(), now_ns);
        self.places[free] = Some(Place { sockets, socket, remote, port, mtu, queued: (0, now_ns) });
        Some(ConnectionId(free))
    }

    fn is_taken(&self, remote: SocketAddrV4, port: u16) -> bool {
        let is_it = |place: &Place| place.port == port && place.remote == remote;
        self.places.iter().flatten().chain(&self.leaving).any(is_it)
    }

    /// The socket of a connection; `None` if the node has another address since.
    pub fn socket(&mut self, connection: ConnectionId) -> Option<&mut tcp::Socket<'static>> {
        let place = self.places.get_mut(connection.0)?.as_mut()?;
        Some(place.sockets.get_mut(place.socket))
    }

    /// Gives a connection up; its end is said at the next look.
    pub fn hang_up(&mut self, connection: ConnectionId) {
        if let Some(mut place) = self.places.get_mut(connection.0).and_then(Option::take) {
            place.sockets.get_mut::<tcp::Socket>(place.socket).abort();
            self.leaving.push(place);
        }
    }

    /// Forgets all of them: the node has another address.
    pub fn clear(&mut self) {
        self.places.iter_mut().for_each(|place| *place = None);
        self.leaving.clear();
    }

    /// Whose packet this is.
    pub fn of(&mut self, packet: &[u8]) -> Option<&mut SocketSet<'static>> {
        if self.places.is_empty() {
            return None;
        }
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let (from, port): (Ipv4Addr, _) = (packet.src_addr(), segment.dst_port());
        let remote = SocketAddrV4::new(from, segment.src_port());
        let is_it = |place: &&mut Place| place.port == port && place.remote == remote;
        self.places.iter_mut().flatten().find(is_it).map(|place| &mut place.sockets)
    }

    /// What a router says of a packet of one of these connections, and from which port that was.
    pub fn refused(&self, packet: &[u8]) -> Option<(u16, TooBig)> {
        if self.places.is_empty() { None } else { TooBig::of(packet) }
    }

    /// A router could not pass on what was sent. `usual` is what the wire takes.
    pub fn too_big(&mut self, (port, message): (u16, TooBig), usual: usize, now_ns: u64) {
        let Self { places, paths, .. } = self;
        let remote = SocketAddrV4::new(message.peer.address, message.peer.port);
        let is_it = |place: &&mut Place| place.port == port && place.remote == remote;
        let Some(place) = places.iter_mut().flatten().find(is_it) else { return };
        let queued = place.sockets.get::<tcp::Socket>(place.socket).send_queue();
        if queued > 0
            && let Some(mtu) = narrowed_by(message, place.mtu.unwrap_or(usual))
        {
            // What did not get through is sent again, in smaller parts, when it is time.
            place.narrow(mtu, paths, now_ns);
        }
    }

    /// Sends what there is to send. Returns when there will be more.
    pub fn egress(&mut self, outward: &mut Outward<'_>) -> Option<u64> {
        for mut place in self.leaving.drain(..) {
            // What is lost of it is made up for by the first segment that finds nobody.
            let path = place.path();
            outward.egress(&mut place.sockets, path);
        }
        let mut next_ns = None;
        let now_ns = outward.now_ns;
        for place in self.places.iter_mut().flatten() {
            let mtu = place.mtu.unwrap_or(outward.mtu());
            if place.is_swallowed(now_ns)
                && let Some(mtu) = common_below(mtu.min(FIRST_TRIED_MTU))
            {
                place.narrow(mtu, &mut self.paths, now_ns);
            }
            let path = place.path();
            let at_ns = outward.egress(&mut place.sockets, path);
            next_ns = next_ns.into_iter().chain(at_ns).min();
        }
        next_ns
    }
}

fn socket() -> Option<(SocketSet<'static>, SocketHandle)> {
    const LEN: usize = OUTGOING_RECEIVE_LEN + OUTGOING_SEND_LEN;
    if memory::heap_free() < LEN + HEAP_RESERVE_LEN {
        return None;
    }
    let buffer = |len: usize| {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        bytes.resize(len, 0);
        Some(SocketBuffer::new(bytes))
    };
    let mut socket = tcp::Socket::new(buffer(OUTGOING_RECEIVE_LEN)?, buffer(OUTGOING_SEND_LEN)?);
    socket.set_nagle_enabled(false);
    // No more is under way than may be at first.
    socket.set_congestion_control(CongestionControl::None);
    let mut sockets = SocketSet::new(vec![]);
    let socket = sockets.add(socket);
    Some((sockets, socket))
}
