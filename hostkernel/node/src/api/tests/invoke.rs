//! Blocking invocations: what is admitted, and what an end is answered with.

use super::*;
use crate::dispatch::{Exception, Fault, Reports};
use crate::registry::Digest;
use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use memory::Access;
use serde_json::json;

const BLOCKING: &str = "/api/v1/namespaces/_/actions/hello?blocking=true";
const RESULT: &str = "/api/v1/namespaces/_/actions/hello?blocking=true&result=true";

/// Invokes and ends.
fn run(client: &mut Client, target: &str, end: End, output: &[u8]) -> Answer {
    let admission = client.admit(Method::Post, target, b"{\"name\":\"A\"}");
    finish(client, admission, end, output, &[])
}

#[test]
fn an_admission_has_all_an_invocation_needs() {
    let mut client = Client::new();
    client.deploy("hello", "timeout=1500&memory=7&logs=1");
    let admission = client.admit(Method::Post, RESULT, b" {\"name\":\"A\"}");
    let (invocation, pending) = admission.split(TICKET);
    assert_eq!(invocation.id, pending.id());
    assert_eq!(invocation.ticket, TICKET);
    assert_eq!(invocation.admitted_ns, NOW.monotonic_ns);
    assert_eq!(invocation.limits, Limits { timeout_ms: 1500, memory_mb: 7, logs_mb: 1 });
    assert_eq!(invocation.input.chunk_at(0), b" {\"name\":\"A\"}");
    assert_eq!(invocation.template.code().chunk_at(0), image());
    assert_eq!(
        str::from_utf8(&invocation.environment).expect("text"),
        "__OW_ACTIVATION_ID=00000000000000000000000000000002\0\
         __OW_ACTION_NAME=/guest/hello\0\
         __OW_ACTION_VERSION=0.0.1\0\
         __OW_NAMESPACE=guest\0\
         __OW_TRANSACTION_ID=00000000000000000000000000000002\0\
         TRACEPARENT=00-00000000000000000000000000000002-0000000000000002-01\0"
    );
}

#[test]
fn input_without_bound_parameters_stays_where_it_arrived() {
    let mut client = Client::with_hello();
    let body = PageBuffer::from_bytes(&[b' '; 5000]).expect("frames are left");
    let mut body = body;
    body.append(b"{}").expect("frames are left");
    let frames: Vec<_> = body.pages().iter().map(|frame| frame.number()).collect();
    let key = client.authorization.clone().expect("set by `new`");
    let (path, query) = RESULT.split_once('?').expect("it has a query");
    let text = RequestText::of(path, Some(query), &[("authorization", &key)]);
    let mut request = Request { method: Method::Post, text, body };
    let Reply::Invoke(admission) = handle(&mut client.node, &mut request, NOW, 1) else {
        panic!("refused");
    };
    let after: Vec<_> = admission.input.pages().iter().map(|frame| frame.number()).collect();
    assert_eq!(after, frames);
}

