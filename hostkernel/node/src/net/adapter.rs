//! A network card as smoltcp wants to see it: packets without a link layer, and a look at every
//! frame before.
//!
//! smoltcp is told that there is nothing below IP. Its own idea of a neighbour is that of a host in
//! a simple network: it answers nobody of another one, knows one question at a time, and believes
//! whoever speaks last. What is below IP is in [`link`].

use alloc::boxed::Box;
use alloc::vec;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Address};

use super::arrival::Arrival;
use super::checksum;
use super::link::{self, ETHERNET_LEN, Link, Way};
use super::nic::{Nic, Receiver};
use super::out::Out;
use super::place::Place;
use super::time::instant;
use super::windows;
use crate::state::statistics::Traffic;
use limits::MTU_MIN;

/// A tag in front of the protocol (IEEE 802.1Q), and the part of it that names a VLAN.
const TAG_LEN: usize = 4;
const TAGGED: u16 = 0x8100;
const VLAN_MASK: u16 = 0xfff;

/// The card.
pub struct Adapter {
    nic: Box<dyn Nic>,
    port: u16,
    pub link: Link,
    /// The card completes the checksums of TCP.
    completes_checksums: bool,
    pub traffic: Traffic,
    /// Where the packet begins in the frame that waits.
    packet_at: usize,
    /// For whom what is sent now is.
    toward: Ipv4Address,
    /// By how much the windows in it are to be shifted.
    pub window_shift: u8,
    /// A frame found no buffer.
    is_full: bool,
    /// The largest packet that card and network take.
    mtu: usize,
}

impl Adapter {
    pub fn new(nic: Box<dyn Nic>, port: u16, secret: u64) -> Self {
        let completes_checksums = nic.completes_checksums();
        let link = Link::new(EthernetAddress(nic.address()), secret);
        // What the card says of its link may be more than it takes, or too little to work with.
        let mtu = nic.mtu().min(nic.frame_len_max().saturating_sub(ETHERNET_LEN)).max(MTU_MIN);
        Self {
            nic,
            port,
            link,
            completes_checksums,
            traffic: Traffic::default(),
            packet_at: ETHERNET_LEN,
            toward: Ipv4Address::UNSPECIFIED,
            window_shift: 0,
            is_full: false,
            mtu,
        }
    }

    /// Who the oldest packet that waits concerns. What smoltcp must not see is dropped or dealt
    /// with here; what it sends next is for the packet's sender.
    #[inline]
    pub fn arrival(&mut self, now_ns: u64) -> Option<Arrival> {
        // Every poll ends with none, so what a frame takes to be looked at is kept apart.
        if self.is_pending() { self.next(instant(now_ns)) } else { None }
    }

    #[inline(never)]
    fn next(&mut self, now: Instant) -> Option<Arrival> {
        let (receiver, sender) = self.nic.split();
        while let Some(frame) = receiver.frame() {
            self.traffic.received.add(frame.len());
            let look = look(frame, self.link.mac());
            if let Some(Look { protocol: EthernetProtocol::Arp, packet_at, .. }) = look {
                let mut out =
                    Out { sender, sent: &mut self.traffic.sent, is_full: &mut self.is_full };
                self.link.message(&frame[packet_at..], now, &mut out);
                receiver.release();
                continue;
            }
            if let Some(Look { protocol: EthernetProtocol::Ipv4, mac, packet_at }) = look
                && let Some((arrival, source)) =
                    Arrival::of(&frame[packet_at..], self.port, self.link.place())
                && is_sound(receiver, &arrival, packet_at)
            {
                self.link.heard(source, mac, now);
                (self.packet_at, self.toward) = (packet_at, source);
                return Some(arrival);
            }
            self.traffic.received.dropped += 1;
            receiver.release();
        }
        None
    }

    /// The packet that waits.
    pub fn packet(&mut self) -> &[u8] {
        let at = self.packet_at;
        self.nic.split().0.frame().and_then(|frame| frame.get(at..)).unwrap_or_default()
    }

    /// Says for whom what is sent next is, and by how much the windows in it are to be shifted.
    pub fn toward(&mut self, to: Ipv4Address, window_shift: u8) {
        self.toward = to;
        self.window_shift = window_shift;
    }

    /// Sends a segment that smoltcp has composed.
    pub fn send_segment(&mut self, packet: &[u8], to: (Ipv4Address, u8), now: Instant) {
        self.toward(to.0, to.1);
        if let Some(sending) = self.transmit(now) {
            sending.consume(packet.len(), |buffer| buffer.copy_from_slice(packet));
        }
    }

