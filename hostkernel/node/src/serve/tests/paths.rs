//! Paths that take less than the wire does, whether somebody says so or not.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, IpProtocol, TcpControl};

use super::lab::{Lab, invoke, pattern};
use super::peer::{NODE_IP, PORT};
use super::raw::{Host, Seen};
use limits::PATH_MTU_MIN;

const CLIENT: Host = Host::at(Ipv4Addr::new(10, 0, 2, 9));
/// A router beside the node: its word has nothing but what it says.
const ROUTER: Host = Host::at(Ipv4Addr::new(10, 0, 2, 1));
/// Ethernet's header.
const HEADER_LEN: usize = 14;

fn lab() -> Lab {
    let mut lab = Lab::new();
    CLIENT.arp(&lab, ArpOperation::Request, NODE_IP);
    lab.pass_ms(3_000);
    lab.to_peer.borrow_mut().capture = Some(Vec::new());
    lab
}

/// Says that a packet to the client with this number was too big.
fn refuse(lab: &Lab, sequence: u32, mtu: u16) {
    let mut message: Vec<u8> = [3, 4, 0, 0, 0, 0].to_vec();
    message.extend(mtu.to_be_bytes());
    message.extend([0x45, 0, 5, 220, 0, 0, 0x40, 0, 60, 6, 0, 0]);
    message.extend([NODE_IP.octets(), CLIENT.address.octets()].concat());
    message.extend([PORT.to_be_bytes(), CLIENT.port.to_be_bytes()].concat());
    message.extend(sequence.to_be_bytes());
    let sum: u32 = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!sum as u16).to_be_bytes());
    ROUTER.packet(lab, IpProtocol::Icmp, &message);
    lab.to_node.borrow_mut().now_ns = lab.now_ns;
}

/// Asks for an answer of several segments; returns its first number and what came at once.
fn ask(lab: &mut Lab) -> (u32, Vec<Seen>) {
    let (next, theirs) = CLIENT.connect(lab, 1_000);
    CLIENT.seen(lab);
    for part in invoke(&pattern(6_000)).chunks(1_000).enumerate() {
        let (index, part) = part;
        let at = next + 1_000 * index as u32;
        CLIENT.segment(lab, TcpControl::Psh, at, Some(theirs), part);
    }
    lab.pass_ms(100);
    let seen = CLIENT.seen(lab).into_iter().filter(|segment| !segment.payload.is_empty());
    (theirs, seen.collect())
}

fn longest(seen: &[Seen]) -> usize {
    seen.iter().map(|segment| segment.len).max().expect("something was sent")
}

#[test]
fn what_a_router_cannot_pass_on_is_sent_again_in_smaller_parts() {
    for (stated, expected) in [(1280, 1280), (0, 1492), (68, PATH_MTU_MIN)] {
        let mut lab = lab();
        let (theirs, seen) = ask(&mut lab);
        assert_eq!(longest(&seen), 1500);
        refuse(&lab, theirs.wrapping_add(1460), stated);
        lab.pass_ms(1_100);
        let again = CLIENT.seen(&mut lab);
        assert_eq!((longest(&again), again[0].sequence), (expected, theirs), "{stated}");
        // Whoever comes next from there is sent no more.
        let other = Host { port: 50_001, ..CLIENT };
        let (next, theirs) = other.connect(&mut lab, 5);
        other.seen(&mut lab);
        other.segment(&lab, TcpControl::Psh, next, Some(theirs), &invoke(&pattern(1_350)));
        lab.pass_ms(50);
        assert!(longest(&other.seen(&mut lab)) <= expected);
    }
}

#[test]
fn a_router_that_does_not_know_the_number_is_not_believed() {
    let mut lab = lab();
    let (theirs, seen) = ask(&mut lab);
    let end = seen.last().map(|last| last.sequence.wrapping_add(last.payload.len() as u32));
    for sequence in [theirs.wrapping_sub(1), end.expect("something was sent"), theirs ^ 0x8000_0000]
    {
        refuse(&lab, sequence, 1280);
    }
    lab.pass_ms(1_100);
    assert_eq!(longest(&CLIENT.seen(&mut lab)), 1500);
}

#[test]
fn large_packets_that_vanish_are_followed_by_smaller_ones() {
    for mtu in [1400, 1300, 600] {
        let mut lab = Lab::with_case(alloc::format!("{mtu} bytes"));
        let client = lab.connect();
        lab.echo(client, b"small");
        lab.to_peer.borrow_mut().len_max = Some(mtu + HEADER_LEN);
        lab.echo(client, &pattern(9_000));
        let start_ns = lab.now_ns;
        lab.echo(client, &pattern(9_000));
        assert!(lab.since_ms(start_ns) < 100, "it is remembered: {} ms", lab.since_ms(start_ns));
        lab.settle();
    }
}
