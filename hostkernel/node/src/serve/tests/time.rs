//! Time-outs, each in virtual time: what is given up, when, and what is told to the client.

use alloc::vec::Vec;

use smoltcp::socket::tcp::State;

use super::lab::{LAST_PING, Lab, NS_PER_MS, PING, ROOM, invoke, invoke_with, pattern};
use super::peer::{BUFFER_LEN, Client};
use super::wire::Fault;
use limits::{
    IDLE_TIMEOUT_MS, PROGRESS_TIMEOUT_MS, REQUEST_TIMEOUT_MS, SEND_BUFFER_LEN, STALL_TIMEOUT_MS,
};

/// Time-outs are looked for this often, and an answer takes its way.
const SLACK_MS: u64 = 1_100;

/// Waits for 408 and the end of the connection; returns when it came.
fn too_slow(lab: &mut Lab, client: Client) -> u64 {
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (408, true));
    let at_ns = lab.now_ns;
    lab.until_state(client, State::CloseWait);
    at_ns
}

/// Checks that `at_ns` is `expected_ms` after `since_ns`, as exactly as time-outs are.
fn is_about(since_ns: u64, at_ns: u64, expected_ms: u64) {
    let elapsed_ms = (at_ns - since_ns) / NS_PER_MS;
    assert!((expected_ms..expected_ms + SLACK_MS).contains(&elapsed_ms), "{elapsed_ms} ms");
}

/// Waits until the node has no connection; returns when that was.
fn until_empty(lab: &mut Lab) -> u64 {
    lab.until("the end of all connections", |lab| (lab.connections() == 0).then_some(lab.now_ns))
}

#[test]
fn an_idle_connection_is_closed() {
    let mut lab = Lab::new();
    let (silent, used) = (lab.connect(), lab.connect());
    lab.until_state(silent, State::Established);
    let start_ns = lab.now_ns;
    lab.pass_ms(IDLE_TIMEOUT_MS / 2);
    lab.echo(used, b"still here");
    let used_ns = lab.now_ns;
    for (client, since_ns) in [(silent, start_ns), (used, used_ns)] {
        lab.until_state(client, State::CloseWait);
        is_about(since_ns, lab.now_ns, IDLE_TIMEOUT_MS);
        assert!(lab.peer.unread(client).is_empty(), "nothing was asked");
        lab.peer.close(client);
    }
    lab.settle();
}

#[test]
fn connections_on_which_nothing_happens_cost_a_look_each_second() {
    let mut lab = Lab::new();
    let (idle, busy, slow) = (lab.connect(), lab.connect(), lab.connect());
    lab.echo(idle, b"x");
    lab.peer.set_wanted(slow, 0);
    lab.send(slow, &invoke(&pattern(50_000)));
    lab.pass_ms(1_000);
    lab.worker.holds = true;
    lab.send(busy, &invoke(b"held"));
    lab.pass_ms(1_000);
    let polls = lab.polls;
    lab.pass_ms(30_000);
    let (looks, probes) = (31, 10);
    assert!(lab.polls - polls <= looks + probes, "{} polls in 30 s", lab.polls - polls);
    lab.settle();
}

#[test]
fn a_request_is_acknowledged_by_its_answer_or_soon() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.until_state(client, State::Established);
    lab.pass_ms(100);
    let sent = lab.to_peer.borrow().sent;
    lab.echo(client, b"quick");
    assert_eq!(lab.to_peer.borrow().sent, sent + 1);
    lab.worker.holds = true;
    lab.send(client, &invoke(b"held"));
    for more in [&b""[..], b"GET /ping", b" HTTP/1.1\r\n"] {
        lab.send(client, more);
        lab.pass_ms(5);
        assert!(lab.peer.unacknowledged(client) > 0);
        lab.pass_ms(6);
        assert_eq!(lab.peer.unacknowledged(client), 0);
    }
}

