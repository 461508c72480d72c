//! Frames byte by byte: good ones, for tests that spoil them.
//!
//! smoltcp's views write the fields and the checksums. What no view would write, such as a header
//! length of 0, is changed in the bytes afterwards; the offsets of such fields are in [`offset`].

use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpSeqNumber,
    UdpPacket,
};

/// Bytes of headers without options.
pub const ETHERNET_LEN: usize = 14;
/// See [`ETHERNET_LEN`].
pub const IPV4_LEN: usize = 20;
/// See [`ETHERNET_LEN`].
pub const TCP_LEN: usize = 20;
/// See [`ETHERNET_LEN`].
pub const UDP_LEN: usize = 8;

/// Where fields are in a frame whose IPv4 header has no options.
pub mod offset {
    use super::{ETHERNET_LEN, IPV4_LEN};

    /// Version and header length.
    pub const IPV4_VERSION: usize = ETHERNET_LEN;
    /// Length of the packet.
    pub const IPV4_TOTAL_LEN: usize = ETHERNET_LEN + 2;
    /// Which packet a fragment is of.
    pub const IPV4_IDENTIFICATION: usize = ETHERNET_LEN + 4;
    /// Flags and offset of a fragment.
    pub const IPV4_FRAGMENT: usize = ETHERNET_LEN + 6;
    /// Hops the packet may still take.
    pub const IPV4_TTL: usize = ETHERNET_LEN + 8;
    /// Protocol of what follows.
    pub const IPV4_PROTOCOL: usize = ETHERNET_LEN + 9;
    /// Checksum of the header.
    pub const IPV4_CHECKSUM: usize = ETHERNET_LEN + 10;
    /// First byte behind the IPv4 header.
    pub const PAYLOAD: usize = ETHERNET_LEN + IPV4_LEN;
    /// Header length of a segment.
    pub const TCP_HEADER_LEN: usize = PAYLOAD + 12;
    /// Checksum of a segment.
    pub const TCP_CHECKSUM: usize = PAYLOAD + 16;
    /// Length of a datagram.
    pub const UDP_LEN: usize = PAYLOAD + 4;
    /// Checksum of a datagram.
    pub const UDP_CHECKSUM: usize = PAYLOAD + 6;
    /// Checksum of an ICMP message.
    pub const ICMP_CHECKSUM: usize = PAYLOAD + 2;
}

/// Flags of a segment.
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 1;
    /// Beginning of a connection.
    pub const SYN: u8 = 2;
    /// End at once.
    pub const RST: u8 = 4;
    /// Hand over now.
    pub const PSH: u8 = 8;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 16;
    /// The urgent pointer counts.
    pub const URG: u8 = 32;
}

/// A host: its place in the Ethernet and in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Hardware address.
    pub mac: EthernetAddress,
    /// Network address.
    pub address: Ipv4Addr,
}

/// A frame with any type and payload.
#[must_use]
pub fn ethernet(from: EthernetAddress, to: EthernetAddress, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET_LEN + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(from);
    frame.set_dst_addr(to);
    frame.set_ethertype(EthernetProtocol::from(kind));
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

/// An IPv4 packet in a frame.
#[must_use]
pub fn ipv4(from: Station, to: Station, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: from.address,
        dst_addr: to.address,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; IPV4_LEN + payload.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    ethernet(from.mac, to.mac, EthernetProtocol::Ipv4.into(), &bytes)
}

/// What a router makes of a frame whose packet, number `number`, may take `len_max` bytes from
/// there on (RFC 791, 3.2).
#[must_use]
pub fn parts(frame: &[u8], len_max: usize, number: u16) -> Vec<Vec<u8>> {
    const MORE: u16 = 0x2000;
    const UNIT_LEN: usize = 8;
    let (headers, payload) = frame.split_at(offset::PAYLOAD);
    let units = (len_max - IPV4_LEN) / UNIT_LEN;
    let last = payload.len().div_ceil(units * UNIT_LEN).saturating_sub(1);
    let cut = payload.chunks(units * UNIT_LEN).enumerate().map(|(index, piece)| {
        let mut part = [headers, piece].concat();
        set_word(&mut part, offset::IPV4_TOTAL_LEN, (IPV4_LEN + piece.len()) as u16);
        set_word(&mut part, offset::IPV4_IDENTIFICATION, number);
        let more = if index < last { MORE } else { 0 };
        set_word(&mut part, offset::IPV4_FRAGMENT, more | (index * units) as u16);
        fix_ipv4_checksum(&mut part);
        part
    });
    cut.collect()
}

/// Writes a field of two bytes.
pub fn set_word(frame: &mut [u8], offset: usize, value: u16) {
    frame[offset..offset + 2].copy_from_slice(&value.to_be_bytes());
}

/// Makes the checksum of a changed IPv4 header right again, if the header length allows it.
pub fn fix_ipv4_checksum(frame: &mut [u8]) {
    let len = usize::from(frame[offset::IPV4_VERSION] & 0xF) * 4;
    if (IPV4_LEN..=frame.len() - ETHERNET_LEN).contains(&len) {
        Ipv4Packet::new_unchecked(&mut frame[ETHERNET_LEN..]).fill_checksum();
    }
}

/// An ARP message in a frame. `sender` and `target` are what the message says, whoever sends it.
#[must_use]
pub fn arp(
    operation: ArpOperation,
    to: EthernetAddress,
    sender: Station,
    target: Station,
) -> Vec<u8> {
    let message = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: sender.mac,
        source_protocol_addr: sender.address,
        target_hardware_addr: target.mac,
        target_protocol_addr: target.address,
    };
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut ArpPacket::new_unchecked(&mut bytes[..]));
    ethernet(sender.mac, to, EthernetProtocol::Arp.into(), &bytes)
}

