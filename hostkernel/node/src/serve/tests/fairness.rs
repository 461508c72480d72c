//! How long a good tenant waits beside a bad one, against alone: in virtual time, in which the node
//! takes so long for its work as it writes bytes.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::println;

use super::deploys::{bomb, put};
use super::detached::request_by;
use super::holdings::{BAD, GOOD, two_tenants};
use super::lab::{INPUT_LEN_MAX, Lab, NS_PER_MS, PUBLIC, invoke};
use super::peer::Client;
use limits::{CODE_LEN_MAX, FRAMES_PER_POLL_MAX, SLICE_LEN};

/// What a byte costs that is unpacked, checked and hashed: on hardware some nanoseconds.
const BYTE_NS: u64 = 5;
/// One slice of a deploy with a piece of an archive.
const SLICE_NS: u64 = (SLICE_LEN as u64 + 32 * 1024) * BYTE_NS;
/// What a card hands over at a time, which goes first come, first served.
const BURST_NS: u64 = (FRAMES_PER_POLL_MAX * FRAME_LEN) as u64 * BYTE_NS;
/// Length of a frame.
const FRAME_LEN: usize = 1514;
/// Length of a document.
const DOCUMENT_LEN: usize = 1 << 20;
/// How long a call runs.
const RUN_NS: u64 = NS_PER_MS / 2;
/// Calls that are measured.
const CALLS: usize = 200;

/// The 99th percentile of the good tenant's waits, while the bad one does something before each.
fn p99_ns(lab: &mut Lab, mut bad: impl FnMut(&mut Lab)) -> u64 {
    let client = lab.connect();
    let target = "actions/echo?blocking=true&result=true";
    let call = request_by(GOOD, "POST", target, b"{\"a\":1}");
    let mut waits: Vec<u64> = (0..CALLS)
        .map(|_| {
            bad(lab);
            let start_ns = lab.now_ns;
            lab.send(client, &call);
            assert_eq!(lab.answer(client).status, 200);
            lab.now_ns - start_ns
        })
        .collect();
    waits.sort_unstable();
    waits[CALLS * 99 / 100]
}

fn lab() -> Lab {
    let mut lab = two_tenants();
    lab.byte_ns = BYTE_NS;
    lab.worker.run_ns = RUN_NS;
    lab
}

/// Calls again on each connection whose answer has come.
fn call_again(lab: &mut Lab, clients: &[Client], call: &[u8]) {
    for client in clients {
        if lab.peer.take_answer(*client).is_some() {
            lab.send(*client, call);
        }
    }
}

/// A document of a MiB, most of it annotations.
fn long_document() -> String {
    let value = "x".repeat(DOCUMENT_LEN / 100);
    let list: Vec<_> =
        (0..100).map(|number| format!("{{\"key\":\"k{number}\",\"value\":\"{value}\"}}")).collect();
    let exec = "\"exec\":{\"kind\":\"native:1\",\"code\":\"bm9uZQ==\"}";
    format!("{{\"annotations\":[{}],{exec}}}", list.join(","))
}

fn put_document(lab: &mut Lab, document: &str) {
    let client = lab.peer.connect_wide();
    let target = "actions/long?overwrite=true";
    lab.send(client, &request_by(BAD, "PUT", target, document.as_bytes()));
}

#[test]
fn a_good_tenant_hardly_notices_a_bad_one() {
    let alone_ns = p99_ns(&mut lab(), |_| {});

    let mut lab_of_readers = lab();
    lab_of_readers.worker.output_len = None;
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(INPUT_LEN_MAX - 100));
    let readers_ns = p99_ns(&mut lab_of_readers, |lab| {
        if lab.connections() < PUBLIC - 2 {
            let client = lab.connect();
            lab.peer.set_wanted(client, 0);
            let target = "actions/echo?blocking=true&result=true";
            lab.send(client, &request_by(BAD, "POST", target, long.as_bytes()));
            lab.pass_ms(2);
        }
    });

    let bomb = bomb(CODE_LEN_MAX / 48);
    let deploys_ns = p99_ns(&mut lab(), |lab| {
        if lab.connections() < PUBLIC - 2 {
            put(lab, BAD, "bomb", &bomb);
        }
    });

    let document = long_document();
    let documents_ns = p99_ns(&mut lab(), |lab| {
        if lab.connections() < PUBLIC - 2 {
            put_document(lab, &document);
        }
    });

    let call = invoke(b"many");
    let mut lab_of_callers = lab();
    let callers: Vec<_> = (0..PUBLIC).map(|_| lab_of_callers.connect()).collect();
    callers.iter().for_each(|client| lab_of_callers.send(*client, &call));
    let callers_ns = p99_ns(&mut lab_of_callers, |lab| call_again(lab, &callers, &call));

    let us = |ns: u64| ns / 1000;
    println!(
        "p99 alone {} us; beside slow readers {} us, deploys {} us, documents {} us, callers {} us",
        us(alone_ns),
        us(readers_ns),
        us(deploys_ns),
        us(documents_ns),
        us(callers_ns)
    );
    assert!(readers_ns <= 2 * alone_ns, "readers: {readers_ns} ns, {alone_ns} alone");
    assert!(deploys_ns <= alone_ns + 6 * SLICE_NS, "deploys: {deploys_ns} ns, {alone_ns} alone");
    assert!(documents_ns <= alone_ns + 3 * BURST_NS, "documents: {documents_ns} ns");
    assert!(callers_ns <= alone_ns + 4 * RUN_NS, "callers: {callers_ns} ns, {alone_ns} alone");
}