#[test]
fn a_head_that_stops_is_answered_408() {
    for head in [&b"G"[..], b"GET /ping HTTP/1.1\r\nHost:", b"GET /ping HTTP/1.1\r\nHost: a\r\n\r"]
    {
        let mut lab = Lab::new();
        let client = lab.connect();
        lab.echo(client, b"first");
        lab.send(client, head);
        let start_ns = lab.now_ns;
        let at_ns = too_slow(&mut lab, client);
        is_about(start_ns, at_ns, PROGRESS_TIMEOUT_MS);
        lab.settle();
    }
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let request = invoke(&pattern(3000));
    for missing in [1, 1000, 3000] {
        let mut lab = Lab::new();
        let client = lab.connect();
        lab.send(client, &request[..request.len() - missing]);
        let start_ns = lab.now_ns;
        let at_ns = too_slow(&mut lab, client);
        is_about(start_ns, at_ns, PROGRESS_TIMEOUT_MS);
        assert_eq!(lab.worker.begun, 0);
        lab.settle();
    }
}

#[test]
fn a_request_that_trickles_is_answered_408_in_the_end() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let start_ns = lab.now_ns;
    let request = invoke(&pattern(1000));
    for byte in request.chunks(1) {
        lab.send(client, byte);
        lab.pass_ms(PROGRESS_TIMEOUT_MS / 2);
        if !lab.peer.unread(client).is_empty() {
            break;
        }
    }
    let at_ns = too_slow(&mut lab, client);
    let elapsed_ms = (at_ns - start_ns) / NS_PER_MS;
    let latest_ms = REQUEST_TIMEOUT_MS + PROGRESS_TIMEOUT_MS;
    assert!((REQUEST_TIMEOUT_MS..latest_ms).contains(&elapsed_ms), "{elapsed_ms} ms");
    lab.settle();
}

#[test]
fn a_request_that_trickles_in_time_is_answered() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let request = invoke(b"slow");
    for part in request.chunks(request.len() / 20) {
        lab.send(client, part);
        lab.pass_ms(PROGRESS_TIMEOUT_MS / 2);
    }
    lab.is_echoed(client, b"slow");
    lab.settle();
}

#[test]
fn an_invocation_may_take_longer_than_every_time_out() {
    let mut lab = Lab::new();
    lab.worker.run_ns = 2 * REQUEST_TIMEOUT_MS * NS_PER_MS;
    let client = lab.connect();
    lab.echo(client, b"long");
    lab.worker.run_ns = 0;
    lab.echo(client, b"short");
    lab.settle();
}

#[test]
fn a_client_that_never_ends_its_handshake_is_forgotten() {
    let mut lab = Lab::new();
    // Frame 0 asks for the node's hardware address, frame 1 is the SYN.
    lab.to_node.borrow_mut().inject(2, Fault::Cut);
    let start_ns = lab.now_ns;
    lab.connect();
    lab.until("a half-open connection", |lab| (lab.connections() == 1).then_some(()));
    let at_ns = until_empty(&mut lab);
    is_about(start_ns, at_ns, PROGRESS_TIMEOUT_MS);
    lab.settle();
}

#[test]
fn half_open_connections_do_not_keep_others_out() {
    let mut lab = Lab::new();
    let warm = lab.connect();
    lab.echo(warm, b"warm");
    lab.to_peer.borrow_mut().inject_now(Fault::Cut);
    for _ in 0..ROOM {
        lab.connect();
    }
    lab.pass_ms(10);
    lab.to_peer.borrow_mut().mend();
    let start_ns = lab.now_ns;
    let client = lab.connect();
    lab.echo(client, b"let me in");
    assert!(lab.since_ms(start_ns) < PROGRESS_TIMEOUT_MS, "{} ms", lab.since_ms(start_ns));
    lab.settle();
}

#[test]
fn a_client_that_does_not_close_its_side_is_given_up() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.send(client, LAST_PING);
    assert!(lab.answer(client).last);
    lab.until_state(client, State::CloseWait);
    let start_ns = lab.now_ns;
    let at_ns = until_empty(&mut lab);
    is_about(start_ns, at_ns, PROGRESS_TIMEOUT_MS - 1);
    lab.settle();
}

