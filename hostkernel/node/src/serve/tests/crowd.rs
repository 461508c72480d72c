//! More clients than there are connections: nobody is met with silence, and who looks after the
//! node gets an answer whatever the others do.

use alloc::vec::Vec;

use smoltcp::socket::tcp::State;

use super::lab::{Lab, NS_PER_MS, PUBLIC, ROOM, invoke, pattern};
use super::peer::Client;
use super::wire::Fault;
use crate::state::statistics::Reason;
use limits::{PROGRESS_TIMEOUT_MS, SEND_BUFFER_LEN, UNADMITTED_SPARED_MS};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n";
/// A health check that takes longer has failed.
const HEALTH_MS: u64 = 1_000;

fn is_alive(lab: &mut Lab) {
    let start_ns = lab.now_ns;
    let client = lab.connect();
    lab.send(client, HEALTH);
    assert_eq!(lab.answer(client).status, 200);
    assert!(lab.since_ms(start_ns) < HEALTH_MS, "{} ms", lab.since_ms(start_ns));
    lab.peer.close(client);
}

fn rejected(lab: &Lab, reason: Reason) -> u64 {
    let mut refusals = lab.service.node().statistics().refusals();
    refusals.find(|(other, _)| *other == reason).map_or(0, |(_, count)| count)
}

/// Clients of a function that does not end, until no more of them are let wait.
fn fill(lab: &mut Lab) -> Vec<Client> {
    lab.worker.holds = true;
    let waiting: Vec<_> = (0..PUBLIC).map(|_| lab.connect()).collect();
    for client in &waiting {
        lab.send(*client, &invoke(b"busy"));
    }
    lab.pass_ms(50);
    waiting
}

#[test]
fn a_slow_function_takes_nobodys_health_check_away() {
    let mut lab = Lab::new();
    let waiting = fill(&mut lab);
    for _ in 0..3 * ROOM {
        let late = lab.connect();
        lab.send(late, &invoke(b"late"));
        let answer = lab.answer(late);
        assert_eq!((answer.status, answer.last), (503, true));
        is_alive(&mut lab);
        // The few that are left are free again when their clients have acknowledged the end.
        lab.pass_ms(50);
    }
    assert_eq!(rejected(&lab, Reason::Connections), 3 * ROOM as u64);
    assert_eq!(lab.service.node().load.connects_dropped, 0);
    lab.worker.holds = false;
    for client in &waiting {
        lab.is_echoed(*client, b"busy");
    }
    let client = lab.connect();
    lab.echo(client, b"there is room again");
    lab.settle();
}

#[test]
fn a_storm_of_calls_takes_nobodys_health_check_away() {
    let mut lab = Lab::new();
    let waiting = fill(&mut lab);
    // They ask at the same time, with a body or without, and leave their answers lie.
    for round in 0..10 {
        for number in 0..ROOM {
            let late = lab.connect();
            lab.peer.set_wanted(late, 0);
            let body: &[u8] = if number % 2 == 0 { b"late" } else { b"" };
            lab.send(late, &invoke(body));
        }
        lab.pass_ms(HEALTH_MS);
        if round >= 3 {
            let start_ns = lab.now_ns;
            let client = lab.connect();
            lab.send(client, HEALTH);
            assert_eq!(lab.answer(client).status, 200);
            assert!(lab.since_ms(start_ns) < 4 * HEALTH_MS, "{} ms", lab.since_ms(start_ns));
        }
    }
    lab.worker.holds = false;
    for client in &waiting {
        lab.is_echoed(*client, b"busy");
    }
    lab.settle();
}

#[test]
fn slow_clients_make_room_for_others() {
    let mut lab = Lab::new();
    let request = invoke(&pattern(10 * SEND_BUFFER_LEN));
    for number in 0..PUBLIC {
        // Some dawdle with the body, the others with the answer.
        let len = if number % 2 == 0 { 1_000 } else { request.len() };
        let client = lab.connect();
        lab.peer.set_wanted(client, 0);
        lab.send(client, &request[..len]);
    }
    lab.pass_ms(PROGRESS_TIMEOUT_MS / 2);
    let late = lab.connect();
    lab.send(late, &invoke(b"late"));
    assert_eq!(lab.answer(late).status, 503, "they may take that long");
    lab.pass_ms(PROGRESS_TIMEOUT_MS);
    let late = lab.connect();
    lab.send(late, &invoke(b"late"));
    lab.answer(late);
    for _ in 0..PUBLIC {
        let client = lab.connect();
        lab.echo(client, b"me, too");
    }
    lab.settle();
}

#[test]
fn half_sent_heads_make_room_soon() {
    let mut lab = Lab::new();
    for _ in 0..ROOM {
        let client = lab.connect();
        lab.send(client, b"GET /healthz");
    }
    lab.pass_ms(UNADMITTED_SPARED_MS + 50);
    assert_eq!(lab.connections(), ROOM);
    is_alive(&mut lab);
    lab.settle();
}

#[test]
fn answers_that_nobody_takes_and_half_open_connections_leave_room_together() {
    let mut lab = Lab::new();
    let body = pattern(10 * SEND_BUFFER_LEN);
    for _ in 0..PUBLIC {
        let client = lab.connect();
        lab.peer.set_wanted(client, 0);
        lab.send(client, &invoke(&body));
    }
    lab.until("all hold an answer", |lab| (lab.worker.begun == PUBLIC).then_some(()));
    lab.to_peer.borrow_mut().inject_now(Fault::Cut);
    for _ in 0..ROOM {
        lab.connect();
    }
    lab.pass_ms(10);
    lab.to_peer.borrow_mut().mend();
    is_alive(&mut lab);
    lab.settle();
}

#[test]
fn connects_without_room_are_counted() {
    let mut lab = Lab::new();
    let clients: Vec<_> = (0..ROOM).map(|_| lab.connect()).collect();
    for client in &clients {
        lab.send(*client, b"GET");
    }
    lab.pass_ms(50);
    let late = lab.connect();
    lab.pass_ms(50);
    assert_eq!(lab.peer.state(late), State::SynSent);
    assert_eq!(lab.service.node().load.connects_dropped, 1);
    lab.settle();
    assert!(lab.now_ns > PROGRESS_TIMEOUT_MS * NS_PER_MS);
}
