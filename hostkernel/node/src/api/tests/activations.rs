//! Activations that were kept: lists and their filters, single ones, and who may see them.

use super::*;
use crate::dispatch::Fault;
use crate::state::tenants::GUEST_KEY;
use limits::{LIST_LEN_MAX, LIST_LIMIT_MAX, RECORD_RESULT_LEN_MAX, TRACESTATE_LEN_MAX};
use serde_json::json;

const LIST: &str = "/api/v1/namespaces/_/activations";
const INVOKE: &str = "/api/v1/namespaces/_/actions/hello";

/// A client of a node that remembers many.
fn client() -> Client {
    let mut client = Client::with_hello();
    client.deploy("other", "");
    client.node.records = Records::new(1000, 1024).expect("frames are left");
    client
}

/// Invokes, and ends at a time of the wall clock without anybody waiting. Returns the id.
fn run_at(client: &mut Client, name: &str, wall_ms: u64, end: End, output: &[u8]) -> String {
    let target = format!("/api/v1/namespaces/_/actions/{name}");
    let (invocation, mut pending) = client.admit(Method::Post, &target, b"").split(TICKET);
    let completion = completion(invocation, end, output, &["1a line", "2another"]);
    let now = Now { monotonic_ns: completion.timing.started_ns, wall_ms };
    record(&mut client.node.records, &mut pending, completion, now);
    pending.id().to_string()
}

fn ids(list: &Value) -> Vec<&str> {
    let records = list.as_array().expect("a list").iter();
    records.map(|record| record["activationId"].as_str().expect("an id")).collect()
}

#[test]
fn a_non_blocking_invocation_is_answered_with_its_id() {
    let mut client = client();
    for query in ["", "?", "?blocking=false", "?result=true", "?blocking=false&result=false"] {
        let admission = client.admit(Method::Post, &format!("{INVOKE}{query}"), b"{}");
        let (invocation, mut pending) = admission.split(TICKET);
        assert!(!pending.is_blocking());
        let answer = Answer::of(accepted(&mut pending));
        let id = pending.id().to_string();
        assert_eq!((answer.status(), answer.json()), (202, json!({ "activationId": id })));
        assert_eq!(answer.header("X-OpenWhisk-Activation-Id"), Some(&*id));
        assert!(answer.header("traceparent").is_some() && answer.header("X-Request-ID").is_some());
        let target = format!("{LIST}/{id}");
        client.get(&target).refused(404, "does not exist");
        let completion = completion(invocation, End::Exit(0), b"{\"a\":1}", &[]);
        record(&mut client.node.records, &mut pending, completion, LATER);
        assert_eq!(client.get(&target).json()["response"]["result"], json!({ "a": 1 }));
    }
}

