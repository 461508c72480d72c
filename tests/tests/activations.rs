//! Activations: without waiting, after the fact, and as long as there is room for them.

use std::thread;
use std::time::{Duration, Instant};

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::{
    ACTIONS, AUTHORIZATION, PowerOff, Response, SharedNode, TestNode, boot, machine, request,
};

static NODE: SharedNode = SharedNode::new(|| boot(machine()).with_samples());

const ACTIVATIONS: &str = "/api/v1/namespaces/_/activations";
/// What has not ended after so long never will.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

fn ask(node: &TestNode, path: &str) -> Response {
    node.request("GET", &format!("{ACTIVATIONS}{path}"), &[AUTHORIZATION], &[])
}

/// Invokes without waiting; returns the id.
fn start(node: &TestNode, name: &str, input: &Value) -> String {
    let target = format!("{ACTIONS}/{name}");
    let answer = node.request("POST", &target, &[AUTHORIZATION], input.to_string().as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    let id = json["activationId"].as_str().expect("an id");
    assert_eq!(answer.header("x-openwhisk-activation-id"), Some(id));
    id.to_owned()
}

/// Waits for the record of an invocation.
fn record(node: &TestNode, id: &str) -> Value {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let answer = ask(node, &format!("/{id}"));
        if answer.status == 200 {
            return answer.json();
        }
        assert_eq!(answer.status, 404, "{}", answer.text());
        thread::sleep(POLL);
    }
    panic!("{id} has no record");
}

fn annotation<'a>(record: &'a Value, key: &str) -> &'a Value {
    let annotations = record["annotations"].as_array().expect("a list");
    let found = annotations.iter().find(|annotation| annotation["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} in {record}"))["value"]
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn an_invocation_nobody_waits_for_leaves_its_result_and_a_receipt() {
    for cores in [1, 2] {
        let node = boot(machine().cores(cores));
        node.deploy("hello");
        let first = record(&node, &start(&node, "hello", &json!({"name": "first"})));
        let result = json!({"greeting": "Hello, first!"});
        assert_eq!(first["response"]["result"], result, "{cores} cores");
        let receipt = annotation(&first, "receipt");
        for counted in ["cycles", "page_faults", "calls", "bytes_touched"] {
            assert!(number(&receipt[counted]) > 0, "{counted} of {receipt}");
        }
        assert!(number(&receipt["core"]) < u64::from(cores), "{receipt}");
        assert!(receipt["image"].as_str().is_some_and(|image| image.len() == 71), "{receipt}");
        let [pages, peak, touched] = ["pages", "memory_peak_bytes", "bytes_touched"]
            .map(|counted| number(&receipt[counted]));
        assert!(pages * 4096 <= peak && touched < peak, "{receipt}");
        // What the first one touched, the next ones get from the start.
        let second = record(&node, &start(&node, "hello", &json!({})));
        let again = annotation(&second, "receipt");
        assert!(number(&again["page_faults"]) < number(&receipt["page_faults"]), "{again}");
        assert_eq!(again["bytes_touched"], receipt["bytes_touched"]);
        assert_eq!(node.power_off(), PowerOff::Clean);
    }
}

#[test]
fn activations_are_listed_filtered_and_read() {
    let node = NODE.get();
    node.deploy_as("listed", "hello", &DeployOptions::default());
    // One after the other: on two cores a later one can end first.
    let run = |_| {
        let id = start(&node, "listed", &json!({}));
        let record = record(&node, &id);
        (id, record)
    };
    let (ids, records): (Vec<_>, Vec<_>) = (0..3).map(run).unzip();
    let list = ask(&node, "?name=listed&limit=2").json();
    let [newest, _] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
    assert_eq!((&newest["activationId"], &newest["statusCode"]), (&json!(ids[2]), &json!(0)));
    assert!(newest.get("response").is_none());
    let full = ask(&node, "?name=listed&docs=true").json();
    let expected: Vec<_> = records.iter().rev().cloned().collect();
    assert_eq!(full, json!(expected));
    assert_eq!(ask(&node, "?name=listed&count=true").json(), json!({"activations": 3}));
    let since = number(&records[2]["start"]) + 1;
    assert_eq!(ask(&node, &format!("?name=listed&since={since}")).json(), json!([]));
    assert_eq!(ask(&node, &format!("?name=listed&upto={since}&skip=2&count=true")).status, 200);
    let response = ask(&node, &format!("/{}/result", ids[0])).json();
    assert_eq!(response, records[0]["response"]);
    // Deleting an action forgets nothing.
    node.client().delete("listed").expect("it is there");
    assert_eq!(record(&node, &ids[1]), records[1]);
    for (path, status) in [("/1", 400), ("/0123456789abcdef0123456789abcdef", 404)] {
        assert_eq!(ask(&node, path).status, status);
        assert_eq!(node.request("GET", &format!("{ACTIVATIONS}{path}"), &[], &[]).status, 401);
    }
}

