//! A node as its operator sees it: idle, from the command line of the workspace, with common tools.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use system_tests::{TestNode, boot, machine};
use xtask::{lifeline, prerequisites, workspace};

#[test]
fn an_idle_node_leaves_the_host_alone() {
    for cores in [1, 4] {
        let node = boot(machine().cores(cores));
        node.deploy("hello");
        node.greets("before");
        let _open = node.established();
        thread::sleep(Duration::from_secs(2));
        let cpu_time = || node.cpu_time().expect("QEMU runs");
        let (begin, used) = (Instant::now(), cpu_time());
        thread::sleep(Duration::from_secs(5));
        let share = (cpu_time() - used).as_secs_f64() / begin.elapsed().as_secs_f64();
        // 2 % are promised; the rest is for hosts whose clock ticks coarsely.
        assert!(share < 0.04, "{cores} cores: {:.1} % of a host core", share * 100.0);
        node.greets("after");
    }
}

#[test]
fn a_node_answers_after_a_long_pause() {
    let node = boot(machine());
    node.deploy("hello");
    let mut idle = node.established();
    // Longer than the node waits for the progress of a request.
    thread::sleep(Duration::from_secs(13));
    node.greets("new connection");
    idle.send(&system_tests::request("GET", "/ping", &[], b"")).expect("an open connection");
    assert_eq!(idle.receive().expect("an answer").text(), "pong");
}

/// Runs `cargo xtask` with these words and returns what it printed.
fn xtask(words: &[&str]) -> Output {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = lifeline::command(cargo);
    command.arg("xtask").args(words).current_dir(workspace::root());
    command.output().expect("cargo starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_once_boots_calls_hello_and_ends_with_status_0() {
    let output = xtask(&["run", "--once", "--port", "0"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    for expected in [r#"{"greeting":"Hello, you!"}"#, "curl -d", "/function/hello"] {
        assert!(out.contains(expected), "{expected} is not in {out}");
    }
}

#[test]
fn run_says_when_the_port_is_taken() {
    let holder = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = holder.local_addr().expect("an address").port().to_string();
    let output = xtask(&["run", "--once", "--port", &port]);
    let err = text(&output.stderr);
    assert!(!output.status.success());
    assert!(err.contains(&port) && err.lines().count() <= 3, "{err}");
}

#[test]
fn run_says_when_a_boot_takes_too_long() {
    let output = xtask(&["run", "--once", "--port", "0", "--boot-timeout", "0"]);
    let err = text(&output.stderr);
    assert!(!output.status.success());
    assert!(err.contains("qemu-system-x86_64"), "{err}");
}

/// Runs a client if it is installed, and says so otherwise.
fn client(program: &str, arguments: &[&str]) -> Option<String> {
    if prerequisites::find_program(OsStr::new(program)).is_none() {
        eprintln!("{program} is not installed: skipped");
        return None;
    }
    let output = Command::new(program).args(arguments).output().expect("it starts");
    let out = text(&output.stdout);
    assert!(output.status.success(), "{program}: {out}{}", text(&output.stderr));
    Some(out)
}

/// A file with an input for `hello`.
fn input_file(node: &TestNode) -> String {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("input-{}.json", node.pid()));
    fs::write(&file, r#"{"name":"A"}"#).expect("the folder can be written");
    file.to_string_lossy().into_owned()
}

#[test]
fn the_usual_clients_are_served() {
    let node = boot(machine());
    node.deploy("hello");
    node.deploy("echo");
    let url = format!("{}/function/hello", node.base_url());
    let file = input_file(&node);
    if let Some(out) = client("curl", &["-sS", "-d", r#"{"name":"curl"}"#, &url]) {
        assert_eq!(out, r#"{"greeting":"Hello, curl!"}"#);
    }
    // curl waits to be asked for bodies over a megabyte, and for all if it is told to.
    let echo = format!("{}/function/echo", node.base_url());
    let expect = ["-sS", "-H", "Expect: 100-continue", "-d", "asked", &echo];
    if let Some(out) = client("curl", &expect) {
        assert_eq!(out, "asked");
    }
    if let Some(out) = client("curl", &["-sS", "-0", "-d", "old", &echo]) {
        assert_eq!(out, "old");
    }
    if let Some(out) = client("curl", &["-sS", "-I", &format!("{}/healthz", node.base_url())]) {
        assert!(out.starts_with("HTTP/1.1 200 OK\r\n"), "{out}");
    }
    // ab speaks HTTP/1.0, with and without keep-alive.
    let ab = ["-q", "-n", "200", "-c", "4", "-p", &file, "-T", "application/json"];
    for keep_alive in [&["-k"][..], &[]] {
        if let Some(out) = client("ab", &[&ab[..], keep_alive, &[&url]].concat()) {
            assert!(out.contains("Complete requests:      200"), "{out}");
            assert!(out.contains("Failed requests:        0"), "{out}");
            assert!(!out.contains("Non-2xx"), "{out}");
        }
    }
    let health = format!("{}/healthz", node.base_url());
    if let Some(out) = client("wrk", &["-t1", "-c8", "-d2s", &health]) {
        assert!(!out.contains("Non-2xx") && !out.contains("Socket errors"), "{out}");
    }
    if let Some(out) = client("h2load", &["--h1", "-n", "200", "-c", "4", "-m", "8", &health]) {
        assert!(out.contains("200 succeeded"), "{out}");
    }
    if let Some(out) = client("hey", &["-n", "200", "-c", "4", &health]) {
        assert!(out.contains("[200]\t200 responses"), "{out}");
    }
    // Plain h2load speaks HTTP/2 at once and is sent away.
    client("h2load", &["-n", "1", "-c", "1", &health]);
    node.greets("after all");
}