#[test]
fn only_clients_that_know_ids_can_be_told_to_come_back() {
    let mut client = client();
    let document = document(r#","annotations":[{"key":"web-export","value":true}]"#);
    assert_eq!(client.put(&format!("{INVOKE}?overwrite=true"), &document).status(), 200);
    for (target, may) in [
        (&*format!("{INVOKE}?blocking=true"), true),
        (&format!("{INVOKE}?blocking=true&result=true"), true),
        ("/function/hello", false),
        ("/api/v1/web/guest/default/hello.json", false),
    ] {
        let admission = client.admit(Method::Post, target, b"{}");
        assert!(admission.pending.is_blocking());
        assert_eq!(admission.pending.may_be_accepted(), may, "{target}");
    }
}

#[test]
fn parts_of_one_activation_can_be_asked_for() {
    let mut client = client();
    let id = run_at(&mut client, "hello", WALL_MS, End::Exit(0), b"{\"error\":\"no\"}");
    let logs = client.get(&format!("{LIST}/{id}/logs"));
    let time = "2026-11-23T02:50:41.001234567Z";
    let lines = [format!("{time} stdout: a line"), format!("{time} stderr: another")];
    assert_eq!(logs.json(), json!({ "logs": lines }));
    let result = client.get(&format!("{LIST}/{id}/result"));
    let expected = json!({"status": "application error", "success": false,
        "result": {"error": "no"}, "size": 14});
    assert_eq!(result.json(), expected);
    let whole = client.get(&format!("{LIST}/{id}")).json();
    assert_eq!((&whole["response"], &whole["logs"]), (&expected, &json!(lines)));
    assert_eq!(client.ask(Method::Head, &format!("{LIST}/{id}"), b"").status(), 200);
    client.get(&format!("{LIST}/{id}/other")).refused(404, "does not exist");
    for bad in ["1", "x/logs", &id[1..], &id.replace('0', "A"), &format!("{id}0"), "%30"] {
        client.get(&format!("{LIST}/{bad}")).refused(400, "32 lower-case");
    }
    for method in [Method::Post, Method::Put, Method::Delete, Method::Patch] {
        for target in [LIST.to_string(), format!("{LIST}/{id}")] {
            let answer = client.ask(method, &target, b"{}");
            answer.refused(405, "not allowed");
            assert_eq!(answer.header("Allow"), Some("GET, HEAD, OPTIONS"));
        }
    }
}

#[test]
fn lists_are_newest_first_and_filtered() {
    let mut client = client();
    let names = ["hello", "other"];
    let all: Vec<_> = (0..250)
        .map(|index| run_at(&mut client, names[index % 2], index as u64 * 10, End::Exit(0), b"{}"))
        .collect();
    let mut list = |query: &str| -> Vec<usize> {
        let answer = client.get(&format!("{LIST}?{query}"));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let position = |id: &str| all.iter().position(|other| other == id).expect("one of all");
        ids(&answer.json()).into_iter().map(position).collect()
    };
    let newest = |count: usize| (0..250).rev().take(count).collect::<Vec<_>>();
    assert_eq!(list(""), newest(30));
    for everything in ["limit=200", "limit=0", "limit=0&docs=true"] {
        assert_eq!(list(everything), newest(LIST_LIMIT_MAX), "{everything}");
    }
    assert_eq!(list("limit=2&skip=3"), [246, 245]);
    assert!(list("limit=2&skip=300").is_empty());
    assert_eq!(list("name=hello&limit=3"), [248, 246, 244]);
    assert_eq!(list("name=oth%65r&limit=1&skip=1"), [247]);
    assert!(list("name=absent").is_empty());
    assert_eq!(list("since=2470"), [249, 248, 247]);
    assert_eq!(list("upto=20"), [2, 1, 0]);
    assert_eq!(list("since=20&upto=40&name=hello"), [4, 2]);
    let mut count = |query: &str| client.get(&format!("{LIST}?count=true&{query}")).text();
    assert_eq!(count(""), "{\"activations\":250}");
    assert_eq!(count("name=hello&since=1000&limit=1"), "{\"activations\":75}");
    assert_eq!(count("skip=50"), "{\"activations\":200}");
    assert_eq!(count("skip=500&docs=no"), "{\"activations\":0}");
    for (query, part) in [
        ("limit=201", "'limit'"),
        ("limit=x", "'limit'"),
        ("skip=-1", "'skip'"),
        ("since=1.5", "'since'"),
        ("upto=x", "'upto'"),
        ("docs=1", "'docs'"),
        ("count=1", "'count'"),
        ("count=true&docs=true", "'docs'"),
        ("name=%zz", "'name'"),
    ] {
        client.get(&format!("{LIST}?{query}")).refused(400, part);
    }
}

#[test]
fn summaries_say_how_it_ended() {
    let mut client = client();
    let outputs: [(End, &[u8], u8); 4] = [
        (End::Exit(0), b"{}", 0),
        (End::Exit(0), b"{\"error\":1}", 1),
        (End::Fault(Fault::Deadline { timeout_ms: 100, instruction: None }), b"", 2),
        (End::NotStarted, b"", 3),
    ];
    for (end, output, code) in outputs {
        let id = run_at(&mut client, "hello", WALL_MS, end, output);
        let list = client.get(&format!("{LIST}?limit=1")).json();
        let [summary] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
        assert_eq!((&summary["activationId"], &summary["statusCode"]), (&json!(id), &json!(code)));
        let keys: Vec<_> = summary.as_object().expect("an object").keys().collect();
        let expected = ["activationId", "annotations", "duration", "end", "name", "namespace"];
        assert_eq!(keys[..6], expected);
        assert_eq!(keys[6..], ["publish", "start", "statusCode", "version"]);
        let whole = client.get(&format!("{LIST}/{id}")).json();
        assert_eq!(whole["annotations"], summary["annotations"]);
        assert_eq!(whole["response"]["success"], code == 0);
    }
    let internal = client.get(&format!("{LIST}?limit=1&docs=true")).json();
    assert_eq!(internal[0]["response"]["status"], "whisk internal error");
    let reason = internal[0]["response"]["result"]["error"].as_str().expect("a text");
    assert!(reason.contains("could not reserve"), "{reason}");
}

#[test]
fn functions_are_recorded_with_what_they_wrote() {
    let mut client = client();
    let outputs: [(&[u8], Value); 4] = [
        (b"{\"a\":1}", json!({"a": 1})),
        (b"text\n", json!({"body": "text\n"})),
        (b"\xff", json!({"body": "/w==", "encoding": "base64"})),
        (b"", json!({"body": ""})),
    ];
    for (output, result) in outputs {
        client.authorization = None;
        let admission = client.admit(Method::Get, "/function/hello", b"");
        let id = admission.pending.id();
        assert!(!admission.pending.may_be_accepted());
        assert_eq!(finish(&mut client, admission, End::Exit(0), output, &[]).body, output);
        client.authorization = Client::new().authorization;
        let response = client.get(&format!("{LIST}/{id}/result")).json();
        assert_eq!(response["result"], result);
        assert_eq!(response["size"], output.len());
    }
    let admission = client.admit(Method::Get, "/function/hello", b"");
    let id = admission.pending.id();
    finish(&mut client, admission, End::Exit(3), b"ignored", &[]).refused(502, "exit status 3");
    let response = client.get(&format!("{LIST}/{id}/result")).json();
    assert_eq!(response["result"], json!({"error": "exit status 3"}));
    assert_eq!(response["status"], "action developer error");
}

#[test]
fn what_is_too_long_is_left_out_and_said_so() {
    let mut client = client();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(RECORD_RESULT_LEN_MAX));
    let id = run_at(&mut client, "hello", WALL_MS, End::Exit(0), long.as_bytes());
    let response = client.get(&format!("{LIST}/{id}/result")).json();
    assert_eq!((&response["status"], &response["size"]), (&json!("success"), &json!(long.len())));
    let reason = response["result"]["error"].as_str().expect("a text");
    assert!(reason.contains("was not kept"), "{reason}");
    // Whole records come as far as a list may be long.
    let each = format!("{{\"a\":\"{}\"}}", "x".repeat(60_000));
    for _ in 0..40 {
        run_at(&mut client, "hello", WALL_MS, End::Exit(0), each.as_bytes());
    }
    let answer = client.get(&format!("{LIST}?docs=true"));
    let count = answer.json().as_array().expect("a list").len();
    assert_eq!(count, LIST_LEN_MAX.div_ceil(60_000 + 1000));
    assert!(answer.body.len() < LIST_LEN_MAX + 100_000);
}

