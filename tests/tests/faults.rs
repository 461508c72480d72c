//! Actions that misbehave: each is named for what it did, and the next one on its core is served.

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::{SharedNode, boot, machine};

/// Limits of the action that misbehaves. Short, since some kinds end by their deadline only; and so
/// much memory that its page tables are more than the node grants beside it.
const TIMEOUT_MS: u64 = 1500;
const MEMORY_MB: u64 = 32;

/// Two cores: one serves the network, so every invocation runs on the other.
static NODE: SharedNode = SharedNode::new(|| {
    let node = boot(machine().cores(2));
    let options = DeployOptions {
        timeout_ms: Some(TIMEOUT_MS),
        memory_mb: Some(MEMORY_MB),
        ..DeployOptions::default()
    };
    node.deploy_as("faults", "faults", &options);
    // Another action with the same code: what one leaves behind, the other one must not find.
    node.deploy_as("others", "faults", &options);
    node.deploy("hello");
    node
});

const GENERAL_PROTECTION: &str = "general protection fault (#GP) at 0x*";
const INVALID: &str = "invalid instruction (#UD) at 0x*";
const DEADLINE: &str = "deadline of 1500 ms exceeded";
const MEMORY: &str = "memory limit of 32 MB exceeded";
const NO_OBJECT: &str =
    "The action did not produce a valid JSON response: a JSON object was expected: *";

/// A kind and how it may end; more than one way where processors and emulators differ.
/// `*` stands for anything.
const ENDED: &[(&str, &[&str])] = &[
    ("read-null", &["page fault reading 0x0 at 0x4*"]),
    ("write-null", &["page fault writing 0x0 at 0x4*"]),
    ("execute-null", &["page fault executing 0x0 at 0x0"]),
    ("read-kernel", &["page fault reading 0xffffffff80000000 at 0x4*"]),
    ("write-kernel", &["page fault writing 0xffffffff80000000 at 0x4*"]),
    ("execute-kernel", &["page fault executing 0xffffffff80000000 at 0xffffffff80000000"]),
    ("read-direct-map", &["page fault reading 0xffff800000000000 at 0x4*"]),
    ("non-canonical", &[GENERAL_PROTECTION]),
    ("non-canonical-jump", &[GENERAL_PROTECTION]),
    ("non-canonical-stack", &[GENERAL_PROTECTION, "stack-segment fault (#SS) at 0x*"]),
    ("write-text", &["page fault writing 0x4* at 0x4*"]),
    ("write-read-only", &["page fault writing 0x4* at 0x4*"]),
    ("write-input", &["page fault writing 0x* at 0x4*"]),
    ("write-context", &["page fault writing 0x* at 0x4*"]),
    ("execute-data", &["page fault executing 0x4* at 0x4*"]),
    ("execute-read-only", &["page fault executing 0x4* at 0x4*"]),
    ("execute-stack", &["page fault executing 0x* at 0x*"]),
    ("execute-heap", &["page fault executing 0x* at 0x*"]),
    ("past-output-window", &["page fault writing 0x* at 0x4*"]),
    ("past-input", &["page fault reading 0x* at 0x4*"]),
    ("past-heap", &["page fault writing 0x* at 0x4*"]),
    ("below-stack", &["stack overflow touching 0x* at 0x4*"]),
    ("stack-overflow", &["stack overflow touching 0x* at 0x4*"]),
    ("divide", &["divide error (#DE) at 0x4*"]),
    ("single-step", &["debug exception (#DB) at 0x4*"]),
    ("int1", &["debug exception (#DB) at 0x4*", INVALID]),
    ("breakpoint", &["breakpoint (#BP) at 0x4*"]),
    ("overflow", &["overflow (#OF) at 0x4*"]),
    ("undefined", &[INVALID]),
    ("stack-segment", &["stack-segment fault (#SS) at 0x4*", GENERAL_PROTECTION]),
    ("x87", &["x87 floating-point error (#MF) at 0x4*"]),
    ("privileged", &[GENERAL_PROTECTION]),
    ("sti", &[GENERAL_PROTECTION]),
    ("hlt", &[GENERAL_PROTECTION]),
    ("in-port", &[GENERAL_PROTECTION]),
    ("out-port", &[GENERAL_PROTECTION]),
    ("rdmsr", &[GENERAL_PROTECTION]),
    ("wrmsr", &[GENERAL_PROTECTION]),
    ("mov-cr0", &[GENERAL_PROTECTION]),
    ("mov-cr3", &[GENERAL_PROTECTION]),
    ("mov-dr7", &[GENERAL_PROTECTION]),
    ("clts", &[GENERAL_PROTECTION]),
    ("invlpg", &[GENERAL_PROTECTION]),
    ("wbinvd", &[GENERAL_PROTECTION]),
    ("swapgs", &[GENERAL_PROTECTION]),
    ("sysretq", &[GENERAL_PROTECTION, INVALID]),
    ("xsetbv", &[GENERAL_PROTECTION, INVALID]),
    ("lgdt", &[GENERAL_PROTECTION]),
    ("lidt", &[GENERAL_PROTECTION]),
    ("ltr", &[GENERAL_PROTECTION]),
    ("int80", &[GENERAL_PROTECTION]),
    ("int-irq", &[GENERAL_PROTECTION]),
    ("int-double-fault", &[GENERAL_PROTECTION]),
    ("int-page-fault", &[GENERAL_PROTECTION]),
    ("sysenter", &[GENERAL_PROTECTION, INVALID]),
    ("vmcall", &[INVALID, GENERAL_PROTECTION]),
    ("syscall-with-trap-flag", &["debug exception (#DB) at 0x4*"]),
    ("bad-segment", &[GENERAL_PROTECTION]),
    ("kernel-segment", &[GENERAL_PROTECTION]),
    ("exit-past-window", &["result of * bytes exceeds the limit of 1048576 bytes"]),
    ("no-result", &[NO_OBJECT]),
    ("bad-json", &["*a JSON object was expected: this is not JSON"]),
    ("not-utf8", &["The action did not produce a valid JSON response: it is not UTF-8: *"]),
    ("panic", &["exit status 101"]),
    ("endless-loop", &[DEADLINE]),
    ("endless-log", &["exit status 3"]),
    ("endless-output", &["exit status 3"]),
    ("eat-memory", &[MEMORY]),
    ("endless-allocation", &[MEMORY]),
    ("out-of-heap", &["exit status 101"]),
];

