//! Long inputs and results beside everything else: they are read bit by bit, and others hardly
//! notice.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::detached::request_by;
use super::holdings::{BAD, GOOD, two_tenants};
use super::lab::{INPUT_LEN_MAX, Lab};
use super::peer::Client;
use crate::registry::Purpose;
use limits::{PAGE_LEN, SLICE_LEN};

/// Of each answer and request a little is written, too.
const OTHER_LEN_MAX: usize = 2 * PAGE_LEN;

const RESULT: &str = "actions/echo?blocking=true&result=true";

/// An object of about this length with many members.
fn object(len: usize) -> String {
    let mut text = String::from("{\"a\":0");
    while text.len() + 40 < len {
        text += &format!(",\"key{}\":[1.5e3,\"\u{e4}\\n\",{{}}]", text.len());
    }
    text + "}"
}

fn call(lab: &mut Lab, key: &str, target: &str, body: &str) -> Client {
    let client = lab.peer.connect_wide();
    lab.send(client, &request_by(key, "POST", target, body.as_bytes()));
    client
}

fn echo(lab: &mut Lab, client: Client) {
    lab.send(client, &request_by(GOOD, "POST", RESULT, b"{\"a\":1}"));
    let answer = lab.answer(client);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"a\":1}"[..]));
}

fn held(lab: &Lab) -> usize {
    Purpose::ALL.iter().map(|purpose| lab.service.node().books.held_len(*purpose)).sum()
}

/// Waits until so many texts are being read.
fn until_read(lab: &mut Lab, count: usize) {
    lab.until("a text", |lab| (lab.service.connections.texts() == count).then_some(()));
}

#[test]
fn a_long_input_and_its_result_are_read_bit_by_bit() {
    let mut lab = two_tenants();
    let good = lab.connect();
    echo(&mut lab, good);
    let before = lab.polls;
    echo(&mut lab, good);
    let alone = lab.polls - before;
    let long = object(INPUT_LEN_MAX);
    let bad = call(&mut lab, BAD, RESULT, &long);
    until_read(&mut lab, 1);
    lab.written_max = 0;
    let before = lab.polls;
    let mut answers = 0;
    let answer = loop {
        let polls = lab.polls;
        echo(&mut lab, good);
        assert!(lab.polls - polls <= 3 * alone, "{} polls, {alone} alone", lab.polls - polls);
        answers += 1;
        if let Some(answer) = lab.peer.take_answer(bad) {
            break answer;
        }
    };
    assert!((answer.status, &answer.body[..]) == (200, long.as_bytes()));
    assert!(answers > 10, "{answers} answers meanwhile");
    // Once as input, once as result.
    assert!(lab.polls - before > 2 * long.len() / SLICE_LEN);
    let max = SLICE_LEN + OTHER_LEN_MAX;
    assert!(lab.written_max <= max, "{} bytes in one poll", lab.written_max);
    lab.settle();
    assert_eq!(held(&lab), 0);
}

#[test]
fn a_long_result_is_in_its_activation_and_not_copied() {
    let mut lab = two_tenants();
    let long = object(INPUT_LEN_MAX);
    let client = call(&mut lab, BAD, "actions/echo?blocking=true", &long);
    until_read(&mut lab, 1);
    lab.written_max = 0;
    let answer = lab.answer(client);
    assert_eq!(answer.status, 200);
    let activation: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let response = &activation["response"];
    assert!(response["result"] == serde_json::from_str::<Value>(&long).expect("JSON"));
    assert_eq!(response["size"], long.len());
    assert!(activation["annotations"].is_array());
    let max = SLICE_LEN + OTHER_LEN_MAX;
    assert!(lab.written_max <= max, "{} bytes in one poll", lab.written_max);
    lab.settle();
}

#[test]
fn what_is_no_json_is_refused_in_the_end_as_at_once() {
    let mut lab = two_tenants();
    let cut = object(INPUT_LEN_MAX).replacen('}', "", 1);
    let client = call(&mut lab, BAD, RESULT, &cut);
    let answer = lab.answer(client);
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("it is not JSON from byte"));
    assert_eq!(lab.worker.begun, 0);
    lab.worker.output_len = Some(INPUT_LEN_MAX);
    let client = call(&mut lab, BAD, RESULT, "{}");
    let answer = lab.answer(client);
    assert_eq!(answer.status, 502);
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.contains("did not produce a valid JSON response"), "{text:.200}");
    lab.settle();
}

