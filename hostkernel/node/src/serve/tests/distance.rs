//! Clients far away: long round trips, and a line that loses some frames.

use alloc::format;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::lab::{INPUT_LEN_MAX, Lab, NS_PER_MS, PING, invoke, pattern};
use super::wire::{Fault, LATENCY_NS};
use crate::state::tenants::GUEST_KEY;
use limits::{CODE_LEN_MAX, HURRY_MS, REQUEST_RATE_MIN, REQUEST_TIMEOUT_MS};

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
    // It has arrived, and is no image.
    assert_eq!(answer.status, 413);
    let elapsed_ms = lab.since_ms(start_ns);
    assert!(elapsed_ms < 2 * REQUEST_TIMEOUT_MS, "{elapsed_ms} ms");
    lab.settle();
}

/// Has the node's next frame to `client` lost once, and returns after how long it came.
fn comes_again_after_ms(lab: &mut Lab, body: &[u8]) -> u64 {
    let client = lab.connect();
    lab.echo(client, b"first");
    lab.pass_ms(1_000);
    lab.worker.holds = true;
    lab.send(client, &invoke(body));
    lab.until("the invocation", |lab| (lab.worker.begun == 2).then_some(()));
    // Its acknowledgement goes before the answer.
    lab.pass_ms(500);
    lab.to_peer.borrow_mut().inject_now(Fault::Lose);
    lab.worker.holds = false;
    let start_ns = lab.now_ns;
    lab.is_echoed(client, body);
    lab.since_ms(start_ns)
}

#[test]
fn an_answer_that_got_lost_comes_again_soon() {
    for (round_trip_ms, latest_ms) in [(0, HURRY_MS + 20), (ROUND_TRIP_MS, 4 * ROUND_TRIP_MS)] {
        let mut lab = if round_trip_ms == 0 { Lab::new() } else { lab(None) };
        let elapsed_ms = comes_again_after_ms(&mut lab, b"lost");
        let latest_ms = latest_ms + if round_trip_ms == 0 { 0 } else { HURRY_MS + 20 };
        assert!((HURRY_MS..=latest_ms).contains(&elapsed_ms), "{elapsed_ms} ms");
        lab.settle();
    }
}

#[test]
fn who_is_far_away_or_takes_nothing_is_not_sent_everything_twice() {
    let mut lab = Lab::new();
    for line in [&lab.to_node, &lab.to_peer] {
        line.borrow_mut().distance_ns = 800 * NS_PER_MS / 2;
    }
    let client = lab.connect();
    lab.echo(client, b"first");
    lab.pass_ms(3_000);
    let sent = lab.to_peer.borrow().sent;
    for _ in 0..3 {
        lab.echo(client, b"far");
    }
    // An acknowledgement of the request may come before its answer.
    assert!(lab.to_peer.borrow().sent - sent <= 6, "{}", lab.to_peer.borrow().sent - sent);
    lab.settle();

    let mut lab = Lab::new();
    let client = lab.connect();
    lab.echo(client, b"first");
    lab.peer.set_wanted(client, 0);
    lab.send(client, &invoke(&pattern(100_000)));
    lab.pass_ms(2_000);
    let sent = lab.to_peer.borrow().sent;
    lab.pass_ms(10_000);
    let probes = lab.to_peer.borrow().sent - sent;
    assert!(probes <= 10, "{probes} frames to who takes nothing");
    lab.peer.set_wanted(client, usize::MAX);
    lab.is_echoed(client, &pattern(100_000));
    lab.settle();
}

#[test]
fn who_says_in_vain_that_it_has_room_again_is_asked_soon() {
    for round_trip_ms in [0, ROUND_TRIP_MS] {
        let mut lab = if round_trip_ms == 0 { Lab::new() } else { lab(None) };
        let client = lab.connect();
        lab.echo(client, b"first");
        lab.peer.set_wanted(client, 0);
        lab.send(client, &invoke(&pattern(6_000)));
        // It takes what there is room for, and says so.
        lab.pass_ms(HURRY_MS / 2 + 3 * round_trip_ms);
        lab.to_node.borrow_mut().inject_now(Fault::Cut);
        lab.peer.set_wanted(client, usize::MAX);
        lab.pass_ms(10);
        lab.to_node.borrow_mut().mend();
        let start_ns = lab.now_ns;
        lab.is_echoed(client, &pattern(6_000));
        let (elapsed_ms, taken_ms) = (lab.since_ms(start_ns), 6 * round_trip_ms);
        assert!(elapsed_ms <= 2 * HURRY_MS + taken_ms, "{elapsed_ms} ms");
        lab.settle();
    }
}

#[test]
fn who_is_gone_is_hurried_once() {
    let mut lab = Lab::new();
    let client = lab.connect();
    lab.echo(client, b"first");
    lab.send(client, &invoke(b"gone"));
    lab.until("the invocation", |lab| (lab.worker.begun == 2).then_some(()));
    lab.to_node.borrow_mut().inject_now(Fault::Cut);
    let sent = lab.to_peer.borrow().sent;
    lab.pass_ms(10_000);
    // The answer, the hurry, and after 1, 3, 7 s of smoltcp's, give or take one.
    let frames = lab.to_peer.borrow().sent - sent;
    assert!((4..=6).contains(&frames), "{frames}");
    lab.to_node.borrow_mut().mend();
    lab.is_echoed(client, b"gone");
    lab.settle();
}