#[test]
fn log_lines_have_times_of_their_own() {
    let node = NODE.get();
    let id = start(&node, "faults", &json!({ "kind": "panic" }));
    let record = record(&node, &id);
    assert_eq!(record["response"]["status"], "action developer error");
    let logs = ask(&node, &format!("/{id}/logs")).json();
    assert_eq!(logs["logs"], record["logs"]);
    let lines = logs["logs"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let times: Vec<_> = lines.map(|line| line.split_once(" stderr: ").expect("a time").0).collect();
    assert!(times.len() >= 2 && times.iter().all(|time| time.len() == 30), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "calls take time: {times:?}");
}

#[test]
fn every_answer_names_its_activation_and_trace() {
    let node = NODE.get();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let answer = node.request("POST", "/function/hello", &[&header], b"{}");
    let id = answer.header("x-openwhisk-activation-id").expect("an id").to_owned();
    let own = format!("00-{trace}-{}-01", &id[16..]);
    assert_eq!(answer.header("traceparent"), Some(&*own));
    assert_eq!(annotation(&record(&node, &id), "traceparent"), &json!(own));
}

#[test]
fn who_leaves_early_leaves_a_record() {
    for cores in [1, 2] {
        let node = boot(machine().cores(cores));
        node.deploy("sleepless");
        for target in [format!("{ACTIONS}/sleepless?blocking=true"), "/function/sleepless".into()] {
            let mut connection = node.established();
            let bytes = request("POST", &target, &[AUTHORIZATION], br#"{"ms":300}"#);
            connection.send(&bytes).expect("an open connection");
            let in_flight = || node.metric("hostkernel_inflight_invocations");
            let end = Instant::now() + PATIENCE;
            while in_flight() == 0 && Instant::now() < end {
                thread::sleep(POLL);
            }
            let before = ask(&node, "?count=true").json();
            drop(connection);
            while in_flight() > 0 && Instant::now() < end {
                thread::sleep(POLL);
            }
            let after = ask(&node, "?count=true").json();
            let count = |count: &Value| number(&count["activations"]);
            assert_eq!(count(&after), count(&before) + 1, "{cores} cores, {target}");
            let newest = ask(&node, "?limit=1").json();
            assert_eq!(newest[0]["statusCode"], 0);
        }
    }
}

#[test]
fn the_oldest_go_under_load_and_the_books_stay_as_they_were() {
    const CONNECTIONS: usize = 8;
    const ROUNDS: usize = 300;
    let node = boot(machine().memory_mib(64));
    node.deploy("hello");
    let first = record(&node, &start(&node, "hello", &json!({})));
    node.warm_up();
    let available = || node.metric("hostkernel_memory_bytes{kind=\"available\"}");
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| node.established()).collect();
    let before = available();
    thread::scope(|scope| {
        for mut connection in connections {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let body = format!(r#"{{"name":"{round}"}}"#);
                    let bytes = request("POST", "/function/hello", &[], body.as_bytes());
                    connection.send(&bytes).expect("an open connection");
                    assert_eq!(connection.receive().expect("an answer").status, 200);
                }
            });
        }
    });
    let count = number(&ask(&node, "?count=true").json()["activations"]);
    let all = (CONNECTIONS * ROUNDS) as u64;
    assert!((500..all).contains(&count), "{count} records");
    let id = first["activationId"].as_str().expect("an id");
    assert_eq!(ask(&node, &format!("/{id}")).status, 404, "it was forgotten");
    let newest = ask(&node, "?limit=200&docs=true").json();
    let newest = newest.as_array().expect("a list");
    let is_greeting = |record: &Value| record["response"]["result"]["greeting"].is_string();
    assert!(newest.len() == 200 && newest.iter().all(is_greeting));
    let end = Instant::now() + PATIENCE;
    while available() != before && Instant::now() < end {
        thread::sleep(POLL);
    }
    assert_eq!(available(), before, "bytes of memory that nobody holds");
    assert_eq!(node.power_off(), PowerOff::Clean);
}