#[test]
fn the_oldest_are_forgotten_and_deleted_actions_stay_known() {
    let mut client = Client::with_hello();
    let ids: Vec<_> = (0..RECORDS + 3)
        .map(|_| run_at(&mut client, "hello", WALL_MS, End::Exit(0), b"{}"))
        .collect();
    client.ask(Method::Delete, ACTION, b"");
    for (index, id) in ids.iter().enumerate() {
        let answer = client.get(&format!("{LIST}/{id}"));
        assert_eq!(answer.status(), if index < 3 { 404 } else { 200 });
    }
    assert_eq!(client.get(&format!("{LIST}?count=true")).json()["activations"], RECORDS);
}

#[test]
fn nobody_sees_the_activations_of_others() {
    let mut client = client();
    let id = run_at(&mut client, "hello", WALL_MS, End::Exit(0), b"{}");
    let words = format!("hostkernel.auth={GUEST_KEY} hostkernel.namespace=stranger,key=u:k");
    client.node.policy.tenants = tenants(&words);
    let own = client.authorization.replace(format!("Basic {}", STANDARD.encode("u:k")));
    assert_eq!(client.get(LIST).text(), "[]");
    assert_eq!(client.get(&format!("{LIST}?count=true")).text(), "{\"activations\":0}");
    let unknown = format!("{LIST}/{}", id.replace('0', "1"));
    for part in ["", "/logs", "/result"] {
        let foreign = client.get(&format!("{LIST}/{id}{part}"));
        foreign.refused(404, "does not exist");
        assert_eq!(foreign.error(), client.get(&format!("{unknown}{part}")).error());
    }
    client.authorization = own;
    assert_eq!(client.get(&format!("{LIST}/{id}")).status(), 200);
}

#[test]
fn a_trace_goes_through_the_action_and_into_the_record() {
    let mut client = client();
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let state = "vendor=a b,other=c";
    let headers = [("Traceparent", given), ("tracestate", state)];
    for target in [format!("{INVOKE}?blocking=true"), "/function/hello".to_string()] {
        let Reply::Invoke(admission) = client.send(Method::Post, &target, &headers, b"") else {
            panic!("refused");
        };
        let id = admission.pending.id().to_string();
        let own = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-00", &id[16..]);
        let environment = format!("\0TRACEPARENT={own}\0TRACESTATE={state}\0");
        assert!(admission.variables().contains(&environment), "{:?}", admission.variables());
        let answer = finish(&mut client, admission, End::Exit(0), b"{}", &[]);
        assert_eq!(answer.header("traceparent"), Some(&*own));
        let record = client.get(&format!("{LIST}/{id}")).json();
        let annotations = record["annotations"].as_array().expect("a list");
        assert!(annotations.contains(&json!({"key": "traceparent", "value": own})));
    }
    // A state belongs to a trace, and is bounded.
    let long = "x".repeat(TRACESTATE_LEN_MAX + 1);
    for headers in [[("tracestate", state); 2], [("traceparent", given), ("tracestate", &*long)]] {
        let Reply::Invoke(admission) = client.send(Method::Post, INVOKE, &headers, b"") else {
            panic!("refused");
        };
        assert!(!admission.variables().contains("TRACESTATE"));
    }
}

#[test]
fn who_asks_for_the_record_of_another_node_is_told_which_one_has_it() {
    let mut client = Client::with_hello();
    let target = |node: u16| {
        let id = ActivationId(1).of_node(node);
        format!("/api/v1/namespaces/_/activations/{id}")
    };
    client.get(&target(8)).refused(404, "does not exist");
    client.node.policy.node = 7;
    client.get(&target(8)).refused(404, "node 8");
    client.get(&target(7)).refused(404, "does not exist");
    client.get(&target(0)).refused(404, "does not exist");
    assert_eq!(ActivationId(u128::MAX).of_node(0), ActivationId(u128::MAX));
    assert_eq!(ActivationId(u128::MAX).of_node(0x1234).node(), 0x1234);
}
