//! Nodes whose actions are in a registry of Debian: they forget nothing, and agree.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::registry::{HOST, Registry};
use system_tests::{
    ACTIONS, AUTHORIZATION, TestNode, boot, boot_within, brief_machine, machine, sample,
};
use xtask::prerequisites::ensure_programs;
use xtask::runtime::Language;

/// Longer than what the registry said holds, and than it is left alone when it is away.
const STALE: Duration = Duration::from_millis(1_500);
/// A busy computer takes its time; this is only against waiting for ever.
const PLENTY: Duration = Duration::from_secs(60);

fn node(registry: &Registry, number: u16) -> TestNode {
    let words = format!("{} hostkernel.node={number}", registry.setting());
    boot(brief_machine().kernel_words(words))
}

fn call(node: &TestNode, name: &str) -> (u16, String) {
    let answer = node.request("POST", &format!("/function/{name}"), &[], br#"{"name":"A"}"#);
    (answer.status, answer.text())
}

/// Calls until the status is this one.
fn until(node: &TestNode, name: &str, status: u16) -> String {
    let end = Instant::now() + PLENTY;
    loop {
        let (found, text) = call(node, name);
        if found == status {
            return text;
        }
        assert!(Instant::now() < end, "{name} is still answered {found}: {text}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// A static Linux program.
fn program() -> Vec<u8> {
    ensure_programs(&[("musl-gcc", "musl-tools")], |text| eprintln!("{text}"))
        .unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (source, program) = (folder.path().join("p.c"), folder.path().join("p"));
    let text = "#include <stdio.h>\nint main(void) { puts(\"linux\"); return 0; }\n";
    fs::write(&source, text).expect("the folder is ours");
    let mut compile = Command::new("musl-gcc");
    compile.args(["-static", "-o"]).args([&program, &source]);
    assert!(compile.status().expect("it is installed").success());
    fs::read(&program).expect("it was made")
}

const GREETING: &str = r#"{"greeting":"Hello, A!"}"#;

#[test]
fn nodes_agree_and_forget_nothing() {
    let mut registry = Registry::start();
    let (first, second) = (node(&registry, 1), node(&registry, 2));
    let options = DeployOptions { memory_mb: Some(7), ..DeployOptions::default() };
    first.deploy_as("hello", "hello", &options);
    assert_eq!(call(&second, "hello"), (200, GREETING.into()), "never told of it");
    // A program that is frozen where it is deployed is frozen again where it is fetched.
    let octets = [AUTHORIZATION, "Content-Type: application/octet-stream"];
    let target = format!("{ACTIONS}/program?overwrite=true&memory=32");
    let answer = first.request("PUT", &target, &octets, &program());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(call(&second, "program"), (200, "linux\n".into()));
    let described = second.request("GET", &format!("{ACTIONS}/hello"), &[AUTHORIZATION], &[]);
    assert_eq!(described.json()["limits"]["memory"], 7, "limits travel with the code");
    let listed = second.request("GET", ACTIONS, &[AUTHORIZATION], &[]).json();
    let names: Vec<&str> =
        listed.as_array().into_iter().flatten().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&"hello"), "{listed}");

    // Records stay where the call ran; others say where that is.
    let record = first.activation("hello", &serde_json::json!({ "name": "A" }));
    let id = record["activationId"].as_str().expect("a record has an id");
    assert!(id.starts_with("0001"), "{id}");
    let target = format!("/api/v1/namespaces/_/activations/{id}");
    let elsewhere = second.request("GET", &target, &[AUTHORIZATION], &[]);
    assert!(elsewhere.status == 404 && elsewhere.text().contains("node 1"), "{}", elsewhere.text());

    // An update on one is seen on the other, and a deletion too.
    second.deploy_as("hello", "echo", &options);
    thread::sleep(STALE);
    assert_eq!(call(&first, "hello"), (200, r#"{"name":"A"}"#.into()));

    // While the registry is away what is here is served, and a miss is no "there is none".
    registry.stop();
    thread::sleep(STALE);
    for _ in 0..3 {
        assert_eq!(call(&first, "hello").0, 200);
    }
    let miss = first.request("POST", "/function/other", &[], b"{}");
    assert!(miss.status == 503 && miss.text().contains("registry"), "{}", miss.text());
    assert!(first.get("/readyz?verbose").text().contains("[-]store away"));
    assert_eq!(first.get("/readyz").status, 200);
    assert_eq!(first.metric("hostkernel_store_up"), 0);
    let refused =
        first.request("PUT", &format!("{ACTIONS}/more"), &[AUTHORIZATION], &sample("echo"));
    assert_eq!(refused.status, 503, "{}", refused.text());
    registry.restart().expect("it was there before");
    until(&first, "other", 404);
    assert!(first.get("/readyz?verbose").text().contains("[+]store ok"));

    // A node that is new serves all of it, with nothing configured but the store.
    drop(second);
    let third = node(&registry, 3);
    assert_eq!(call(&third, "hello"), (200, r#"{"name":"A"}"#.into()));
    let deleted = third.request("DELETE", &format!("{ACTIONS}/hello"), &[AUTHORIZATION], &[]);
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    thread::sleep(STALE);
    assert_eq!(call(&first, "hello").0, 404);
}

/// Passes bytes between nodes and a registry, and changes what the registry says.
fn liar(to: u16, lies: &Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let lies = Arc::clone(lies);
    thread::spawn(move || {
        for node in listener.incoming().map_while(Result::ok) {
            let Ok(registry) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let lies = Arc::clone(&lies);
            let (Ok(mut from), Ok(mut into)) = (node.try_clone(), registry.try_clone()) else {
                continue;
            };
            thread::spawn(move || std::io::copy(&mut from, &mut into));
            thread::spawn(move || tell(registry, node, &lies));
        }
    });
    port
}

const LIES: usize = 5;

fn tell(mut from: TcpStream, mut to: TcpStream, lies: &AtomicUsize) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        let (piece, lie) = (&mut bytes[..len], lies.load(Ordering::Relaxed));
        let sent = match lie {
            // What is long is code: one bit of it.
            1 => {
                if len == 4096 {
                    piece[2048] ^= 1;
                }
                to.write_all(piece)
            }
            2 => to.write_all(&piece[..len.min(700)]),
            3 => to.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
            4 => to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nxxxx"),
            5 => to.write_all(b"HTTP/1.1 302 Found\r\nLocation: /v2/\r\nContent-Length: 0\r\n\r\n"),
            _ => to.write_all(piece),
        };
        if sent.is_err() {
            break;
        }
        if matches!(lie, 2 | 4) {
            // In the middle.
            let _ = to.shutdown(std::net::Shutdown::Both);
            break;
        }
    }
}

#[test]
fn no_code_of_a_lying_registry_is_run_and_the_node_heals() {
    let registry = Registry::start();
    let honest = node(&registry, 1);
    for lie in 1..=LIES {
        honest.deploy_as(&format!("hello{lie}"), "hello", &DeployOptions::default());
    }
    let lies = Arc::new(AtomicUsize::new(0));
    let port = liar(registry.port(), &lies);
    let words = format!("hostkernel.store=http://{HOST}:{port}/hostkernel");
    let node = boot(brief_machine().kernel_words(words));
    node.deploy_as("here", "hello", &DeployOptions::default());
    for lie in 1..=LIES {
        lies.store(lie, Ordering::Relaxed);
        let name = format!("hello{lie}");
        let (status, text) = call(&node, &name);
        assert!(matches!(status, 502 | 503), "lie {lie}: {status} {text}");
        assert!(text.contains("registry") || text.contains("Registry"), "lie {lie}: {text}");
        assert_eq!(node.get("/healthz").status, 200);
        assert_eq!(call(&node, "here"), (200, GREETING.into()), "what is here goes on");
        lies.store(0, Ordering::Relaxed);
        assert_eq!(until(&node, &name, 200), GREETING, "it heals: lie {lie}");
    }
}

/// Actions whose code together is more than the node's memory, twice each in no order.
#[test]
fn more_actions_than_there_is_room_for_are_served() {
    const MEMORY_MIB: u32 = 96;
    const COUNT: usize = 110;
    const CODE_LEN: usize = 1 << 20;
    let registry = Registry::start();
    let code = |number: usize| {
        let mut code = sample("echo");
        code.resize(CODE_LEN, 0);
        code.extend(number.to_string().bytes());
        code
    };
    let actions = (0..COUNT).map(|number| (format!("large-{number}"), code(number)));
    registry.shelve(actions).expect("its folder is ours");
    let machine = brief_machine().memory_mib(MEMORY_MIB);
    let node = boot(machine.kernel_words(registry.setting()));
    let available = || node.metric("hostkernel_memory_bytes{kind=\"available\"}");
    let mut after_each = Vec::new();
    for step in [37, 71] {
        for at in 0..COUNT {
            let called = call(&node, &format!("large-{}", at * step % COUNT));
            assert_eq!(called, (200, r#"{"name":"A"}"#.into()), "call {at}");
        }
        after_each.push(available());
    }
    let evicted = node.metric("hostkernel_store_evicted_total");
    let held = node.metric("hostkernel_store_held_actions");
    assert!(evicted > 0 && held < COUNT as u64, "{evicted} evicted, {held} held");
    // It is full after the first time, and no fuller after the second.
    let [first, second] = after_each[..] else { panic!("there are two") };
    assert!(first.abs_diff(second) < 4 * CODE_LEN as u64, "{first}, then {second}");
}

/// How long an interpreter may take to start, emulated, on a busy computer.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);
const JSON: [&str; 2] = [AUTHORIZATION, "Content-Type: application/json"];
const RUNTIMES: [Language; 3] = [Language::Python, Language::JavaScript, Language::NodeJs];
/// What a node with all of them takes.
const RUNTIMES_MEMORY_MIB: u32 = 2048;

/// The archive of a runtime.
fn archive(language: Language) -> Vec<u8> {
    let file = language.ready(|doing| eprintln!("{doing}")).expect("it can be built");
    fs::read(&file).expect("it was built")
}

fn install(node: &TestNode, kind: &str, archive: &[u8]) {
    let client = node.client().clone().with_timeout(RUNTIME_TIMEOUT);
    client.install_runtime(kind, archive).expect("it starts");
}

/// Deploys source code with all that can be said of it.
fn deploy_source(node: &TestNode, name: &str, exec: &Value) {
    let document = json!({
        "exec": exec,
        "limits": {"timeout": 45_000, "memory": 64, "logs": 3},
        "parameters": [{"key": "word", "value": "Servus"}, {"key": "ä", "value": {"b": [1, null]}}],
        "annotations": [{"key": "web-export", "value": true}, {"key": "note", "value": "x \"y\""}],
        "publish": true, "version": "1.2.3",
    });
    let target = format!("{ACTIONS}/{name}?overwrite=true");
    let deployed = node.request("PUT", &target, &JSON, document.to_string().as_bytes());
    assert_eq!(deployed.status, 200, "{}", deployed.text());
}

fn greet(node: &TestNode, name: &str) -> (u16, String) {
    let target = format!("{ACTIONS}/{name}?blocking=true&result=true");
    let answer = node.request("POST", &target, &JSON, br#"{"name":"A"}"#);
    (answer.status, answer.text().replace(": ", ":"))
}

#[test]
fn functions_their_runtimes_and_all_that_is_said_of_them_are_fetched_too() {
    let registry = Registry::start();
    let archives = RUNTIMES.map(archive);
    // Which Node.js it is, is known when it is there.
    let kinds = RUNTIMES.map(Language::kind);
    let start = |number: u16, words: &str| {
        let words = format!("{} hostkernel.node={number} {words}", registry.setting());
        boot_within(machine().memory_mib(RUNTIMES_MEMORY_MIB).kernel_words(words), RUNTIME_TIMEOUT)
    };
    // The registry is empty: that keeps nobody waiting.
    let wanted = &format!("hostkernel.runtimes={}", kinds.join(","));
    let (first, second) = (start(1, wanted), start(2, ""));
    assert!(first.get("/readyz?verbose").text().contains("[-]runtime python:3 not in the store"));
    for (kind, archive) in kinds.iter().zip(&archives) {
        install(&first, kind, archive);
    }
    let python = "def hi(args): return {'greeting': args['word'] + ', ' + args['name']}\n";
    let python = json!({"kind": "python:3", "code": python, "main": "hi"});
    deploy_source(&first, "a%20greeting", &python);
    let script = "function main(args) { return {greeting: args.word + ', ' + args.name} }";
    let mut names = vec!["a%20greeting"];
    for kind in &kinds[1..] {
        let name = kind.split(':').next().expect("a kind has a name");
        deploy_source(&first, name, &json!({"kind": kind, "code": script}));
        names.push(name);
    }
    let greeting = (200, r#"{"greeting":"Servus, A"}"#.to_owned());
    for name in &names {
        assert_eq!(greet(&first, name), greeting, "{name}");
    }

    // A node without the runtime says what it lacks.
    let (status, text) = greet(&second, "a%20greeting");
    assert!(status == 400 && text.contains("'python:3' is not supported"), "{status} {text}");

    // One that is told to have them has them when it is ready.
    drop(second);
    let third = start(3, wanted);
    for name in &names {
        assert_eq!(greet(&third, name), greeting, "{name}");
    }
    let ready = third.get("/readyz?verbose").text();
    let here: String = kinds.iter().map(|kind| format!("[+]runtime {kind} ok\n")).collect();
    assert!(ready.contains(&here), "{ready}");
    let described = |node: &TestNode| {
        let target = format!("{ACTIONS}/a%20greeting");
        let mut action = node.request("GET", &target, &[AUTHORIZATION], &[]).json();
        // What came of freezing it is each node's own.
        let annotations = action["annotations"].as_array_mut().expect("a list");
        annotations.retain(|annotation| annotation["key"] != "frozen");
        action
    };
    assert_eq!(described(&first), described(&third));
    assert_eq!(described(&third)["version"], "1.2.3");
    let digests = |node: &TestNode| {
        let list = node.request("GET", "/api/v1/runtimes", &[AUTHORIZATION], &[]).json();
        let runtimes = list.as_array().into_iter().flatten();
        runtimes.map(|runtime| runtime["digest"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(digests(&first), digests(&third));
    assert_eq!(digests(&third).len(), RUNTIMES.len());
}
