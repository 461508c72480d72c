//! The node's place in a network: its address, fixed or leased, ping, and frames that get lost.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp;
use smoltcp::time::Instant as Timestamp;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr,
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, HardwareAddress, Icmpv4Packet,
    Icmpv4Repr, IpAddress, IpCidr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket, UdpRepr,
};
use system_tests::{BOOT_TIMEOUT, PowerOff, Wire, boot, machine, request};
use xtask::qemu::{NODE_PORT, Node};

/// Our address, and the one the node is given.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const OWN_MAC: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0, 0, 1]);
const DHCP_SERVER_PORT: u16 = 67;
const DHCP_CLIENT_PORT: u16 = 68;
/// Option of DHCP (RFC 2132, 3.9).
const LOG_SERVERS: u8 = 7;
const SYSLOG_PORT: u16 = 514;
/// Longest pause until a frame that must come; generous for busy hosts.
const PLENTY: Duration = Duration::from_secs(60);

/// An IPv4 packet in a frame from us to `to`.
fn frame(
    to: EthernetAddress,
    protocol: IpProtocol,
    destination: Ipv4Addr,
    payload: &[u8],
) -> Vec<u8> {
    let ip = Ipv4Repr {
        src_addr: OWN,
        dst_addr: destination,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let ethernet =
        EthernetRepr { src_addr: OWN_MAC, dst_addr: to, ethertype: EthernetProtocol::Ipv4 };
    let mut bytes = vec![0; ethernet.buffer_len() + ip.buffer_len() + payload.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    bytes
}

/// An ARP message in a frame from us.
fn arp_frame(
    operation: ArpOperation,
    to: EthernetAddress,
    target: (EthernetAddress, Ipv4Addr),
) -> Vec<u8> {
    let message = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: OWN_MAC,
        source_protocol_addr: OWN,
        target_hardware_addr: target.0,
        target_protocol_addr: target.1,
    };
    let ethernet =
        EthernetRepr { src_addr: OWN_MAC, dst_addr: to, ethertype: EthernetProtocol::Arp };
    let mut bytes = vec![0; ethernet.buffer_len() + message.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    message.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

/// Answers an ARP request for our address.
fn answer_arp(wire: &mut Wire, frame: &EthernetFrame<&[u8]>) {
    let message = ArpPacket::new_checked(frame.payload()).and_then(|it| ArpRepr::parse(&it));
    if let Ok(ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: address,
        target_protocol_addr: OWN,
        ..
    }) = message
    {
        wire.send(&arp_frame(ArpOperation::Reply, mac, (mac, address)));
    }
}

/// Asks who has the node's address, as every host does before it sends anything there.
fn resolve(wire: &mut Wire) -> EthernetAddress {
    let nobody = EthernetAddress([0; 6]);
    let question = arp_frame(ArpOperation::Request, EthernetAddress::BROADCAST, (nobody, NODE));
    let end = Instant::now() + PLENTY;
    wire.send(&question);
    loop {
        assert!(Instant::now() < end, "nobody has {NODE}");
        let Some(bytes) = wire.receive(Duration::from_secs(1)) else {
            // The first one may have been earlier than the node's address.
            wire.send(&question);
            continue;
        };
        let frame = EthernetFrame::new_checked(&bytes[..]).expect("a node sends whole frames");
        let message = ArpPacket::new_checked(frame.payload()).and_then(|it| ArpRepr::parse(&it));
        if let Ok(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr,
            source_protocol_addr: NODE,
            ..
        }) = message
        {
            return source_hardware_addr;
        }
    }
}

/// The next IPv4 packet of this protocol from the node: its MAC address and payload. ARP is
/// answered meanwhile.
fn next_packet(wire: &mut Wire, protocol: IpProtocol) -> Option<(EthernetAddress, Vec<u8>)> {
    let end = Instant::now() + PLENTY;
    while let Some(bytes) = wire.receive(end.saturating_duration_since(Instant::now())) {
        let frame = EthernetFrame::new_checked(&bytes[..]).expect("a node sends whole frames");
        match frame.ethertype() {
            EthernetProtocol::Arp => answer_arp(wire, &frame),
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(frame.payload()).expect("a whole packet");
                assert!(packet.verify_checksum());
                if packet.next_header() == protocol {
                    return Some((frame.src_addr(), packet.payload().to_vec()));
                }
            }
            _ => {}
        }
    }
    None
}

