//! The wire: a conversation with a node over a card that is none, out of messages that are right up
//! to where the input takes over. Whatever was said before, the next client is answered.
//!
//! The harness knows what a host on the wire would: the numbers in the node's last question to a
//! DHCP or time server and in its last segment. So answers get behind the checks that tell
//! strangers off, and what is read behind them is reached.
#![no_main]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::rc::Rc;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use memory::{frames, install_for_test};
use node::dispatch::Dispatcher;
use node::net::nic::{Nic, Receiver, Sender};
use node::random::Random;
use node::registry::Share;
use node::serve::Service;
use node::settings::{Address, Server, Settings};
use node::state::records::Records;
use node::state::{Node, Now, Policy};

const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PREFIX_LEN: u8 = 24;
const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PORT: u16 = 3233;
const CONNECTIONS: usize = 8;
const MESSAGES_MAX: usize = 64;
const FRAME_LEN_MAX: usize = 1514;
const NS_PER_MS: u64 = 1_000_000;
/// Longer than any time-out of a connection.
const REST_MS: u64 = 400_000;
/// Attempts of the last client, a second between them.
const ATTEMPTS: u64 = 10;

const ARP: [u8; 2] = [8, 6];
const IPV4: [u8; 2] = [8, 0];
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 2;
const ACK: u8 = 16;

#[derive(Arbitrary, Debug)]
struct Conversation {
    is_leased: bool,
    messages: Vec<Message>,
}

#[derive(Arbitrary, Debug)]
enum Message {
    /// Any frame.
    Frame(Vec<u8>),
    /// Any packet to the node's hardware address.
    Packet(Vec<u8>),
    Arp { operation: u8, sender: u8, target: u8 },
    /// The answer to the last question to a DHCP server.
    Lease { kind: u8, address: u8, options: Vec<u8> },
    /// The answer to the last question to a time server.
    Time { head: [u8; 24], times: [u32; 4] },
    /// From one of four ports, so far beyond what the node expects.
    Segment { from: u8, flags: u8, ahead: i16, window: u16, options: Vec<u8>, payload: Payload },
    /// What a router says of the node's last segment.
    TooBig { len: u16, mtu: u16, ahead: u8 },
    /// Packets come in parts of this many units from here on; in one at 0.
    Parts { units: u8, is_backwards: bool },
    Pass { ms: u16 },
}

#[derive(Arbitrary, Debug)]
enum Payload {
    None,
    Ping,
    Bytes(Vec<u8>),
}

/// Both directions of the wire.
#[derive(Default)]
struct Wire {
    to_node: VecDeque<Vec<u8>>,
    sent_by_node: VecDeque<Vec<u8>>,
}

struct Card(Rc<RefCell<Wire>>, Option<Vec<u8>>);

impl Receiver for Card {
    fn frame(&mut self) -> Option<&[u8]> {
        if self.1.is_none() {
            self.1 = self.0.borrow_mut().to_node.pop_front();
        }
        self.1.as_deref()
    }

    fn release(&mut self) {
        self.1 = None;
    }
}

/// The way out of a [`Card`].
struct Out(Rc<RefCell<Wire>>);

impl Sender for Out {
    fn is_ready(&mut self) -> bool {
        true
    }

    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
        assert!(len <= FRAME_LEN_MAX, "no longer than the card takes");
        let mut frame = vec![0; len];
        fill(&mut frame);
        self.0.borrow_mut().sent_by_node.push_back(frame);
    }
}

struct Both(Card, Out);

impl Nic for Both {
    fn address(&self) -> [u8; 6] {
        NODE_MAC
    }

    fn frame_len_max(&self) -> usize {
        FRAME_LEN_MAX
    }

    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender) {
        (&mut self.0, &mut self.1)
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        self.0.frame().is_none()
    }

    fn disarm(&mut self) {}
}

/// The other end of the wire.
struct Lab<'a> {
    service: Service<'a>,
    wire: Rc<RefCell<Wire>>,
    now_ns: u64,
    part_units: usize,
    is_backwards: bool,
    packets: u16,
    /// The last questions, from the header of UDP on.
    lease_asked: Vec<u8>,
    time_asked: Vec<u8>,
    /// The node's last segment, from the header of IP on, and what it should hear next.
    segment: Vec<u8>,
    next: u32,
    expected: u32,
    is_answered: bool,
}

