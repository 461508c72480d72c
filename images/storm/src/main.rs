//! `{"seed":1,"calls":100000}`: makes random calls with random arguments, and checks every answer.
//!
//! The same seed makes the same calls, so a finding can be repeated. [`model`] knows what each call
//! must answer: an error where the contract says so, else memory that is new, zeroed, and the
//! action's own until it gives it away. The first answer that is not so ends the run, and is in the
//! result as `broken`. With `"leave":true` the last call is `exit` with arguments nobody means.

#![no_std]
#![no_main]

use action_abi::prelude::*;
use action_abi::runtime::call::{STATUS_OK, exit_with_output};
use action_abi::{Call, CallError};

mod draw;
mod memory;
mod model;

use draw::Draw;
use model::Model;

/// Calls between two looks at all memory of the model.
const CALLS_PER_REVIEW: u64 = 4096;
/// Answers that are counted apart: success, and each error.
const ANSWERS: usize = 6;
/// Call numbers that are counted apart: each that is there for every image, and all others.
const NUMBERS: usize = 8;

#[derive(Deserialize)]
#[serde(default)]
struct In {
    seed: u64,
    calls: u64,
    leave: bool,
}

impl Default for In {
    fn default() -> Self {
        Self { seed: 1, calls: 10_000, leave: false }
    }
}

#[derive(Serialize)]
struct Out {
    /// Calls that were made.
    calls: u64,
    /// By call number, the last for all that do not exist: how often each answer came, success
    /// first, then the errors by number.
    answers: [[u64; ANSWERS]; NUMBERS],
    /// The first thing that was not as it must be.
    broken: Option<String>,
}

fn storm(input: In) -> Out {
    let mut draw = Draw::new(input.seed);
    let mut model = Model::new();
    let mut out = Out { calls: 0, answers: [[0; ANSWERS]; NUMBERS], broken: None };
    while out.calls < input.calls && out.broken.is_none() {
        let (number, arguments) = draw.call(&model);
        let result = memory::call(number, arguments);
        out.calls += 1;
        out.answers[row(number)][column(result)] += 1;
        let mut judged = model.judge(number, arguments, result);
        if out.calls.is_multiple_of(CALLS_PER_REVIEW) {
            judged = judged.and_then(|()| model.review());
        }
        out.broken = judged.err().map(|rule| {
            let (calls, [a, b, c]) = (out.calls, arguments);
            format!("{rule}: call {calls}, {number:#x}({a:#x}, {b:#x}, {c:#x}) = {result:#x}")
        });
    }
    if input.leave && out.broken.is_none() {
        let [status, output_len, _] = draw.arguments(&model);
        exit_with_output(status as u32, output_len as usize);
    }
    if !model.clear_result() {
        exit_with_output(STATUS_OK, 0);
    }
    out
}

fn row(number: u64) -> usize {
    match Call::from_number(number).filter(|call| !call.is_for_hosts()) {
        Some(Call::Flush) => NUMBERS - 2,
        Some(call) => call as usize,
        None => NUMBERS - 1,
    }
}

fn column(result: u64) -> usize {
    CallError::check(result).map_or_else(|error| error as usize, |_| 0)
}

action_abi::action!(storm);
