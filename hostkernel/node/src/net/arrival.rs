//! A first look at a packet: which connection it is for, before smoltcp reads it.

use smoltcp::wire::{
    IPV4_HEADER_LEN, IpProtocol, Ipv4Address, Ipv4Packet, TcpOption, TcpPacket, UdpPacket,
};

use super::checksum;
use super::nic::ReceivedChecksum;
use super::place::Place;

/// A client: address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Ipv4Address,
    /// Its port.
    pub port: u16,
}

impl Peer {
    /// The same as a number.
    pub fn number(self) -> u64 {
        u64::from(self.address.to_bits()) << 16 | u64::from(self.port)
    }
}

/// Who a packet concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A connection.
    Segment(Segment),
    /// A connection that a client wants.
    Connect(Connect),
    /// A connection of this client that is to be forgotten, if the number is right.
    Reset(Peer, u32),
    /// A connection of this client: a router cannot pass on what was sent to it.
    TooBig(TooBig),
    /// Nobody knows yet: it is a part of a packet.
    Fragment,
    /// The node's address.
    Lease,
    /// The node itself.
    Other,
}

/// Of a segment what is looked at here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose it is.
    pub peer: Peer,
    /// Its number.
    pub sequence: u32,
    /// The number it acknowledges.
    pub acknowledged: u32,
    /// Room its sender has, as it stands in the header.
    pub window: u16,
}

/// What a client says when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Who it is.
    pub peer: Peer,
    /// The number its bytes begin behind.
    pub sequence: u32,
    /// What else it said.
    pub options: Options,
}

/// What a client said about itself when it connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The largest segment it takes.
    pub max_segment: Option<u16>,
    /// By how much its windows are shifted.
    pub window_shift: Option<u8>,
    /// It reads selective acknowledgements.
    pub selective: bool,
}

/// What a router says about a packet it could not pass on (RFC 792, RFC 1191).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig {
    /// For whom it was.
    pub peer: Peer,
    /// The number of its first byte.
    pub sequence: u32,
    /// Its length.
    pub len: u16,
    /// The largest packet that can be passed on; routers of before 1990 say 0.
    pub mtu: u16,
}

const DHCP_CLIENT_PORT: u16 = 68;
const DHCP_SERVER_PORT: u16 = 67;
const ICMP_UNREACHABLE: u8 = 3;
const ICMP_TOO_BIG: u8 = 4;
const ICMP_HEADER_LEN: usize = 8;

impl Arrival {
    /// Looks at a packet to `port` of the node in this place; also says whose it is. `None` if it
    /// is none. Nothing is checked but that the fields are there.
    // For every packet, and from a second place for those that came in parts.
    #[inline(always)]
    pub fn of(packet: &[u8], port: u16, place: Option<&Place>) -> Option<(Self, Ipv4Address)> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        let source = packet.src_addr();
        let is_whole = packet.frag_offset() == 0 && !packet.more_frags();
        let is_ours = place.is_some_and(|place| place.address.address() == packet.dst_addr());
        let arrival = match packet.next_header() {
            IpProtocol::Tcp if is_ours && is_whole => Self::segment(&packet, port),
            IpProtocol::Udp if is_whole => Self::lease(&packet),
            IpProtocol::Icmp if is_ours && is_whole => match TooBig::read(&packet) {
                Some((own, message)) if own == port => Some(Self::TooBig(message)),
                _ => None,
            },
            IpProtocol::Tcp | IpProtocol::Udp | IpProtocol::Icmp if is_ours && !is_whole => {
                Some(Self::Fragment)
            }
            _ => None,
        };
        Some((arrival.unwrap_or(Self::Other), source))
    }

    fn segment(packet: &Ipv4Packet<&[u8]>, port: u16) -> Option<Self> {
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        if segment.dst_port() != port {
            return None;
        }
        let peer = Peer { address: packet.src_addr(), port: segment.src_port() };
        if segment.rst() {
            return Some(Self::Reset(peer, segment.seq_number().0 as u32));
        }
        if segment.syn() && !segment.ack() {
            let sequence = segment.seq_number().0 as u32;
            return Some(Self::Connect(Connect { peer, sequence, options: options(&segment) }));
        }
        Some(Self::Segment(Segment {
            peer,
            sequence: segment.seq_number().0 as u32,
            acknowledged: segment.ack_number().0 as u32,
            window: segment.window_len(),
        }))
    }

    fn lease(packet: &Ipv4Packet<&[u8]>) -> Option<Self> {
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        let ports = (datagram.src_port(), datagram.dst_port());
        (ports == (DHCP_SERVER_PORT, DHCP_CLIENT_PORT)).then_some(Self::Lease)
    }

    /// Whether the packet's checksums are right, as far as nobody else looks: smoltcp looks at that
    /// of the header, and here is what is acted upon before.
    pub fn is_sound(&self, packet: &[u8], known: ReceivedChecksum) -> bool {
        match self {
            Self::Segment(_) | Self::Other => has_sound_checksum(packet, known),
            Self::Connect(_) | Self::Reset(..) => {
                has_sound_header(packet) && has_sound_checksum(packet, known)
            }
            Self::TooBig(_) => has_sound_header(packet) && has_sound_message(packet),
            // Of a part nothing can be said but what whoever puts it together looks at.
            Self::Lease | Self::Fragment => true,
        }
    }
}