fuzz_target!(|conversation: Conversation| {
    install_for_test();
    let before = frames::available();
    let dispatcher = Dispatcher::new(&[1], 0, 4, |_| {});
    let wire = Rc::new(RefCell::new(Wire::default()));
    let address = Address::Static { address: NODE, prefix_len: PREFIX_LEN, gateway: Some(SERVER) };
    let address = if conversation.is_leased { Address::Dhcp } else { address };
    let time_server = Server::Dhcp;
    let settings = Settings { address, time_server, port: PORT, ..Settings::default() };
    let records = Records::new(1, 1).expect("the arena is large");
    let node = Node::new(Policy::development(64), Share::UNBOUNDED, records);
    let nic = Both(Card(wire.clone(), None), Out(wire.clone()));
    let random = Random::from_seed([7; 32]);
    let service =
        Service::new(Box::new(nic), &settings, CONNECTIONS, node, &dispatcher, random, NS_PER_MS);
    let mut lab = Lab {
        service,
        wire,
        now_ns: NS_PER_MS,
        part_units: 0,
        is_backwards: false,
        packets: 0,
        lease_asked: vec![],
        time_asked: vec![],
        segment: vec![],
        next: 0,
        expected: 0,
        is_answered: false,
    };
    lab.pass(1);
    for message in conversation.messages.into_iter().take(MESSAGES_MAX) {
        lab.say(message);
    }
    if !conversation.is_leased {
        lab.answers_the_next_client();
    }
    drop(lab);
    assert_eq!(frames::available(), before, "every frame came back");
});

impl Lab<'_> {
    /// Lets time pass, at most a second at once.
    fn pass(&mut self, ms: u64) {
        let end_ns = self.now_ns + ms * NS_PER_MS;
        loop {
            let now = Now { monotonic_ns: self.now_ns, wall_ms: 0 };
            self.service.poll(now);
            let _ = self.service.take_reading(|| None);
            while let Some(frame) = self.sent_by_node() {
                self.hear(&frame);
            }
            if self.now_ns >= end_ns {
                return;
            }
            self.now_ns = (self.now_ns + 1_000 * NS_PER_MS).min(end_ns);
        }
    }

    fn sent_by_node(&mut self) -> Option<Vec<u8>> {
        self.wire.borrow_mut().sent_by_node.pop_front()
    }

    /// Looks at what the node says.
    fn hear(&mut self, frame: &[u8]) {
        assert_eq!(frame[6..12], NODE_MAC, "its own address");
        if frame[12..14] == ARP {
            let last = last_client();
            if frame[20..22] == [0, 1] && frame[38..42] == last.octets() {
                self.frame(arp(2, last, Ipv4Addr::from_octets(word(frame, 28).to_be_bytes())));
            }
            return;
        }
        assert_eq!(frame[12..14], IPV4);
        let packet = &frame[14..];
        assert_eq!((packet[0], half(packet, 2)), (0x45, packet.len() as u16));
        assert_eq!(sum(&packet[..20], 0), 0xffff, "the checksum of the header");
        assert_eq!(half(packet, 6) & 0x3fff, 0, "no part of a packet");
        match (packet[9], half(packet, 22)) {
            (UDP, 67) => self.lease_asked = packet[20..].to_vec(),
            (UDP, 123) => self.time_asked = packet[20..].to_vec(),
            (TCP, _) => self.segment = packet.to_vec(),
            _ => {}
        }
        if packet[9] == TCP {
            let header_len = usize::from(packet[32] >> 4) * 4;
            let len = (packet.len() - 20 - header_len) as u32;
            let flags = packet[33];
            let more = len + u32::from(flags & 1) + u32::from(flags >> 1 & 1);
            self.expected = word(packet, 24).wrapping_add(more);
            self.next = word(packet, 28);
            self.is_answered |= packet[16..20] == last_client().octets() && flags == SYN | ACK;
        }
    }

    fn say(&mut self, message: Message) {
        match message {
            Message::Frame(frame) => self.frame(frame),
            Message::Packet(packet) => self.frame([&head(IPV4)[..], &packet].concat()),
            Message::Arp { operation, sender, target } => {
                self.frame(arp(operation, host(sender), host(target)));
            }
            Message::Lease { kind, address, options } => {
                if let Some(reply) = lease(&self.lease_asked, kind, host(address), &options) {
                    self.packet(UDP, SERVER, datagram(67, 68, &reply), Ipv4Addr::BROADCAST);
                }
            }
            Message::Time { head, times } => {
                if let Some(cookie) = self.time_asked.get(48..56) {
                    let times = times.map(u32::to_be_bytes).concat();
                    let reply = [&head[..], cookie, &times].concat();
                    let port = half(&self.time_asked, 0);
                    self.packet(UDP, SERVER, datagram(123, port, &reply), NODE);
                }
            }
            Message::Segment { from, flags, ahead, window, mut options, payload } => {
                options.resize(options.len().min(40).next_multiple_of(4), 0);
                let payload = match payload {
                    Payload::None => vec![],
                    Payload::Ping => b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
                    Payload::Bytes(bytes) => bytes,
                };
                let number = self.next.wrapping_add_signed(ahead.into());
                let numbers = (number, self.expected);
                let port = 50_000 + u16::from(from % 4);
                let segment = segment(port, flags, numbers, window, &options, &payload);
                self.packet(TCP, host(9), segment, NODE);
            }
            Message::TooBig { len, mtu, ahead } => {
                if self.segment.len() >= 40 {
                    let mut quoted = self.segment[..28].to_vec();
                    quoted[2..4].copy_from_slice(&len.to_be_bytes());
                    quoted[27] = quoted[27].wrapping_add(ahead);
                    let mtu = mtu.to_be_bytes();
                    let message = [&[3, 4, 0, 0, 0, 0][..], &mtu, &quoted].concat();
                    self.packet(ICMP, SERVER, message, NODE);
                }
            }
            Message::Parts { units, is_backwards } => {
                (self.part_units, self.is_backwards) = (units.into(), is_backwards);
            }
            Message::Pass { ms } => self.pass(ms.into()),
        }
        self.pass(0);
    }

    fn frame(&mut self, frame: Vec<u8>) {
        if frame.len() <= FRAME_LEN_MAX {
            self.wire.borrow_mut().to_node.push_back(frame);
        }
    }

    /// Sends a packet with right checksums, in parts if it is to be.
    fn packet(&mut self, protocol: u8, from: Ipv4Addr, mut payload: Vec<u8>, to: Ipv4Addr) {
        let at = match protocol {
            TCP => 16,
            UDP => 6,
            _ => 2,
        };
        let pseudo = [&from.octets()[..], &to.octets(), &[0, protocol]].concat();
        let len = payload.len() as u32;
        let before = if protocol == ICMP { 0 } else { u32::from(sum(&pseudo, len)) };
        let checksum = !sum(&payload, before);
        payload[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        self.packets = self.packets.wrapping_add(1);
        let units = if self.part_units == 0 { usize::MAX / 8 } else { self.part_units };
        let last = payload.len().div_ceil(units * 8).saturating_sub(1);
        let part = |(index, piece): (usize, &[u8])| {
            let more = if index < last { 0x2000 } else { 0 };
            let place = more | if last == 0 { 0 } else { (index * units) as u16 };
            let len = 20 + piece.len() as u16;
            let halves = [0x4500, len, self.packets, place, 0x4000 | u16::from(protocol), 0];
            let mut header = halves.map(u16::to_be_bytes).concat();
            header.extend(from.octets().into_iter().chain(to.octets()));
            let checksum = !sum(&header, 0);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            [&head(IPV4)[..], &header, piece].concat()
        };
        let mut parts: Vec<_> = payload.chunks(units * 8).enumerate().map(part).collect();
        if self.is_backwards {
            parts.reverse();
        }
        parts.into_iter().for_each(|part| self.frame(part));
    }

    /// Whatever was said, it is over some time, and then somebody new is served.
    fn answers_the_next_client(&mut self) {
        self.part_units = 0;
        self.pass(REST_MS);
        for attempt in 0..ATTEMPTS {
            self.frame(arp(1, last_client(), NODE));
            let connect = segment(60_000, SYN, (attempt as u32, 0), 8192, &[], &[]);
            self.packet(TCP, last_client(), connect, NODE);
            self.pass(1_000);
            if self.is_answered {
                return;
            }
        }
        panic!("the next client is not answered");
    }
}