#[test]
fn an_input_goes_with_its_client_and_a_result_stays_for_its_record() {
    let mut lab = two_tenants();
    let long = object(INPUT_LEN_MAX);
    let client = call(&mut lab, BAD, RESULT, &long);
    until_read(&mut lab, 1);
    lab.peer.reset(client);
    until_read(&mut lab, 0);
    assert_eq!((lab.worker.begun, held(&lab)), (0, 0));

    let client = call(&mut lab, BAD, RESULT, &long);
    lab.until("the end", |lab| (lab.worker.begun == 1).then_some(()));
    until_read(&mut lab, 1);
    assert!(held(&lab) >= long.len(), "{}", held(&lab));
    lab.peer.reset(client);
    until_read(&mut lab, 0);
    assert_eq!((lab.worker.begun, held(&lab)), (1, 0));
    let client = lab.connect();
    lab.send(client, &request_by(BAD, "GET", "activations", b""));
    let answer = lab.answer(client);
    let list: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    lab.settle();
}

/// Exports the bad tenant's action.
fn export(lab: &mut Lab) {
    let client = lab.connect();
    let export = br#"{"annotations":[{"key":"web-export","value":true}]}"#;
    lab.send(client, &request_by(BAD, "PUT", "actions/echo?overwrite=true", export));
    assert_eq!(lab.answer(client).status, 200);
    lab.peer.close(client);
}

/// A request to the exported action `echo` of this namespace.
pub fn web(namespace: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/web/{namespace}/default/echo.http?a=1 HTTP/1.1\r\nHost: node\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn what_comes_to_an_exported_action_is_read_bit_by_bit_and_so_is_its_result() {
    let mut lab = two_tenants();
    export(&mut lab);
    let text = "\u{e4}<p>\"\\".repeat(INPUT_LEN_MAX / 40);
    let json = serde_json::to_string(&serde_json::json!({ "body": text })).expect("JSON");
    let coded = STANDARD.encode(&text);
    let png = format!("{{\"headers\":{{\"content-type\":\"image/png\"}},\"body\":\"{coded}\"}}");
    let error = format!("{{\"error\":{json}}}");
    let form = format!("body={}", text.replace('"', "%22").replace('\u{e4}', "%C3%A4"));
    for (kind, body) in [
        ("application/json", &json),
        ("application/json", &png),
        ("application/json", &error),
        ("application/x-www-form-urlencoded", &form),
    ] {
        let good = lab.connect();
        echo(&mut lab, good);
        let begun = lab.worker.begun;
        let bad = lab.peer.connect_wide();
        lab.send(bad, &web("bad", kind, body.as_bytes()));
        until_read(&mut lab, 1);
        assert_eq!(lab.worker.begun, begun, "its input is read");
        lab.written_max = 0;
        lab.until("the end", |lab| (lab.worker.begun == begun + 1).then_some(()));
        until_read(&mut lab, 1);
        assert_eq!(lab.peer.take_answer(bad).map(|answer| answer.status), None);
        let answer = lab.answer(bad);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.body == text.as_bytes(), "{} bytes", answer.body.len());
        // A piece of text may grow when it is escaped.
        let max = SLICE_LEN + 2 * PAGE_LEN + OTHER_LEN_MAX;
        assert!(lab.written_max <= max, "{} bytes in one poll", lab.written_max);
    }
    let bytes = lab.peer.connect_wide();
    lab.send(bytes, &web("bad", "image/png", text.as_bytes()));
    let answer = lab.answer(bytes);
    assert_eq!(answer.status, 204, "{}", String::from_utf8_lossy(&answer.body));
    lab.settle();
    assert_eq!(held(&lab), 0);
}

#[test]
fn a_node_that_leaves_reads_what_it_began() {
    let mut lab = two_tenants();
    let long = object(INPUT_LEN_MAX);
    let client = call(&mut lab, GOOD, RESULT, &long);
    until_read(&mut lab, 1);
    lab.service.drain(lab.now_ns);
    lab.wake();
    let answer = lab.answer(client);
    assert!((answer.status, answer.last, &answer.body[..]) == (200, true, long.as_bytes()));
    lab.until("the end", |lab| lab.is_drained().then_some(()));
}

#[test]
fn whoever_sends_much_waits_for_himself() {
    let mut lab = two_tenants();
    let long = object(INPUT_LEN_MAX / 2);
    let bad: [Client; 2] = core::array::from_fn(|_| call(&mut lab, BAD, RESULT, &long));
    until_read(&mut lab, 2);
    let start_ns = lab.now_ns;
    let good = call(&mut lab, GOOD, RESULT, &object(3 * SLICE_LEN));
    assert_eq!(lab.answer(good).status, 200);
    assert!(lab.since_ms(start_ns) <= 3, "{} ms", lab.since_ms(start_ns));
    assert!(bad.iter().all(|client| lab.peer.take_answer(*client).is_none()));
    for client in bad {
        assert_eq!(lab.answer(client).status, 200);
    }
    lab.settle();
}