/// Kinds that are refused something by a call and go on, with their result.
const WENT_ON: &[(&str, &str)] = &[
    ("unknown-call", r#"{"call_error":"UnknownCall","number":1}"#),
    ("log-kernel", r#"{"call_error":"BadAddress","number":2}"#),
    ("write-kernel-bytes", r#"{"call_error":"BadAddress","number":2}"#),
    ("write-wrapping", r#"{"call_error":"BadAddress","number":2}"#),
    ("map-writable-executable", r#"{"call_error":"BadArgument","number":3}"#),
    ("map-until-refused", r#"{"call_error":"LimitReached","count":*}"#),
    ("map-storm", r#"{"rounds":10000}"#),
    ("null-segments", r#"{"survived":"null-segments"}"#),
    ("syscall-with-odd-flags", r#"{"survived":"syscall-with-odd-flags"}"#),
];

/// Kinds that end one way on processors that have a feature, and another way elsewhere: emulators
/// raise no #AC and #XM, UMIP is a feature, and QEMU before 9.1 faults for ever on a far return
/// between rings 3 under SMAP.
const DEPENDS: &[(&str, &[&str])] = &[
    ("alignment-check", &["alignment check (#AC) at 0x4*", "survived"]),
    ("simd-exception", &["SIMD floating-point exception (#XM) at 0x4*", "survived"]),
    ("far-jump-32", &[GENERAL_PROTECTION, "page fault reading 0x8*", "survived"]),
    ("sgdt", &[GENERAL_PROTECTION, "survived"]),
    ("sidt", &[GENERAL_PROTECTION, "survived"]),
    ("sldt", &[GENERAL_PROTECTION, "survived"]),
    ("str", &[GENERAL_PROTECTION, "survived"]),
    ("smsw", &[GENERAL_PROTECTION, "survived"]),
];

/// Kinds that other tests are about, or that do nothing without parameters.
const ELSEWHERE: &[&str] = &[
    "read",
    "write",
    "execute",
    "code",
    "call",
    "exit-status",
    "dirty-state",
    "look-state",
    "dirty-segment-bases",
    "look-segment-bases",
    "store-secret",
    "look-secret",
];

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

fn matches_one(patterns: &[&str], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// The reason in a failed activation.
fn reason(activation: &Value) -> &str {
    assert_eq!(activation["response"]["status"], "action developer error", "{activation}");
    activation["response"]["result"]["error"].as_str().expect("a failure has a reason")
}

#[test]
fn a_fault_is_answered_502_with_its_reason_and_the_next_invocation_succeeds() {
    let node = NODE.get();
    for (kind, reasons) in ENDED {
        let activation = node.activation("faults", &json!({ "kind": kind }));
        let reason = reason(&activation);
        assert!(matches_one(reasons, reason), "{kind}: {reason}");
        node.greets(kind);
    }
}

#[test]
fn a_call_that_is_refused_ends_nothing() {
    let node = NODE.get();
    for (kind, result) in WENT_ON {
        let activation = node.activation("faults", &json!({ "kind": kind }));
        let found = activation["response"]["result"].to_string();
        assert!(matches(result, &found), "{kind}: {found}");
        node.greets(kind);
    }
}

#[test]
fn what_depends_on_the_processor_ends_in_one_of_the_ways_it_may() {
    let node = NODE.get();
    for (kind, ways) in DEPENDS {
        let activation = node.activation("faults", &json!({ "kind": kind }));
        let result = &activation["response"]["result"];
        let way = result["error"].as_str().unwrap_or("survived");
        assert!(matches_one(ways, way), "{kind}: {way}");
        node.greets(kind);
    }
}

#[test]
fn every_kind_of_misbehaviour_has_a_test() {
    let node = NODE.get();
    let list = node.request("POST", "/function/faults", &[], br#"{"kind":"list"}"#).json();
    let ended = ENDED.iter().chain(DEPENDS).map(|(kind, _)| *kind);
    let mut tested: Vec<_> = ended
        .chain(WENT_ON.iter().map(|(kind, _)| *kind))
        .chain(ELSEWHERE.iter().copied())
        .collect();
    let mut kinds: Vec<_> =
        list.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    tested.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(tested, kinds);
}

#[test]
fn a_fault_says_which_address_was_touched() {
    let node = NODE.get();
    for (kind, word) in [("read", "reading"), ("write", "writing"), ("execute", "executing")] {
        for address in [0xdead_beef_u64, 0x7fff_ffff_f000, 0xffff_ffff_ffff_f000] {
            let input = json!({ "kind": kind, "address": address });
            let activation = node.activation("faults", &input);
            let pattern = format!("page fault {word} {address:#x} at 0x*");
            assert!(matches(&pattern, reason(&activation)), "{activation}");
        }
    }
    node.greets("next");
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
            overwrite: true,
            timeout_ms: Some(timeout_ms),
            memory_mb: Some(memory_mb),
        };
        node.deploy_as("limited", "faults", &options);
    };
    for timeout_ms in [100, 300] {
        deploy(timeout_ms, 1);
        let activation = node.activation("limited", &json!({ "kind": "endless-loop" }));
        assert_eq!(reason(&activation), format!("deadline of {timeout_ms} ms exceeded"));
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
fn an_invocation_finds_nothing_that_another_one_left_behind() {
    let node = NODE.get();
    let result = |action: &str, kind: &str| {
        node.activation(action, &json!({ "kind": kind }))["response"]["result"].clone()
    };
    for finder in ["others", "faults"] {
        for _ in 0..3 {
            assert_eq!(result("faults", "dirty-state"), json!({ "dirty": true }));
            assert_eq!(result(finder, "look-state")["dirty"], json!([]), "{finder}");

            assert!(result("faults", "store-secret")["words"].as_u64() > Some(10_000));
            assert_eq!(result(finder, "look-secret"), json!({ "found": [] }), "{finder}");

            // Not possible everywhere; where it is, it must not last.
            let _ = result("faults", "dirty-segment-bases");
            let bases = result(finder, "look-segment-bases");
            let none = json!({ "fs": 0, "gs": 0 });
            assert!(bases == none || bases["error"].is_string(), "{finder}: {bases}");
        }
    }
}

#[test]
fn what_a_killed_invocation_held_is_not_found_either() {
    let node = NODE.get();
    // mov rax, "SECRET!!"; lea rdi, [rsp - 65536]; mov ecx, 8192; rep stosq; ud2
    let code = "48b8534543524554212148 8dbc240000ffffb900200000f348ab0f0b".replace(' ', "");
    let activation = node.activation("faults", &json!({ "kind": "code", "code": code }));
    assert!(matches(INVALID, reason(&activation)), "{activation}");
    let activation = node.activation("others", &json!({ "kind": "look-secret" }));
    assert_eq!(activation["response"]["result"], json!({ "found": [] }));
}
