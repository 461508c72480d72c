//! Attacks below TCP: Ethernet, ARP, IPv4, ICMP, UDP.

use std::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, EthernetAddress, IpProtocol};
use system_tests::Tap;
use system_tests::frames::{self, Station, flag, offset};
use xtask::qemu::NODE_PORT;

use crate::attacker::Attacker;

/// Values at which length fields go wrong.
const ODD_LENGTHS: [u16; 16] =
    [0, 1, 7, 8, 19, 20, 21, 39, 40, 41, 1480, 1500, 1501, 0x7FFF, 0xFFFE, 0xFFFF];
/// Longest data of a packet that fits into a frame of 1,514 bytes.
const PAYLOAD_LEN_MAX: usize = 1480;
/// Ethernet's types.
const ETHERTYPES: [u16; 9] =
    [0x86DD, 0x8100, 0x88A8, 0x8847, 0x8863, 0x88CC, 0x0000, 0x0026, 0xFFFF];

impl Attacker {
    /// A frame that asks for a connection.
    fn connect_frame(&mut self) -> Vec<u8> {
        let (own, node) = (self.own, self.node());
        self.segment(flag::SYN, &[]).frame(own, node)
    }
}

/// From one byte to more than the tap takes, once with a header that fits and once without.
pub fn sizes(attacker: &mut Attacker) {
    let lengths = (1..=100)
        .chain(1508..=1520)
        .chain(2030..=2052)
        .chain([255, 600, 4096, 9014, 32_768, 65_533, 65_534, 65_535]);
    for len in lengths {
        let mut frame = attacker.connect_frame();
        let had = frame.len();
        frame.resize(len, 0xA5);
        attacker.send(&frame);
        if len > had {
            frames::set_word(
                &mut frame,
                offset::IPV4_TOTAL_LEN,
                (len - frames::ETHERNET_LEN) as u16,
            );
            frames::fix_ipv4_checksum(&mut frame);
            attacker.send(&frame);
        }
    }
}

pub fn lengths(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    for value in ODD_LENGTHS {
        let datagram = frames::udp(own, node, (9, 9), &[0; 100]);
        for (frame, at) in [
            (attacker.connect_frame(), offset::IPV4_TOTAL_LEN),
            (datagram.clone(), offset::IPV4_TOTAL_LEN),
            (datagram, offset::UDP_LEN),
        ] {
            let mut frame = frame;
            frames::set_word(&mut frame, at, value);
            frames::fix_ipv4_checksum(&mut frame);
            attacker.send(&frame);
        }
    }
    for words in 0..16 {
        let mut frame = attacker.connect_frame();
        frame[offset::TCP_HEADER_LEN] = words << 4;
        attacker.send(&frame);
        frame[offset::IPV4_VERSION] = 0x40 | words;
        frames::fix_ipv4_checksum(&mut frame);
        attacker.send(&frame);
    }
}

pub fn checksums(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    for _ in 0..100 {
        for (frame, at) in [
            (attacker.connect_frame(), offset::IPV4_CHECKSUM),
            (attacker.connect_frame(), offset::TCP_CHECKSUM),
            (frames::udp(own, node, (9, 9), b"data"), offset::UDP_CHECKSUM),
            (frames::ping(own, node, b"data"), offset::ICMP_CHECKSUM),
        ] {
            let mut frame = frame;
            let spoiled = attacker.random.word() as u16;
            frames::set_word(&mut frame, at, spoiled);
            attacker.send(&frame);
        }
    }
}

pub fn headers(attacker: &mut Attacker) {
    let connect = attacker.connect_frame();
    let changes = (0..16)
        .map(|version| (offset::IPV4_VERSION, version << 4 | 5))
        .chain([0, 1, 255].map(|hops| (offset::IPV4_TTL, hops)))
        .chain((0..=255).map(|protocol| (offset::IPV4_PROTOCOL, protocol)))
        .chain((0..=255).map(|service| (offset::IPV4_VERSION + 1, service)));
    for (at, value) in changes {
        let mut frame = connect.clone();
        frame[at] = value;
        frames::fix_ipv4_checksum(&mut frame);
        attacker.send(&frame);
    }
}

/// Options of any kind, with lengths that fit, lie, or are too small to get on.
pub fn options(attacker: &mut Attacker) {
    for _ in 0..300 {
        let mut frame = attacker.connect_frame();
        let words = 1 + attacker.random.below(10);
        let mut options = attacker.random.bytes(words * 4);
        // No operation, end, record route, time stamp, strict and loose route, router alert.
        options[0] = attacker.random.one(&[0, 1, 7, 68, 131, 137, 148]);
        options[1] = attacker.random.one(&[0, 1, 2, 3, words as u8 * 4, 41, 255]);
        frame.splice(offset::PAYLOAD..offset::PAYLOAD, options);
        frame[offset::IPV4_VERSION] = 0x40 | (5 + words as u8);
        let len = (frame.len() - frames::ETHERNET_LEN) as u16;
        frames::set_word(&mut frame, offset::IPV4_TOTAL_LEN, len);
        frames::fix_ipv4_checksum(&mut frame);
        attacker.send(&frame);
    }
}

