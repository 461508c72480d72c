//! A host that composes its frames itself, for what no good client sends.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
    Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::lab::Lab;
use super::peer::{NODE_IP, PORT};
use super::wire::NODE_MAC;

/// Its hardware address.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// A host with an address, and for TCP a port.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub address: Ipv4Addr,
    pub mac: [u8; 6],
    pub port: u16,
}

/// A segment as it is seen and sent here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub control: TcpControl,
    pub sequence: u32,
    pub acknowledged: Option<u32>,
    pub window: u16,
    pub window_shift: Option<u8>,
    pub payload: Vec<u8>,
    /// Length of the IP packet.
    pub len: usize,
}

impl Host {
    pub const fn at(address: Ipv4Addr) -> Self {
        Self { address, mac: MAC, port: 50_000 }
    }

    /// Sends an ARP message about somebody.
    pub fn arp(&self, lab: &Lab, operation: ArpOperation, target: Ipv4Addr) {
        self.arp_tagged(lab, operation, target, &[]);
    }

    /// The same with something in front of the protocol.
    pub fn arp_tagged(&self, lab: &Lab, operation: ArpOperation, target: Ipv4Addr, tag: &[u8]) {
        let message = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: EthernetAddress(self.mac),
            source_protocol_addr: self.address,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: target,
        };
        let mut payload = vec![0; message.buffer_len()];
        message.emit(&mut ArpPacket::new_unchecked(&mut payload[..]));
        let frame = [&[0xff; 6][..], &self.mac, tag, &[8, 6], &payload].concat();
        lab.to_node.borrow_mut().send(frame);
    }

    /// A packet to the node in a frame.
    pub fn frame(&self, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
        let header = Ipv4Repr {
            src_addr: self.address,
            dst_addr: NODE_IP,
            next_header: protocol,
            payload_len: payload.len(),
            hop_limit: 64,
        };
        let mut bytes = vec![0; header.buffer_len() + payload.len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        header.emit(&mut packet, &ChecksumCapabilities::default());
        packet.payload_mut().copy_from_slice(payload);
        [&NODE_MAC[..], &self.mac, &[8, 0], &bytes].concat()
    }

    /// Sends a packet.
    pub fn packet(&self, lab: &Lab, protocol: IpProtocol, payload: &[u8]) {
        lab.to_node.borrow_mut().send(self.frame(protocol, payload));
    }

    /// Sends a segment.
    pub fn segment(
        &self,
        lab: &Lab,
        control: TcpControl,
        sequence: u32,
        acknowledged: Option<u32>,
        payload: &[u8],
    ) {
        let segment = TcpRepr {
            src_port: self.port,
            dst_port: PORT,
            control,
            seq_number: TcpSeqNumber(sequence as i32),
            ack_number: acknowledged.map(|number| TcpSeqNumber(number as i32)),
            window_len: 65_535,
            window_scale: (control == TcpControl::Syn).then_some(7),
            max_seg_size: (control == TcpControl::Syn).then_some(1460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let mut bytes = vec![0; segment.buffer_len()];
        segment.emit(
            &mut TcpPacket::new_unchecked(&mut bytes[..]),
            &self.address.into(),
            &NODE_IP.into(),
            &ChecksumCapabilities::default(),
        );
        self.packet(lab, IpProtocol::Tcp, &bytes);
    }

    /// Connects; returns the numbers of the next byte each way.
    pub fn connect(&self, lab: &mut Lab, sequence: u32) -> (u32, u32) {
        self.segment(lab, TcpControl::Syn, sequence, None, &[]);
        lab.pass_ms(5);
        let seen = self.seen(lab);
        let answer = seen.last().expect("an answer to a connect");
        let next = sequence.wrapping_add(1);
        assert_eq!((answer.control, answer.acknowledged), (TcpControl::Syn, Some(next)));
        let theirs = answer.sequence.wrapping_add(1);
        self.segment(lab, TcpControl::None, next, Some(theirs), &[]);
        lab.pass_ms(5);
        (next, theirs)
    }

    /// Takes the segments to this host that the node has sent, in frames to its hardware address.
    pub fn seen(&self, lab: &mut Lab) -> Vec<Seen> {
        let frames = lab.to_peer.borrow_mut().capture.replace(Vec::new()).unwrap_or_default();
        frames.iter().filter_map(|frame| self.read(frame)).collect()
    }

    fn read(&self, frame: &[u8]) -> Option<Seen> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 || frame.dst_addr().0 != self.mac {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp || packet.dst_addr() != self.address {
            return None;
        }
        let sums = ChecksumCapabilities::default();
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        let segment = TcpRepr::parse(&segment, &from, &to, &sums).expect("a sound segment");
        if segment.dst_port != self.port {
            return None;
        }
        Some(Seen {
            control: segment.control,
            sequence: segment.seq_number.0 as u32,
            acknowledged: segment.ack_number.map(|number| number.0 as u32),
            window: segment.window_len,
            window_shift: segment.window_scale,
            payload: segment.payload.to_vec(),
            len: packet.total_len().into(),
        })
    }

    /// Takes the ARP messages that the node has sent to this host or to all: what they ask or say,
    /// of whom, and to which hardware address.
    pub fn seen_arp(&self, lab: &mut Lab) -> Vec<(ArpOperation, Ipv4Addr, [u8; 6])> {
        let frames = lab.to_peer.borrow_mut().capture.replace(Vec::new()).unwrap_or_default();
        let read = |frame: &[u8]| {
            let frame = EthernetFrame::new_checked(frame).ok()?;
            let packet = (frame.ethertype() == EthernetProtocol::Arp).then(|| frame.payload())?;
            let message = ArpRepr::parse(&ArpPacket::new_checked(packet).ok()?).ok()?;
            let ArpRepr::EthernetIpv4 { operation, target_protocol_addr, .. } = message else {
                return None;
            };
            Some((operation, target_protocol_addr, frame.dst_addr().0))
        };
        frames.iter().filter_map(|frame| read(frame)).collect()
    }
}
