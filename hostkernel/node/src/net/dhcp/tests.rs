//! The client against servers of all kinds, in virtual time.

use super::*;

const MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
const NS_PER_S: u64 = 1_000 * NS_PER_MS;

/// A client, a server that answers in a way, and what was said.
struct Talk {
    client: Client,
    random: Random,
    now_ns: u64,
    sent: Vec<(u64, DhcpMessageType, Option<Ipv4Addr>)>,
    events: Vec<Event>,
}

impl Talk {
    fn new() -> Self {
        Self {
            client: Client::new(MAC, 0),
            random: Random::from_seed([3; 32]),
            now_ns: 0,
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Lets time pass with a server that answers each request with a kind and options, if at all.
    fn pass(&mut self, seconds: u64, server: impl Fn(DhcpMessageType) -> Option<(u8, Vec<u8>)>) {
        let end_ns = self.now_ns + seconds * NS_PER_S;
        while self.client.next_ns() <= end_ns {
            self.now_ns = self.now_ns.max(self.client.next_ns());
            self.events.extend(self.client.expire(self.now_ns));
            let Some(message) = self.client.poll(&mut self.random, self.now_ns) else { continue };
            let packet = Ipv4Packet::new_checked(&message.packet[..]).expect("a whole packet");
            let datagram = UdpPacket::new_checked(packet.payload()).expect("a whole datagram");
            let asked = DhcpPacket::new_checked(datagram.payload()).expect("a whole message");
            let asked = DhcpRepr::parse(&asked).expect("a message with sense");
            assert_eq!((asked.client_hardware_address, asked.client_identifier), (MAC, Some(MAC)));
            self.sent.push((self.now_ns, asked.message_type, message.to));
            assert!(self.sent.len() < 100, "{:?}", self.sent);
            if let Some((kind, options)) = server(asked.message_type) {
                let reply = reply(asked.transaction_id, kind, &options);
                self.events.extend(self.client.receive(&reply, self.now_ns));
            }
        }
        self.now_ns = end_ns;
        self.events.extend(self.client.expire(end_ns));
    }

    fn is_leased(&self) -> bool {
        matches!(self.events.last(), Some(Event::Leased(_)))
    }
}

fn reply(transaction: u32, kind: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 240];
    message[..4].copy_from_slice(&[2, 1, 6, 0]);
    message[4..8].copy_from_slice(&transaction.to_be_bytes());
    message[16..20].copy_from_slice(&LEASED.octets());
    message[28..34].copy_from_slice(&MAC.0);
    message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, kind, 54, 4, 10, 77, 0, 1]);
    message.extend(options);
    message.push(255);
    let sums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: SERVER_PORT, dst_port: CLIENT_PORT };
    let header = Ipv4Repr {
        src_addr: SERVER_IP,
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: UDP_HEADER_LEN + message.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; IPV4_HEADER_LEN + header.payload_len];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    header.emit(&mut packet, &sums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let (from, to) = (SERVER_IP.into(), Ipv4Addr::BROADCAST.into());
    let fill = |buffer: &mut [u8]| buffer.copy_from_slice(&message);
    udp.emit(&mut datagram, &from, &to, message.len(), fill, &sums);
    bytes
}

/// A server that leases for so many seconds.
fn leases(seconds: u32) -> impl Fn(DhcpMessageType) -> Option<(u8, Vec<u8>)> {
    move |asked| {
        let options = [&[1, 4, 255, 255, 255, 0, 51, 4][..], &seconds.to_be_bytes()].concat();
        Some((if asked == DhcpMessageType::Discover { OFFER } else { ACK }, options))
    }
}

#[test]
fn a_lease_is_taken_and_renewed_where_it_came_from() {
    let mut talk = Talk::new();
    talk.pass(10_000, leases(3600));
    let kinds: Vec<_> =
        talk.sent.iter().map(|(at_ns, kind, to)| (at_ns / NS_PER_S, *kind, *to)).collect();
    let (discover, request) = (DhcpMessageType::Discover, DhcpMessageType::Request);
    assert_eq!(kinds[..2], [(0, discover, None), (0, request, None)]);
    let renewed: Vec<_> = (1..=5).map(|n| (1800 * n, request, Some(SERVER_IP))).collect();
    assert_eq!(kinds[2..], renewed);
    assert!(talk.is_leased());
    assert_eq!(talk.events.len(), 6);
}

#[test]
fn a_lease_without_length_makes_no_storm() {
    for seconds in [0, 1, 2] {
        let mut talk = Talk::new();
        talk.pass(14, leases(seconds));
        assert!((2..=6).contains(&talk.sent.len()), "{:?}", talk.sent);
        assert!(talk.is_leased() && !talk.events.contains(&Event::Lost));
    }
}

#[test]
fn a_server_that_refuses_is_asked_ever_less_often() {
    let refuses =
        |asked| Some((if asked == DhcpMessageType::Discover { OFFER } else { NAK }, vec![]));
    let mut talk = Talk::new();
    talk.pass(600, refuses);
    assert!((4..=2 * 600 / (DHCP_RETRY_MS / 1000)).contains(&(talk.sent.len() as u64)));
    assert!(talk.events.is_empty());
}

#[test]
fn nobody_at_all_is_asked_ever_less_often() {
    let mut talk = Talk::new();
    talk.pass(600, |_| None);
    let at_s: Vec<_> = talk.sent.iter().map(|(at_ns, _, _)| at_ns / NS_PER_S).collect();
    assert!((9..=16).contains(&at_s.len()), "{at_s:?}");
    assert!((3..=5).contains(&at_s[1]), "{at_s:?}");
    talk.pass(200, leases(600));
    assert!(talk.is_leased(), "who comes late is heard");
}

#[test]
fn a_lease_that_nobody_renews_ends_and_others_are_asked_before() {
    let mut talk = Talk::new();
    talk.pass(0, leases(600));
    assert!(talk.is_leased());
    talk.pass(599, |_| None);
    assert!(talk.is_leased(), "until the end");
    assert!(talk.sent.iter().any(|(at_ns, _, to)| *at_ns > 525 * NS_PER_S && to.is_none()));
    assert!(talk.sent.len() < 40, "{:?}", talk.sent);
    talk.pass(1, |_| None);
    assert_eq!(talk.events.last(), Some(&Event::Lost));
    talk.pass(70, leases(600));
    assert!(talk.is_leased());
}

#[test]
fn what_is_no_answer_to_the_question_is_not_heard() {
    let mut talk = Talk::new();
    talk.pass(0, |_| None);
    let right = talk.client.transaction;
    let mut broken = reply(right, OFFER, &[]);
    broken[60] ^= 1;
    let mut foreign = reply(right, OFFER, &[]);
    foreign.truncate(100);
    for packet in [reply(right ^ 1, OFFER, &[]), reply(right, ACK, &[]), broken, foreign] {
        assert_eq!(talk.client.receive(&packet, 0), None);
        assert!(matches!(talk.client.state, State::Discovering));
    }
    talk.client.receive(&reply(right, OFFER, &[]), 0);
    assert!(matches!(talk.client.state, State::Requesting { .. }));
}