#[test]
fn bound_parameters_are_under_those_of_the_request() {
    let mut client = Client::new();
    let more = r#","parameters":[{"key":"name","value":"B"},{"key":"x","value":[1]}]"#;
    assert_eq!(client.put(ACTION, &document(more)).status(), 200);
    for (body, input) in [
        (&b""[..], r#"{"name":"B","x":[1]}"#),
        (b"{}", r#"{"name":"B","x":[1]}"#),
        (b"{\"name\":\"A\"}", r#"{"x":[1],"name":"A"}"#),
    ] {
        let admission = client.admit(Method::Post, BLOCKING, body);
        assert_eq!(admission.input.chunk_at(0), input.as_bytes());
    }
}

#[test]
fn bad_invocations_are_refused() {
    let mut client = Client::with_hello();
    client.ask(Method::Post, &format!("{ACTION}?blocking=1"), b"").refused(400, "'blocking'");
    let target = format!("{ACTION}?blocking=true&result=maybe");
    client.ask(Method::Post, &target, b"").refused(400, "'result'");
    for body in ["[]", "7", "\"x\"", "{", "{}{}", "name=A", "\u{0}"] {
        client.ask(Method::Post, BLOCKING, body.as_bytes()).refused(400, "malformed");
    }
    client.ask(Method::Post, BLOCKING, b"{\"a\":\"\xff\"}").refused(400, "UTF-8");
}

#[test]
fn success_is_the_record_of_the_activation() {
    let mut client = Client::with_hello();
    let admission = client.admit(Method::Post, BLOCKING, b"{\"name\":\"A\"}");
    let output = b"{\"greeting\":\"Hello, A!\"}\n";
    let answer = finish(&mut client, admission, End::Exit(0), output, &["1a log line\n", "2b"]);
    assert_eq!(answer.status(), 200);
    let time = "2026-11-23T02:50:41.001234567Z";
    let id = "00000000000000000000000000000002";
    let trace = "00-00000000000000000000000000000002-0000000000000002-01";
    let digest = Digest::of(&PageBuffer::from_bytes(&image()).expect("frames are left"));
    let record = json!({
        "namespace": "guest", "name": "hello", "version": "0.0.1", "subject": "guest",
        "activationId": id, "start": WALL_MS + 1, "end": WALL_MS + 3, "duration": 2,
        "response": {"status": "success", "success": true,
            "result": {"greeting": "Hello, A!"}, "size": 24},
        "logs": [format!("{time} stdout: a log line"), format!("{time} stderr: b")],
        "publish": false,
        "annotations": [
            {"key": "path", "value": "guest/hello"},
            {"key": "kind", "value": "native:1"},
            {"key": "waitTime", "value": 1},
            {"key": "initTime", "value": 0},
            {"key": "limits", "value": {"timeout": 60000, "memory": 256, "logs": 10}},
            {"key": "traceparent", "value": trace},
            {"key": "receipt", "value": {
                "queue_us": 1020, "load_us": 100, "run_us": 2340, "total_us": 3500,
                "cycles": 5_000_000, "page_faults": 3, "pages": 11, "bytes_touched": 16384,
                "memory_peak_bytes": 49152, "core": 1, "calls": 2,
                "image": format!("sha256:{digest}"),
            }},
        ],
    });
    assert_eq!(answer.json(), record);
    let kept = client.get(&format!("/api/v1/namespaces/_/activations/{id}"));
    assert_eq!(kept.json(), record, "what is kept is what was answered");
    assert_eq!(answer.header("traceparent"), Some(trace));
    assert_eq!(answer.header("X-OpenWhisk-Activation-Id"), Some(id));
    assert_eq!(
        answer.header("Server-Timing"),
        Some("queue;dur=1.020, load;dur=0.100, run;dur=2.340, total;dur=3.500")
    );
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    assert!(answer.header("X-Request-ID").is_some());
}

#[test]
fn what_a_program_called_in_vain_is_in_its_receipt() {
    let mut client = Client::with_hello();
    let (invocation, mut pending) = client.admit(Method::Post, BLOCKING, b"{}").split(TICKET);
    let mut completion = completion(invocation, End::Exit(0), b"{}", &[]);
    let id = pending.id_text().as_str().to_owned();
    let unsupported = "io_uring_setup × 1, call 5000 × 2";
    completion.reports =
        Some(Box::new(Reports { unsupported: unsupported.into(), ..Reports::default() }));
    let response = complete(&mut client.node.records, &mut pending, completion, LATER);
    let answer = Answer::of(response);
    let kept = client.get(&format!("/api/v1/namespaces/_/activations/{id}")).json();
    for record in [answer.json(), kept] {
        let annotations = record["annotations"].as_array().expect("a list");
        let receipt = annotations.iter().find(|it| it["key"] == "receipt").expect("one");
        assert_eq!(receipt["value"]["unsupported"], unsupported);
    }
}

#[test]
fn a_result_is_sent_from_the_frames_it_was_written_to() {
    let mut client = Client::with_hello();
    for len in [1, 100, 4097, 10_000] {
        let admission = client.admit(Method::Post, RESULT, b"");
        let (invocation, mut pending) = admission.split(TICKET);
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(len));
        let output = PageBuffer::from_bytes(text.as_bytes()).expect("frames are left");
        let frames: Vec<_> = output.pages().iter().map(|frame| frame.number()).collect();
        let mut completion = completion(invocation, End::Exit(0), b"", &[]);
        completion.output = output;
        let response = complete(&mut client.node.records, &mut pending, completion, NOW);
        assert_eq!(response.status, 200);
        let Body::Pages(pages) = &response.body else { panic!("copied") };
        assert!(pages.pages().iter().map(|frame| frame.number()).eq(frames));
    }
}

#[test]
fn an_application_error_has_no_code() {
    let mut client = Client::with_hello();
    let output = br#"{"error":{"why":"x"},"code":7}"#;
    let answer = run(&mut client, RESULT, End::Exit(0), output);
    assert_eq!((answer.status(), answer.text().as_str()), (502, r#"{"error":{"why":"x"}}"#));
    assert!(answer.header("X-OpenWhisk-Activation-Id").is_some());
    let record = run(&mut client, BLOCKING, End::Exit(0), output);
    assert_eq!(record.status(), 502);
    let json = record.json();
    assert!(json.get("code").is_none() && json.get("error").is_none());
    assert_eq!(
        json["response"],
        json!({"status": "application error", "success": false,
            "result": {"error": {"why": "x"}}, "size": 21})
    );
}

#[test]
fn a_broken_rule_is_the_developers_error_with_its_reason() {
    let mut client = Client::with_hello();
    let page = Fault::Page { access: Access::Read, address: 0, instruction: 0x40_1234 };
    let divide = Fault::Exception { exception: Exception::Divide, instruction: 0x40_0000 };
    for (end, output, reason) in [
        (End::Fault(page), "", "page fault reading 0x0 at 0x401234"),
        (End::Fault(divide), "", "divide error (#DE) at 0x400000"),
        (
            End::Fault(Fault::Deadline { timeout_ms: 100, instruction: None }),
            "",
            "deadline of 100 ms exceeded",
        ),
        (
            End::Fault(Fault::Memory { memory_mb: 7, address: 0 }),
            "",
            "memory limit of 7 MB exceeded",
        ),
        (End::Exit(3), "{}", "exit status 3"),
        (End::Exit(0), "hi", "The action did not produce a valid JSON response: "),
        (End::Exit(0), "", "The action did not produce a valid JSON response: "),
        (End::Exit(0), "[1", "The action did not produce a valid JSON response: "),
        (End::Exit(1), r#"{"error":"no dictionary"}"#, "no dictionary"),
        (End::Exit(1), r#"{"error":7}"#, "exit status 1"),
        (End::Fault(page), r#"{"error":"x"}"#, "page fault reading 0x0 at 0x401234"),
        (End::Exit(0), "{}\n{}", "The action did not produce a valid JSON response: "),
    ] {
        let answer = run(&mut client, RESULT, end, output.as_bytes());
        assert_eq!(answer.status(), 502);
        let json = answer.json();
        assert!(json["error"].as_str().expect("a text").starts_with(reason), "{json}");
        assert!(json.get("code").is_none());
        let admission = client.admit(Method::Post, BLOCKING, b"");
        let answer = finish(&mut client, admission, end, output.as_bytes(), &["2last words\n"]);
        assert_eq!(answer.status(), 502);
        let json = answer.json();
        assert_eq!(json["response"]["status"], "action developer error");
        assert_eq!(json["response"]["success"], false);
        let result = &json["response"]["result"]["error"];
        assert!(result.as_str().expect("a text").starts_with(reason), "{json}");
        let line = json["logs"][0].as_str().expect("the log is kept");
        assert!(line.ends_with(" stderr: last words"), "{line}");
    }
}

#[test]
fn hostile_output_is_quoted_safely() {
    let mut client = Client::with_hello();
    let deep = ["[".repeat(300_000), "]".repeat(300_000)].concat();
    let outputs: [&[u8]; 4] =
        [b"\"\\\n\x00\x1b\xff\xfe", deep.as_bytes(), &[0xff; 5000], b"{\"a\":\"\xc3\x28\"}"];
    for output in outputs {
        for target in [BLOCKING, RESULT] {
            let answer = run(&mut client, target, End::Exit(0), output);
            assert_eq!(answer.status(), 502);
            assert!(answer.json().is_object());
            assert!(answer.body.len() < 4000);
        }
    }
}

#[test]
fn what_never_ran_can_be_tried_again() {
    let mut client = Client::with_hello();
    for target in [BLOCKING, RESULT, "/function/hello"] {
        let answer = run(&mut client, target, End::NotStarted, b"");
        answer.refused(503, "Nothing ran");
        assert_eq!(answer.header("Retry-After"), Some("1"));
        assert!(answer.header("Server-Timing").is_none());
        for reject in [Reject::QueueFull, Reject::NoMemory] {
            let (_, pending) = client.admit(Method::Post, target, b"").split(TICKET);
            let answer = Answer::of(refuse(&pending, &reject));
            answer.refused(503, "try again");
            assert_eq!(answer.header("Retry-After"), Some("1"));
        }
    }
}

#[test]
fn an_invocation_under_way_keeps_what_it_started_with() {
    let mut client = Client::with_hello();
    let admission = client.admit(Method::Post, BLOCKING, b"");
    client.deploy("hello", "timeout=100");
    assert_eq!(client.get(ACTION).json()["version"], "0.0.2");
    client.ask(Method::Delete, ACTION, b"");
    assert_eq!(admission.template.code().chunk_at(0), image());
    assert_eq!(admission.pending.action().limits.timeout_ms, 60_000);
    let answer = finish(&mut client, admission, End::Exit(0), b"{}", &[]);
    assert_eq!(answer.json()["version"], "0.0.1");
}

#[test]
fn the_clients_request_id_goes_all_the_way() {
    let mut client = Client::with_hello();
    let headers = [("X-Request-ID", "trace-7")];
    let Reply::Invoke(admission) = client.send(Method::Post, BLOCKING, &headers, b"") else {
        panic!("refused");
    };
    assert!(admission.variables().contains("__OW_TRANSACTION_ID=trace-7\0"));
    let answer = finish(&mut client, admission, End::Exit(0), b"{}", &[]);
    assert_eq!(answer.header("X-Request-ID"), Some("trace-7"));
}

#[test]
fn final_parameters_are_not_for_requests_with_a_key_either() {
    let mut client = Client::new();
    let more =
        r#","parameters":[{"key":"p","value":1}],"annotations":[{"key":"final","value":true}]"#;
    assert_eq!(client.put(&format!("{ACTION}?overwrite=true"), &document(more)).status(), 200);
    for body in [&b"{\"p\":2}"[..], b"{\"\\u0070\":2}"] {
        client.ask(Method::Post, RESULT, body).refused(400, "parameters that are not allowed");
    }
    let admission = client.admit(Method::Post, RESULT, b"{\"q\":2}");
    assert_eq!(admission.input.chunk_at(0), b"{\"p\":1,\"q\":2}");
}
