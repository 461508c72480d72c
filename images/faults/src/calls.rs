//! Calls with arguments that mean nothing, and results that are none.

use action_abi::prelude::*;
use action_abi::runtime::call;
use action_abi::{Call, CallError};

use crate::Misbehave;

/// No call has this number.
const UNKNOWN_CALL: u64 = 0xFFFF;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("call", |input| make(input.number, input.arguments)),
    ("unknown-call", |_| make(UNKNOWN_CALL, [0; 3])),
    ("map-writable-executable", |_| make(Call::Map as u64, [1, 7, 0])),
    ("exit-status", |input| call::exit(input.status)),
    ("exit-past-window", |_| call::exit_with_output(call::STATUS_OK, usize::MAX)),
    ("no-result", |_| call::exit(call::STATUS_OK)),
    ("bad-json", |_| answer(b"this is not JSON")),
    ("not-utf8", |_| answer(b"\xFF\xFE\x00")),
    ("panic", |_| panic!("asked to")),
];

/// Makes any call; returns `{"result":…}` or `{"call_error":…,"number":…}`.
fn make(number: u64, arguments: [u64; 3]) -> Option<Value> {
    // SAFETY: at worst the test takes away memory in use, which is its own affair.
    let result = unsafe { call::raw(number, arguments) };
    Some(match CallError::check(result) {
        Ok(result) => json!({ "result": result }),
        Err(error) => json!({ "call_error": format!("{error:?}"), "number": error as i64 }),
    })
}

/// Ends with these bytes as the result.
fn answer(bytes: &[u8]) -> Option<Value> {
    if let Err(error) = call::write(bytes) {
        return Some(json!({ "call_error": format!("{error:?}") }));
    }
    call::exit(call::STATUS_OK)
}
