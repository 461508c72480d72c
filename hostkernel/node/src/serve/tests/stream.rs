//! Answers that leave before their invocation has ended.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use smoltcp::socket::tcp::State;

use super::lab::{Lab, PING, pattern};
use super::peer::Client;
use crate::dispatch::{End, Fault};
use limits::{OUTLET_LEN_MAX, OUTLET_PIECES_MAX, STALL_TIMEOUT_MS};

/// A request to `trickle`.
fn trickle(version: &str, body: &[u8]) -> Vec<u8> {
    let len = body.len();
    let head = format!(
        "POST /function/trickle HTTP/{version}\r\nHost: node\r\nContent-Length: {len}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A lab in which `trickle` runs with this input until it is told to end.
fn running(version: &str, body: &[u8]) -> (Lab, Client) {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    lab.send(client, &trickle(version, body));
    lab.until("its start", |lab| (lab.worker.begun == 1).then_some(()));
    (lab, client)
}

/// The head that a client has read, and what comes behind it.
fn parts(lab: &Lab, client: Client) -> Option<(String, Vec<u8>)> {
    let bytes = lab.peer.unread(client);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    Some((String::from_utf8(bytes[..end].to_vec()).expect("a head is text"), bytes[end..].to_vec()))
}

/// What chunks hold, and whether the last one is there.
fn decode(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = str::from_utf8(&bytes[..end]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is a number");
        bytes = &bytes[end + 2..];
        if size == 0 {
            assert_eq!(bytes, b"\r\n", "nothing follows");
            return (all, true);
        }
        let len = size.min(bytes.len());
        all.extend_from_slice(&bytes[..len]);
        let Some(rest) = bytes[len..].strip_prefix(b"\r\n") else { break };
        bytes = rest;
    }
    (all, false)
}

#[test]
fn pieces_are_there_before_the_end_and_the_next_request_is_answered() {
    let (mut lab, client) = running("1.1", b"one two three");
    assert_eq!(lab.let_out(3), 3);
    lab.pass_ms(1);
    let (head, body) = parts(&lab, client).expect("it has begun");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    assert!(head.contains("\r\nX-OpenWhisk-Activation-Id: "), "{head}");
    assert!(!head.contains("Content-Length"), "{head}");
    assert_eq!(decode(&body), (b"one".to_vec(), false));
    // However long nothing comes.
    lab.pass_ms(2 * STALL_TIMEOUT_MS);
    assert_eq!(lab.let_out(7), 7);
    lab.pass_ms(1);
    assert_eq!(decode(&parts(&lab, client).expect("a head").1), (b"one two".to_vec(), false));
    lab.send(client, PING);
    lab.worker.holds = false;
    lab.pass_ms(10);
    let (_, body) = parts(&lab, client).expect("a head");
    let end = body.windows(5).position(|five| five == b"0\r\n\r\n").expect("its end") + 5;
    assert_eq!(decode(&body[..end]), (b"one two three".to_vec(), true));
    assert!(body[end..].ends_with(b"pong"), "what was asked next is answered");
    lab.settle();
}

#[test]
fn a_client_that_takes_nothing_costs_no_more_than_the_bound() {
    let body = pattern(5 * OUTLET_LEN_MAX);
    let (mut lab, client) = running("1.1", &body);
    lab.peer.set_wanted(client, 0);
    let mut left_len = 0;
    for _ in 0..100 {
        left_len = lab.let_out(body.len());
        lab.pass_ms(10);
    }
    // What fits into the sockets of both besides.
    assert!((OUTLET_LEN_MAX..4 * OUTLET_LEN_MAX).contains(&left_len), "{left_len}");
    lab.peer.set_wanted(client, usize::MAX);
    lab.worker.holds = false;
    lab.until("its end", |lab| {
        let (_, chunks) = parts(lab, client)?;
        let (all, is_whole) = decode(&chunks);
        is_whole.then(|| assert!(all == body))
    });
    lab.settle();
}

#[test]
fn pieces_are_bounded_however_small() {
    let body = pattern(10 * OUTLET_PIECES_MAX);
    let (mut lab, client) = running("1.1", &body);
    // At once: the front looks at none of it in between.
    for len in 1..=body.len() {
        lab.let_out(len);
    }
    assert_eq!(lab.let_out(body.len()), OUTLET_PIECES_MAX);
    lab.worker.holds = false;
    lab.until("its end", |lab| {
        let (_, chunks) = parts(lab, client)?;
        (decode(&chunks) == (body.clone(), true)).then_some(())
    });
    lab.settle();
}

#[test]
fn who_leaves_ends_the_invocation() {
    for leave in [super::peer::Peer::reset, super::peer::Peer::close] {
        let (mut lab, client) = running("1.1", b"one two");
        lab.let_out(3);
        lab.pass_ms(1);
        assert!(!lab.worker.is_abandoned());
        leave(&mut lab.peer, client);
        lab.pass_ms(5);
        assert!(lab.worker.is_abandoned());
        assert_eq!(lab.let_out(7), 3, "nothing more leaves");
        lab.worker.end = Some(End::Fault(Fault::Abandoned));
        lab.settle();
    }
}

#[test]
fn who_leaves_before_it_began_does_not() {
    let (mut lab, client) = running("1.1", b"one two");
    lab.peer.reset(client);
    lab.pass_ms(5);
    assert!(!lab.worker.is_abandoned());
    lab.let_out(3);
    lab.pass_ms(5);
    assert_eq!(lab.let_out(7), 3, "nobody takes it");
    lab.settle();
}

#[test]
fn what_goes_wrong_in_the_middle_is_cut() {
    let (mut lab, client) = running("1.1", b"one two three");
    lab.let_out(3);
    lab.pass_ms(1);
    lab.let_out(7);
    lab.worker.end = Some(End::Exit(1));
    lab.worker.holds = false;
    lab.until_state(client, State::CloseWait);
    let (_, body) = parts(&lab, client).expect("a head");
    assert_eq!(decode(&body), (b"one two".to_vec(), false), "the client sees that more is missing");
    lab.settle();
}

#[test]
fn what_goes_wrong_before_it_began_is_answered() {
    let (mut lab, client) = running("1.1", b"one two three");
    lab.worker.end = Some(End::Exit(1));
    lab.worker.holds = false;
    assert_eq!(lab.answer(client).status, 502);
    lab.settle();
}

#[test]
fn who_reads_no_chunks_reads_until_the_end() {
    let (mut lab, client) = running("1.0", b"one two three");
    lab.let_out(3);
    lab.pass_ms(1);
    lab.let_out(7);
    lab.pass_ms(1);
    let (head, body) = parts(&lab, client).expect("it has begun");
    assert!(!head.contains("Transfer-Encoding") && head.contains("\r\nConnection: close\r\n"));
    assert_eq!(body, b"one two");
    lab.worker.holds = false;
    lab.until_state(client, State::CloseWait);
    assert_eq!(parts(&lab, client).expect("a head").1, b"one two three");
    lab.settle();
}

#[test]
fn an_answer_of_which_nothing_left_early_has_a_length() {
    let (mut lab, client) = running("1.1", b"one two three");
    lab.worker.holds = false;
    assert_eq!(lab.answer(client).body, b"one two three");
    lab.settle();
}

#[test]
fn nothing_leaves_early_of_an_action_that_does_not_say_so() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    lab.send(client, &super::lab::invoke(b"one two"));
    lab.until("its start", |lab| (lab.worker.begun == 1).then_some(()));
    assert_eq!(lab.let_out(3), 0);
    lab.worker.holds = false;
    lab.is_echoed(client, b"one two");
    lab.settle();
}
