//! Clients that leave before they have their answer, and a node that does.

use alloc::vec::Vec;

use smoltcp::socket::tcp::State;

use super::detached::request;
use super::lab::{INPUT_LEN_MAX, LAST_PING, Lab, PING, PUBLIC, QUEUE_LEN, ROOM, invoke, pattern};
use super::peer::Peer;
use crate::state::statistics::Reason;
use limits::{DRAIN_ACCEPT_MS, DRAIN_QUIET_MS, DRAIN_READERS_MS};

/// A client that is reset while its invocation runs, on a lab that holds what runs.
fn abandoned(body: &[u8]) -> Lab {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    lab.send(client, &invoke(body));
    lab.until("its start", |lab| (lab.worker.begun == 1).then_some(()));
    lab.peer.reset(client);
    lab.pass_ms(10);
    assert_eq!(lab.connections(), 0, "its connection is free at once");
    lab
}

#[test]
fn the_answer_to_a_client_that_left_goes_to_nobody() {
    let mut lab = abandoned(b"secret");
    // So many that each socket is used again, that of the abandoned request among them.
    let clients: Vec<_> = (0..ROOM).map(|_| lab.connect()).collect();
    for client in &clients {
        lab.send(*client, PING);
        assert_eq!(lab.answer(*client).body, b"pong");
    }
    lab.worker.holds = false;
    lab.pass_ms(10);
    for client in &clients {
        assert!(lab.peer.unread(*client).is_empty());
        lab.echo(*client, b"mine");
    }
    lab.settle();
}

#[test]
fn the_answer_to_a_client_that_left_is_not_that_to_the_next_request_in_its_place() {
    let mut lab = abandoned(b"secret");
    let clients: Vec<_> = (0..PUBLIC).map(|_| lab.connect()).collect();
    for client in &clients {
        lab.send(*client, &invoke(b"mine"));
    }
    lab.pass_ms(10);
    lab.worker.holds = false;
    for client in &clients {
        lab.is_echoed(*client, b"mine");
    }
    assert_eq!(lab.worker.begun, 1 + clients.len());
    lab.settle();
}

#[test]
fn the_same_port_can_connect_again_at_once() {
    for leave in [Peer::close, Peer::reset] {
        let mut lab = Lab::new();
        let client = lab.connect();
        lab.send(client, LAST_PING);
        assert!(lab.answer(client).last);
        let port = lab.peer.port(client).expect("a connection has a port");
        leave(&mut lab.peer, client);
        lab.pass_ms(10);
        // A client that was closed by the node need not wait out anything.
        let again = lab.peer.connect_from(port);
        let start_ns = lab.now_ns;
        lab.echo(again, b"again");
        assert!(lab.since_ms(start_ns) < 1_000, "{} ms", lab.since_ms(start_ns));
        lab.settle();
    }
}

#[test]
fn a_client_that_closes_after_the_node_is_acknowledged() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.send(client, LAST_PING);
    assert!(lab.answer(client).last);
    lab.until_state(client, State::CloseWait);
    lab.peer.close(client);
    lab.pass_ms(1);
    assert_eq!(lab.peer.state(client), State::Closed, "nothing had to be sent again");
    lab.settle();
}

#[test]
fn connections_that_the_node_closed_do_not_keep_others_out() {
    let mut lab = Lab::new();
    let start_ns = lab.now_ns;
    for _ in 0..4 * ROOM {
        let client = lab.connect();
        lab.send(client, LAST_PING);
        assert!(lab.answer(client).last);
        lab.peer.close(client);
    }
    assert!(lab.since_ms(start_ns) < 5_000, "{} ms", lab.since_ms(start_ns));
    lab.settle();
}

#[test]
fn a_client_that_closes_its_side_first_still_gets_its_answer() {
    let mut lab = Lab::new();
    lab.worker.run_ns = 5_000_000;
    let client = lab.connect();
    lab.send(client, &invoke(b"last words"));
    lab.peer.close(client);
    lab.is_echoed(client, b"last words");
    lab.until_state(client, State::TimeWait);
    lab.settle();
}

#[test]
fn a_client_that_closes_within_a_request_is_closed() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let request = invoke(b"never complete");
    lab.send(client, &request[..request.len() - 1]);
    lab.peer.close(client);
    lab.pass_ms(100);
    assert_eq!(lab.connections(), 0);
    assert_eq!(lab.worker.begun, 0);
    lab.settle();
}

#[test]
fn more_invocations_than_the_queue_holds_are_refused_and_the_rest_runs() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    for _ in 0..=QUEUE_LEN {
        // Nobody waits for these: they leave connections free.
        lab.send(client, &request("POST", "actions/echo", b"{}"));
        assert_eq!(lab.answer(client).status, 202);
        lab.pass_ms(1);
    }
    lab.send(client, &invoke(b"one too many"));
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (503, false));
    lab.worker.holds = false;
    lab.echo(client, b"now");
    assert_eq!(lab.worker.begun, QUEUE_LEN + 2);
    lab.settle();
}