/// One of the hosts on the wire; the node is among them.
fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, number % 16)
}

/// Somebody who has not been there before.
fn last_client() -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 200)
}

/// The header of a frame from somebody to the node.
fn head(kind: [u8; 2]) -> [u8; 14] {
    let mut head = [0; 14];
    head[..6].copy_from_slice(&NODE_MAC);
    head[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    head[12..].copy_from_slice(&kind);
    head
}

/// An ARP message about a host, which has an address that follows from its own.
fn arp(operation: u8, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mac = [2, 0, 0, 0, 1, sender.octets()[3]];
    let start = [0, 1, 8, 0, 6, 4, 0, operation];
    let (sender, target) = (sender.octets(), target.octets());
    [&head(ARP)[..], &start, &mac, &sender, &[0; 6], &target].concat()
}

/// A DHCP message to who asked (RFC 2131).
fn lease(asked: &[u8], kind: u8, address: Ipv4Addr, options: &[u8]) -> Option<Vec<u8>> {
    let mut message = asked.get(8..8 + 240)?.to_vec();
    message[0] = 2;
    message[16..20].copy_from_slice(&address.octets());
    let start = [53, 1, kind % 8, 54, 4];
    Some([&message[..], &start, &SERVER.octets(), options, &[255]].concat())
}

fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let halves = [from, to, 8 + payload.len() as u16, 0];
    [&halves.map(u16::to_be_bytes).concat(), payload].concat()
}

fn segment(
    port: u16,
    flags: u8,
    (number, acknowledged): (u32, u32),
    window: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_len = ((20 + options.len()) / 4) as u8;
    let mut bytes = [port.to_be_bytes(), PORT.to_be_bytes()].concat();
    bytes.extend([number.to_be_bytes(), acknowledged.to_be_bytes()].concat());
    bytes.extend([header_len << 4, flags]);
    bytes.extend(window.to_be_bytes());
    [&bytes[..], &[0; 4], options, payload].concat()
}

/// The sum of all words, folded (RFC 1071).
fn sum(bytes: &[u8], before: u32) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(high) << 8 | u32::from(low),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let total = words.fold(before, |total, word| total + word);
    let folded = (total & 0xffff) + (total >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u16::from_be_bytes(*it))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u32::from_be_bytes(*it))
}
