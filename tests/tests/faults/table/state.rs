//! What one invocation leaves behind, and the next one on the same core must not find.

use serde_json::{Value, json};

use super::{INVALID, SURVIVED};
use crate::attack::{Case, FAULTS, OTHERS};

/// Length of an input that fills many pages with what must not be found.
const INPUT_LEN: usize = 300_000;
/// Fills a part of the stack with the pattern of `store-secret` and ends in a fault:
/// `mov rax, "SECRET!!"; lea rdi, [rsp - 65536]; mov ecx, 8192; rep stosq; ud2`.
const KILLED: &str = "48b8534543524554212148 8dbc240000ffffb900200000f348ab0f0b";

/// Lengths by which an input is made longer, so that it ends in different places of a page.
const PADDINGS: [usize; 7] = [1, 2, 7, 3900, 4000, 4096, 70_000];

const CLEAN: &str = r#"{"dirty":[],*}"#;

/// Kinds that leave something, and for each what looks for it and finds nothing.
const PAIRS: &[(&str, &str, &[&str])] = &[
    ("dirty-state", "look-state", &[CLEAN]),
    ("pending-x87-syscall", "look-state", &[CLEAN]),
    ("pending-simd-syscall", "look-state", &[CLEAN]),
    ("own-segments", "look-state", &[CLEAN]),
    ("syscall-all", "look-state", &[CLEAN]),
    ("store-secret", "look-secret", &[r#"{"found":[]}"#]),
    ("store-secret", "look-padding", &[CLEAN]),
    // Without FSGSBASE ring 3 can neither set nor read the bases.
    ("dirty-segment-bases", "look-segment-bases", &[r#"{"fs":0,"gs":0}"#, INVALID]),
];

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::kind("dirty-state", &[r#"{"dirty":true}"#]),
        Case::kind("dirty-segment-bases", &[r#"{"dirty":true}"#, INVALID]),
        Case::kind("store-secret", &[r#"{"words":*}"#]),
        Case::new("own-segments again", json!({ "kind": "own-segments" }), &[SURVIVED]),
    ];
    let killed = json!({ "kind": "code", "code": KILLED.replace(' ', "") });
    let long = json!({ "kind": "long-input", "code": "SECRET!!".repeat(INPUT_LEN / 8) });
    for finder in [OTHERS, FAULTS] {
        for (leave, look, ways) in PAIRS {
            cases.push(pair(leave, json!({ "kind": leave }), look, finder, ways));
        }
        cases.push(pair("killed", killed.clone(), "look-secret", finder, &[r#"{"found":[]}"#]));
        for padding in PADDINGS {
            let look = json!({ "kind": "look-padding", "code": " ".repeat(padding) });
            let name = format!("look-padding by {finder}, {padding} bytes, after long-input");
            cases.push(Case::new(name, look, &[CLEAN]).by(finder).after(long.clone()));
        }
    }
    cases
}

fn pair(name: &str, leave: Value, look: &str, finder: &'static str, ways: &[&str]) -> Case {
    let name = format!("{look} by {finder} after {name}");
    Case::new(name, json!({ "kind": look }), ways).by(finder).after(leave)
}
