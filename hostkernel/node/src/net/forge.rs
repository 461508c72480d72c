//! Segments that no client sent: how smoltcp is told what it cannot be told otherwise.
//!
//! The numbers of a connection are the node's to know: it chose its own, saw the client's, and
//! counts the bytes that went either way. So it can ask a socket to say where it stands.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, RxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    IPV4_HEADER_LEN, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};

use super::adapter::{Adapter, Sending};
use super::arrival::{Options, Peer};

/// A segment from a client, without data.
#[derive(Clone, Copy, Debug)]
pub struct Forged {
    /// From whom.
    pub peer: Peer,
    /// Its number.
    pub sequence: u32,
    /// The number it acknowledges; `None` makes it a connect.
    pub acknowledged: Option<u32>,
    /// Room the client has, as it stands in the header.
    pub window: u16,
    /// What a connect says besides.
    pub options: Options,
}

impl Forged {
    /// The packet, to the node's address and port.
    pub fn packet(&self, node: Ipv4Address, port: u16) -> Vec<u8> {
        let is_connect = self.acknowledged.is_none();
        let number = |number: u32| TcpSeqNumber(number as i32);
        let segment = TcpRepr {
            src_port: self.peer.port,
            dst_port: port,
            control: if is_connect { TcpControl::Syn } else { TcpControl::None },
            seq_number: number(self.sequence),
            ack_number: self.acknowledged.map(number),
            window_len: self.window,
            window_scale: self.options.window_shift.filter(|_| is_connect),
            max_seg_size: self.options.max_segment.filter(|_| is_connect),
            sack_permitted: is_connect && self.options.selective,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let header = Ipv4Repr {
            src_addr: self.peer.address,
            dst_addr: node,
            next_header: IpProtocol::Tcp,
            payload_len: segment.buffer_len(),
            hop_limit: 64,
        };
        let sums = ChecksumCapabilities::default();
        let mut bytes = vec![0; IPV4_HEADER_LEN + segment.buffer_len()];
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        header.emit(&mut packet, &sums);
        let (from, to) = (self.peer.address.into(), node.into());
        segment.emit(&mut TcpPacket::new_unchecked(packet.payload_mut()), &from, &to, &sums);
        bytes
    }
}

/// The card, with a packet of ours instead of what it received, or with a path behind it that takes
/// less.
pub struct Injected<'a> {
    packet: Option<&'a [u8]>,
    mtu: Option<usize>,
    /// The moment, if smoltcp is told another.
    now: Option<Instant>,
    pub adapter: &'a mut Adapter,
}

impl<'a> Injected<'a> {
    /// See there.
    pub fn new(adapter: &'a mut Adapter, packet: Option<&'a [u8]>, mtu: Option<usize>) -> Self {
        Self { packet, mtu, now: None, adapter }
    }

    /// One behind which it is this moment, whatever smoltcp is told.
    pub fn at(adapter: &'a mut Adapter, now: Instant) -> Self {
        Self { packet: None, mtu: None, now: Some(now), adapter }
    }
}

/// That packet.
pub struct Packet<'a>(&'a [u8]);

impl RxToken for Packet<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl Device for Injected<'_> {
    type RxToken<'a>
        = Packet<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sending<'a>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(Packet<'_>, Sending<'_>)> {
        let packet = self.packet.take()?;
        Some((Packet(packet), self.adapter.transmit(now)?))
    }

    fn transmit(&mut self, now: Instant) -> Option<Sending<'_>> {
        self.adapter.transmit(self.now.unwrap_or(now))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = self.adapter.capabilities();
        if let Some(mtu) = self.mtu {
            capabilities.max_transmission_unit = mtu;
        }
        capabilities
    }
}