/// What a DHCP client asked, and the client's address at that time.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    message: DhcpMessageType,
    from: Ipv4Addr,
}

/// Waits for the node to ask for an address and leases it one.
fn lease(wire: &mut Wire, seconds: u32) -> Asked {
    loop {
        let (mac, bytes) = next_packet(wire, IpProtocol::Udp).expect("the node asks");
        let datagram = UdpPacket::new_checked(&bytes[..]).expect("a whole datagram");
        if datagram.dst_port() != DHCP_SERVER_PORT {
            continue;
        }
        let packet = DhcpPacket::new_checked(datagram.payload()).expect("a whole message");
        let asked = DhcpRepr::parse(&packet).expect("a message with sense");
        let reply = DhcpRepr {
            message_type: match asked.message_type {
                DhcpMessageType::Discover => DhcpMessageType::Offer,
                _ => DhcpMessageType::Ack,
            },
            your_ip: NODE,
            server_ip: OWN,
            router: Some(OWN),
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            server_identifier: Some(OWN),
            lease_duration: Some(seconds),
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            max_size: None,
            additional_options: &[DhcpOption { kind: LOG_SERVERS, data: &OWN.octets() }],
            ..asked.clone()
        };
        let mut message = vec![0; reply.buffer_len()];
        reply.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).expect("the buffer is right");
        let udp = UdpRepr { src_port: DHCP_SERVER_PORT, dst_port: DHCP_CLIENT_PORT };
        let mut payload = vec![0; udp.header_len() + message.len()];
        udp.emit(
            &mut UdpPacket::new_unchecked(&mut payload[..]),
            &IpAddress::Ipv4(OWN),
            &IpAddress::Ipv4(NODE),
            message.len(),
            |buffer| buffer.copy_from_slice(&message),
            &ChecksumCapabilities::default(),
        );
        wire.send(&frame(mac, IpProtocol::Udp, NODE, &payload));
        if reply.message_type == DhcpMessageType::Ack {
            return Asked { message: asked.message_type, from: asked.client_ip };
        }
    }
}

/// A host on our side, with one TCP connection.
struct Host {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    begin: Instant,
    port: u16,
}

impl Host {
    fn new(mut wire: Wire) -> Self {
        let mut config = Config::new(HardwareAddress::Ethernet(OWN_MAC));
        config.random_seed = 7;
        let mut interface = Interface::new(config, &mut wire, Timestamp::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::Ipv4(OWN), 24)).expect("there is room for one");
        });
        let sockets = SocketSet::new(vec![]);
        Self { wire, interface, sockets, begin: Instant::now(), port: 50_000 }
    }

    /// Exchanges frames until `done` says so.
    fn until(&mut self, handle: SocketHandle, mut done: impl FnMut(&mut tcp::Socket) -> bool) {
        let end = Instant::now() + PLENTY * 2;
        while !done(self.sockets.get_mut(handle)) {
            assert!(Instant::now() < end, "no end in sight");
            let now = Timestamp::from_micros(self.begin.elapsed().as_micros() as i64);
            self.interface.poll(now, &mut self.wire, &mut self.sockets);
        }
    }

    /// Sends a request on a connection of its own and returns all that comes back.
    fn exchange(&mut self, request: &[u8]) -> String {
        let buffer = || tcp::SocketBuffer::new(vec![0; 16 << 10]);
        let handle = self.sockets.add(tcp::Socket::new(buffer(), buffer()));
        self.port += 1;
        let context = self.interface.context();
        let socket = self.sockets.get_mut::<tcp::Socket>(handle);
        socket.connect(context, (NODE, NODE_PORT), self.port).expect("an unused port");
        let (mut sent, mut received) = (0, Vec::new());
        self.until(handle, |socket| {
            if socket.can_send() && sent < request.len() {
                sent += socket.send_slice(&request[sent..]).expect("an open connection");
            }
            while socket.can_recv() {
                socket
                    .recv(|bytes| (bytes.len(), received.extend_from_slice(bytes)))
                    .expect("something to receive");
            }
            let finished = sent == request.len() && !socket.may_recv() && !received.is_empty();
            assert!(finished || socket.is_open(), "the connection broke off");
            finished
        });
        self.sockets.get_mut::<tcp::Socket>(handle).close();
        String::from_utf8_lossy(&received).into_owned()
    }
}