#[test]
fn a_client_that_takes_no_bytes_is_given_up() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.peer.set_wanted(client, 0);
    lab.send(client, &invoke(&pattern(200_000)));
    lab.until("a full window", |lab| (lab.worker.begun == 1).then_some(()));
    let start_ns = lab.now_ns;
    let at_ns = until_empty(&mut lab);
    is_about(start_ns, at_ns, STALL_TIMEOUT_MS);
    lab.until_state(client, State::Closed);
    assert!(lab.since_ms(at_ns) < SLACK_MS, "it was reset");
    lab.settle();
}

#[test]
fn a_client_that_goes_on_sending_after_its_last_answer_is_given_up() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.send(client, b"nonsense\r\n\r\n");
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (400, true));
    let start_ns = lab.now_ns;
    while lab.connections() > 0 && lab.since_ms(start_ns) < REQUEST_TIMEOUT_MS {
        lab.send(client, b"x");
        lab.pass_ms(100);
    }
    is_about(start_ns, lab.now_ns, PROGRESS_TIMEOUT_MS);
    lab.settle();
}

#[test]
fn the_last_answer_may_be_taken_slowly() {
    // All of it in the socket, and more than fits.
    for len in [SEND_BUFFER_LEN - 1000, 2 * SEND_BUFFER_LEN] {
        let mut lab = Lab::new();
        let client = lab.connect();
        let body = pattern(len);
        lab.peer.set_wanted(client, 0);
        lab.send(client, &invoke_with("Connection: close\r\n", &body));
        for _ in 0..8 {
            lab.pass_ms(IDLE_TIMEOUT_MS / 2);
            lab.peer.set_wanted(client, BUFFER_LEN);
        }
        lab.peer.set_wanted(client, usize::MAX);
        lab.is_echoed(client, &body);
        lab.settle();
    }
}

#[test]
fn a_client_that_takes_bytes_slowly_gets_them_all() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let body = pattern(10 * SEND_BUFFER_LEN);
    lab.send(client, &invoke(&body));
    for _ in 0..10 {
        lab.peer.set_wanted(client, BUFFER_LEN);
        lab.pass_ms(IDLE_TIMEOUT_MS / 2);
    }
    lab.peer.set_wanted(client, usize::MAX);
    lab.is_echoed(client, &body);
    lab.settle();
}

#[test]
fn a_client_that_vanishes_is_given_up_wherever_it_stood() {
    let frames = {
        let mut lab = Lab::new();
        let client = lab.connect();
        lab.echo(client, &pattern(9000));
        lab.to_node.borrow().sent
    };
    for number in 0..frames {
        let mut lab = Lab::with_case(alloc::format!("gone from frame {number} on"));
        lab.to_node.borrow_mut().inject(number, Fault::Cut);
        let client = lab.connect();
        lab.send(client, &invoke(&pattern(9000)));
        lab.pass_ms(IDLE_TIMEOUT_MS + PROGRESS_TIMEOUT_MS + 2 * SLACK_MS);
        assert_eq!(lab.connections(), 0);
        lab.settle();
    }
}

#[test]
fn idle_connections_make_room_for_new_ones() {
    let mut lab = Lab::new();
    let start_ns = lab.now_ns;
    let idle: Vec<_> = (0..3 * ROOM)
        .map(|_| {
            let client = lab.connect();
            lab.send(client, PING);
            client
        })
        .collect();
    for client in &idle {
        assert_eq!(lab.answer(*client).body, b"pong");
    }
    let elapsed_ms = lab.since_ms(start_ns);
    assert!(elapsed_ms < IDLE_TIMEOUT_MS, "nobody waited for a time-out: {elapsed_ms} ms");
    lab.settle();
}

#[test]
fn a_connection_that_still_takes_its_answer_does_not_make_room() {
    let mut lab = Lab::new();
    let slow = lab.connect();
    let body = pattern(SEND_BUFFER_LEN - 1000);
    lab.send(slow, &invoke(&body));
    lab.peer.set_wanted(slow, 0);
    lab.pass_ms(1_000);
    for _ in 0..ROOM {
        let client = lab.connect();
        lab.echo(client, b"busy");
    }
    lab.pass_ms(10_000);
    lab.peer.set_wanted(slow, usize::MAX);
    lab.is_echoed(slow, &body);
    lab.settle();
}
