//! Deploys beside everything else: what one tenant has unpacked and hashed is done bit by bit, and
//! others hardly notice.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use std::io::{Cursor, Write as _};

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;

use super::detached::request_by;
use super::holdings::{BAD, GOOD, two_tenants};
use super::lab::{Lab, PUBLIC};
use super::peer::Client;
use crate::api::tests::image;
use crate::registry::Purpose;
use limits::{CODE_LEN_MAX, PAGE_LEN, PARAMETERS_MAX, SLICE_LEN};

/// What is made of an archive at once at most: what its format refers back to.
const UNPACKED_LEN_MAX: usize = 32 * 1024;
/// Of each answer and request a little is written, too.
const OTHER_LEN_MAX: usize = 2 * PAGE_LEN;

/// An archive that is small, and whose executable is not.
pub fn bomb(len: usize) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("exec", SimpleFileOptions::default()).expect("a new file");
    writer.write_all(&vec![0; len]).expect("memory is left");
    writer.finish().expect("memory is left").into_inner()
}

pub fn put(lab: &mut Lab, key: &str, name: &str, code: &[u8]) -> Client {
    let client = lab.peer.connect_wide();
    let target = format!("actions/{name}?overwrite=true&code=false");
    lab.send(client, &request_by(key, "PUT", &target, code));
    client
}

/// A document with as many annotations and parameters as there may be, and code that is none.
fn document() -> String {
    let pair = |number: usize| {
        let value = "\\u00e4\u{20ac}".repeat(100);
        format!("{{\"key\":\"k{number}\",\"value\":[\"{value}\",{{}}]}}")
    };
    let pairs: Vec<_> = (0..PARAMETERS_MAX).map(pair).collect();
    let list = format!("[{}]", pairs.join(","));
    let exec = "\"exec\":{\"kind\":\"native:1\",\"code\":\"bm9uZQ==\"}";
    format!("{{\"annotations\":{list},\"parameters\":{list},{exec}}}")
}

fn echo(lab: &mut Lab, client: Client) {
    let target = "actions/echo?blocking=true&result=true";
    lab.send(client, &request_by(GOOD, "POST", target, b"{\"a\":1}"));
    let answer = lab.answer(client);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"a\":1}"[..]));
}

#[test]
fn a_large_deploy_is_done_bit_by_bit() {
    let mut lab = two_tenants();
    let good = lab.connect();
    echo(&mut lab, good);
    let before = lab.polls;
    echo(&mut lab, good);
    let alone = lab.polls - before;
    let len = CODE_LEN_MAX / 6;
    let bad = put(&mut lab, BAD, "bomb", &bomb(len));
    lab.pass_ms(2);
    lab.written_max = 0;
    let before = lab.polls;
    let mut answers = 0;
    let refused = loop {
        let polls = lab.polls;
        echo(&mut lab, good);
        assert!(lab.polls - polls <= 3 * alone, "{} polls, {alone} alone", lab.polls - polls);
        answers += 1;
        if let Some(answer) = lab.peer.take_answer(bad) {
            break answer;
        }
        lab.pass_ms(1);
    };
    assert_eq!(refused.status, 400, "zeros are no executable");
    assert!(answers > 10, "{answers} answers meanwhile");
    assert!(lab.polls - before > len / (SLICE_LEN + UNPACKED_LEN_MAX));
    let max = SLICE_LEN + UNPACKED_LEN_MAX + OTHER_LEN_MAX;
    assert!(lab.written_max <= max, "{} bytes in one poll", lab.written_max);
    lab.settle();
}

#[test]
fn whoever_deploys_much_waits_for_himself() {
    let mut lab = two_tenants();
    let bomb = bomb(CODE_LEN_MAX / 48);
    let bad: Vec<_> =
        (0..PUBLIC - 2).map(|number| put(&mut lab, BAD, &format!("b{number}"), &bomb)).collect();
    lab.pass_ms(1);
    let start_ns = lab.now_ns;
    let good = put(&mut lab, GOOD, "small", &image());
    assert_eq!(lab.answer(good).status, 200);
    assert!(lab.since_ms(start_ns) <= 2, "{} ms", lab.since_ms(start_ns));
    assert!(bad.iter().all(|client| lab.peer.take_answer(*client).is_none()));
    for client in bad {
        assert_eq!(lab.answer(client).status, 400);
    }
    lab.settle();
}

#[test]
fn a_deploy_ends_when_its_client_leaves() {
    let mut lab = two_tenants();
    let bad = put(&mut lab, BAD, "bomb", &bomb(CODE_LEN_MAX / 48));
    lab.pass_ms(2);
    let held = |lab: &Lab| lab.service.node().books.held_len(Purpose::Deploy);
    assert!(held(&lab) > UNPACKED_LEN_MAX, "{}", held(&lab));
    lab.peer.reset(bad);
    lab.pass_ms(1);
    assert_eq!(held(&lab), 0);
    lab.settle();
}

#[test]
fn a_node_that_leaves_finishes_what_it_began() {
    let mut lab = two_tenants();
    let good = put(&mut lab, GOOD, "small", &image());
    lab.until("a deploy", |lab| (lab.service.connections.outstanding() > 0).then_some(()));
    lab.service.drain(lab.now_ns);
    lab.wake();
    let answer = lab.answer(good);
    assert_eq!((answer.status, answer.last), (200, true));
    lab.until("the end", |lab| lab.is_drained().then_some(()));
}

#[test]
fn annotations_and_parameters_are_read_bit_by_bit() {
    let mut lab = two_tenants();
    let good = lab.connect();
    echo(&mut lab, good);
    let before = lab.polls;
    echo(&mut lab, good);
    let alone = lab.polls - before;
    let document = document();
    let bad = put(&mut lab, BAD, "many", document.as_bytes());
    lab.until("the document", |lab| (lab.service.connections.outstanding() > 0).then_some(()));
    lab.written_max = 0;
    let before = lab.polls;
    let refused = loop {
        let polls = lab.polls;
        echo(&mut lab, good);
        assert!(lab.polls - polls <= 3 * alone, "{} polls, {alone} alone", lab.polls - polls);
        if let Some(answer) = lab.peer.take_answer(bad) {
            break answer;
        }
    };
    assert_eq!(refused.status, 400, "it is no executable");
    // The document is split, read, its elements found and looked at, and their values copied.
    assert!(lab.polls - before > 5 * document.len() / SLICE_LEN);
    let max = SLICE_LEN + OTHER_LEN_MAX;
    assert!(lab.written_max <= max, "{} bytes in one poll", lab.written_max);
    lab.settle();
}