/// Packets from the node itself, from everybody, from nobody; and to everybody.
pub fn senders(attacker: &mut Attacker) {
    let node = attacker.node();
    let macs = [attacker.own.mac, node.mac, EthernetAddress::BROADCAST, EthernetAddress([0; 6])];
    let addresses = [
        Tap::NODE,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 77, 0, 0),
        Ipv4Addr::new(10, 77, 0, 255),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(240, 0, 0, 1),
    ];
    for mac in macs {
        for address in addresses {
            let odd = Station { mac, address };
            let mut connect = attacker.segment(flag::SYN, &[]);
            attacker.send(&connect.frame(odd, node));
            attacker.send(&frames::ping(odd, node, b"data"));
            attacker.send(&frames::udp(odd, node, (7, 7), b"data"));
            // From the service to the service.
            connect.ports = (NODE_PORT, NODE_PORT);
            attacker.send(&connect.frame(odd, node));
            let own = attacker.own;
            attacker.send(&frames::ping(own, odd, b"data"));
            attacker.send(&connect.frame(own, odd));
        }
    }
}

/// Fragments that overlap, never end, are tiny, or would end beyond the longest packet.
pub fn fragments(attacker: &mut Attacker) {
    const MORE: u16 = 0x2000;
    const UNITS_MAX: u16 = 0x1FFF;
    for number in 0..100 {
        let unit = attacker.random.below(usize::from(UNITS_MAX)) as u16;
        for fragment in
            [MORE, MORE | 1, MORE | 1, 2, 1, MORE | UNITS_MAX, UNITS_MAX, unit, MORE | unit]
        {
            let len = attacker.random.one(&[8, 16, 40, PAYLOAD_LEN_MAX]);
            let data = attacker.random.bytes(len);
            let (own, node) = (attacker.own, attacker.node());
            let protocol =
                attacker.random.one(&[IpProtocol::Tcp, IpProtocol::Udp, IpProtocol::Icmp]);
            let mut frame = frames::ipv4(own, node, protocol, &data);
            frames::set_word(&mut frame, offset::IPV4_IDENTIFICATION, number);
            frames::set_word(&mut frame, offset::IPV4_FRAGMENT, fragment);
            frames::fix_ipv4_checksum(&mut frame);
            attacker.send(&frame);
        }
        // A connect in pieces of eight bytes.
        let connect = attacker.connect_frame();
        for (index, piece) in connect[offset::PAYLOAD..].chunks(8).enumerate() {
            let (own, node) = (attacker.own, attacker.node());
            let mut frame = frames::ipv4(own, node, IpProtocol::Tcp, piece);
            frames::set_word(&mut frame, offset::IPV4_FRAGMENT, MORE | index as u16);
            frames::fix_ipv4_checksum(&mut frame);
            attacker.send(&frame);
        }
    }
}

/// First parts of packets that never go on, of many senders and of few, whole packets of which only
/// the middle is missing, and the same part a thousand times.
pub fn fragment_storm(attacker: &mut Attacker) {
    const PART_LEN: usize = 576;
    let (node, data) = (attacker.node(), attacker.random.bytes(PAYLOAD_LEN_MAX));
    for number in 0..300 {
        let from = [attacker.stranger(), attacker.outsider(), attacker.client(), attacker.own];
        for station in from {
            let whole = frames::ipv4(station, node, IpProtocol::Tcp, &data);
            let mut parts = frames::parts(&whole, PART_LEN, number);
            parts.remove(1);
            let count = attacker.random.below(parts.len() + 1);
            parts[..count].iter().for_each(|part| attacker.send(part));
        }
    }
    let same =
        frames::parts(&frames::ipv4(attacker.own, node, IpProtocol::Udp, &data), PART_LEN, 7);
    for _ in 0..1000 {
        attacker.send(&same[0]);
    }
}

/// More neighbours than any table holds.
pub fn arp_flood(attacker: &mut Attacker) {
    let node = attacker.node();
    for _ in 0..500 {
        let stranger = attacker.stranger();
        let operation = attacker.random.one(&[ArpOperation::Request, ArpOperation::Reply]);
        attacker.send(&frames::arp(operation, node.mac, stranger, node));
    }
}