    /// Puts the node into another place.
    pub fn move_to(&mut self, place: Option<Place>, now: Instant) {
        let card = self.nic.frame_len_max().saturating_sub(ETHERNET_LEN);
        self.mtu = place.as_ref().and_then(|place| place.mtu).unwrap_or(card).min(card);
        self.link.move_to(place, now);
    }

    /// Does what is due on the wire.
    pub fn work(&mut self, now: Instant) {
        let (_, sender) = self.nic.split();
        let mut out = Out { sender, sent: &mut self.traffic.sent, is_full: &mut self.is_full };
        self.link.work(now, &mut out);
    }

    /// Sends a packet to everybody on the wire.
    pub fn broadcast(&mut self, packet: &[u8]) {
        self.send(packet, EthernetAddress::BROADCAST);
    }

    /// Sends a packet to a neighbour, or to everybody who may pass it on to one.
    pub fn send_to(&mut self, packet: &[u8], to: Ipv4Address, now: Instant) {
        match self.link.way(to, now) {
            Way::To(mac) => self.send(packet, mac),
            Way::Unknown(hop) => {
                let frame = [&[0; ETHERNET_LEN][..], packet].concat();
                self.link.hold(hop, frame, now);
            }
            Way::Nowhere => self.broadcast(packet),
        }
    }

    fn send(&mut self, packet: &[u8], to: EthernetAddress) {
        let own = self.link.mac();
        let (_, sender) = self.nic.split();
        let mut out = Out { sender, sent: &mut self.traffic.sent, is_full: &mut self.is_full };
        out.send(ETHERNET_LEN + packet.len(), &mut |frame| {
            link::address(frame, to, own);
            frame[ETHERNET_LEN..].copy_from_slice(packet);
        });
    }

    /// Drops the oldest frame that waits.
    pub fn discard(&mut self) {
        self.traffic.received.dropped += 1;
        self.nic.split().0.release();
    }

    /// Gives back the oldest frame that waits, which was read.
    pub fn release(&mut self) {
        self.nic.split().0.release();
    }

    pub fn is_pending(&mut self) -> bool {
        self.nic.split().0.frame().is_some()
    }

    /// Whether there is room for a frame.
    pub fn is_ready(&mut self) -> bool {
        self.nic.split().1.is_ready()
    }

    /// Tells the card of everything. Returns whether it had no room for some of it.
    pub fn flush(&mut self) -> bool {
        self.nic.flush();
        if self.is_full {
            self.is_full = !self.is_ready();
        }
        self.is_full
    }

    pub fn arm(&mut self) -> bool {
        self.nic.arm()
    }

    pub fn disarm(&mut self) {
        self.nic.disarm();
    }

    /// The largest packet that card and network take.
    pub fn mtu(&self) -> usize {
        self.mtu
    }
}

/// What the header of a frame says.
struct Look {
    protocol: EthernetProtocol,
    mac: EthernetAddress,
    packet_at: usize,
}

/// Reads a frame's header, if it is for this node or for all. A tag without a VLAN only says how
/// urgent the frame is, and may be in front of any frame (IEEE 802.1Q, 6.9.1).
fn look(frame: &[u8], own: EthernetAddress) -> Option<Look> {
    let header = EthernetFrame::new_checked(frame).ok()?;
    let to = header.dst_addr();
    if to != own && !to.is_multicast() && !to.is_broadcast() {
        return None;
    }
    let (mac, protocol) = (header.src_addr(), header.ethertype());
    if u16::from(protocol) != TAGGED {
        return Some(Look { protocol, mac, packet_at: ETHERNET_LEN });
    }
    let word = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
    let protocol = EthernetProtocol::from(word(ETHERNET_LEN + 2)?);
    let is_untagged = word(ETHERNET_LEN)? & VLAN_MASK == 0;
    is_untagged.then_some(Look { protocol, mac, packet_at: ETHERNET_LEN + TAG_LEN })
}

impl Device for Adapter {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let (receiver, sender) = self.nic.split();
        let out = Out { sender, sent: &mut self.traffic.sent, is_full: &mut self.is_full };
        let sending = Sending {
            out,
            link: &mut self.link,
            toward: self.toward,
            window_shift: self.window_shift,
            is_summed_later: self.completes_checksums,
            now,
        };
        let packet_at = self.packet_at;
        // smoltcp asks when a packet waits; without one it would read an empty packet.
        Some((Received { receiver, packet_at }, sending))
    }

    fn transmit(&mut self, now: Instant) -> Option<Sending<'_>> {
        let (_, sender) = self.nic.split();
        if !sender.is_ready() {
            return None;
        }
        let out = Out { sender, sent: &mut self.traffic.sent, is_full: &mut self.is_full };
        Some(Sending {
            out,
            link: &mut self.link,
            toward: self.toward,
            window_shift: self.window_shift,
            is_summed_later: self.completes_checksums,
            now,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        // Received ones are looked at before; of those sent, TCP's is completed after.
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::Tx;
        capabilities
    }
}

