//! Connections of the node to others, on paths that take less than the wire, and slow ones.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{EthernetFrame, IpProtocol, Ipv4Packet, TcpPacket};

use super::lab::{Lab, NS_PER_MS, PING};
use super::peer::{NODE_IP, PEER_IP};
use super::raw::Host;
use super::registry::{Fake, REGISTRY, action, answer_of, ask, call, lab, pass};
use crate::api::tests::image;
use limits::{CALL_TIMEOUT_MS, STORE_AWAY_MS, STORE_PATIENCE_MS};

/// A router beside the node: its word has nothing but what it says.
const ROUTER: Host = Host::at(Ipv4Addr::new(10, 0, 2, 1));
/// Ethernet's header.
const HEADER_LEN: usize = 14;
/// Code of several segments.
const CODE_LEN: usize = 9_000;

/// The answer is short: the way to the client is as narrow.
fn target(name: &str) -> String {
    format!("{}&code=false", action(name))
}

/// Deploys into the registry; returns how long that took.
fn put(lab: &mut Lab, fake: &mut Fake, name: &str) -> u64 {
    let client = lab.connect();
    let mut code = image();
    code.resize(CODE_LEN, name.len() as u8);
    let begun_ns = lab.now_ns;
    ask(lab, client, "PUT", &target(name), &code);
    assert_eq!(answer_of(lab, fake, client).status, 200, "{:?}", fake.log);
    lab.peer.close(client);
    lab.since_ms(begun_ns)
}

/// The node's port on the way to the registry, if a long packet is on it.
fn long_from(lab: &Lab) -> Option<u16> {
    let frames = lab.to_peer.borrow().capture.clone().unwrap_or_default();
    frames.iter().find_map(|frame| {
        let packet = Ipv4Packet::new_checked(EthernetFrame::new_checked(frame).ok()?.payload());
        let packet = packet.ok().filter(|packet| packet.total_len() == 1500)?;
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        (segment.dst_port() == REGISTRY).then_some(segment.src_port())
    })
}

/// Says something of a packet from this port to the registry.
fn say(lab: &Lab, [kind, code]: [u8; 2], mtu: u16, port: u16) {
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    message.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 60, 6, 0, 0]);
    message.extend([NODE_IP.octets(), PEER_IP.octets()].concat());
    message.extend([port.to_be_bytes(), REGISTRY.to_be_bytes()].concat());
    message.extend([0; 4]);
    let sum: u32 = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!sum as u16).to_be_bytes());
    ROUTER.packet(lab, IpProtocol::Icmp, &message);
    lab.to_node.borrow_mut().now_ns = lab.now_ns;
}

/// Deploys while a router says something as soon as there is a long packet.
fn put_under(kind: [u8; 2], mtu: u16, beside: u16) -> (Lab, Fake, u64) {
    let (mut lab, mut fake) = lab("");
    lab.to_peer.borrow_mut().capture = Some(Vec::new());
    lab.to_peer.borrow_mut().len_max = (mtu > 0).then_some(usize::from(mtu) + HEADER_LEN);
    let client = lab.connect();
    let mut code = image();
    code.resize(CODE_LEN, 7);
    let begun_ns = lab.now_ns;
    ask(&mut lab, client, "PUT", &target("mine"), &code);
    let port = lab.until("a long packet", |lab| {
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        long_from(lab)
    });
    say(&lab, kind, mtu, port.wrapping_add(beside));
    let status = answer_of(&mut lab, &mut fake, client).status;
    assert_eq!(status, 200, "{:?}", fake.log);
    let took_ms = lab.since_ms(begun_ns);
    (lab, fake, took_ms)
}

#[test]
fn what_a_router_cannot_pass_on_to_the_registry_is_sent_again_in_smaller_parts() {
    let (mut lab, mut fake, took_ms) = put_under([3, 4], 1006, 0);
    assert!(took_ms < 1_500, "sent again once: {took_ms} ms");
    let took_ms = put(&mut lab, &mut fake, "other");
    assert!(took_ms < 500, "it is remembered: {took_ms} ms");
    lab.settle();
}

#[test]
fn other_messages_change_nothing() {
    // No host, no port, no route; one that is too big on somebody else's connection.
    for (kind, beside) in [([3, 1], 0), ([3, 3], 0), ([3, 0], 0), ([3, 4], 1)] {
        let (mut lab, _, took_ms) = put_under(kind, 0, beside);
        assert!(took_ms < 500, "{kind:?}: {took_ms} ms");
        lab.settle();
    }
}

#[test]
fn large_packets_to_the_registry_that_vanish_are_followed_by_smaller_ones() {
    for mtu in [1400, 1300, 1100] {
        let (mut lab, mut fake) = lab("");
        lab.to_peer.borrow_mut().len_max = Some(mtu + HEADER_LEN);
        put(&mut lab, &mut fake, "mine");
        let took_ms = put(&mut lab, &mut fake, "other");
        assert!(took_ms < 500, "it is remembered: {took_ms} ms");
        lab.settle();
    }
}

/// A registry sends a byte a second: never nothing, and never enough.
#[test]
fn a_registry_that_trickles_holds_nobody_up() {
    let (mut lab, mut fake) = lab("");
    fake.keep("new", &image());
    let (caller, other) = (lab.connect(), lab.connect());
    ask(&mut lab, caller, "POST", "/function/new", b"x");
    let asked_ns = lab.now_ns;
    let refused = loop {
        lab.peer.pace = Some(1);
        lab.peer.serve(|port, bytes| fake.serve(port, bytes));
        lab.peer.pace = Some(0);
        let second_ns = lab.now_ns;
        lab.send(other, PING);
        assert_eq!(answer_of(&mut lab, &mut fake, other).status, 200);
        assert!(lab.since_ms(second_ns) < 10, "nothing stands still");
        // The node has this one, and asks whether the registry has another.
        assert_eq!(call(&mut lab, &mut fake, "echo"), 200);
        assert!(lab.since_ms(second_ns) <= STORE_PATIENCE_MS + 20);
        let passed_ms = lab.since_ms(second_ns);
        lab.pass_ms(1_100 - passed_ms);
        if let Some(answer) = lab.peer.take_answer(caller) {
            break answer;
        }
        assert!(lab.since_ms(asked_ns) < CALL_TIMEOUT_MS + 2_000, "there is an end");
    };
    let text = String::from_utf8(refused.body).expect("text");
    assert!(refused.status == 503 && text.contains("it is too slow"), "{text}");
    assert!(lab.now_ns - asked_ns >= CALL_TIMEOUT_MS * NS_PER_MS, "it was given its time");
    lab.peer.pace = None;
    pass(&mut lab, &mut fake, 2 * STORE_AWAY_MS);
    assert_eq!(call(&mut lab, &mut fake, "new"), 200, "it heals");
    lab.settle();
}
