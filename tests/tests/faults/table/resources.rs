//! Taking more than one's share: time, log, result, memory, mappings.

use serde_json::json;

use super::{Line, cases as lines};
use crate::attack::{BRIEF, Case};

const MEMORY: &str = "memory limit of 32 MB exceeded";
/// Of the action with the shortest run time.
const DEADLINE: &str = "deadline of 100 ms exceeded*";

/// Refused or ended by a limit other than the deadline, or within all limits.
const KINDS: &[Line] = &[
    ("endless-log", &["exit status 3"]),
    ("endless-output", &["exit status 3"]),
    ("eat-memory", &[MEMORY]),
    ("touch-limit", &[r#"{"limit":33554432,"touched":33488896}"#]),
    ("endless-allocation", &[MEMORY]),
    ("out-of-heap", &["exit status 101"]),
    ("map-until-refused", &[r#"{"call_error":"LimitReached","count":*}"#]),
    ("unmap-at-the-bound", &[r#"{"refused":0}"#]),
    ("map-storm", &[r#"{"rounds":10000}"#]),
];

/// Ended by the deadline and nothing else.
const ENDLESS: &[&str] = &[
    "endless-loop",
    "endless-pause",
    "endless-without-interrupts",
    "endless-odd-flags",
    "endless-without-stack",
    "endless-kernel-stack",
    "endless-mov-ss",
    "endless-rep",
    "endless-unknown-call",
    "endless-fs-load",
    "endless-logging",
    "endless-writing",
    "endless-faults",
    "endless-protect",
];

/// How long before its deadline an action exits, in microseconds. Which comes first depends, also
/// on the computer that emulates; nothing else may come of it. No limit shorter than 100 ms can be
/// asked for; what happens if none of it is left at entry is the in-kernel test `late_deadline`.
const EXITS_US: [u64; 8] = [50_000, 1_000, 300, 100, 30, 10, 3, 0];
const EXITED: &str = r#"{"exited":0}"#;

pub fn cases() -> Vec<Case> {
    let endless = ENDLESS.iter().map(|kind| Case::kind(kind, &[DEADLINE]).by(BRIEF));
    let exits = EXITS_US.iter().map(|before_us| {
        let input = json!({ "kind": "exit-at-deadline", "number": before_us * 1000 });
        Case::new(format!("exit {before_us} us before the deadline"), input, &[EXITED, DEADLINE])
            .by(BRIEF)
    });
    lines(KINDS).chain(endless).chain(exits).collect()
}
