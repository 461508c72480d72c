//! Actions that misbehave: each is named for what it did, and the next one on its core is served.
//!
//! [`table`] has every way to misbehave; `cargo xtask test isolation` runs it and prints a line for
//! each. The tests below are about what surrounds a fault: log, limits, routes.

mod attack;
mod elf;
mod table;

use std::collections::BTreeSet;

use action_abi::{ABI_VERSION, HOST_VERSION, NOTE_NAME};
use attack::{BRIEF, Case, FAULTS, OTHERS, Tally};
use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::{Machine, SharedNode, TestNode, boot, machine, sample};

/// Limits of the action that misbehaves: enough time for what needs time even when emulated on a
/// busy computer, and so much memory that its page tables are more than the node grants beside it.
const TIMEOUT_MS: u64 = 60_000;
/// The shortest run time that can be asked for.
const TIMEOUT_MS_MIN: u64 = 100;
const MEMORY_MB: u64 = 32;

/// Two cores: one serves the network, so every invocation runs on the other.
static NODE: SharedNode = SharedNode::new(|| with_actions(two_cores(), &sample(FAULTS)));

fn two_cores() -> Machine {
    machine().cores(2).kernel_words("hostkernel.body_mb=1")
}

/// The program as one that a host image hosts: its note says version 2, which it finds out itself.
fn hosted() -> Vec<u8> {
    let mut file = sample(FAULTS);
    let note = [NOTE_NAME.as_bytes(), &[0, 0], &ABI_VERSION.to_le_bytes()].concat();
    let at = file.windows(note.len()).position(|bytes| bytes == note).expect("it has a note");
    let version = at + note.len() - size_of::<u32>();
    file[version..][..size_of::<u32>()].copy_from_slice(&HOST_VERSION.to_le_bytes());
    file
}

fn with_actions(machine: Machine, file: &[u8]) -> TestNode {
    let node = boot(machine);
    for (name, timeout_ms) in [(FAULTS, TIMEOUT_MS), (OTHERS, TIMEOUT_MS), (BRIEF, TIMEOUT_MS_MIN)]
    {
        let options = DeployOptions {
            timeout_ms: Some(timeout_ms),
            memory_mb: Some(MEMORY_MB),
            ..DeployOptions::default()
        };
        node.client().deploy(name, file, &options).expect("it is deployed");
    }
    node.deploy("hello");
    node
}

/// Kinds that are no attacks but serve other tests.
const ELSEWHERE: &[&str] = &["exit-status", "windows"];

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, "")) => text.starts_with(start),
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .any(|at| matches(rest, &text[at..]))
        }),
    }
}

/// The reason in a failed activation.
fn reason(activation: &Value) -> &str {
    assert_eq!(activation["response"]["status"], "action developer error", "{activation}");
    activation["response"]["result"]["error"].as_str().expect("a failure has a reason")
}

#[test]
fn every_attack_ends_as_the_table_says_and_the_next_invocation_succeeds() {
    let mut tally = Tally::default();
    let node = NODE.get();
    tally.run(&node, &table::sections(&node));
    drop(node);
    let node = with_actions(machine().cores(2).cpu("max,-smap"), &sample(FAULTS));
    tally.run(&node, &table::sections_without_smap());
    drop(node);
    // Once more with a host between the program and the kernel.
    let node = with_actions(two_cores(), &hosted());
    tally.run(&node, &table::sections_with_a_host(&node));
    tally.finish();
}