impl TooBig {
    /// Reads a router's message, and from which port of the node the packet came.
    pub fn read(packet: &Ipv4Packet<&[u8]>) -> Option<(u16, Self)> {
        let (header, quoted) = packet.payload().split_at_checked(ICMP_HEADER_LEN)?;
        if header[..2] != [ICMP_UNREACHABLE, ICMP_TOO_BIG] {
            return None;
        }
        let word = |bytes: &[u8], at: usize| {
            let bytes = bytes.get(at..)?.first_chunk()?;
            Some(u16::from_be_bytes(*bytes))
        };
        // What is quoted is the header and no more than eight bytes that are sure to be there.
        let header_len = usize::from(quoted.first()? & 0xf) * 4;
        let segment = quoted.get(header_len.max(IPV4_HEADER_LEN)..)?;
        let is_tcp = quoted.get(9) == Some(&u8::from(IpProtocol::Tcp));
        let source = quoted.get(12..16)?.first_chunk::<4>()?;
        let target = quoted.get(16..20)?.first_chunk::<4>()?;
        if !is_tcp || *source != packet.dst_addr().octets() {
            return None;
        }
        let message = Self {
            peer: Peer { address: Ipv4Address::from(*target), port: word(segment, 2)? },
            sequence: u32::from(word(segment, 4)?) << 16 | u32::from(word(segment, 6)?),
            len: word(quoted, 2)?,
            mtu: word(header, 6)?,
        };
        Some((word(segment, 0)?, message))
    }

    /// The same of a whole packet whose checksums are right.
    pub fn of(packet: &[u8]) -> Option<(u16, Self)> {
        let read = Self::read(&Ipv4Packet::new_checked(packet).ok()?)?;
        (has_sound_header(packet) && has_sound_message(packet)).then_some(read)
    }
}

fn options(segment: &TcpPacket<&[u8]>) -> Options {
    let mut rest = segment.options();
    let mut options = Options::default();
    while let Ok((after, option)) = TcpOption::parse(rest) {
        match option {
            TcpOption::EndOfList => break,
            // As smoltcp reads them (RFC 7323, 2.3).
            TcpOption::MaxSegmentSize(len) if len != 0 => options.max_segment = Some(len),
            TcpOption::WindowScale(shift) => options.window_shift = Some(shift.min(14)),
            TcpOption::SackPermitted => options.selective = true,
            _ => {}
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    options
}

/// Whether all checksums of a packet with a TCP segment are right.
pub fn is_whole(packet: &[u8]) -> bool {
    has_sound_header(packet) && has_sound_checksum(packet, ReceivedChecksum::Unknown)
}

fn has_sound_header(packet: &[u8]) -> bool {
    Ipv4Packet::new_checked(packet).is_ok_and(|packet| packet.verify_checksum())
}

/// Whether the checksum of the ICMP message in a packet is right: the sum of all its words is.
fn has_sound_message(packet: &[u8]) -> bool {
    let Ok(packet) = Ipv4Packet::new_checked(packet) else { return false };
    let pairs = packet.payload().chunks(2);
    let sum: u32 =
        pairs.map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from)).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16) == 0xffff
}

/// Whether the checksum of the TCP segment or UDP datagram in a packet is right, or will be where
/// it is completed, with what the card knows of it. True of whatever is none: smoltcp looks at
/// everything else itself.
fn has_sound_checksum(packet: &[u8], known: ReceivedChecksum) -> bool {
    match known {
        ReceivedChecksum::Verified => true,
        // One that was left open elsewhere, inside a tunnel for instance, says nothing of this one.
        ReceivedChecksum::Left { at } if checksum_place(packet) == Some(at) => true,
        ReceivedChecksum::Left { .. } | ReceivedChecksum::Unknown => {
            is_checksum_right(packet).unwrap_or(true)
        }
    }
}

