//! Programs that are frozen where they first look at their input.

use std::fs;

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::openwhisk::{deploy_json, document, error};
use system_tests::{boot, machine};
use tempfile::TempDir;

use crate::programs::{busybox_as, frozen};
use crate::{NODE, answered, tree};

/// What Python with some of its modules is deployed with.
const PYTHON_MEMORY_MB: u64 = 128;
/// What a node has that takes an archive of 25 MB.
const NODE_MEMORY_MIB: u32 = 1024;

/// Deploys a program with the annotation.
fn options() -> DeployOptions {
    DeployOptions {
        annotations: [("init".to_owned(), json!("input"))].into_iter().collect(),
        memory_mb: Some(64),
        timeout_ms: Some(20_000),
        ..DeployOptions::default()
    }
}

#[test]
fn each_call_is_a_fork_of_what_looked_at_the_input() {
    let node = NODE.get();
    for compiler in ["musl-gcc", "gcc"] {
        let name = format!("frozen-{compiler}");
        let program = frozen(compiler).file();
        let made = node.client().deploy(&name, &program, &options()).expect("it is deployed");
        let annotations = made.other["annotations"].as_array().cloned().unwrap_or_default();
        let told = annotations.iter().find(|annotation| annotation["key"] == "frozen");
        assert_eq!(told.map(|told| &told["value"]["at"]), Some(&json!("input")), "{annotations:?}");
        let mut drawn = Vec::new();
        for line in ["one", "two", "three"] {
            let answer = answered(&node, &name, format!("{line}\n").as_bytes());
            let mut lines: Vec<&str> = answer.lines().collect();
            let random = lines.pop().unwrap_or_default();
            assert!(random.starts_with("random "), "{answer}");
            drawn.push(random.to_owned());
            // Where `__OW_…` begins depends on the call.
            let environment = lines.pop().unwrap_or_default();
            assert!(environment.starts_with("environment __OW_"), "{answer}");
            let wanted = format!(
                "line {line}\nrest none\nhelper 42\nraised 1, tid is pid 1\nanother process 1\n\
                 wiped 1 kept 1\nnote written before"
            );
            assert_eq!(lines.join("\n"), wanted, "{compiler}");
        }
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 3, "each call has random bytes of its own");
    }
}

#[test]
fn what_never_looks_at_its_input_is_refused() {
    let node = NODE.get();
    for (applet, reason) in [
        ("true", "exited with status 0 before it looked at its input"),
        ("false", "exited with status 1"),
    ] {
        let mut wanted: Value = document(&busybox_as(applet).0);
        wanted["annotations"] = json!([{ "key": "init", "value": "input" }]);
        let answer = deploy_json(&node, &format!("never-{applet}?overwrite=true"), &wanted);
        let text = error(&answer);
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains(reason), "{text}");
    }
}

/// A script with modules in C, whose library is in its archive.
const PYTHON: &str = "\
#!/usr/bin/python3.11 -I
import decimal, hashlib, json, os, random, sqlite3, sys
seen = []
before = os.getpid()
args = json.loads(sys.stdin.read())
seen.append(args['name'])
with open('/tmp/note', 'a') as note:
    print(args['name'], file=note)
print(json.dumps({
    'seen': seen,
    'note': open('/tmp/note').read(),
    'hash': hashlib.sha256(args['name'].encode()).hexdigest()[:16],
    'third': str(decimal.Decimal(1) / 3),
    'sqlite': sqlite3.connect(':memory:').execute('select 6 * 7').fetchone(),
    'another': os.getpid() != before,
}))
";

#[test]
fn python_as_debian_has_it() {
    let node = boot(machine().memory_mib(NODE_MEMORY_MIB));
    let folder = TempDir::new().expect("a temporary folder");
    let archive = folder.path().join("python.zip");
    tree::python(&archive, PYTHON);
    let archive = fs::read(archive).expect("it was packed");
    let options = DeployOptions { memory_mb: Some(PYTHON_MEMORY_MB), ..options() };
    node.client().deploy("python", &archive, &options).expect("it is deployed");
    for (name, hash) in [("first", "a7937b64b8caa58f"), ("second", "16367aacb67a4a01")] {
        let answer = answered(&node, "python", format!("{{\"name\": \"{name}\"}}").as_bytes());
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let wanted = json!({
            "seen": [name],
            "note": format!("{name}\n"),
            "hash": hash,
            "third": "0.3333333333333333333333333333",
            "sqlite": [42],
            "another": true,
        });
        assert_eq!(answer, wanted);
    }
}
