//! Three nodes behind HAProxy, with a registry: what a user fears does not happen.

use std::thread;
use std::time::Duration;

use system_tests::{ACTIONS, AUTHORIZATION, Connection, brief_machine, request, sample};
use xtask::fleet::Fleet;
use xtask::qemu::free_port;

/// Longer than what the registry said of an action holds.
const STALE: Duration = Duration::from_millis(1_500);
const CLIENTS: usize = 3;
const AROUND: Duration = Duration::from_secs(3);
const HELLO: &str = "/function/hello";

fn ask(fleet: &Fleet, method: &str, target: &str, body: &[u8]) -> (u16, String) {
    let address = fleet.url().strip_prefix("http://").map(str::parse);
    let address = address.and_then(Result::ok).expect("the balancer has an address");
    let headers = [AUTHORIZATION, "Content-Type: application/octet-stream", "Connection: close"];
    let mut connection = Connection::open(address).expect("the balancer accepts connections");
    connection.send(&request(method, target, &headers, body)).expect("it reads");
    let answer = connection.receive().expect("it answers");
    (answer.status, answer.text())
}

fn assert_none_failed(what: &str, calls: u64, failures: &[String]) {
    eprintln!("{what}: {calls} calls, {} failed", failures.len());
    assert!(calls > 0 && failures.is_empty(), "{what}: {calls} calls, {failures:?}");
}

#[test]
fn no_call_is_lost_when_nodes_come_and_go() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let port = free_port().expect("a port is free");
    let say = |text: &str| eprintln!("{text}");
    // Long enough for the balancer's checks.
    let machine = brief_machine().kernel_words("hostkernel.drain_s=4");
    let mut fleet = Fleet::start(folder.path(), machine, 3, port, say)
        .unwrap_or_else(|error| panic!("{error}"));
    let target = format!("{ACTIONS}/hello?overwrite=true&memory=16");
    let deployed = ask(&fleet, "PUT", &target, &sample("hello"));
    assert_eq!(deployed.0, 200, "{}", deployed.1);

    // An update under load: old or new, never an error, and only new behind the bound.
    let (calls, failures, ()) = fleet.under_load(HELLO, CLIENTS, |fleet| {
        thread::sleep(AROUND);
        assert_eq!(ask(fleet, "PUT", &target, &sample("echo")).0, 200);
        thread::sleep(STALE);
        for _ in 0..9 {
            let answer = ask(fleet, "PUT", HELLO, b"new");
            assert_eq!(answer, (200, "new".into()), "every node has the new one");
        }
    });
    assert_none_failed("an update", calls, &failures);

    // One of three loses its power.
    let (calls, failures, ()) = fleet.under_load(HELLO, CLIENTS, |fleet| {
        thread::sleep(AROUND);
        fleet.kill(1);
        thread::sleep(AROUND);
    });
    assert_none_failed("a node without power", calls, &failures);
    fleet.restart(1).unwrap_or_else(|error| panic!("{error}"));

    // Records are found whichever node has them.
    for _ in 0..6 {
        let (status, record) =
            ask(&fleet, "POST", &format!("{ACTIONS}/hello?blocking=true"), b"{}");
        assert_eq!(status, 200, "{record}");
        let id = record.split("\"activationId\":\"").nth(1).and_then(|rest| rest.get(..32));
        let id = id.expect("a record has an id");
        let found = ask(&fleet, "GET", &format!("/api/v1/namespaces/_/activations/{id}"), b"");
        assert_eq!(found.0, 200, "{id}: {}", found.1);
    }

    // All of them are restarted, one after the other.
    let (calls, failures, rolled) = fleet.under_load(HELLO, CLIENTS, |fleet| fleet.roll(say));
    rolled.unwrap_or_else(|error| panic!("{error}"));
    assert_none_failed("a restart of all", calls, &failures);
}
