//! A first look at a frame: which connection it is for, before smoltcp reads it.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Address, Ipv4Packet, TcpPacket, UdpPacket,
};

use super::nic::{ETHERNET_HEADER_LEN, ReceivedChecksum};

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

/// Whether the checksum of the TCP segment or UDP datagram in a frame is right, or will be where it
/// is completed, with what the card knows of it. True of whatever is none: smoltcp looks at
/// everything else itself.
pub fn has_sound_checksum(frame: &[u8], known: ReceivedChecksum) -> bool {
    match known {
        ReceivedChecksum::Verified => true,
        // One that was left open elsewhere, inside a tunnel for instance, says nothing of this one.
        ReceivedChecksum::Left { at } if checksum_place(frame) == Some(at) => true,
        ReceivedChecksum::Left { .. } | ReceivedChecksum::Unknown => {
            is_checksum_right(frame).unwrap_or(true)
        }
    }
}

/// Where the checksum of a frame's TCP segment or UDP datagram is.
fn checksum_place(frame: &[u8]) -> Option<usize> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const IPV4: [u8; 2] = [0x08, 0x00];
    let packet = frame.strip_prefix(frame.first_chunk::<12>()?)?.strip_prefix(&IPV4)?;
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let offset = match *packet.get(9)? {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    Some(ETHERNET_HEADER_LEN + header_len + offset)
}

/// `None` without one of the two.
fn is_checksum_right(frame: &[u8]) -> Option<bool> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
    match packet.next_header() {
        IpProtocol::Tcp => {
            TcpPacket::new_checked(packet.payload()).ok().map(|it| it.verify_checksum(&from, &to))
        }
        IpProtocol::Udp => {
            UdpPacket::new_checked(packet.payload()).ok().map(|it| it.verify_checksum(&from, &to))
        }
        _ => None,
    }
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

    /// A frame with UDP, whose header looks as if it were one of TCP.
    fn datagram() -> [u8; 54] {
        let mut frame = frame(SYN, 3233);
        frame[23] = 17;
        frame[38..40].copy_from_slice(&20_u16.to_be_bytes());
        frame
    }

    #[test]
    fn segments_and_datagrams_have_a_checksum_to_be_wrong() {
        let is_right = |frame: &[u8]| has_sound_checksum(frame, ReceivedChecksum::Unknown);
        for (mut bytes, at) in [(frame(SYN, 3233), 50), (datagram(), 40)] {
            bytes[at] = 0xaa;
            assert!(!is_right(&bytes));
            let mut whole = EthernetFrame::new_unchecked(&mut bytes[..]);
            let mut packet = Ipv4Packet::new_unchecked(whole.payload_mut());
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            match packet.next_header() {
                IpProtocol::Tcp => {
                    TcpPacket::new_unchecked(packet.payload_mut()).fill_checksum(&from, &to);
                }
                _ => UdpPacket::new_unchecked(packet.payload_mut()).fill_checksum(&from, &to),
            }
            assert!(is_right(&bytes));
            bytes[53] ^= 1;
            assert!(!is_right(&bytes));
            bytes[23] = 1;
            assert!(is_right(&bytes), "neither of the two");
            assert!(is_right(&bytes[..20]) && is_right(b""));
        }
        let mut without = datagram();
        without[40..42].fill(0);
        assert!(is_right(&without), "a datagram need not have one");
    }

    #[test]
    fn a_checksum_left_open_counts_only_where_it_is_the_frames_own() {
        for (mut bytes, own) in [(frame(SYN, 3233), 50), (datagram(), 40)] {
            bytes[own] = 0xaa;
            for at in 0..64 {
                let sound = has_sound_checksum(&bytes, ReceivedChecksum::Left { at });
                assert_eq!(sound, at == own, "{at}");
            }
            assert!(has_sound_checksum(&bytes, ReceivedChecksum::Verified));
            for len in 0..bytes.len() {
                let _ = has_sound_checksum(&bytes[..len], ReceivedChecksum::Left { at: own });
            }
            bytes[12] = 0x86;
            assert_eq!(checksum_place(&bytes), None, "another protocol");
        }
    }

    #[test]
    fn clients_have_different_numbers() {
        let other = Peer { port: 4661, ..PEER };
        assert_ne!(PEER.number(), other.number());
        assert_eq!(PEER.number(), 0x0a00_0009_1234);
    }
}
