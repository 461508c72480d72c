//! Moves a quiet connection into another socket: one with room for much, or back.
//!
//! smoltcp's sockets have the buffers they were made with, and their windows with them. A
//! connection on which nothing is under way is nothing but a few numbers, though, all of which are
//! known here. So another socket is led there: it hears a connect and an acknowledgement that
//! nobody sent, and its own first number is chosen like that of any connection. What it says
//! meanwhile reaches nobody.
//!
//! A socket that is to send much also gets the initial window of today (RFC 6928): smoltcp's
//! congestion control begins with two kilobytes, and counts what was acknowledged from there on.

use alloc::vec::Vec;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::socket::tcp::{self, CongestionControl, State};
use smoltcp::time::Instant;
use smoltcp::wire::{Ipv4Address, Ipv4Packet, TcpPacket};

use super::arrival::{Options, Peer};
use super::forge::Forged;
use super::outward::{Outward, interface};
use super::sequence::seed_for;
use super::time::instant;
use limits::{INITIAL_WINDOW_LEN_MAX, INITIAL_WINDOW_SEGMENTS};

/// What smoltcp's congestion control lets pass at first.
const FIRST_WINDOW_LEN: usize = 2048;
/// What is acknowledged at a time to widen that.
const STEP_LEN: usize = 1024;
/// A client that does not say takes segments of this length (RFC 9293, 3.7.1).
pub const MAX_SEGMENT_DEFAULT: u16 = 536;

/// Where a quiet connection stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Whose it is.
    pub peer: Peer,
    /// The node's port.
    pub port: u16,
    /// What the client said when it connected.
    pub options: Options,
    /// The number of its next byte.
    pub received_to: u32,
    /// The number of ours.
    pub acknowledged_to: u32,
    /// Room it has, as it stood in a header.
    pub window: u16,
    /// The socket is to send much.
    pub sends_much: bool,
    /// By how much its windows are to be shifted beyond what smoltcp does.
    pub window_shift: u8,
}

impl Standing {
    /// Steps by which the window for sending is widened, and the length of each.
    fn steps(&self) -> (usize, usize) {
        let max_segment = usize::from(self.options.max_segment.unwrap_or(MAX_SEGMENT_DEFAULT));
        let wanted = (max_segment * INITIAL_WINDOW_SEGMENTS).min(INITIAL_WINDOW_LEN_MAX);
        let step_len = max_segment.clamp(1, STEP_LEN);
        let missing = if self.sends_much { wanted.saturating_sub(FIRST_WINDOW_LEN) } else { 0 };
        (missing.div_ceil(step_len), step_len)
    }

    fn said(&self, sequence: u32, acknowledged: Option<u32>) -> Forged {
        let Self { peer, options, window, .. } = *self;
        Forged { peer, sequence, acknowledged, window, options }
    }
}