fn wait_for_log(node: &Node, text: &str) {
    assert!(node.serial_log().wait_for(text, BOOT_TIMEOUT), "{text}: {}", node.report());
}

/// A node with a fixed address at the other end of a cable.
fn fixed() -> (Node, Wire) {
    let words = format!("ip={NODE}::{OWN}:255.255.255.0");
    let (machine, wire) = Wire::plug(machine().kernel_words(words));
    let node = machine.boot().expect("QEMU runs");
    wait_for_log(&node, "ready after");
    (node, wire)
}

#[test]
fn the_address_on_the_command_line_is_taken() {
    for words in ["ip=10.0.2.15::10.0.2.2:255.255.255.0", "ip=10.0.2.15", "ip=dhcp", ""] {
        let node = boot(machine().kernel_words(words));
        let log = node.serial();
        assert!(log.contains("address 10.0.2.15/24"), "{words}: {log}");
        assert_eq!(node.get("/readyz").status, 200, "{words}");
        assert_eq!(node.power_off(), PowerOff::Clean, "{words}");
    }
}

#[test]
fn a_word_on_the_command_line_that_makes_no_sense_is_named() {
    let words = ["ip=nonsense", "hostkernel.cores=0", "colour=blue"];
    let node = boot(machine().kernel_words(words.join(" ")));
    let log = node.serial();
    for word in words {
        // Of an unknown key the value is not shown.
        let shown = word.strip_suffix("=blue").unwrap_or(word);
        assert!(log.contains(&format!("\"{shown}\" ignored")), "{word}: {log}");
    }
}

#[test]
fn the_port_on_the_command_line_is_taken() {
    let host_port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let machine = machine().kernel_words("hostkernel.port=8080").forward(host_port, 8080);
    let node = machine.boot().expect("QEMU runs");
    wait_for_log(&node, "ready after");
    let client = hk::Client::new(&format!("http://127.0.0.1:{host_port}"));
    assert!(client.is_ready(), "{}", node.report());
}

#[test]
fn a_leased_address_is_renewed_before_it_ends() {
    let (machine, mut wire) = Wire::plug(machine());
    let node = machine.boot().expect("QEMU runs");
    let first = lease(&mut wire, 8);
    assert_eq!(first, Asked { message: DhcpMessageType::Request, from: Ipv4Addr::UNSPECIFIED });
    wait_for_log(&node, &format!("address {NODE}/24"));
    for _ in 0..2 {
        // Whoever renews asks from the address it has.
        let again = lease(&mut wire, 8);
        assert_eq!(again, Asked { message: DhcpMessageType::Request, from: NODE });
    }
    assert!(!node.serial().contains("lease lost"), "{}", node.report());
    ping(&mut wire);
}

#[test]
fn a_node_that_nobody_talks_to_notices_the_answer_to_its_first_question() {
    // QEMU's own DHCP server answers while the node still looks at what it has sent.
    let node = machine().boot().expect("QEMU runs");
    wait_for_log(&node, "ready after");
    let serial = node.serial();
    let ready_us = serial.split("ready after ").nth(1).and_then(|rest| rest.split(' ').next());
    let ready_us: u64 = ready_us.and_then(|us| us.parse().ok()).expect("a number");
    // A DHCP client asks again after four seconds, and then after eight.
    assert!(ready_us < 10_000_000, "{serial}");
}

#[test]
fn a_lease_that_is_not_renewed_ends_and_a_new_one_is_taken() {
    let (machine, mut wire) = Wire::plug(machine());
    let node = machine.boot().expect("QEMU runs");
    lease(&mut wire, 2);
    wait_for_log(&node, &format!("address {NODE}/24"));
    // No answer to anything until the node has given up.
    wait_for_log(&node, "address lease lost");
    while wire.receive(Duration::from_millis(1)).is_some() {}
    assert_eq!(lease(&mut wire, 600).from, Ipv4Addr::UNSPECIFIED);
    ping(&mut wire);
}

