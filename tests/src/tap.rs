//! A raw socket on a tap device: any frame to the node, every frame from it.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
    Ipv4Packet, TcpPacket,
};

use crate::frames::{self, Segment, Station};
use crate::{Tap, frames::flag};

/// Longest frame that is received whole; the node sends none that is longer than 1,514 bytes.
const FRAME_LEN_MAX: usize = 2048;
/// How long an answer of the node may take, on a busy host.
const PLENTY: Duration = Duration::from_secs(30);
/// When a question is repeated: like everybody's, ours may get lost in a crowd.
const REPEAT: Duration = Duration::from_millis(100);
/// Pauses for a device whose queue is full, and how many of them make it hopeless.
const FULL_PAUSE: Duration = Duration::from_millis(1);
const FULL_PAUSES_MAX: u32 = 5000;

/// A raw socket on the tap device.
#[derive(Debug)]
pub struct Port {
    socket: OwnedFd,
    node: Station,
    /// Frames and bytes that were sent.
    sent: (u64, u64),
}

impl Port {
    /// Opens the tap and asks for the node's hardware address. The calling thread has to be in the
    /// tap's namespace.
    ///
    /// # Panics
    /// If there is no tap, or nobody answers.
    #[must_use]
    pub fn open(as_station: Station) -> Self {
        let socket =
            socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll)
                .expect("root may open raw sockets");
        let device = getifaddrs()
            .expect("devices can be listed")
            .filter(|device| device.interface_name == Tap::DEVICE)
            .find_map(|device| device.address?.as_link_addr().copied());
        let device: LinkAddr = device.expect("the thread is in the tap's namespace");
        bind(socket.as_raw_fd(), &device).expect("the device is there");
        let node = Station { mac: EthernetAddress::BROADCAST, address: Tap::NODE };
        let mut port = Self { socket, node, sent: (0, 0) };
        port.node.mac = port.settle(as_station);
        port
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> Station {
        self.node
    }

