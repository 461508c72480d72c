//! Three nodes behind HAProxy, with a registry: what a user fears does not happen.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use system_tests::{ACTIONS, AUTHORIZATION, Connection, brief_machine, request, sample};
use xtask::build;
use xtask::fleet::Fleet;
use xtask::qemu::free_port;

/// Longer than what the registry said of an action holds.
const STALE: Duration = Duration::from_millis(1_500);
/// A busy computer takes its time; this is only against waiting for ever.
const PLENTY: Duration = Duration::from_secs(300);
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

/// What `hk` shows of all nodes.
fn seen_by_hk(home: &Path, fleet: &Fleet) {
    let program = build::client().expect("hk builds");
    let hk = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.env("XDG_CONFIG_HOME", home).args(["--json"]).args(arguments);
        let output = command.output().expect("hk was built");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("JSON")
    };
    for index in 0..3 {
        let node = fleet.node(index).expect("all of them run");
        hk(&["node", "add", &format!("n{}", index + 1), &node.base_url()]);
    }
    let status = hk(&["fleet", "status"]);
    assert_eq!(status.matches(r#""readiness":"ok""#).count(), 3, "{status}");
    assert_eq!(status.matches(r#""store":"up""#).count(), 3, "{status}");
    let list = hk(&["fleet", "list"]);
    assert!(list.contains(r#"{"name":"hello","versions":{"0.0.2":["n1","n2","n3"]}}"#), "{list}");
    let activations = hk(&["fleet", "activations"]);
    let ids = (1..=3).filter(|node| activations.contains(&format!(r#""activationId":"000{node}"#)));
    assert!(ids.count() > 1, "{activations}");
}

/// Restarts all nodes as an operator does.
fn roll(home: &Path, fleet: &mut Fleet) {
    let program = build::client().expect("hk builds");
    let mut rolling = Command::new(program)
        .env("XDG_CONFIG_HOME", home)
        .args(["roll", "--settle", "2", "--restart", r#"touch "$XDG_CONFIG_HOME/$HK_NODE.off""#])
        .spawn()
        .expect("hk starts");
    for index in 0..3 {
        let is_off = home.join(format!("n{}.off", index + 1));
        let end = Instant::now() + PLENTY;
        while !is_off.exists() {
            let ended = rolling.try_wait().expect("it is a child");
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}");
            thread::sleep(Duration::from_millis(100));
        }
        fleet.restart(index).unwrap_or_else(|error| panic!("{error}"));
    }
    let ended = rolling.wait().expect("it is a child");
    assert!(ended.success(), "{ended}");
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

    seen_by_hk(folder.path(), &fleet);

    // All of them are restarted, one after the other.
    let (calls, failures, ()) =
        fleet.under_load(HELLO, CLIENTS, |fleet| roll(folder.path(), fleet));
    assert_none_failed("a restart of all", calls, &failures);
}
