//! Many invocations: spread over cores, queued, refused, none lost.

use std::thread;
use std::time::Duration;

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::{
    ACTIONS, AUTHORIZATION, Connection, PowerOff, TestNode, boot, machine, request,
};

/// Pause between requests on different connections that are to arrive in order.
const APART: Duration = Duration::from_millis(10);

/// A blocking invocation of `sleepless`, which keeps its core busy for this long.
fn busy(ms: u64) -> Vec<u8> {
    let body = json!({ "ms": ms }).to_string();
    let target = format!("{ACTIONS}/sleepless?blocking=true");
    request("POST", &target, &[AUTHORIZATION], body.as_bytes())
}

/// Starts a request on a connection of its own; the answer is to be received.
fn start(node: &TestNode, request: &[u8]) -> Connection {
    let mut connection = node.established();
    connection.send(request).expect("an open connection");
    connection
}

/// What a record says about time, in microseconds of the node's wall clock. The clock counts
/// milliseconds, so sums are off by one or two.
#[derive(Debug)]
struct Times {
    admitted: u64,
    started: u64,
    ended: u64,
}

impl Times {
    fn of(record: &Value) -> Self {
        let field = |name: &str| record[name].as_u64().expect("a time") * 1000;
        let annotations = record["annotations"].as_array().expect("a list");
        let receipt = annotations.iter().find(|annotation| annotation["key"] == "receipt");
        let queue = receipt.expect("a receipt")["value"]["queue_us"].as_u64().expect("a time");
        Self { admitted: field("start") - queue, started: field("start"), ended: field("end") }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.started < other.ended && other.started < self.ended
    }
}

