//! Jumps, calls and returns to other code segments.
//!
//! These run on a processor without SMAP: with it, QEMU before 9.1 reads the stack of `retf` and
//! `iretq` as ring 0 would, and is refused.

use serde_json::json;

use super::instructions::{FLAGS_LEFT, SELECTOR_MAX};
use super::{DEBUG, GENERAL_PROTECTION, Line, SURVIVED, cases as lines};
use crate::attack::Case;

/// The action's own code segment. There is no other one for ring 3, and none with 32 bits.
const USER_CODE: u64 = 0x23;

const KINDS: &[Line] = &[
    ("far-jump-kernel", &[GENERAL_PROTECTION]),
    ("far-jump-null", &[GENERAL_PROTECTION]),
    ("far-jump-task", &[GENERAL_PROTECTION]),
    ("far-call-kernel", &[GENERAL_PROTECTION]),
    ("far-call-data", &[GENERAL_PROTECTION]),
    ("iretq-own", &[SURVIVED]),
    ("iretq-kernel", &[GENERAL_PROTECTION]),
    ("iretq-kernel-code", &[GENERAL_PROTECTION]),
    ("iretq-kernel-stack", &[GENERAL_PROTECTION]),
    ("iretq-null-code", &[GENERAL_PROTECTION]),
    ("iretq-null-stack", &[GENERAL_PROTECTION]),
    ("iretq-data-as-code", &[GENERAL_PROTECTION]),
    ("iretq-task-as-code", &[GENERAL_PROTECTION]),
    ("iretq-non-canonical", &[GENERAL_PROTECTION]),
    ("iretq-into-kernel", &["page fault executing 0xffffffff80000000 at 0xffffffff80000000"]),
    ("iretq-trap-flag", &[DEBUG]),
    ("iretq-nested-task", &[GENERAL_PROTECTION]),
    ("iretq-all", &[FLAGS_LEFT]),
];

pub fn cases() -> Vec<Case> {
    let far_returns = (0..=SELECTOR_MAX).map(|selector| {
        let way = if selector == USER_CODE { SURVIVED } else { GENERAL_PROTECTION };
        let input = json!({ "kind": "far-return", "number": selector });
        Case::new(format!("far-return {selector:#x}"), input, &[way])
    });
    lines(KINDS).chain(far_returns).collect()
}
