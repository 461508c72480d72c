//! Programs that are frozen where they first look at their input.

use hk::DeployOptions;
use serde_json::{Value, json};
use system_tests::openwhisk::{deploy_json, document, error};

use crate::programs::{busybox_as, frozen};
use crate::{NODE, answered};

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
            let answer = answered(node, &name, format!("{line}\n").as_bytes());
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
        let answer = deploy_json(node, &format!("never-{applet}?overwrite=true"), &wanted);
        let text = error(&answer);
        assert_eq!(answer.status, 400, "{text}");
        assert!(text.contains(reason), "{text}");
    }
}