fn record(connection: &mut Connection) -> Value {
    let answer = connection.receive().expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits for the end of [`busy`]; being interrupted at the end can make it a little longer.
fn slept(connection: &mut Connection, ms: u64) {
    let record = record(connection);
    let slept_ms = record["response"]["result"]["slept_ms"].as_u64();
    assert!(slept_ms.is_some_and(|slept_ms| slept_ms >= ms), "{record}");
}

/// The most memory the node grants one invocation, in MB.
fn memory_mb_max(node: &TestNode) -> u64 {
    let bytes = node.get("/").json()["limits"]["max_action_memory"].as_u64();
    bytes.expect("a limit") >> 20
}

#[test]
fn twenty_thousand_invocations_succeed_and_leave_no_memory_behind() {
    const CONNECTIONS: usize = 32;
    const REQUESTS: usize = 20_000 / CONNECTIONS;
    // So little memory that one frame lost in every second invocation would end it.
    let node = boot(machine().memory_mib(64));
    node.deploy("hello");
    let all = DeployOptions { memory_mb: Some(memory_mb_max(&node)), ..DeployOptions::default() };
    node.deploy_as("all", "hello", &all);
    assert_eq!(node.activation("all", &json!({}))["response"]["success"], true);
    node.warm_up();

    let available = || node.metric("hostkernel_memory_bytes{kind=\"available\"}");
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| node.established()).collect();
    let before = available();
    thread::scope(|scope| {
        for (number, mut connection) in connections.into_iter().enumerate() {
            scope.spawn(move || {
                for round in 0..REQUESTS {
                    let body = format!(r#"{{"name":"{number}.{round}"}}"#);
                    let bytes = request("POST", "/function/hello", &[], body.as_bytes());
                    connection.send(&bytes).expect("an open connection");
                    let answer = connection.receive().expect("an answer");
                    let expected = format!(r#"{{"greeting":"Hello, {number}.{round}!"}}"#);
                    assert_eq!((answer.status, answer.text()), (200, expected));
                }
            });
        }
    });
    // The last answer's frames are free once it was sent.
    for _ in 0..100 {
        if available() == before {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(available(), before, "bytes of memory that nobody holds");
    // The whole of it can still be reserved.
    assert_eq!(node.activation("all", &json!({}))["response"]["success"], true);
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn bursts_beyond_the_queue_are_answered_one_way_or_the_other() {
    const CONNECTIONS: usize = 64;
    const ROUNDS: usize = 30;
    let node = boot(machine().kernel_words("hostkernel.queue_len=1"));
    node.deploy("hello");
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| node.established()).collect();
    let bytes = request("POST", "/function/hello", &[], b"{}");
    let mut ran = 0;
    for _ in 0..ROUNDS {
        for connection in &mut connections {
            connection.send(&bytes).expect("an open connection");
        }
        for connection in &mut connections {
            let answer = connection.receive().expect("an answer");
            assert!(matches!(answer.status, 200 | 503), "{}", answer.text());
            ran += usize::from(answer.status == 200);
        }
    }
    assert!(ran >= ROUNDS, "{ran}");
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn two_actions_run_on_two_cores_at_once() {
    // On two cores, that of the network is one of them.
    for (cores, front) in [(3, "dedicated"), (2, "shared")] {
        let words = format!("hostkernel.front={front}");
        let node = boot(machine().cores(cores).kernel_words(&words));
        node.deploy("sleepless");
        let mut running = [start(&node, &busy(400)), start(&node, &busy(400))];
        let [first, second] = [0, 1].map(|index| Times::of(&record(&mut running[index])));
        assert!(first.overlaps(&second), "{cores} cores: {first:?} {second:?}");
    }
}

#[test]
fn a_front_that_runs_an_action_hands_out_the_ends_of_others() {
    let node = boot(machine().cores(2));
    node.deploy("sleepless");
    node.deploy("hello");
    let mut long = [start(&node, &busy(3000)), start(&node, &busy(500))];
    thread::sleep(APART * 10);
    // One of the two runs on the network's core. The short one ends, and hello runs after it, while
    // the long one goes on.
    let mut hello = start(&node, &request("POST", "/function/hello", &[], b"{}"));
    slept(&mut long[1], 500);
    assert_eq!(hello.receive().expect("an answer").status, 200);
    still_runs(&mut long[0]);
    slept(&mut long[0], 3000);
}

/// Checks that what was asked on this connection has no answer yet.
fn still_runs(connection: &mut Connection) {
    connection.stream().set_nonblocking(true).expect("a mode can be set");
    let early = connection.receive().expect_err("it still runs");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock, "{early}");
    connection.stream().set_nonblocking(false).expect("a mode can be set");
}

#[test]
fn a_large_limit_that_nobody_calls_keeps_nobody_waiting() {
    let node = boot(machine().cores(2));
    node.deploy("sleepless");
    node.deploy("hello");
    let memory_mb = Some(memory_mb_max(&node));
    node.deploy_as("large", "echo", &DeployOptions { memory_mb, ..DeployOptions::default() });
    let mut long = start(&node, &busy(3000));
    thread::sleep(APART * 10);
    node.greets("next");
    still_runs(&mut long);
    slept(&mut long, 3000);
}

#[test]
fn one_core_runs_one_action_at_a_time() {
    let node = boot(machine().cores(2).kernel_words("hostkernel.front=dedicated"));
    node.deploy("sleepless");
    let mut running = [start(&node, &busy(200)), start(&node, &busy(200))];
    let [first, second] = [0, 1].map(|index| Times::of(&record(&mut running[index])));
    assert!(first.ended <= second.started + 2000, "{first:?} {second:?}");
}

#[test]
fn sixty_four_queued_invocations_all_run_in_their_order() {
    for cores in [1, 2] {
        let words = "hostkernel.queue_len=80 hostkernel.front=dedicated";
        let node = boot(machine().cores(cores).kernel_words(words));
        node.deploy("sleepless");
        let mut connections: Vec<_> = (0..65).map(|_| node.established()).collect();
        let (blocker, queued) = connections.split_first_mut().expect("connections");
        blocker.send(&busy(2000)).expect("an open connection");
        for connection in &mut *queued {
            thread::sleep(APART);
            connection.send(&busy(20)).expect("an open connection");
        }
        slept(blocker, 2000);
        let mut times: Vec<_> = queued.iter_mut().map(|one| Times::of(&record(one))).collect();
        assert_eq!(times.len(), 64);
        times.sort_by_key(|one| one.started);
        for pair in times.windows(2) {
            let [first, second] = pair else { unreachable!("windows of two") };
            assert!(first.admitted <= second.admitted + 3000, "{cores} cores: {pair:?}");
            assert!(first.ended <= second.started + 2000, "{cores} cores: {pair:?}");
        }
    }
}

#[test]
fn a_full_queue_is_answered_503_and_the_node_recovers() {
    for cores in [1, 2] {
        let words = "hostkernel.queue_len=1 hostkernel.front=dedicated";
        let node = boot(machine().cores(cores).kernel_words(words));
        node.deploy("sleepless");
        node.deploy("hello");
        for _ in 0..2 {
            let mut connections: Vec<_> = (0..6).map(|_| node.established()).collect();
            for connection in &mut connections {
                connection.send(&busy(1500)).expect("an open connection");
                thread::sleep(APART * 5);
            }
            let mut refused = 0;
            for connection in &mut connections {
                let answer = connection.receive().expect("an answer");
                if answer.status == 503 {
                    refused += 1;
                    let seconds: Option<u32> =
                        answer.header("retry-after").and_then(|value| value.parse().ok());
                    assert!(seconds.is_some_and(|seconds| seconds > 0));
                    assert!(answer.json()["error"].is_string());
                    // The connection is as good as before.
                    let hello = request("GET", "/healthz", &[], b"");
                    connection.send(&hello).expect("an open connection");
                    assert_eq!(connection.receive().expect("an answer").status, 200);
                } else {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            }
            // One runs and one waits; in the moment between there may be one more.
            assert!((3..=4).contains(&refused), "{cores} cores: {refused} refused");
            node.greets("recovered");
        }
    }
}

#[test]
fn more_memory_than_there_is_at_the_moment_is_answered_503() {
    let node = boot(machine().cores(3).memory_mib(128));
    let memory_mb = Some(memory_mb_max(&node));
    let options = DeployOptions { memory_mb, ..DeployOptions::default() };
    node.deploy_as("sleepless", "sleepless", &options);
    let mut running = [start(&node, &busy(1000)), start(&node, &busy(1000))];
    let mut statuses =
        running.each_mut().map(|connection| connection.receive().expect("an answer").status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    assert_eq!(record(&mut start(&node, &busy(1)))["response"]["success"], true);
}

#[test]
fn work_that_a_second_core_has_no_memory_for_waits_for_the_first() {
    let node = boot(machine().cores(2).memory_mib(128));
    let memory_mb = Some(memory_mb_max(&node));
    let options = DeployOptions { memory_mb, ..DeployOptions::default() };
    node.deploy_as("sleepless", "sleepless", &options);
    let mut running = [300; 4].map(|ms| start(&node, &busy(ms)));
    running.iter_mut().for_each(|one| slept(one, 300));
}

#[test]
fn the_only_core_serves_the_network_while_it_runs_an_action() {
    let node = boot(machine().cores(1));
    node.deploy("sleepless");
    node.deploy("hello");
    let mut running = start(&node, &busy(3000));
    let mut answered = 0;
    let mut connection = node.established();
    // Ends long before the action does, unless the action held it up.
    for _ in 0..50 {
        connection.send(&request("GET", "/healthz", &[], b"")).expect("an open connection");
        assert_eq!(connection.receive().expect("an answer").status, 200);
        answered += 1;
    }
    running.stream().set_nonblocking(true).expect("a mode can be set");
    let early = running.receive().expect_err("the action still runs");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock, "after {answered}: {early}");
    running.stream().set_nonblocking(false).expect("a mode can be set");
    slept(&mut running, 3000);
    node.greets("next");
}

#[test]
fn a_deadline_ends_an_action_on_the_only_core_too() {
    let node = boot(machine().cores(1));
    let options = DeployOptions { timeout_ms: Some(200), ..DeployOptions::default() };
    node.deploy_as("faults", "faults", &options);
    node.deploy("hello");
    for _ in 0..3 {
        let record = node.activation("faults", &json!({ "kind": "endless-loop" }));
        let error = record["response"]["result"]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("deadline of 200 ms exceeded at 0x"), "{record}");
        node.greets("next");
    }
}

#[test]
fn a_client_that_leaves_does_not_disturb_those_who_wait() {
    let node = boot(machine().cores(2));
    node.deploy("sleepless");
    let mut stays = start(&node, &busy(300));
    for _ in 0..20 {
        drop(start(&node, &busy(20)));
    }
    let mut last = start(&node, &busy(1));
    slept(&mut stays, 300);
    slept(&mut last, 1);
}

#[test]
fn a_node_that_is_switched_off_answers_what_it_has_begun() {
    for cores in [1, 2] {
        let node = boot(machine().cores(cores));
        node.deploy("sleepless");
        let mut running = start(&node, &busy(1500));
        thread::sleep(APART * 10);
        node.press_power_button().expect("a button");
        slept(&mut running, 1500);
        let status = node.wait_exit(system_tests::BOOT_TIMEOUT);
        assert!(status.is_some_and(|status| status.success()), "{cores} cores: {status:?}");
    }
}
