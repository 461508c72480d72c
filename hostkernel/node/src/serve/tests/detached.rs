//! Invocations for whose end nobody waits: by choice, because it took too long, or any more.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::lab::{Lab, NS_PER_MS, PING, QUEUE_LEN, RECORDS, invoke};
use super::peer::Client;
use crate::state::tenants::GUEST_KEY;
use limits::BLOCKING_WAIT_MS;

const API: &str = "/api/v1/namespaces/_";

/// A request with the key.
pub fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    request_by(GUEST_KEY, method, target, body)
}

/// A request with this key.
pub fn request_by(key: &str, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {API}/{target} HTTP/1.1\r\nHost: node\r\nAuthorization: Basic {}\r\n\
         Content-Length: {}\r\n\r\n",
        STANDARD.encode(key),
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("the answer is JSON")
}

/// Takes the answer that says nothing but the invocation's id.
fn accepted(lab: &mut Lab, client: Client) -> String {
    let answer = lab.answer(client);
    assert_eq!((answer.status, answer.last), (202, false));
    json(&answer.body)["activationId"].as_str().expect("an id").to_string()
}

/// Asks for something below `activations`.
fn ask(lab: &mut Lab, client: Client, path: &str) -> (u16, Value) {
    lab.send(client, &request("GET", &format!("activations{path}"), b""));
    let answer = lab.answer(client);
    (answer.status, json(&answer.body))
}

#[test]
fn a_client_that_does_not_wait_is_answered_at_once() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    lab.send(client, &request("POST", "actions/echo", b"{\"a\":1}"));
    let id = accepted(&mut lab, client);
    assert_eq!(ask(&mut lab, client, &format!("/{id}")).0, 404);
    lab.worker.holds = false;
    lab.pass_ms(10);
    let (status, record) = ask(&mut lab, client, &format!("/{id}"));
    assert_eq!((status, record["response"]["result"]["a"].as_u64()), (200, Some(1)));
    lab.settle();
}

#[test]
fn a_client_that_waits_too_long_is_told_to_come_back() {
    for query in ["?blocking=true", "?blocking=true&result=true"] {
        let mut lab = Lab::with_case(query.to_string());
        lab.worker.run_ns = 2 * BLOCKING_WAIT_MS * NS_PER_MS;
        let client = lab.connect();
        // The next request is there already.
        let invoke = request("POST", &format!("actions/echo{query}"), b"{\"a\":1}");
        lab.send(client, &[&invoke[..], PING].concat());
        let start_ns = lab.now_ns;
        let id = accepted(&mut lab, client);
        let waited_ms = lab.since_ms(start_ns);
        assert!((BLOCKING_WAIT_MS..BLOCKING_WAIT_MS + 1_100).contains(&waited_ms), "{waited_ms}");
        assert_eq!(lab.answer(client).body, b"pong");
        assert_eq!(ask(&mut lab, client, &format!("/{id}")).0, 404, "it still runs");
        lab.pass_ms(BLOCKING_WAIT_MS);
        let again = lab.connect();
        let (status, result) = ask(&mut lab, again, &format!("/{id}/result"));
        assert_eq!((status, result["result"]["a"].as_u64()), (200, Some(1)));
        lab.settle();
    }
}

#[test]
fn an_end_just_in_time_is_the_answer() {
    let mut lab = Lab::new();
    lab.worker.run_ns = (BLOCKING_WAIT_MS - 1_200) * NS_PER_MS;
    let client = lab.connect();
    for _ in 0..3 {
        lab.send(client, &request("POST", "actions/echo?blocking=true&result=true", b"{}"));
        let answer = lab.answer(client);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    }
    lab.settle();
}

#[test]
fn who_leaves_early_leaves_a_record() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let requests = [
        invoke(b"public"),
        request("POST", "actions/echo?blocking=true", b"{\"a\":1}"),
        request("POST", "actions/echo", b"{\"a\":2}"),
    ];
    for request in &requests {
        let client = lab.connect();
        lab.send(client, request);
        lab.pass_ms(10);
        lab.peer.reset(client);
    }
    lab.pass_ms(10);
    assert_eq!(lab.connections(), 0);
    lab.worker.holds = false;
    lab.pass_ms(10);
    let client = lab.connect();
    let (_, list) = ask(&mut lab, client, "?docs=true");
    let result = |record: &Value| {
        assert_eq!(record["response"]["status"], "success");
        record["response"]["result"].to_string()
    };
    let results: Vec<_> = list.as_array().expect("a list").iter().map(result).collect();
    assert_eq!(results, ["{\"a\":2}", "{\"a\":1}", "{\"body\":\"public\"}"]);
    lab.settle();
}

#[test]
fn what_nobody_waits_for_is_bounded_as_the_rest() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    let invoke = request("POST", "actions/echo", b"{}");
    for _ in 0..=QUEUE_LEN {
        lab.send(client, &invoke);
        accepted(&mut lab, client);
    }
    lab.send(client, &invoke);
    assert_eq!(lab.answer(client).status, 503);
    lab.worker.holds = false;
    lab.pass_ms(100);
    let (_, count) = ask(&mut lab, client, "?count=true");
    assert_eq!(count["activations"].as_u64(), Some(RECORDS as u64), "the ring is full");
    lab.send(client, &invoke);
    accepted(&mut lab, client);
    lab.settle();
}

#[test]
fn a_node_drains_what_nobody_waits_for() {
    let mut lab = Lab::new();
    lab.worker.holds = true;
    let client = lab.connect();
    lab.send(client, &request("POST", "actions/echo", b"{}"));
    accepted(&mut lab, client);
    lab.peer.close(client);
    lab.service.drain(lab.now_ns);
    lab.pass_ms(1_000);
    assert!(!lab.is_drained(), "it is under way");
    lab.worker.holds = false;
    lab.until("a drained node", |lab| lab.is_drained().then_some(()));
    lab.settle();
}
