//! Attacks with TCP segments made by hand.

use std::thread;
use std::time::Duration;

use system_tests::frames::{self, flag};
use system_tests::request;
use system_tests::tap::Peer;
use xtask::qemu::NODE_PORT;

use crate::attacker::Attacker;

/// What a good answer of `hello` contains.
const GREETING: &str = "Hello, peer!";
/// More connections than the node has room for.
const CROWD: usize = 1100;
/// Of those, what fits into the table, and the pause between the others.
const CROWD_AT_ONCE: usize = 980;
const CROWD_PAUSE: Duration = Duration::from_millis(15);
/// How often a request is sent again before the node counts as deaf.
const REPEATS_MAX: usize = 50;
/// Sequence number just before the wrap.
const LAST_SEQUENCE: u32 = u32::MAX - 20;

fn hello() -> Vec<u8> {
    request("POST", "/function/hello", &["Connection: close"], br#"{"name":"peer"}"#)
}

/// More half-open connections than the table has rows: from the node's network, from others, and
/// in the name of the client, whose system resets what it did not ask for.
pub fn half_open(attacker: &mut Attacker) {
    let node = attacker.node();
    for _ in 0..CROWD / 2 {
        let connect = attacker.segment(flag::SYN, &[]);
        let from = [attacker.stranger(), attacker.outsider(), attacker.client(), attacker.own];
        for station in from {
            attacker.send(&connect.frame(station, node));
        }
    }
}

/// Resets for connections that somebody might have.
pub fn resets(attacker: &mut Attacker) {
    let node = attacker.node();
    for _ in 0..1000 {
        let flags = attacker.random.one(&[flag::RST, flag::RST | flag::ACK]);
        let reset = attacker.segment(flags, &[]);
        let station = attacker.random.one(&[attacker.client(), attacker.own]);
        attacker.send(&reset.frame(station, node));
    }
}

/// A reset outside the window changes nothing, one with the right number ends the connection.
pub fn reset_connection(attacker: &mut Attacker) {
    let mut peer = attacker.open(1000, 8192, &[], &[]);
    for distance in [1_u32, 1000, 1 << 20, 1 << 31] {
        for sequence in [peer.next.wrapping_sub(distance), peer.next.wrapping_add(distance << 14)] {
            let outside = Peer { next: sequence, ..peer.clone() };
            if sequence != peer.next {
                attacker.tell(&outside, flag::RST, &[]);
            }
        }
    }
    assert!(
        is_answered(attacker, &mut peer, &[(0, hello().len())]),
        "a reset from elsewhere counted"
    );
    let reset = attacker.open(1000, 8192, &[], &[]);
    attacker.tell(&reset, flag::RST, &[]);
    attacker.tell(&reset, flag::ACK | flag::PSH, &hello());
    assert!(!attacker.hears(&mut reset.clone(), GREETING), "a reset did not count");
}

/// Every combination of flags: to a port nobody listens on, to the service, within a connection.
pub fn flags(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    for flags in 0..=255 {
        for payload in [&b""[..], b"data"] {
            let mut segment = attacker.segment(flags, payload);
            attacker.send(&segment.frame(own, node));
            segment.ports.1 = 80;
            attacker.send(&segment.frame(own, node));
        }
    }
    let peer = attacker.open(1000, 8192, &[], &[]);
    for flags in (0..=255).filter(|flags| flags & flag::RST == 0) {
        attacker.tell(&peer, flags, b"");
        attacker.tell(&peer, flags, b"x");
    }
}

/// Data and acknowledgements for connections that do not exist, and wrong ones for one that does.
pub fn acknowledgements(attacker: &mut Attacker) {
    let node = attacker.node();
    let peer = attacker.open(1000, 8192, &[], &[]);
    for _ in 0..300 {
        let segment = attacker.segment(flag::ACK | flag::PSH, b"GET / HTTP/1.1\r\n\r\n");
        for station in [attacker.own, attacker.client(), attacker.outsider()] {
            attacker.send(&segment.frame(station, node));
        }
        let random = attacker.random.word();
        let wrong = Peer { expected: random as u32, next: (random >> 32) as u32, ..peer.clone() };
        attacker.tell(&wrong, flag::ACK, b"data");
    }
}

/// Connections that ask and never open their window for the answer.
pub fn closed_windows(attacker: &mut Attacker) {
    for window in [0, 1, 0, 3] {
        let mut peer = attacker.open(1000, window, &[], &[]);
        attacker.tell(&peer, flag::ACK | flag::PSH, &request("GET", "/metrics", &[], b""));
        peer.next = peer.next.wrapping_add(request("GET", "/metrics", &[], b"").len() as u32);
        attacker.peers.pop();
        attacker.peers.push(peer);
    }
}

/// A window that shrinks while the answer is on its way.
pub fn shrinking_windows(attacker: &mut Attacker) {
    let ask = request("GET", "/metrics", &[], b"").repeat(4);
    let mut peer = attacker.open(1000, 4000, &[], &[]);
    attacker.tell(&peer, flag::ACK | flag::PSH, &ask);
    peer.next = peer.next.wrapping_add(ask.len() as u32);
    for window in [1400, 700, 100, 1, 0, 9, 0, 65_535, 0] {
        peer.window = window;
        attacker.tell(&peer, flag::ACK, &[]);
        attacker.settle();
    }
    attacker.peers.pop();
    attacker.peers.push(peer);
}

/// Requests no ordinary client sends like this, and which are right all the same.
pub fn odd_requests(attacker: &mut Attacker) {
    let len = hello().len();
    let bytes: Vec<_> = (0..len).map(|at| (at, at + 1)).collect();
    let pieces: Vec<_> = (0..len).step_by(16).map(|at| (at, (at + 16).min(len))).collect();
    let backwards: Vec<_> = pieces.iter().rev().copied().collect();
    let overlapping: Vec<_> = pieces.iter().map(|&(at, end)| (at / 2, end)).rev().collect();
    for (name, order) in [
        ("one byte a segment", &bytes),
        ("out of order", &backwards),
        ("overlapping", &overlapping),
        ("whole", &vec![(0, len)]),
    ] {
        for sequence in [1000, LAST_SEQUENCE] {
            let mut peer = attacker.open(sequence, 8192, &[], b"data in SYN");
            assert!(is_answered(attacker, &mut peer, order), "{name} from {sequence}");
        }
    }
    let mut urgent = attacker.open(1000, 8192, &[], &[]);
    let mut segment = urgent.segment(NODE_PORT, flag::ACK | flag::URG, &hello());
    segment.urgent = 5;
    let frame = segment.frame(urgent.station, attacker.node());
    attacker.send(&frame);
    assert!(attacker.hears(&mut urgent, GREETING), "urgent data");
}

/// Sends a request for `hello` in pieces, again and again, as the loss of a segment would demand.
fn is_answered(attacker: &mut Attacker, peer: &mut Peer, pieces: &[(usize, usize)]) -> bool {
    let (ask, first) = (hello(), peer.next);
    (0..REPEATS_MAX).any(|_| {
        for &(begin, end) in pieces {
            let piece = Peer { next: first.wrapping_add(begin as u32), ..peer.clone() };
            attacker.tell(&piece, flag::ACK | flag::PSH, &ask[begin..end]);
        }
        peer.next = first.wrapping_add(ask.len() as u32);
        attacker.hears(peer, GREETING)
    })
}

/// A request that a router took apart, in both orders, among parts of others' packets.
pub fn fragmented_requests(attacker: &mut Attacker) {
    const PART_LEN: usize = 576;
    let padding = format!("X-Padding: {}", "x".repeat(1200));
    let fields = ["Connection: close", &padding];
    let ask = request("POST", "/function/hello", &fields, br#"{"name":"peer"}"#);
    for is_backwards in [false, true] {
        let mut peer = attacker.open(1000, 8192, &[], &[]);
        let first = peer.next;
        let is_answered = (0..REPEATS_MAX).any(|number| {
            let (node, stray) = (attacker.node(), attacker.outsider());
            let sender = Peer { next: first, ..peer.clone() };
            let whole = |station| {
                sender.segment(NODE_PORT, flag::ACK | flag::PSH, &ask).frame(station, node)
            };
            let mut parts = frames::parts(&whole(peer.station), PART_LEN, number as u16);
            let others = frames::parts(&whole(stray), PART_LEN, number as u16);
            if is_backwards {
                parts.reverse();
            }
            for (part, other) in parts.iter().zip(&others) {
                attacker.send(part);
                attacker.send(other);
            }
            peer.next = first.wrapping_add(ask.len() as u32);
            attacker.hears(&mut peer, GREETING)
        });
        assert!(is_answered, "a request in parts, backwards: {is_backwards}");
    }
}

/// Options with lengths of 0, 1 and too much, and with values at their limits.
pub fn options(attacker: &mut Attacker) {
    let (own, node) = (attacker.own, attacker.node());
    let peer = attacker.open(1000, 8192, &[], &[]);
    // Maximum size, window scale, selective acknowledgements, time stamps, unknown.
    for kind in [0, 1, 2, 3, 4, 5, 8, 30, 254] {
        for len in [0, 1, 2, 3, 4, 9, 10, 40, 255] {
            for value in [0, 1, 255] {
                let mut options = vec![value; 12];
                options[..2].copy_from_slice(&[kind, len]);
                let mut segment = attacker.segment(flag::SYN, &[]);
                segment.options.clone_from(&options);
                attacker.send(&segment.frame(own, node));
                let mut segment = peer.segment(NODE_PORT, flag::ACK, &[]);
                segment.options = options;
                attacker.send(&segment.frame(own, node));
            }
        }
    }
    // The smallest segments, and the largest window scale.
    let mut tiny = attacker.open(1000, 8192, &[2, 4, 0, 0, 3, 3, 255], &[]);
    assert!(is_answered(attacker, &mut tiny, &[(0, hello().len())]), "odd options");
}

/// Connections that are opened and left alone. The last ones come no faster than the node gives up
/// old ones: 16 in 100 ms. Who completes more than that keeps others out, until they stop.
pub fn idle_crowd(attacker: &mut Attacker) {
    for number in 0..CROWD {
        if number >= CROWD_AT_ONCE {
            thread::sleep(CROWD_PAUSE);
        }
        let sequence = attacker.random.word() as u32;
        attacker.open(sequence, 8192, &[], &[]);
    }
}