    /// Frames and bytes that were sent so far.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        self.sent
    }

    /// Sends a frame. Returns whether the device takes one of this length.
    ///
    /// # Panics
    /// If the device is gone.
    pub fn send(&mut self, frame: &[u8]) -> bool {
        for _ in 0..FULL_PAUSES_MAX {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Ok(len) => {
                    self.sent.0 += 1;
                    self.sent.1 += len as u64;
                    return true;
                }
                Err(Errno::EMSGSIZE | Errno::EINVAL) => return false,
                Err(Errno::ENOBUFS | Errno::EAGAIN) => thread::sleep(FULL_PAUSE),
                Err(error) => panic!("the tap device does not take frames: {error}"),
            }
        }
        panic!("the tap device takes no more frames")
    }

    /// The next frame to this hardware address. `None` if there is none in time.
    ///
    /// # Panics
    /// If the device is gone.
    #[must_use]
    pub fn receive(&mut self, to: EthernetAddress, end: Instant) -> Option<Vec<u8>> {
        let mut buffer = [0; FRAME_LEN_MAX];
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(FULL_PAUSE);
            let timeout = TimeVal::new(left.as_secs() as i64, i64::from(left.subsec_micros()));
            setsockopt(&self.socket, sockopt::ReceiveTimeout, &timeout).expect("a time-out is set");
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(len) if buffer[..len].starts_with(to.as_bytes()) => {
                    return Some(buffer[..len].to_vec());
                }
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < end => {}
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => return None,
                Err(error) => panic!("the tap device gives no frames: {error}"),
            }
        }
    }

    /// Returns when the node has read all that was sent before: it answers questions in order, and
    /// this asks for its hardware address. From then on it also knows `station`.
    ///
    /// # Panics
    /// If the node does not answer.
    pub fn settle(&mut self, station: Station) -> EthernetAddress {
        let unknown = Station { mac: EthernetAddress([0; 6]), address: self.node.address };
        let everybody = EthernetAddress::BROADCAST;
        let question = frames::arp(ArpOperation::Request, everybody, station, unknown);
        let node = self.node.address;
        let answer = self.ask(&question, station.mac, |frame| {
            let message =
                ArpPacket::new_checked(frame.payload()).and_then(|it| ArpRepr::parse(&it));
            match message {
                Ok(ArpRepr::EthernetIpv4 {
                    operation: ArpOperation::Reply,
                    source_hardware_addr,
                    source_protocol_addr,
                    ..
                }) if source_protocol_addr == node => Some(source_hardware_addr),
                _ => None,
            }
        });
        answer.expect("the node answers ARP")
    }

    /// Sends `question` until a frame to `mac` is the answer. `None` if none comes for long.
    fn ask<T>(
        &mut self,
        question: &[u8],
        mac: EthernetAddress,
        answer: impl Fn(EthernetFrame<&[u8]>) -> Option<T>,
    ) -> Option<T> {
        let hopeless = Instant::now() + PLENTY;
        while Instant::now() < hopeless {
            self.send(question);
            let repeat = Instant::now() + REPEAT;
            while let Some(bytes) = self.receive(mac, repeat) {
                let found = EthernetFrame::new_checked(&bytes[..]).ok().and_then(&answer);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// The next segment to `peer`'s port within `timeout`: flags, sequence number and data.
    #[must_use]
    pub fn receive_segment(
        &mut self,
        peer: &Peer,
        timeout: Duration,
    ) -> Option<(u8, u32, Vec<u8>)> {
        let end = Instant::now() + timeout;
        while let Some(bytes) = self.receive(peer.station.mac, end) {
            let segment = EthernetFrame::new_checked(&bytes[..]).ok().and_then(|it| peer.parse(it));
            if segment.is_some() {
                return segment;
            }
        }
        None
    }
}

/// The client's end of a TCP connection that does what it is told.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Who it pretends to be.
    pub station: Station,
    /// Its port.
    pub port: u16,
    /// Sequence number of its next byte.
    pub next: u32,
    /// Sequence number of the node's next byte.
    pub expected: u32,
    /// The window it announces.
    pub window: u16,
}

impl Peer {
    /// Opens a connection to `node_port`, with `data` in the first segment.
    ///
    /// # Panics
    /// If the node does not accept it.
    #[must_use]
    pub fn open(
        port: &mut Port,
        station: Station,
        ports: (u16, u16),
        sequence: u32,
        options: &[u8],
        data: &[u8],
    ) -> Self {
        let mut peer = Self { station, port: ports.0, next: sequence, expected: 0, window: 8192 };
        let mut connect = peer.segment(ports.1, flag::SYN, data);
        connect.options = options.to_vec();
        let question = connect.frame(station, port.node);
        let wanted = flag::SYN | flag::ACK;
        let answer = port.ask(&question, station.mac, |frame| {
            peer.parse(frame).filter(|(flags, ..)| flags & wanted == wanted)
        });
        let (_, theirs, _) = answer.expect("the node accepts the connection");
        peer.next = sequence.wrapping_add(1);
        peer.expected = theirs.wrapping_add(1);
        peer
    }

    /// A segment from here, to be changed or sent.
    #[must_use]
    pub fn segment(&self, node_port: u16, flags: u8, payload: &[u8]) -> Segment {
        Segment {
            ports: (self.port, node_port),
            sequence: self.next,
            acknowledgement: self.expected,
            flags,
            window: self.window,
            urgent: 0,
            options: vec![],
            payload: payload.to_vec(),
        }
    }

    fn parse(&self, frame: EthernetFrame<&[u8]>) -> Option<(u8, u32, Vec<u8>)> {
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let (own, node): (Ipv4Addr, _) = (self.station.address, Tap::NODE);
        if (packet.next_header(), packet.src_addr(), packet.dst_addr())
            != (IpProtocol::Tcp, node, own)
        {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        let flags = *packet.payload().get(13)?;
        (segment.dst_port() == self.port)
            .then(|| (flags, segment.seq_number().0.cast_unsigned(), segment.payload().to_vec()))
    }
}