#[test]
fn the_log_goes_to_the_server_that_dhcp_names() {
    let (machine, mut wire) = Wire::plug(machine().kernel_words("hostkernel.syslog=dhcp"));
    let _node = machine.boot().expect("QEMU runs");
    lease(&mut wire, 600);
    let line = loop {
        let (_, bytes) = next_packet(&mut wire, IpProtocol::Udp).expect("a line");
        let datagram = UdpPacket::new_checked(&bytes[..]).expect("a whole datagram");
        if datagram.dst_port() == SYSLOG_PORT {
            break String::from_utf8_lossy(datagram.payload()).into_owned();
        }
    };
    // The oldest that waited, from before there was an address.
    assert!(line.starts_with("<134>1 "), "{line}");
    assert!(line.contains("Z 192.0.2.77 hostkernel - log - configuration: 1 from"), "{line}");
}

/// Sends an echo request to the node's address and waits for the reply.
fn ping(wire: &mut Wire) {
    let mac = resolve(wire);
    let message = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"are you there?" };
    let mut payload = vec![0; message.buffer_len()];
    message
        .emit(&mut Icmpv4Packet::new_unchecked(&mut payload[..]), &ChecksumCapabilities::default());
    wire.send(&frame(mac, IpProtocol::Icmp, NODE, &payload));
    let (from, reply) = next_packet(wire, IpProtocol::Icmp).expect("a reply");
    let packet = Icmpv4Packet::new_checked(&reply[..]).expect("a whole message");
    let reply = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default());
    let expected = Icmpv4Repr::EchoReply { ident: 7, seq_no: 1, data: b"are you there?" };
    assert_eq!((from, reply), (mac, Ok(expected)));
}

#[test]
fn a_node_answers_ping() {
    let (_node, mut wire) = fixed();
    for _ in 0..10 {
        ping(&mut wire);
    }
}

#[test]
fn requests_survive_a_cable_that_loses_every_tenth_frame() {
    const SEED: u64 = 0x5eed;
    let (node, mut wire) = fixed();
    wire.lose(10, SEED);
    let mut host = Host::new(wire);
    for round in 0..20 {
        let answer = host.exchange(&request("GET", "/healthz", &["Connection: close"], b""));
        let ok = answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok");
        assert!(ok, "round {round}, seed {SEED:#x}: {answer:?}\n{}", node.report());
    }
}

/// A frame that asks for a connection from an address beyond the gateway, and goes no further.
fn connect_frame(number: u32) -> Vec<u8> {
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number);
    let mut segment = [0; 20];
    let mut tcp = TcpPacket::new_unchecked(&mut segment[..]);
    tcp.set_src_port(1024 + (number % 60_000) as u16);
    tcp.set_dst_port(NODE_PORT);
    tcp.set_seq_number(smoltcp::wire::TcpSeqNumber(number as i32));
    tcp.set_header_len(20);
    tcp.set_syn(true);
    tcp.set_window_len(1000);
    tcp.fill_checksum(&IpAddress::Ipv4(source), &IpAddress::Ipv4(NODE));
    let mut bytes = frame(EthernetAddress::BROADCAST, IpProtocol::Tcp, NODE, &segment);
    let mut ethernet = EthernetFrame::new_unchecked(&mut bytes[..]);
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    packet.set_src_addr(source);
    packet.fill_checksum();
    bytes
}

#[test]
fn a_flood_of_half_open_connections_passes() {
    let (node, wire) = fixed();
    let mut host = Host::new(wire);
    let health = request("GET", "/healthz", &["Connection: close"], b"");
    assert!(host.exchange(&health).ends_with("ok"));
    for number in 0..5000 {
        host.wire.send(&connect_frame(number));
    }
    // The node keeps its table bounded and clears it by itself.
    let answer = host.exchange(&health);
    assert!(answer.ends_with("ok"), "{answer:?}\n{}", node.report());
}

#[test]
fn frames_that_make_no_sense_are_dropped() {
    let (node, wire) = fixed();
    let mut host = Host::new(wire);
    let connect = connect_frame(1);
    // QEMU takes a datagram of length 0 for the end of the cable.
    for len in (1..connect.len()).chain([200, 1000, 1514]) {
        let mut cut = connect.clone();
        cut.resize(len, 0xA5);
        host.wire.send(&cut);
    }
    for at in 0..connect.len() {
        for value in [0, 0xFF, connect[at] ^ 0x80] {
            let mut changed = connect.clone();
            changed[at] = value;
            host.wire.send(&changed);
        }
    }
    let health = request("GET", "/healthz", &["Connection: close"], b"");
    assert!(host.exchange(&health).ends_with("ok"), "{}", node.report());
}