/// A UDP datagram in a frame.
#[must_use]
pub fn udp(from: Station, to: Station, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; UDP_LEN + payload.len()];
    let mut datagram = UdpPacket::new_unchecked(&mut bytes[..]);
    datagram.set_src_port(ports.0);
    datagram.set_dst_port(ports.1);
    datagram.set_len((UDP_LEN + payload.len()) as u16);
    datagram.payload_mut().copy_from_slice(payload);
    datagram.fill_checksum(&IpAddress::Ipv4(from.address), &IpAddress::Ipv4(to.address));
    ipv4(from, to, IpProtocol::Udp, &bytes)
}

/// An ICMP message of any type in a frame. `body` is all behind type, code and checksum.
#[must_use]
pub fn icmp(from: Station, to: Station, kind: (u8, u8), body: &[u8]) -> Vec<u8> {
    let mut bytes = [&[kind.0, kind.1, 0, 0], body].concat();
    Icmpv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
    ipv4(from, to, IpProtocol::Icmp, &bytes)
}

/// A ping in a frame.
#[must_use]
pub fn ping(from: Station, to: Station, data: &[u8]) -> Vec<u8> {
    let message = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 7, data };
    let mut bytes = vec![0; message.buffer_len()];
    message
        .emit(&mut Icmpv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
    ipv4(from, to, IpProtocol::Icmp, &bytes)
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Source and destination port.
    pub ports: (u16, u16),
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; it counts if [`flag::ACK`] is set.
    pub acknowledgement: u32,
    /// The flags.
    pub flags: u8,
    /// Receive window.
    pub window: u16,
    /// Urgent pointer; it counts if [`flag::URG`] is set.
    pub urgent: u16,
    /// Options, at most 40 bytes. They are filled up to a multiple of four with zeros.
    pub options: Vec<u8>,
    /// Data.
    pub payload: Vec<u8>,
}

impl Segment {
    /// The segment in a frame.
    #[must_use]
    pub fn frame(&self, from: Station, to: Station) -> Vec<u8> {
        let header_len = TCP_LEN + self.options.len().next_multiple_of(4);
        let mut bytes = vec![0; header_len + self.payload.len()];
        bytes[TCP_LEN..][..self.options.len()].copy_from_slice(&self.options);
        bytes[header_len..].copy_from_slice(&self.payload);
        let mut segment = TcpPacket::new_unchecked(&mut bytes[..]);
        segment.set_src_port(self.ports.0);
        segment.set_dst_port(self.ports.1);
        segment.set_seq_number(TcpSeqNumber(self.sequence.cast_signed()));
        segment.set_ack_number(TcpSeqNumber(self.acknowledgement.cast_signed()));
        segment.set_header_len(header_len as u8);
        segment.set_window_len(self.window);
        segment.set_urgent_at(self.urgent);
        bytes[13] = self.flags;
        TcpPacket::new_unchecked(&mut bytes[..])
            .fill_checksum(&IpAddress::Ipv4(from.address), &IpAddress::Ipv4(to.address));
        ipv4(from, to, IpProtocol::Tcp, &bytes)
    }
}
