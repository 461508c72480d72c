//! Packets that a router took apart, and parts that nobody ever sent whole.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, IPV4_HEADER_LEN, IpProtocol, TcpControl};

use super::lab::{Lab, PING, pattern};
use super::peer::NODE_IP;
use super::raw::Host;
use super::wire::{Fault, parts};
use limits::FRAGMENTED_MAX;

const BODY_LEN: usize = 100_000;
const HOST: Host = Host::at(Ipv4Addr::new(10, 0, 2, 9));

#[test]
fn a_request_whose_packets_arrive_in_parts_is_answered() {
    // The least a link may carry, a part of eight bytes behind the rest, and two of one length.
    for (part_len_max, is_backwards) in [(68, false), (576, true), (1492, false), (764, true)] {
        let mut lab = Lab::new();
        let client = lab.connect();
        lab.echo(client, b"whole");
        lab.to_node.borrow_mut().part_len_max = Some(part_len_max);
        lab.to_node.borrow_mut().is_backwards = is_backwards;
        lab.echo(client, &pattern(BODY_LEN));
        assert_eq!(lab.service.node().load.traffic.received.dropped, 0);
        lab.settle();
    }
}

#[test]
fn parts_that_get_lost_are_sent_again_with_their_packet() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.echo(client, b"whole");
    lab.to_node.borrow_mut().part_len_max = Some(576);
    lab.to_node.borrow_mut().lost_in = Some(29);
    lab.echo(client, &pattern(BODY_LEN));
    lab.settle();
}

#[test]
fn parts_of_nothing_hold_nobody_up() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.echo(client, b"whole");
    lab.to_node.borrow_mut().part_len_max = Some(576);
    let before = lab.service.node().load.traffic.received.dropped;
    let mut sent = 0_u64;
    for turn in 0..20_u32 {
        for number in 0..50 {
            // The first part of a packet, of somebody new each time.
            let stranger = Host::at(Ipv4Addr::from_bits(0x0a00_0300 + turn * 50 + number));
            let frame = stranger.frame(IpProtocol::Tcp, &pattern(600));
            let part = parts(&frame, 576, number as u16).swap_remove(0);
            lab.to_node.borrow_mut().send(part);
            sent += 1;
        }
        lab.echo(client, &pattern(3000));
    }
    let dropped = lab.service.node().load.traffic.received.dropped - before;
    assert!(dropped >= sent - FRAGMENTED_MAX as u64, "{dropped} of {sent}");
    lab.settle();
}

#[test]
fn a_connect_in_parts_and_a_segment_of_nobody_are_dropped() {
    let mut lab = Lab::new();
    lab.to_peer.borrow_mut().capture = Some(Vec::new());
    HOST.arp(&lab, ArpOperation::Request, NODE_IP);
    lab.pass_ms(5);
    let (next, theirs) = HOST.connect(&mut lab, 1000);
    lab.to_node.borrow_mut().part_len_max = Some(IPV4_HEADER_LEN + 8);
    let other = Host { port: 50_001, ..HOST };
    other.segment(&lab, TcpControl::Syn, 1000, None, &[]);
    lab.pass_ms(5);
    assert!(other.seen(&mut lab).is_empty(), "a connect fits into any packet");
    // One whose checksum is wrong is nothing, and one that is right is read.
    let second = lab.to_node.borrow().sent + 1;
    lab.to_node.borrow_mut().inject(second, Fault::Flip(8 * 36));
    HOST.segment(&lab, TcpControl::Psh, next, Some(theirs), PING);
    lab.pass_ms(5);
    assert!(HOST.seen(&mut lab).is_empty());
    HOST.segment(&lab, TcpControl::Psh, next, Some(theirs), PING);
    lab.pass_ms(5);
    let seen = HOST.seen(&mut lab);
    assert!(seen.iter().any(|segment| segment.payload.ends_with(b"pong")), "{seen:?}");
}
