//! A first look at a frame: which connection it is for, before smoltcp reads it.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, TcpPacket,
};

/// A client: address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    address: Ipv4Address,
    port: u16,
}

impl Peer {
    /// The same as a number.
    pub fn number(self) -> u64 {
        u64::from(self.address.to_bits()) << 16 | u64::from(self.port)
    }
}

/// Who a frame concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A connection of this client.
    Segment(Peer),
    /// A connection that this client wants.
    Connect(Peer),
    /// The node itself: an answer that tells where to find a neighbour, perhaps.
    Address,
    /// The node itself.
    Other,
}

impl Arrival {
    /// Looks at a frame. Nothing is checked but that the fields are there.
    pub fn of(frame: &EthernetFrame<&[u8]>, port: u16) -> Self {
        match frame.ethertype() {
            EthernetProtocol::Arp => Self::Address,
            EthernetProtocol::Ipv4 => Self::segment(frame, port).unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }

    fn segment(frame: &EthernetFrame<&[u8]>, port: u16) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp || packet.frag_offset() != 0 {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        if segment.dst_port() != port {
            return None;
        }
        let peer = Peer { address: packet.src_addr(), port: segment.src_port() };
        let connects = segment.syn() && !segment.ack() && !segment.rst();
        Some(if connects { Self::Connect(peer) } else { Self::Segment(peer) })
    }
}

/// Whether the checksum of the TCP segment in a frame is right. True of whatever is none: smoltcp
/// looks at everything else itself.
pub fn has_sound_checksum(frame: &[u8]) -> bool {
    let check = || {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        Some(segment.verify_checksum(&packet.src_addr().into(), &packet.dst_addr().into()))
    };
    check().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Peer = Peer { address: Ipv4Address::new(10, 0, 0, 9), port: 4660 };
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    fn frame(flags: u8, port: u16) -> [u8; 54] {
        let mut frame = [0; 54];
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&40_u16.to_be_bytes());
        frame[23] = 6;
        frame[26..30].copy_from_slice(&[10, 0, 0, 9]);
        frame[34..36].copy_from_slice(&4660_u16.to_be_bytes());
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        frame[46] = 5 << 4;
        frame[47] = flags;
        frame
    }

    fn arrival(frame: &[u8]) -> Arrival {
        EthernetFrame::new_checked(frame).map_or(Arrival::Other, |it| Arrival::of(&it, 3233))
    }

    #[test]
    fn segments_to_the_port_are_the_clients() {
        assert_eq!(arrival(&frame(SYN, 3233)), Arrival::Connect(PEER));
        assert_eq!(arrival(&frame(SYN | ACK, 3233)), Arrival::Segment(PEER));
        assert_eq!(arrival(&frame(SYN | RST, 3233)), Arrival::Segment(PEER));
        assert_eq!(arrival(&frame(ACK, 3233)), Arrival::Segment(PEER));
        assert_eq!(arrival(&frame(SYN, 80)), Arrival::Other);
        for len in 0..54 {
            assert_eq!(arrival(&frame(SYN, 3233)[..len]), Arrival::Other);
        }
    }

    #[test]
    fn only_segments_have_a_checksum_to_be_wrong() {
        let mut segment = frame(SYN, 3233);
        assert!(!has_sound_checksum(&segment));
        let mut whole = EthernetFrame::new_unchecked(&mut segment[..]);
        let mut packet = Ipv4Packet::new_unchecked(whole.payload_mut());
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        TcpPacket::new_unchecked(packet.payload_mut()).fill_checksum(&from, &to);
        assert!(has_sound_checksum(&segment));
        segment[40] ^= 1;
        assert!(!has_sound_checksum(&segment));
        segment[23] = 17;
        assert!(has_sound_checksum(&segment));
        assert!(has_sound_checksum(&segment[..20]) && has_sound_checksum(b""));
    }

    #[test]
    fn clients_have_different_numbers() {
        let other = Peer { port: 4661, ..PEER };
        assert_ne!(PEER.number(), other.number());
        assert_eq!(PEER.number(), 0x0a00_0009_1234);
    }
}
