//! The numbers of a connection: where they begin, and who may end a connection by them.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{ArpOperation, TcpControl};

use super::lab::{Lab, PING};
use super::peer::NODE_IP;
use super::raw::{Host, Seen};

const CLIENT: Host = Host::at(Ipv4Addr::new(10, 0, 2, 9));

fn lab() -> Lab {
    let mut lab = Lab::new();
    CLIENT.arp(&lab, ArpOperation::Request, NODE_IP);
    lab.pass_ms(3_000);
    lab.to_peer.borrow_mut().capture = Some(Vec::new());
    lab
}

/// Sends a request on a connection and returns whether it was answered.
fn is_answered(lab: &mut Lab, client: Host, (next, theirs): (u32, u32)) -> bool {
    client.seen(lab);
    client.segment(lab, TcpControl::Psh, next, Some(theirs), PING);
    lab.pass_ms(20);
    client.seen(lab).iter().any(|segment| segment.payload.ends_with(b"pong"))
}

#[test]
fn an_answer_says_when_it_was_made_if_there_is_a_clock() {
    let heads = [&b"GET /ping"[..], b"POST /api/v1/namespaces/_/actions/x", b"nonsense"];
    for (wall_ms, count) in [(0, 0), (784_111_777_250, 1)] {
        for head in heads {
            let mut lab = lab();
            lab.wall_ms = wall_ms;
            let (next, theirs) = CLIENT.connect(&mut lab, 1_000);
            let rest = b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
            let request = [head, rest].concat();
            CLIENT.segment(&lab, TcpControl::Psh, next, Some(theirs), &request);
            lab.pass_ms(20);
            let seen = CLIENT.seen(&mut lab);
            let answer: Vec<u8> = seen.into_iter().flat_map(|segment| segment.payload).collect();
            let date = b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
            assert_eq!(answer.windows(date.len()).filter(|window| window == date).count(), count);
            assert_eq!(answer.windows(6).filter(|window| window == b"\nDate:").count(), count);
            assert!(answer.starts_with(b"HTTP/1.1 "));
        }
    }
}

/// A segment that says where the node stands and nothing else.
fn states(segment: &Seen, next: u32, theirs: u32) -> bool {
    let stands = (segment.sequence, segment.acknowledged) == (theirs, Some(next));
    segment.control == TcpControl::None && segment.payload.is_empty() && stands
}

#[test]
fn numbers_begin_where_nobody_can_guess_and_go_up_for_each_client() {
    let mut lab = lab();
    let firsts: Vec<u32> = (0..6)
        .map(|port| {
            let client = Host { port: 51_000 + port, ..CLIENT };
            client.segment(&lab, TcpControl::Syn, 1, None, &[]);
            lab.pass_ms(5);
            client.seen(&mut lab).last().expect("an answer").sequence
        })
        .collect();
    // What smoltcp's own generator shows is bits of a linear congruence: its next number follows.
    // Here neighbours differ by nothing that repeats.
    let steps: Vec<u32> = firsts.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    for (index, step) in steps.iter().enumerate() {
        assert!(*step > 1 << 16 && *step < u32::MAX - (1 << 16), "{steps:?}");
        assert!(!steps[..index].contains(step), "{steps:?}");
    }
    // The same client again: its number goes on with the clock, 250,000 a second (RFC 6528).
    let again = Host { port: 51_000, ..CLIENT };
    again.segment(&lab, TcpControl::Rst, 2, None, &[]);
    lab.pass_ms(1_000);
    again.seen(&mut lab);
    again.segment(&lab, TcpControl::Syn, 9, None, &[]);
    lab.pass_ms(5);
    let later = again.seen(&mut lab).last().expect("an answer").sequence;
    let step = later.wrapping_sub(firsts[0]);
    assert!((250_000..300_000).contains(&step), "{step}");
}

#[test]
fn a_reset_ends_a_connection_if_its_number_is_the_next() {
    let mut lab = lab();
    let (next, theirs) = CLIENT.connect(&mut lab, 1_000);
    for ahead in [1, 5_000, 8_000] {
        lab.pass_ms(1_100);
        CLIENT.seen(&mut lab);
        CLIENT.segment(&lab, TcpControl::Rst, next + ahead, None, &[]);
        lab.pass_ms(20);
        let seen = CLIENT.seen(&mut lab);
        assert!(seen.iter().any(|segment| states(segment, next, theirs)), "{ahead}: {seen:?}");
    }
    // A flood of guesses is answered once in a while.
    for ahead in 1..200 {
        CLIENT.segment(&lab, TcpControl::Rst, next + ahead, None, &[]);
        lab.pass_ms(1);
    }
    assert!(CLIENT.seen(&mut lab).len() <= 1);
    for far in [8_192, 70_000, 0x8000_0000] {
        CLIENT.segment(&lab, TcpControl::Rst, next.wrapping_add(far), None, &[]);
        lab.pass_ms(5);
    }
    assert!(CLIENT.seen(&mut lab).is_empty());
    assert!(is_answered(&mut lab, CLIENT, (next, theirs)), "it lives");
    let next = next + PING.len() as u32;
    CLIENT.segment(&lab, TcpControl::Rst, next, None, &[]);
    lab.pass_ms(5);
    assert_eq!(lab.connections(), 0);
}

#[test]
fn a_client_that_starts_anew_behind_the_same_port_is_told() {
    for ahead in [5_000, 50_000_000, 0xf000_0000] {
        let mut lab = lab();
        let (next, theirs) = CLIENT.connect(&mut lab, 1_000);
        CLIENT.seen(&mut lab);
        CLIENT.segment(&lab, TcpControl::Syn, next.wrapping_add(ahead), None, &[]);
        lab.pass_ms(20);
        let seen = CLIENT.seen(&mut lab);
        assert!(seen.iter().any(|segment| states(segment, next, theirs)), "{seen:?}");
        // It does not know of that connection, says so, and asks again.
        CLIENT.segment(&lab, TcpControl::Rst, next, None, &[]);
        lab.pass_ms(5);
        let numbers = CLIENT.connect(&mut lab, next.wrapping_add(ahead));
        assert!(is_answered(&mut lab, CLIENT, numbers));
    }
}

#[test]
fn a_connect_that_was_not_answered_may_be_replaced_by_another() {
    let mut lab = lab();
    CLIENT.segment(&lab, TcpControl::Syn, 5, None, &[]);
    lab.pass_ms(5);
    CLIENT.segment(&lab, TcpControl::Syn, 5, None, &[]);
    lab.pass_ms(5);
    assert_eq!(CLIENT.seen(&mut lab).len(), 1, "the same once more");
    let numbers = CLIENT.connect(&mut lab, 900_000);
    assert!(is_answered(&mut lab, CLIENT, numbers));
    assert_eq!(lab.connections(), 1);
}
