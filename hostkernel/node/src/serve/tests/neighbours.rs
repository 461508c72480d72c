//! Who is answered on the wire and found there: probes, strangers, routers that are elsewhere or
//! move.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, TcpControl};

use super::lab::Lab;
use super::peer::NODE_IP;
use super::raw::{Host, MAC};
use crate::settings::{Address, Settings};
use limits::{ANNOUNCEMENTS, NEIGHBOUR_ANSWER_MS};

const ROUTER: Ipv4Addr = Ipv4Addr::new(172, 31, 1, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 9);
const EVERYBODY: [u8; 6] = [0xff; 6];

/// A node with an address alone and a router somewhere, when its own announcements are over.
fn lab(prefix_len: u8, gateway: Ipv4Addr) -> Lab {
    let address = Address::Static { address: NODE_IP, prefix_len, gateway: Some(gateway) };
    let mut lab = Lab::at(Settings { address, ..Settings::default() });
    lab.to_peer.borrow_mut().capture = Some(Vec::new());
    lab.pass_ms(10_000);
    let announced = Host::at(FAR).seen_arp(&mut lab);
    let expected = (ArpOperation::Request, NODE_IP, EVERYBODY);
    assert_eq!(announced, [expected].repeat(usize::from(ANNOUNCEMENTS)));
    lab
}

/// Whether a question for the node's address is answered.
fn is_answered(lab: &mut Lab, host: Host, tag: &[u8]) -> bool {
    host.arp_tagged(lab, ArpOperation::Request, NODE_IP, tag);
    lab.pass_ms(5);
    host.seen_arp(lab).contains(&(ArpOperation::Reply, host.address, host.mac))
}

#[test]
fn whoever_asks_for_the_node_is_answered() {
    let mut lab = lab(24, Ipv4Addr::new(10, 0, 2, 1));
    let neighbour = Host::at(Ipv4Addr::new(10, 0, 2, 9));
    assert!(is_answered(&mut lab, neighbour, &[]));
    assert!(is_answered(&mut lab, Host::at(Ipv4Addr::UNSPECIFIED), &[]), "a probe");
    assert!(is_answered(&mut lab, Host::at(FAR), &[]), "of another network");
    assert!(is_answered(&mut lab, neighbour, &[0x81, 0, 0, 0]), "a frame with a priority");
    assert!(is_answered(&mut lab, neighbour, &[0x81, 0, 0xe0, 0]));
    assert!(!is_answered(&mut lab, neighbour, &[0x81, 0, 0, 5]), "of a VLAN");
    neighbour.arp(&lab, ArpOperation::Request, Ipv4Addr::new(10, 0, 2, 10));
    lab.pass_ms(5);
    assert!(neighbour.seen_arp(&mut lab).is_empty(), "another's address");
}

#[test]
fn who_takes_the_nodes_address_is_told_and_not_in_a_loop() {
    let mut lab = lab(24, Ipv4Addr::new(10, 0, 2, 1));
    let rival = Host::at(NODE_IP);
    for _ in 0..20 {
        rival.arp(&lab, ArpOperation::Request, NODE_IP);
        lab.pass_ms(100);
    }
    let said = rival.seen_arp(&mut lab);
    assert_eq!(said, [(ArpOperation::Request, NODE_IP, EVERYBODY)]);
}

/// Lets a client of another network connect by a router, and returns whether it could.
fn connects_by(lab: &mut Lab, router: Host) -> bool {
    let client = Host { address: FAR, ..router };
    client.segment(lab, TcpControl::Syn, 77, None, &[]);
    lab.pass_ms(5);
    let is_wanted = |(operation, target, _): &(_, Ipv4Addr, _)| {
        (*operation, *target) == (ArpOperation::Request, router.address)
    };
    let frames = lab.to_peer.borrow_mut().capture.clone();
    if router.seen_arp(lab).iter().any(is_wanted) {
        router.arp(lab, ArpOperation::Reply, NODE_IP);
        lab.pass_ms(5);
    } else {
        lab.to_peer.borrow_mut().capture = frames;
    }
    let seen = client.seen(lab);
    seen.iter().any(|segment| segment.control == TcpControl::Syn)
}

#[test]
fn a_router_may_be_beside_the_nodes_network() {
    for prefix_len in [24, 31, 32] {
        let mut lab = lab(prefix_len, ROUTER);
        assert!(is_answered(&mut lab, Host::at(ROUTER), &[]), "/{prefix_len}");
        assert!(connects_by(&mut lab, Host::at(ROUTER)), "/{prefix_len}");
    }
    // Nobody asked before, so the node does.
    let mut lab = lab(32, ROUTER);
    assert!(connects_by(&mut lab, Host::at(ROUTER)));
}

#[test]
fn a_router_that_moved_is_followed_and_one_that_did_not_is_kept() {
    let client = Host { port: 50_001, ..Host::at(FAR) };
    let old = Host { mac: [2, 0, 0, 0, 0, 0x11], ..Host::at(ROUTER) };
    let new = Host { mac: MAC, ..old };
    for old_answers in [false, true] {
        let mut lab = lab(32, ROUTER);
        assert!(connects_by(&mut lab, old));
        new.arp(&lab, ArpOperation::Request, ROUTER);
        lab.pass_ms(5);
        let asked = old.seen_arp(&mut lab);
        assert_eq!(asked, [(ArpOperation::Request, ROUTER, old.mac)], "where it was");
        if old_answers {
            old.arp(&lab, ArpOperation::Reply, NODE_IP);
        }
        lab.pass_ms(NEIGHBOUR_ANSWER_MS);
        let believed = if old_answers { old } else { new };
        let client = Host { mac: believed.mac, ..client };
        client.segment(&lab, TcpControl::Syn, 99, None, &[]);
        lab.pass_ms(5);
        let seen = client.seen(&mut lab);
        assert_eq!(
            seen.iter().map(|segment| segment.control).collect::<Vec<_>>(),
            [TcpControl::Syn]
        );
    }
}

#[test]
fn a_neighbour_that_is_not_there_holds_nobody_else_up() {
    let mut lab = lab(24, Ipv4Addr::new(10, 0, 2, 1));
    // Connects from a hundred hosts that do not exist.
    for last in 100..200 {
        Host::at(Ipv4Addr::new(10, 0, 2, last)).segment(&lab, TcpControl::Syn, 5, None, &[]);
        lab.pass_ms(1);
    }
    let client = lab.connect();
    lab.echo(client, b"found");
}
