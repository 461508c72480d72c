//! Three nodes behind HAProxy, with a registry: what a user fears does not happen.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
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

fn address(fleet: &Fleet) -> SocketAddr {
    let address = fleet.url().strip_prefix("http://").map(str::parse);
    address.and_then(Result::ok).expect("the balancer has an address")
}

fn ask(fleet: &Fleet, method: &str, target: &str, body: &[u8]) -> (u16, String) {
    let address = address(fleet);
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

/// What clients ask over and over: method, path, body, and whether it may be sent twice.
const MIXED: [(&str, &str, &str, bool); 6] = [
    ("GET", HELLO, "", true),
    ("PUT", "/function/sleepless", r#"{"ms":50}"#, true),
    ("POST", "/function/sleepless", r#"{"ms":50}"#, true),
    ("POST", "/function/sleepless", r#"{"ms":50}"#, false),
    ("POST", "/api/v1/namespaces/_/actions/sleepless?blocking=true", r#"{"ms":50}"#, false),
    ("POST", HELLO, "{}", false),
];

/// Clients of each of these: on every node something is under way at any time.
const CLIENTS_EACH: usize = 3;

/// One call: what the client called it, and the status that it saw, if any.
type Called = (String, Option<u16>);

/// Calls all kinds of it while `during` goes on; returns what became of each.
fn mixed_load(fleet: &mut Fleet, during: impl FnOnce(&mut Fleet)) -> Vec<(bool, Vec<Called>)> {
    let (stop, address) = (AtomicBool::new(false), address(fleet));
    let client = |number: usize| {
        let (method, target, body, is_repeatable) = MIXED[number % MIXED.len()];
        let mut called = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let id = format!("mixed-{number}-{}", called.len());
            let named = format!("X-Request-Id: {id}");
            let key = format!("Idempotency-Key: {id}");
            let mut headers = vec![AUTHORIZATION, "Content-Type: application/json"];
            headers.extend(["Connection: close", &named]);
            if is_repeatable && method == "POST" {
                headers.push(&key);
            }
            let answer = Connection::open(address).and_then(|mut connection| {
                connection.send(&request(method, target, &headers, body.as_bytes()))?;
                connection.receive()
            });
            called.push((id, answer.ok().map(|answer| answer.status)));
        }
        (is_repeatable, called)
    };
    thread::scope(|scope| {
        let client = &client;
        let numbers = 0..MIXED.len() * CLIENTS_EACH;
        let threads: Vec<_> = numbers.map(|it| scope.spawn(move || client(it))).collect();
        during(fleet);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|it| it.join().expect("it does not panic")).collect()
    })
}

/// How often each call that a client named has run, by the lines that the nodes send until they say
/// no more.
fn executions(log: &UdpSocket) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    log.set_read_timeout(Some(STALE)).expect("a bound");
    let mut bytes = [0; 2048];
    while let Ok((len, _)) = log.recv_from(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..len]);
        let id = text.split("req=\"").nth(1).and_then(|rest| rest.split('"').next());
        if let Some(id) = id.filter(|_| text.contains("outcome=\"")) {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// One of three loses its power while it has something to do.
fn lose_power(fleet: &mut Fleet, log: &UdpSocket) {
    let (kinds, executions) = thread::scope(|scope| {
        let listener = scope.spawn(|| executions(log));
        let kinds = mixed_load(fleet, |fleet| {
            thread::sleep(AROUND);
            fleet.kill(1);
            thread::sleep(AROUND);
        });
        (kinds, listener.join().expect("it does not panic"))
    });
    assert!(executions.len() > MIXED.len(), "the log server hears of them");
    let mut told = 0;
    for ((is_repeatable, called), kind) in kinds.into_iter().zip(MIXED.into_iter().cycle()) {
        let failed: Vec<_> = called.iter().filter(|(_, status)| *status != Some(200)).collect();
        eprintln!("{kind:?}: {} calls, {} failed: {failed:?}", called.len(), failed.len());
        assert!(!called.is_empty(), "{kind:?}");
        if is_repeatable {
            assert!(failed.is_empty(), "{kind:?}: {failed:?}");
            continue;
        }
        // What was under way where the power went, or came there before the balancer knew; each
        // client was told.
        assert!(failed.len() < called.len() / 2, "{kind:?}: {failed:?}");
        assert!(failed.iter().all(|(_, status)| matches!(status, Some(502 | 503))), "{failed:?}");
        told += failed.len();
        for (id, _) in &called {
            let count = executions.get(id).copied().unwrap_or(0);
            assert!(count <= 1, "{id} has run {count} times");
        }
    }
    assert!(told > 0, "something was under way there");
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
        // The balancer may not have sent anybody there since it came back.
        let mut connection = Connection::open(node.address()).expect("it accepts connections");
        connection.send(&request("GET", HELLO, &["Connection: close"], b"")).expect("it reads");
        assert_eq!(connection.receive().expect("it answers").status, 200);
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
    let log = UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let log_port = log.local_addr().expect("it is bound").port();
    // Long enough for the balancer's checks.
    let words = format!("hostkernel.drain_s=4 hostkernel.syslog=10.0.2.2:{log_port}");
    let machine = brief_machine().kernel_words(words);
    let mut fleet = Fleet::start(folder.path(), machine, 3, port, say)
        .unwrap_or_else(|error| panic!("{error}"));
    let target = format!("{ACTIONS}/hello?overwrite=true&memory=16");
    let deployed = ask(&fleet, "PUT", &target, &sample("hello"));
    assert_eq!(deployed.0, 200, "{}", deployed.1);

    // An update under load: old or new, never an error, and only new behind the bound.
    let (calls, failures, ()) = fleet.under_load(HELLO, CLIENTS, |fleet, _| {
        thread::sleep(AROUND);
        assert_eq!(ask(fleet, "PUT", &target, &sample("echo")).0, 200);
        thread::sleep(STALE);
        for _ in 0..9 {
            let answer = ask(fleet, "PUT", HELLO, b"new");
            assert_eq!(answer, (200, "new".into()), "every node has the new one");
        }
    });
    assert_none_failed("an update", calls, &failures);

    // A deletion likewise: it is there or it is not, and behind the bound it is nowhere.
    let gone = format!("{ACTIONS}/gone?overwrite=true&memory=16");
    assert_eq!(ask(&fleet, "PUT", &gone, &sample("echo")).0, 200);
    let (calls, failures, ()) = fleet.under_load("/function/gone", CLIENTS, |fleet, _| {
        thread::sleep(AROUND);
        assert_eq!(ask(fleet, "DELETE", &gone, b"").0, 200);
        thread::sleep(STALE);
        for _ in 0..9 {
            assert_eq!(ask(fleet, "GET", "/function/gone", b"").0, 404, "no node has it");
        }
    });
    eprintln!("a deletion: {calls} calls, {} behind it", failures.len());
    assert!(calls as usize > failures.len() && failures.iter().all(|it| it.starts_with("404 ")));

    let target = format!("{ACTIONS}/sleepless?overwrite=true&memory=16");
    assert_eq!(ask(&fleet, "PUT", &target, &sample("sleepless")).0, 200);
    // What was said until now.
    executions(&log);
    lose_power(&mut fleet, &log);
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
        fleet.under_load(HELLO, CLIENTS, |fleet, _| roll(folder.path(), fleet));
    assert_none_failed("a restart of all", calls, &failures);
}
