//! What goes well: every way to use a connection.

use alloc::format;
use alloc::vec::Vec;

use super::detached::request;
use super::lab::{INPUT_LEN_MAX, Lab, PING, PUBLIC, invoke, pattern};
use limits::READ_LEN_PER_POLL_MAX;

#[test]
fn one_connection_carries_many_requests() {
    let mut lab = Lab::new();
    let client = lab.connect();
    for len in [0, 1, 1000, 1024, 1025, 1460, 5000, 3] {
        lab.echo(client, &pattern(len));
    }
    assert_eq!(lab.connections(), 1);
    assert_eq!(lab.worker.begun, 8);
    lab.settle();
}

#[test]
fn what_is_pipelined_is_answered_in_order() {
    let mut lab = Lab::new();
    let client = lab.connect();
    for number in 0..50_u8 {
        lab.send(client, &invoke(&[number; 700]));
        lab.send(client, PING);
    }
    for number in 0..50_u8 {
        lab.is_echoed(client, &[number; 700]);
        assert_eq!(lab.answer(client).body, b"pong");
    }
    lab.settle();
}

#[test]
fn a_body_as_long_as_bodies_may_be_goes_in_and_out() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.echo(client, &pattern(INPUT_LEN_MAX));
    lab.send(client, &invoke(&pattern(INPUT_LEN_MAX + 1)));
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (413, true));
    lab.settle();
}

#[test]
fn long_requests_that_come_together_are_answered_one_at_a_time() {
    let mut lab = Lab::new();
    let request = invoke(&pattern(READ_LEN_PER_POLL_MAX + 1));
    let clients: Vec<_> = (0..PUBLIC / 2).map(|_| lab.connect()).collect();
    let (last, most) = request.split_last().expect("it is not empty");
    clients.iter().for_each(|client| lab.send(*client, most));
    lab.pass_ms(100);
    clients.iter().for_each(|client| lab.send(*client, &[*last]));
    let polls = lab.polls;
    let all = clients.len();
    lab.until("all", |lab| (lab.worker.begun == all).then_some(()));
    assert!(lab.polls - polls >= all, "{} polls", lab.polls - polls);
    clients.iter().for_each(|client| assert_eq!(lab.answer(*client).status, 200));
    lab.settle();
}

#[test]
fn long_answers_that_are_asked_for_together_are_composed_one_at_a_time() {
    let mut lab = Lab::new();
    let value = "x".repeat(READ_LEN_PER_POLL_MAX + 1);
    let document = format!("{{\"annotations\":[{{\"key\":\"a\",\"value\":\"{value}\"}}]}}");
    let client = lab.peer.connect_wide();
    lab.send(client, &request("PUT", "actions/echo?overwrite=true", document.as_bytes()));
    assert_eq!(lab.answer(client).status, 200);
    let clients: Vec<_> = (0..PUBLIC / 2).map(|_| lab.peer.connect_wide()).collect();
    let ask = request("GET", "actions/echo", b"");
    clients.iter().for_each(|client| lab.send(*client, &ask));
    lab.written_max = 0;
    for client in clients {
        let answer = lab.answer(client);
        assert!(answer.status == 200 && answer.body.len() > value.len());
    }
    assert!(lab.written_max < 2 * value.len(), "{} bytes in one poll", lab.written_max);
    lab.settle();
}

#[test]
fn more_connections_one_after_the_other_than_there_are_sockets() {
    let mut lab = Lab::new();
    for number in 0..100 {
        let client = lab.connect();
        lab.echo(client, &pattern(number));
        lab.peer.close(client);
    }
    lab.settle();
}

#[test]
fn as_many_connections_at_a_time_as_there_is_room() {
    let mut lab = Lab::new();
    lab.worker.run_ns = 50_000;
    let clients: Vec<_> = (0..PUBLIC).map(|_| lab.connect()).collect();
    for round in 0..5 {
        for (number, client) in clients.iter().enumerate() {
            lab.send(*client, &invoke(&pattern(100 * number + round)));
        }
        for (number, client) in clients.iter().enumerate() {
            lab.is_echoed(*client, &pattern(100 * number + round));
        }
    }
    assert_eq!(lab.connections(), PUBLIC);
    lab.settle();
}