/// Where the checksum of a packet's TCP segment or UDP datagram is.
fn checksum_place(packet: &[u8]) -> Option<usize> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let offset = match *packet.get(9)? {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    Some(header_len + offset)
}

/// `None` without one of the two.
fn is_checksum_right(packet: &[u8]) -> Option<bool> {
    let bytes = packet;
    let packet = Ipv4Packet::new_checked(packet).ok()?;
    match packet.next_header() {
        IpProtocol::Tcp => {
            TcpPacket::new_checked(packet.payload()).ok()?;
            Some(checksum::is_segment_right(bytes, packet.payload()))
        }
        IpProtocol::Udp => {
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            UdpPacket::new_checked(packet.payload()).ok().map(|it| it.verify_checksum(&from, &to))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use smoltcp::wire::Ipv4Cidr;

    const PEER: Peer = Peer { address: Ipv4Address::new(10, 0, 0, 9), port: 4660 };
    const NODE: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
    const NO_OPTIONS: Options = Options { max_segment: None, window_shift: None, selective: false };
    const SEGMENT: Segment = Segment { peer: PEER, sequence: 77, acknowledged: 0, window: 500 };
    const CONNECT: Connect = Connect { peer: PEER, sequence: 77, options: NO_OPTIONS };
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    fn packet(flags: u8, port: u16) -> [u8; 40] {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
        packet[9] = 6;
        packet[12..16].copy_from_slice(&PEER.address.octets());
        packet[16..20].copy_from_slice(&NODE.octets());
        packet[20..22].copy_from_slice(&PEER.port.to_be_bytes());
        packet[22..24].copy_from_slice(&port.to_be_bytes());
        packet[24..28].copy_from_slice(&77_u32.to_be_bytes());
        packet[32] = 5 << 4;
        packet[33] = flags;
        packet[34..36].copy_from_slice(&500_u16.to_be_bytes());
        packet
    }

    fn arrival(packet: &[u8]) -> Option<Arrival> {
        let place = Place::new(Ipv4Cidr::new(NODE, 24), None);
        let (arrival, source) = Arrival::of(packet, 3233, Some(&place))?;
        assert_eq!(source, PEER.address);
        Some(arrival)
    }

    #[test]
    fn segments_to_the_port_are_the_clients() {
        assert_eq!(arrival(&packet(SYN, 3233)), Some(Arrival::Connect(CONNECT)));
        assert_eq!(arrival(&packet(SYN | ACK, 3233)), Some(Arrival::Segment(SEGMENT)));
        assert_eq!(arrival(&packet(ACK | FIN, 3233)), Some(Arrival::Segment(SEGMENT)));
        for flags in [RST, RST | SYN, RST | ACK] {
            assert_eq!(arrival(&packet(flags, 3233)), Some(Arrival::Reset(PEER, 77)));
        }
        assert_eq!(arrival(&packet(SYN, 80)), Some(Arrival::Other));
        let mut foreign = packet(SYN, 3233);
        foreign[19] = 3;
        assert_eq!(arrival(&foreign), Some(Arrival::Other));
        for len in 0..40 {
            assert_eq!(arrival(&packet(SYN, 3233)[..len]), None);
        }
    }

    /// A packet with UDP, whose header looks as if it were one of TCP.
    fn datagram() -> [u8; 40] {
        let mut packet = packet(SYN, 3233);
        packet[9] = 17;
        packet[24..26].copy_from_slice(&20_u16.to_be_bytes());
        packet
    }

    #[test]
    fn segments_and_datagrams_have_a_checksum_to_be_wrong() {
        let is_right = |packet: &[u8]| has_sound_checksum(packet, ReceivedChecksum::Unknown);
        for (mut bytes, at) in [(packet(SYN, 3233), 36), (datagram(), 26)] {
            bytes[at] = 0xaa;
            assert!(!is_right(&bytes));
            let mut whole = Ipv4Packet::new_unchecked(&mut bytes[..]);
            let (from, to) = (whole.src_addr().into(), whole.dst_addr().into());
            match whole.next_header() {
                IpProtocol::Tcp => {
                    TcpPacket::new_unchecked(whole.payload_mut()).fill_checksum(&from, &to);
                }
                _ => UdpPacket::new_unchecked(whole.payload_mut()).fill_checksum(&from, &to),
            }
            assert!(is_right(&bytes));
            bytes[39] ^= 1;
            assert!(!is_right(&bytes));
            bytes[9] = 1;
            assert!(is_right(&bytes), "neither of the two");
            assert!(is_right(&bytes[..15]) && is_right(b""));
        }
        let mut without = datagram();
        without[26..28].fill(0);
        assert!(is_right(&without), "a datagram need not have one");
    }

    #[test]
    fn a_checksum_left_open_counts_only_where_it_is_the_packets_own() {
        for (mut bytes, own) in [(packet(SYN, 3233), 36), (datagram(), 26)] {
            bytes[own] = 0xaa;
            for at in 0..64 {
                let sound = has_sound_checksum(&bytes, ReceivedChecksum::Left { at });
                assert_eq!(sound, at == own, "{at}");
            }
            assert!(has_sound_checksum(&bytes, ReceivedChecksum::Verified));
            for len in 0..bytes.len() {
                let _ = has_sound_checksum(&bytes[..len], ReceivedChecksum::Left { at: own });
            }
            bytes[9] = 1;
            assert_eq!(checksum_place(&bytes), None, "another protocol");
        }
    }

    #[test]
    fn what_is_acted_upon_has_right_checksums() {
        const UNKNOWN: ReceivedChecksum = ReceivedChecksum::Unknown;
        let mut segment = packet(SYN, 3233);
        let connect = Arrival::Connect(CONNECT);
        for arrival in [connect, Arrival::Segment(SEGMENT), Arrival::Other] {
            assert!(!arrival.is_sound(&segment, UNKNOWN));
        }
        assert!(Arrival::Segment(SEGMENT).is_sound(&segment, ReceivedChecksum::Verified));
        let mut whole = Ipv4Packet::new_unchecked(&mut segment[..]);
        let (from, to) = (whole.src_addr().into(), whole.dst_addr().into());
        TcpPacket::new_unchecked(whole.payload_mut()).fill_checksum(&from, &to);
        whole.fill_checksum();
        for arrival in [connect, Arrival::Segment(SEGMENT), Arrival::Other] {
            assert!(arrival.is_sound(&segment, UNKNOWN));
        }
        segment[26] ^= 1;
        assert!(!connect.is_sound(&segment, UNKNOWN));
        segment[9] = 1;
        assert!(Arrival::Other.is_sound(&segment, UNKNOWN));
    }

    #[test]
    fn what_a_router_says_is_about_a_segment_of_ours() {
        let quoted = {
            let mut quoted = packet(ACK, 3233);
            quoted.copy_within(12..16, 30);
            quoted[12..16].copy_from_slice(&NODE.octets());
            quoted[16..20].copy_from_slice(&PEER.address.octets());
            quoted[20..22].copy_from_slice(&3233_u16.to_be_bytes());
            quoted[22..24].copy_from_slice(&PEER.port.to_be_bytes());
            quoted
        };
        let mut message: Vec<u8> = packet(0, 0)[..20].to_vec();
        message[9] = 1;
        message[3] = 56;
        message.extend([3, 4, 0, 0, 0, 0, 5, 0]);
        message.extend(&quoted[..28]);
        let expected = TooBig { peer: PEER, sequence: 77, len: 40, mtu: 1280 };
        assert_eq!(arrival(&message), Some(Arrival::TooBig(expected)));
        assert!(!Arrival::TooBig(expected).is_sound(&message, ReceivedChecksum::Unknown));
        for (at, what) in
            [(20, "another message"), (28 + 9, "no segment"), (28 + 21, "another port")]
        {
            let mut other = message.clone();
            other[at] ^= 1;
            assert_eq!(arrival(&other), Some(Arrival::Other), "{what}");
        }
        for len in 28..message.len() {
            message[3] = len as u8;
            assert_eq!(arrival(&message[..len]), Some(Arrival::Other));
        }
    }

    #[test]
    fn what_a_client_says_of_itself_is_read() {
        let mut connect = packet(SYN, 3233).to_vec();
        connect[32] = 8 << 4;
        connect[3] = 52;
        connect.extend([2, 4, 5, 0xb4, 1, 3, 3, 15, 4, 2, 0, 9]);
        let Some(Arrival::Connect(read)) = arrival(&connect) else { panic!("it is a connect") };
        let said = Options { max_segment: Some(1460), window_shift: Some(14), selective: true };
        assert_eq!(read.options, said);
        for at in 40..52 {
            for value in 0..=255 {
                let mut odd = connect.clone();
                odd[at] = value;
                assert!(matches!(arrival(&odd), Some(Arrival::Connect(_))));
            }
        }
    }
}