#[test]
fn what_waits_for_its_turn_is_not_run_for_who_has_left() {
    const LEFT: usize = 100;
    let mut lab = Lab::new();
    lab.worker.holds = true;
    for _ in 0..LEFT {
        let client = lab.connect();
        lab.send(client, &invoke(b"left behind"));
        lab.pass_ms(10);
        lab.peer.reset(client);
        lab.pass_ms(10);
    }
    lab.worker.holds = false;
    let client = lab.connect();
    lab.echo(client, b"now");
    // One was running, one was handed on.
    assert_eq!(lab.worker.begun, 2 + 1);
    let expected = (Reason::Abandoned, LEFT as u64 - 2);
    assert!(lab.service.node().statistics().refusals().any(|refusal| refusal == expected));
    lab.settle();
}

#[test]
fn a_node_that_drains_answers_what_it_was_asked_and_closes() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let (busy, idle) = (lab.connect(), lab.connect());
    lab.send(busy, &invoke(b"under way"));
    lab.until_state(idle, State::Established);
    lab.pass_ms(10);
    lab.service.drain(lab.now_ns);
    assert!(!lab.is_drained() && !lab.service.is_ready());
    lab.send(idle, PING);
    assert!(lab.answer(idle).last);
    // Who has not heard of it is still served, for as long as it takes to hear.
    let later = lab.connect();
    lab.send(later, &invoke(b"later"));
    lab.pass_ms(DRAIN_ACCEPT_MS / 2);
    let (open, late) = (lab.connect(), lab.connect());
    lab.until_state(open, State::Established);
    lab.until_state(late, State::Established);
    let (begun, rest) = (&invoke(b"too late")[..20], &invoke(b"too late")[20..]);
    lab.pass_ms(DRAIN_ACCEPT_MS / 2 - 100);
    lab.send(late, begun);
    lab.pass_ms(200);
    assert!(!lab.is_drained(), "two invocations are under way");
    lab.send(late, rest);
    let answer = lab.answer(late);
    assert_eq!((answer.status, answer.last), (503, true));
    let refused = lab.connect();
    lab.until_state(refused, State::Closed);
    lab.pass_ms(10 * DRAIN_READERS_MS);
    assert!(!lab.is_drained(), "an invocation has until its deadline");
    lab.worker.holds = false;
    for (client, body) in [(busy, &b"under way"[..]), (later, b"later")] {
        let answer = lab.answer(client);
        assert_eq!((answer.status, &answer.body[..], answer.last), (200, body, true));
    }
    lab.until("a drained node", |lab| lab.is_drained().then_some(()));
}

#[test]
fn connections_that_are_idle_end_when_a_node_drains() {
    let mut lab = Lab::new();
    let (pooled, asked) = (lab.connect(), lab.connect());
    for client in [pooled, asked] {
        lab.echo(client, b"x");
    }
    lab.pass_ms(2_000);
    lab.send(asked, PING);
    lab.answer(asked);
    lab.service.drain(lab.now_ns);
    lab.wake();
    lab.pass_ms(10);
    assert_eq!(lab.peer.state(pooled), State::CloseWait, "idle for longer than a moment");
    // Whoever was just answered may ask once more, until it is too late.
    assert_eq!(lab.peer.state(asked), State::Established);
    lab.pass_ms(DRAIN_ACCEPT_MS);
    assert_eq!(lab.peer.state(asked), State::CloseWait);
    lab.until("a drained node", |lab| lab.is_drained().then_some(()));
}

#[test]
fn a_node_that_nobody_asks_leaves_sooner_and_tells_who_is_left() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.until_state(client, State::Established);
    // Half a request keeps the connection, and the answer is not read.
    lab.peer.set_wanted(client, 0);
    lab.pass_ms(10);
    let start_ns = lab.now_ns;
    lab.service.drain(lab.now_ns);
    let other = lab.connect();
    lab.send(other, b"GET /");
    lab.until("a drained node", |lab| lab.is_drained().then_some(()));
    assert!(lab.since_ms(start_ns) >= DRAIN_QUIET_MS);
    lab.wake();
    lab.pass_ms(10);
    assert_eq!(lab.peer.state(other), State::Closed, "reset");
}

#[test]
fn a_node_that_drains_does_not_wait_for_ever_for_a_reader() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let body = pattern(INPUT_LEN_MAX);
    lab.send(client, &invoke(&body));
    lab.peer.set_wanted(client, 0);
    lab.until("the invocation", |lab| (lab.worker.begun == 1).then_some(()));
    lab.service.drain(lab.now_ns);
    let start_ns = lab.now_ns;
    lab.until("a drained node", |lab| lab.is_drained().then_some(()));
    let expected_ms = DRAIN_ACCEPT_MS + DRAIN_READERS_MS;
    assert!((expected_ms..expected_ms + 10).contains(&lab.since_ms(start_ns)));
}
