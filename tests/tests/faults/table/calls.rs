//! Calls that mean nothing, and results that are none.

use serde_json::json;

use super::{Line, cases as lines};
use crate::attack::Case;

const NO_OBJECT: &str =
    "The action did not produce a valid JSON response: a JSON object was expected: *";
const BAD_ADDRESS: &str = r#"{"call_error":"BadAddress","number":2}"#;
const BAD_ARGUMENT: &str = r#"{"call_error":"BadArgument","number":3}"#;
const OUT_OF_MEMORY: &str = r#"{"call_error":"OutOfMemory","number":4}"#;
const LIMIT_REACHED: &str = r#"{"call_error":"LimitReached","number":5}"#;
const UNKNOWN_CALL: &str = r#"{"call_error":"UnknownCall","number":1}"#;
const KERNEL: u64 = 0xffff_ffff_8000_0000;
const STACK: u64 = 0x80_0000_1000;

const KINDS: &[Line] = &[
    ("unknown-call", &[UNKNOWN_CALL]),
    // Hundreds of numbers, with every odd value in all three arguments.
    ("sweep-unknown-calls", &[r#"{"calls":*,"known":0}"#]),
    ("map-writable-executable", &[BAD_ARGUMENT]),
    ("exit-past-window", &["result of * bytes exceeds the limit of 1048576 bytes"]),
    ("no-result", &[NO_OBJECT]),
    ("bad-json", &["*a JSON object was expected: this is not JSON"]),
    ("not-utf8", &["The action did not produce a valid JSON response: it is not UTF-8: *"]),
    ("panic", &["exit status 101"]),
];

/// A call with its three arguments, and what comes back.
const CALLS: &[(&str, u64, [u64; 3], &str)] = &[
    ("exit, longest result", 0, [0, 1 << 20, 0], NO_OBJECT),
    ("exit, result too long", 0, [0, (1 << 20) + 1, 0], "result of 1048577 bytes exceeds *"),
    ("exit, result of 2^64 - 1", 0, [0, u64::MAX, 0], "result of 18446744073709551615 bytes *"),
    ("exit, status 2^32", 0, [1 << 32, 0, 0], NO_OBJECT),
    ("exit, status -1", 0, [u64::MAX, 0, 0], "exit status -1"),
    ("exit, kernel address", 0, [KERNEL, KERNEL, KERNEL], "result of 18446744071562067968 bytes *"),
    ("log kernel", 1, [KERNEL, 8, 1], BAD_ADDRESS),
    ("log null", 1, [0, 1, 1], BAD_ADDRESS),
    ("log wrapping", 1, [u64::MAX - 7, 16, 1], BAD_ADDRESS),
    ("log across the stack's end", 1, [0x80_0010_0000 - 1, 2, 1], BAD_ADDRESS),
    ("log to no stream", 1, [STACK, 8, 3], BAD_ARGUMENT),
    ("write kernel", 2, [KERNEL, 8, 0], BAD_ADDRESS),
    ("write null", 2, [0, 1, 0], BAD_ADDRESS),
    ("write wrapping", 2, [u64::MAX - 7, 16, 0], BAD_ADDRESS),
    ("write too much", 2, [STACK, (1 << 20) + 1, 0], LIMIT_REACHED),
    ("write 2^64 - 1", 2, [STACK, u64::MAX, 0], LIMIT_REACHED),
    ("map nothing", 3, [0, 3, 0], BAD_ARGUMENT),
    ("map without rights", 3, [1, 0, 0], BAD_ARGUMENT),
    ("map with unknown rights", 3, [1, 8, 0], BAD_ARGUMENT),
    ("map 2^64 - 1", 3, [u64::MAX, 3, 0], BAD_ARGUMENT),
    ("map 2^63", 3, [1 << 63, 3, 0], OUT_OF_MEMORY),
    ("map more than the limit", 3, [33 << 20, 3, 0], OUT_OF_MEMORY),
    ("unmap null", 4, [0, 4096, 0], BAD_ARGUMENT),
    ("unmap stack", 4, [STACK, 4096, 0], BAD_ARGUMENT),
    ("unmap kernel", 4, [KERNEL, 4096, 0], BAD_ARGUMENT),
    ("unmap wrapping", 4, [0xffff_ffff_ffff_f000, 8192, 0], BAD_ARGUMENT),
    ("protect text", 5, [0x40_0000, 4096, 3], BAD_ARGUMENT),
    ("protect stack", 5, [STACK, 4096, 5], BAD_ARGUMENT),
    ("protect kernel", 5, [KERNEL, 4096, 3], BAD_ARGUMENT),
    // A host's own calls are not the program's: without a host the kernel says so, with one it
    // does, whom every call of the program goes to.
    ("map_at of a host", 6, [0x7f00_0000_0000, 4096, 0], UNKNOWN_CALL),
    ("reflect of a host", 9, [STACK, 0, 0], UNKNOWN_CALL),
    ("freeze of a host", 10, [0, 0, 0], UNKNOWN_CALL),
];

/// What every combination of odd arguments comes to, for each call.
const SWEPT: &[(&str, u64, &str)] = &[
    ("every odd log", 1, r#"["Ok","BadAddress","BadArgument"]"#),
    ("every odd write", 2, r#"["Ok","BadAddress","LimitReached"]"#),
    ("every odd map", 3, r#"["Ok","BadArgument","OutOfMemory"]"#),
    ("every odd unmap", 4, r#"["Ok","BadArgument"]"#),
    ("every odd protect", 5, r#"["Ok","BadArgument"]"#),
];

pub fn cases() -> Vec<Case> {
    let calls = CALLS.iter().map(|(name, number, arguments, way)| {
        let input = json!({ "kind": "call", "number": number, "arguments": arguments });
        Case::new(*name, input, &[way])
    });
    let swept = SWEPT.iter().map(|(name, number, way)| {
        let way = format!(r#"{{"calls":21952,"results":{way}}}"#);
        Case::new(*name, json!({ "kind": "sweep-call", "number": number }), &[&way])
    });
    lines(KINDS).chain(calls).chain(swept).collect()
}