#[test]
fn every_kind_of_misbehaviour_is_in_the_table() {
    let node = NODE.get();
    let list = node.request("POST", "/function/faults", &[], br#"{"kind":"list"}"#).json();
    let kinds: BTreeSet<_> =
        list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let sections = [table::sections(&node), table::sections_without_smap()].concat();
    let cases = sections.iter().flat_map(|(_, cases)| cases);
    let tested: BTreeSet<_> =
        cases.flat_map(Case::kinds).chain(ELSEWHERE.iter().copied()).collect();
    assert_eq!(tested, kinds);
}

#[test]
fn an_exit_status_other_than_0_is_a_failure() {
    let node = NODE.get();
    for (status, named) in [(1_u32, 1_i32), (2, 2), (255, 255), (u32::MAX, -1)] {
        let activation =
            node.activation("faults", &json!({ "kind": "exit-status", "status": status }));
        assert_eq!(reason(&activation), format!("exit status {named}"));
    }
    node.greets("next");
}

/// Log lines without their time: `stdout: text`.
fn log_lines(activation: &Value) -> Vec<&str> {
    let lines = activation["logs"].as_array().expect("a list").iter().filter_map(Value::as_str);
    lines.map(|line| line.split_once(' ').expect("a line begins with its time").1).collect()
}

#[test]
fn the_log_of_a_failed_invocation_is_kept() {
    let node = NODE.get();
    let activation = node.activation("faults", &json!({ "kind": "panic" }));
    let lines = log_lines(&activation);
    assert!(lines[0].starts_with("stderr: panicked at images/faults/src/"), "{lines:?}");
    assert_eq!(lines[1], "stderr: asked to");
}

#[test]
fn an_endless_log_is_cut_at_its_limit_and_says_so() {
    let node = NODE.get();
    let activation = node.activation("faults", &json!({ "kind": "endless-log" }));
    let lines = log_lines(&activation);
    assert!(lines[0].starts_with("stdout: xxxx"), "{}", lines[0]);
    let last = lines.last().expect("lines");
    assert_eq!(*last, "stderr: the log was cut at its limit of 65536 bytes");
    let len: usize = lines.iter().map(|line| line.len()).sum();
    assert!((60_000..80_000).contains(&len), "{len} bytes");
}

#[test]
fn every_limit_is_the_actions_own() {
    let node = NODE.get();
    let deploy = |timeout_ms, memory_mb| {
        let options = DeployOptions {
            timeout_ms: Some(timeout_ms),
            memory_mb: Some(memory_mb),
            ..DeployOptions::default()
        };
        node.deploy_as("limited", "faults", &options);
    };
    for timeout_ms in [100, 300] {
        deploy(timeout_ms, 1);
        let activation = node.activation("limited", &json!({ "kind": "endless-loop" }));
        let expected = format!("deadline of {timeout_ms} ms exceeded at 0x");
        assert!(reason(&activation).starts_with(&expected), "{activation}");
    }
    for memory_mb in [MEMORY_MB, MEMORY_MB + 1] {
        deploy(60_000, memory_mb);
        let activation = node.activation("limited", &json!({ "kind": "eat-memory" }));
        assert_eq!(reason(&activation), format!("memory limit of {memory_mb} MB exceeded"));
    }
    node.greets("next");
}

#[test]
fn the_raw_route_names_faults_too() {
    let node = NODE.get();
    let answer = node.request("POST", "/function/faults", &[], br#"{"kind":"read-null"}"#);
    assert_eq!(answer.status, 502);
    let error = answer.json()["error"].as_str().expect("a reason").to_owned();
    assert!(matches("page fault reading 0x0 at 0x4*", &error), "{error}");
    assert!(answer.header("x-openwhisk-activation-id").is_some_and(|id| id.len() == 32));
}

#[test]
fn the_raw_route_leaves_no_bytes_of_others_behind_an_input_either() {
    let node = NODE.get();
    let text = "SECRET!!".repeat(40_000);
    for padding in ["", " ", "1234567", &" ".repeat(3000), &" ".repeat(4080), &" ".repeat(9000)] {
        let long = format!(r#"{{"kind":"long-input","code":"{text}"}}"#);
        let answer = node.request("POST", "/function/faults", &[], long.as_bytes());
        assert_eq!(answer.text(), format!(r#"{{"len":{}}}"#, text.len()));
        let look = format!(r#"{{"kind":"look-padding","code":"{padding}"}}"#);
        let answer = node.request("POST", "/function/others", &[], look.as_bytes());
        assert_eq!(answer.json()["dirty"], json!([]), "{} bytes more", padding.len());
    }
}
