//! Clients far away: long round trips, and a line that loses some frames.

use alloc::format;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lab::{INPUT_LEN_MAX, Lab, NS_PER_MS, PING, invoke, pattern};
use super::wire::LATENCY_NS;
use crate::state::tenants::GUEST_KEY;
use limits::{CODE_LEN_MAX, REQUEST_RATE_MIN, REQUEST_TIMEOUT_MS};

const ROUND_TRIP_MS: u64 = 100;

/// A lab with so long a line, and that loses one frame in so many each way.
fn lab(lost_in: Option<usize>) -> Lab {
    let lab = Lab::new();
    for line in [&lab.to_node, &lab.to_peer] {
        let mut line = line.borrow_mut();
        line.distance_ns = ROUND_TRIP_MS * NS_PER_MS / 2 - LATENCY_NS;
        line.lost_in = lost_in;
    }
    lab
}

#[test]
fn a_request_that_makes_progress_is_not_given_up() {
    let mut lab = Lab::new();
    let client = lab.connect();
    let request = invoke(&pattern(INPUT_LEN_MAX));
    // Twice as fast as it has to be, and longer than a request that stands still may take.
    let part_len = 2 * REQUEST_RATE_MIN as usize;
    let start_ns = lab.now_ns;
    lab.pass_ms(1);
    for part in request.chunks(part_len / 5) {
        lab.send(client, part);
        lab.pass_ms(1_000);
    }
    lab.is_echoed(client, &pattern(INPUT_LEN_MAX));
    assert!(lab.since_ms(start_ns) > REQUEST_TIMEOUT_MS);
    lab.settle();
}

#[test]
fn a_mebibyte_takes_few_round_trips_down() {
    let mut lab = lab(None);
    let client = lab.peer.connect_wide();
    let body = pattern(INPUT_LEN_MAX);
    lab.send(client, &invoke(&body));
    lab.until("the invocation", |lab| (lab.worker.begun == 1).then_some(()));
    let start_ns = lab.now_ns;
    lab.is_echoed(client, &body);
    let round_trips = lab.since_ms(start_ns) / ROUND_TRIP_MS;
    assert!(round_trips <= 10, "{round_trips} round trips");
    lab.send(client, PING);
    assert_eq!(lab.answer(client).body, b"pong");
    lab.settle();
}

#[test]
fn a_mebibyte_takes_few_round_trips_up() {
    let mut lab = lab(None);
    let client = lab.peer.connect_wide();
    lab.send(client, PING);
    lab.answer(client);
    let start_ns = lab.now_ns;
    lab.send(client, &invoke(&pattern(INPUT_LEN_MAX)));
    lab.until("the invocation", |lab| (lab.worker.begun == 1).then_some(()));
    let round_trips = lab.since_ms(start_ns) / ROUND_TRIP_MS;
    assert!(round_trips <= 12, "{round_trips} round trips");
    lab.settle();
}

#[test]
fn a_line_that_loses_a_hundredth_is_only_slower() {
    let mut lab = lab(Some(100));
    let client = lab.peer.connect_wide();
    for _ in 0..3 {
        lab.echo(client, &pattern(INPUT_LEN_MAX / 2));
    }
    lab.settle();
}

#[test]
fn the_largest_image_arrives_over_a_long_line_that_loses_a_hundredth() {
    let mut lab = lab(Some(100));
    let client = lab.peer.connect_wide();
    let head = format!(
        "PUT /api/v1/namespaces/_/actions/big HTTP/1.1\r\nHost: node\r\nAuthorization: Basic {}\r\n\
         Content-Length: {CODE_LEN_MAX}\r\n\r\n",
        STANDARD.encode(GUEST_KEY),
    );
    lab.send(client, head.as_bytes());
    let start_ns = lab.now_ns;
    let part = [b'x'; 1 << 18];
    for _ in 0..CODE_LEN_MAX / part.len() {
        lab.send(client, &part);
        let is_taken = |lab: &mut Lab| lab.peer.unacknowledged(client) < 2 * part.len();
        lab.until_longer("progress", |lab| is_taken(lab).then_some(()));
    }
    let answer = lab.answer(client);
    // All of it was looked at: it is no image.
    assert_eq!(answer.status, 400);
    let elapsed_ms = lab.since_ms(start_ns);
    assert!(elapsed_ms < 2 * REQUEST_TIMEOUT_MS, "{elapsed_ms} ms");
    lab.settle();
}