/// The packet that waits.
pub struct Received<'a> {
    receiver: &'a mut dyn Receiver,
    packet_at: usize,
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let frame = self.receiver.frame().unwrap_or_default();
        let result = f(frame.get(self.packet_at..).unwrap_or_default());
        self.receiver.release();
        result
    }
}

/// The right to send one packet.
pub struct Sending<'a> {
    out: Out<'a>,
    link: &'a mut Link,
    toward: Ipv4Address,
    /// By how much windows are shifted.
    window_shift: u8,
    /// The card completes the checksums of TCP.
    is_summed_later: bool,
    now: Instant,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, f: F) -> R {
        let len = ETHERNET_LEN + len;
        let way = self.link.way(self.toward, self.now);
        let own = self.link.mac();
        let Self { window_shift, is_summed_later, .. } = self;
        let f = |packet: &mut [u8]| {
            let result = f(packet);
            if window_shift > 0 {
                windows::shift(packet, window_shift);
            }
            if !is_summed_later {
                checksum::complete(packet);
            }
            result
        };
        let mut f = Some(f);
        let mut result = None;
        if let Way::To(mac) = way {
            self.out.send(len, &mut |frame| {
                link::address(frame, mac, own);
                result = f.take().map(|f| f(&mut frame[ETHERNET_LEN..]));
            });
        }
        match (result, f) {
            (Some(result), _) => result,
            // It is composed all the same, to wait for its neighbour or to be lost.
            (None, Some(f)) => {
                let mut frame = vec![0; len];
                let result = f(&mut frame[ETHERNET_LEN..]);
                match way {
                    Way::Unknown(hop) => self.link.hold(hop, frame, self.now),
                    Way::Nowhere => self.out.sent.dropped += 1,
                    // Counted already.
                    Way::To(_) => {}
                }
                result
            }
            (None, None) => unreachable!("what was taken gave a result"),
        }
    }
}

/// Whether the checksums of the packet in the frame that waits are right, as far as this is ours to
/// find out.
fn is_sound(receiver: &mut dyn Receiver, arrival: &Arrival, packet_at: usize) -> bool {
    let known = receiver.checksum().from(packet_at);
    let packet = receiver.frame().and_then(|frame| frame.get(packet_at..));
    packet.is_some_and(|packet| arrival.is_sound(packet, known))
}

#[cfg(test)]
mod tests {
    use super::super::nic::Sender;
    use super::*;
    use crate::state::statistics::Frames;

    /// A card that sends no frame longer than this.
    struct Short(usize, usize);

    impl Sender for Short {
        fn is_ready(&mut self) -> bool {
            true
        }

        fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
            if len <= self.0 {
                fill(&mut vec![0; len]);
                self.1 += 1;
            }
        }
    }

    #[test]
    fn a_frame_longer_than_the_card_takes_is_lost_and_nothing_else() {
        let (mut card, mut counted, mut is_full) = (Short(60, 0), Frames::default(), false);
        let mut link = Link::new(EthernetAddress([2; 6]), 1);
        let address = smoltcp::wire::Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, 1), 24);
        link.move_to(Some(Place::new(address, None)), Instant::ZERO);
        for len in [46, 2000] {
            let out = Out { sender: &mut card, sent: &mut counted, is_full: &mut is_full };
            let toward = Ipv4Address::BROADCAST;
            let (link, now) = (&mut link, Instant::ZERO);
            let sending =
                Sending { out, link, toward, window_shift: 0, is_summed_later: false, now };
            assert_eq!(sending.consume(len, |packet| packet.len()), len);
        }
        assert_eq!(counted, Frames { frames: 1, bytes: 60, dropped: 1 });
        assert_eq!(card.1, 1, "frames sent");
    }

    #[test]
    fn a_tag_is_read_over_if_it_names_no_vlan() {
        let own = EthernetAddress([2, 0, 0, 0, 0, 1]);
        let mut frame = [&own.0[..], &[2, 0, 0, 0, 0, 9, 0x81, 0, 0xe0, 0, 8, 0]].concat();
        let seen = look(&frame, own).map(|look| (look.protocol, look.packet_at));
        assert_eq!(seen, Some((EthernetProtocol::Ipv4, ETHERNET_LEN + TAG_LEN)));
        frame[15] = 1;
        assert!(look(&frame, own).is_none(), "another VLAN");
        for len in 0..frame.len() {
            assert!(look(&frame[..len], own).is_none());
        }
        frame[0] = 4;
        assert!(look(&frame, own).is_none(), "another node");
    }
}