impl Outward<'_> {
    /// Leads the socket of a set to where a connection stands. Returns whether it is there; if not,
    /// nobody has noticed.
    pub fn transplant(
        &mut self,
        sockets: &mut SocketSet<'static>,
        socket: SocketHandle,
        standing: &Standing,
    ) -> bool {
        let Some(address) = self.interface.ipv4_addr() else { return false };
        let (steps, step_len) = standing.steps();
        let first = standing.acknowledged_to.wrapping_sub(1 + (steps * step_len) as u32);
        let control = match standing.sends_much {
            true => CongestionControl::Reno,
            false => CongestionControl::None,
        };
        let tcp = sockets.get_mut::<tcp::Socket>(socket);
        tcp.abort();
        tcp.set_congestion_control(control);
        if tcp.listen(standing.port).is_err() {
            return false;
        }
        let mut room = Room::new(self, address, standing.port, seed_for(first, 0));
        let before = standing.received_to.wrapping_sub(1);
        room.hear(sockets, standing.said(before, None));
        let mut next = first.wrapping_add(1);
        if room.answered() != Some((first, standing.received_to)) {
            sockets.get_mut::<tcp::Socket>(socket).abort();
            sockets.get_mut::<tcp::Socket>(socket).close();
            return false;
        }
        room.hear(sockets, standing.said(standing.received_to, Some(next)));
        for _ in 0..steps {
            let tcp = sockets.get_mut::<tcp::Socket>(socket);
            // It has room, since all before was acknowledged.
            let _ = tcp.send_slice(&[0; STEP_LEN][..step_len]);
            next = next.wrapping_add(step_len as u32);
            room.speak(sockets);
            room.hear(sockets, standing.said(standing.received_to, Some(next)));
        }
        // It believes that its window was told unshifted, as in an answer to a connect. Asked where
        // it stands it tells it again, which the client should hear.
        room.hear(sockets, standing.said(before, Some(next)));
        let told = room.sent;
        let tcp = sockets.get::<tcp::Socket>(socket);
        let stands = tcp.state() == State::Established && tcp.send_queue() == 0;
        if stands && let Some(told) = told {
            let to = (standing.peer.address, standing.window_shift);
            self.adapter.send_segment(&told, to, instant(self.now_ns));
        }
        stands
    }
}

/// A network with nobody else in it.
struct Room {
    interface: Interface,
    capabilities: DeviceCapabilities,
    node: Ipv4Address,
    port: u16,
    now: Instant,
    /// What was said last.
    sent: Option<Vec<u8>>,
}

impl Room {
    fn new(outward: &mut Outward<'_>, node: Ipv4Address, port: u16, seed: u64) -> Self {
        let address = Some(smoltcp::wire::Ipv4Cidr::new(node, 32));
        let interface = interface(outward.adapter, address, seed, outward.now_ns);
        let capabilities = outward.adapter.capabilities();
        let now = instant(outward.now_ns);
        Self { interface, capabilities, node, port, now, sent: None }
    }

    /// Has the sockets hear a segment, and say what they have to say.
    fn hear(&mut self, sockets: &mut SocketSet<'static>, segment: Forged) {
        let packet = segment.packet(self.node, self.port);
        let mut wire = Wire { heard: Some(packet), sent: None, capabilities: &self.capabilities };
        self.interface.poll_ingress_single(self.now, &mut wire, sockets);
        self.interface.poll_egress(self.now, &mut wire, sockets);
        self.sent = wire.sent;
    }

    fn speak(&mut self, sockets: &mut SocketSet<'static>) {
        let mut wire = Wire { heard: None, sent: None, capabilities: &self.capabilities };
        self.interface.poll_egress(self.now, &mut wire, sockets);
        self.sent = wire.sent;
    }

    /// The numbers of an answer to a connect: the node's first, and the client's next.
    fn answered(&self) -> Option<(u32, u32)> {
        let packet = Ipv4Packet::new_checked(&self.sent.as_ref()?[..]).ok()?;
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let numbers = (segment.seq_number().0 as u32, segment.ack_number().0 as u32);
        (segment.syn() && segment.ack()).then_some(numbers)
    }
}

/// Its wire: one segment to hear, and the last that was said.
struct Wire<'a> {
    heard: Option<Vec<u8>>,
    sent: Option<Vec<u8>>,
    capabilities: &'a DeviceCapabilities,
}

/// What is heard.
struct Heard(Vec<u8>);

impl RxToken for Heard {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// What is said.
struct Said<'a>(&'a mut Option<Vec<u8>>);

impl TxToken for Said<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = alloc::vec![0; len];
        let result = f(&mut packet);
        *self.0 = Some(packet);
        result
    }
}

impl Device for Wire<'_> {
    type RxToken<'a>
        = Heard
    where
        Self: 'a;
    type TxToken<'a>
        = Said<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Heard, Said<'_>)> {
        Some((Heard(self.heard.take()?), Said(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Said<'_>> {
        Some(Said(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}
