//! What the wire and the card do to frames, for each frame of a conversation in turn.
//!
//! Whatever happens to it, every request gets its answer, the action runs once for each, and the
//! node is as before.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use smoltcp::socket::tcp::State;

use super::lab::{Lab, NS_PER_MS, invoke, pattern};
use super::wire::{Fault, Wire};
use memory::failure;

/// Bytes of a frame up to the end of a TCP header without options.
const HEADERS_LEN: usize = 54;

/// Lengths of the bodies of a conversation: a segment each way, several, none.
const LONG: &[usize] = &[20, 5000, 0, 12_000];
/// The same for faults of which there are many more.
const SHORT: &[usize] = &[3000];

/// Which direction is at fault.
#[derive(Clone, Copy, Debug)]
enum Toward {
    Node,
    Peer,
}

impl Toward {
    fn wire(self, lab: &Lab) -> &Wire {
        match self {
            Self::Node => &lab.to_node,
            Self::Peer => &lab.to_peer,
        }
    }
}

/// Holds the conversation on a prepared lab.
fn converse(lab: &mut Lab, bodies: &[usize]) {
    let client = lab.connect();
    for len in bodies {
        lab.echo(client, &pattern(*len));
    }
    assert_eq!(lab.worker.begun, bodies.len(), "each request runs once");
    lab.settle();
}

/// Frames of the conversation when nothing happens to them.
fn frames(toward: Toward, bodies: &[usize]) -> usize {
    let mut lab = Lab::new();
    converse(&mut lab, bodies);
    toward.wire(&lab).borrow().sent
}

/// Holds the long conversation with this fault on each frame in turn.
fn for_each_frame(toward: Toward, fault: impl Fn(usize) -> Fault) {
    for_each_frame_of(LONG, toward, fault);
}

fn for_each_frame_of(bodies: &[usize], toward: Toward, fault: impl Fn(usize) -> Fault) {
    for number in 0..frames(toward, bodies) {
        let fault = fault(number);
        let mut lab = Lab::with_case(format!("frame {number} to {toward:?}: {fault:?}"));
        toward.wire(&lab).borrow_mut().inject(number, fault);
        converse(&mut lab, bodies);
    }
}

#[test]
fn any_frame_can_be_lost() {
    for_each_frame(Toward::Node, |_| Fault::Lose);
    for_each_frame(Toward::Peer, |_| Fault::Lose);
}

#[test]
fn any_frame_can_come_twice() {
    for_each_frame(Toward::Node, |_| Fault::Duplicate);
    for_each_frame(Toward::Peer, |_| Fault::Duplicate);
}

#[test]
fn any_frame_can_come_after_later_ones() {
    // Behind the next one, behind a retransmission, and behind the end of the connection.
    for delay_ms in [1, 1_500, 12_000] {
        for_each_frame(Toward::Node, |_| Fault::Delay(delay_ms * NS_PER_MS));
        for_each_frame(Toward::Peer, |_| Fault::Delay(delay_ms * NS_PER_MS));
    }
}

#[test]
fn any_frame_can_have_a_wrong_bit_in_its_headers() {
    // The bit walks through the byte, so that all positions of a byte meet some frame.
    for byte in 0..HEADERS_LEN {
        let flip = |number| Fault::Flip(8 * byte + (number + byte) % 8);
        for_each_frame_of(SHORT, Toward::Node, flip);
    }
}

#[test]
fn any_frame_can_have_a_wrong_bit_anywhere() {
    for_each_frame(Toward::Node, |number| Fault::Flip(8 * HEADERS_LEN + 997 * number));
    for_each_frame(Toward::Peer, |number| Fault::Flip(997 * number));
}

#[test]
fn the_card_can_have_no_room_to_send_after_any_frame() {
    for polls in [1, 10, 1000] {
        for_each_frame(Toward::Peer, |_| Fault::Full(polls));
    }
}

#[test]
fn either_side_can_stand_still_before_any_frame() {
    for stall_ms in [5, 3_000] {
        for_each_frame(Toward::Node, |_| Fault::Stall(stall_ms * NS_PER_MS));
        for_each_frame(Toward::Peer, |_| Fault::Stall(stall_ms * NS_PER_MS));
    }
}

#[test]
fn any_two_frames_can_be_lost() {
    for first in 0..frames(Toward::Node, SHORT) {
        for second in 0..frames(Toward::Peer, SHORT) {
            let mut lab = Lab::with_case(format!("frames {first} and {second} are lost"));
            lab.to_node.borrow_mut().inject(first, Fault::Lose);
            lab.to_peer.borrow_mut().inject(second, Fault::Lose);
            converse(&mut lab, SHORT);
        }
    }
}

#[test]
fn a_line_that_loses_and_garbles_some_frames_is_only_slow() {
    for seed in 1..60 {
        let mut lab = Lab::with_seed(seed, format!("seed {seed}"));
        lab.peer.injector.set_drop_chance(5);
        lab.peer.injector.set_corrupt_chance(5);
        let clients: Vec<_> = (0..4).map(|_| lab.connect()).collect();
        for len in [10, 3000] {
            for client in &clients {
                lab.echo(*client, &pattern(len));
            }
        }
        assert_eq!(lab.worker.begun, 8, "each request runs once");
        lab.peer.injector.set_drop_chance(0);
        lab.peer.injector.set_corrupt_chance(0);
        lab.settle();
    }
}

#[test]
fn more_frames_at_once_than_the_card_has_buffers() {
    let mut lab = Lab::with_case(String::from("burst"));
    let clients: Vec<_> = (0..4).map(|_| lab.connect()).collect();
    clients.iter().for_each(|client| lab.echo(*client, b"warm"));
    let frame = lab.to_node.borrow().history.back().map(|(_, frame)| frame.clone());
    let frame = frame.expect("frames were sent");
    for _ in 0..2000 {
        lab.to_node.borrow_mut().send(frame.clone());
    }
    clients.iter().for_each(|client| lab.echo(*client, &pattern(4000)));
    assert!(lab.to_node.borrow().overruns > 0, "frames were lost");
    lab.settle();
}

#[test]
fn a_request_that_is_refused_any_frame_is_answered_and_forgotten() {
    for n in 0.. {
        let mut lab = Lab::with_case(format!("request {n} for frames"));
        let client = lab.connect();
        lab.until_state(client, State::Established);
        let body = pattern(9_000);
        let (answer, refused) = failure::refuse_nth(n, || {
            lab.send(client, &invoke(&body));
            lab.answer(client)
        });
        if !refused {
            assert_eq!(answer.status, 200);
            assert!(n >= 3, "only {n} requests for frames");
            return;
        }
        assert_eq!(answer.status, 503);
        let another = lab.connect();
        lab.echo(another, b"after");
        lab.settle();
    }
}