/// Claims to be the client, each time with another hardware address, and to be the node.
pub fn arp_spoofing(attacker: &mut Attacker) {
    let node = attacker.node();
    for _ in 0..20 {
        let mac = attacker.stranger().mac;
        for address in [Tap::HOST, Tap::NODE] {
            let liar = Station { mac, address };
            let everybody = Station { mac: EthernetAddress([0; 6]), address };
            attacker.send(&frames::arp(ArpOperation::Reply, node.mac, liar, node));
            attacker.send(&frames::arp(ArpOperation::Request, node.mac, liar, everybody));
        }
    }
}

pub fn arp_nonsense(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    let good = frames::arp(ArpOperation::Request, node.mac, own, node);
    for at in frames::ETHERNET_LEN..good.len() {
        for value in [0, 1, 0x7F, 0xFF] {
            let mut frame = good.clone();
            frame[at] = value;
            attacker.send(&frame);
        }
        attacker.send(&good[..at]);
    }
}

/// IPv6 with neighbour discovery, tags, labels, and types that are lengths.
pub fn other_protocols(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    let everybody = EthernetAddress([0x33, 0x33, 0, 0, 0, 1]);
    // Router and neighbour solicitation and advertisement, redirect, echo, listener query.
    for kind in [133, 134, 135, 136, 137, 128, 130] {
        let mut packet = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
        packet.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 66]);
        packet.extend([0xFF, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        packet.extend([kind, 0, 0, 0]);
        packet.extend(attacker.random.bytes(28));
        for to in [node.mac, everybody, EthernetAddress::BROADCAST] {
            attacker.send(&frames::ethernet(own.mac, to, 0x86DD, &packet));
        }
    }
    for kind in ETHERTYPES {
        for len in [0, 1, 20, 46, 1500] {
            let payload = attacker.random.bytes(len);
            attacker.send(&frames::ethernet(own.mac, node.mac, kind, &payload));
        }
    }
}

/// Pings of all sizes, also to everybody; and every other message with something quoted.
pub fn icmp(attacker: &mut Attacker) {
    let (own, node, client) = (attacker.own, attacker.node(), attacker.client());
    let everybody =
        Station { mac: EthernetAddress::BROADCAST, address: Ipv4Addr::new(10, 77, 0, 255) };
    for len in [0, 1, 56, PAYLOAD_LEN_MAX - 8] {
        for _ in 0..50 {
            attacker.send(&frames::ping(own, node, &vec![0xA5; len]));
            attacker.send(&frames::ping(own, everybody, &vec![0xA5; len]));
        }
    }
    let quoted = attacker.segment(flag::ACK, &[]).frame(node, client);
    for kind in 0..=40 {
        for code in [0, 1, 3, 4, 255] {
            let mut body = vec![0, 0, 0, 68];
            body.extend_from_slice(&quoted[frames::ETHERNET_LEN..]);
            let len = attacker.random.below(body.len() + 1);
            attacker.send(&frames::icmp(client, node, (kind, code), &body));
            attacker.send(&frames::icmp(client, node, (kind, code), &body[..len]));
        }
    }
}

pub fn udp(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    let first = attacker.random.word() as u16;
    for index in 0..400_u16 {
        let port = first.wrapping_add(index.wrapping_mul(163));
        attacker.send(&frames::udp(own, node, (53, port), b"data"));
    }
    for len in [0, 1, 240, 300, PAYLOAD_LEN_MAX - 8] {
        // As from servers of addresses, names and time.
        for ports in [(67, 68), (68, 67), (53, 53), (123, 123)] {
            let data = attacker.random.bytes(len);
            attacker.send(&frames::udp(own, node, ports, &data));
        }
    }
}

/// Good frames with a few bytes changed; half of them with good checksums of the header again.
pub fn mutations(attacker: &mut Attacker) {
    for _ in 0..1000 {
        let (own, node) = (attacker.own, attacker.node());
        let mut frame = match attacker.random.below(5) {
            0 => attacker.connect_frame(),
            1 => {
                attacker.segment(flag::ACK | flag::PSH, b"GET / HTTP/1.1\r\n\r\n").frame(own, node)
            }
            2 => frames::udp(own, node, (9, 9), b"data"),
            3 => frames::ping(own, node, b"data"),
            _ => frames::arp(ArpOperation::Request, node.mac, own, node),
        };
        for _ in 0..=attacker.random.below(4) {
            let at = attacker.random.below(frame.len());
            frame[at] = attacker.random.word() as u8;
        }
        if attacker.random.below(4) == 0 {
            frame.truncate(attacker.random.below(frame.len()));
        } else if attacker.random.below(2) == 0 {
            frames::fix_ipv4_checksum(&mut frame);
        }
        attacker.send(&frame);
    }
}
