//! Every call with every combination of odd arguments.

use action_abi::prelude::*;
use action_abi::protection::{READ, WRITE};
use action_abi::runtime::call;
use action_abi::{Call, CallError, PAGE_LEN};

use crate::Misbehave;

pub const KINDS: &[(&str, Misbehave)] = &[
    ("sweep-call", |input| sweep_call(input.number)),
    ("sweep-unknown-calls", |_| Some(sweep_unknown_calls())),
];

const PAGE: u64 = PAGE_LEN as u64;
/// Pages of the mapping that some arguments point to.
const SCRATCH_PAGES: u64 = 4;
/// All numbers up to this one are tried, and some beyond it.
const NUMBER_MAX: u64 = 300;
/// What can become of a call: a value, one of five errors, or what the contract does not know.
const RESULTS: [&str; 7] = [
    "Ok",
    "UnknownCall",
    "BadAddress",
    "BadArgument",
    "OutOfMemory",
    "LimitReached",
    "something else",
];
/// Results at or above this one are negative numbers, which only errors are.
const NEGATIVE: u64 = 1 << 63;

/// Odd values for any argument. Addresses the kernel must refuse come first: they are tried before
/// those it accepts have filled log and result.
fn shapes(scratch: u64) -> [u64; 28] {
    let context = context();
    [
        0xFFFF_FFFF_8000_0000,
        0xFFFF_FFFF_C000_3000,
        0xFFFF_8000_0000_0000,
        0x0000_8000_0000_0000,
        0x8000_0000_0000_0000,
        0x0000_0100_0000_0000,
        u64::MAX,
        u64::MAX - 7,
        0_u64.wrapping_sub(PAGE),
        1 << 46,
        1 << 32,
        PAGE - 1,
        PAGE,
        PAGE + 1,
        0,
        1,
        2,
        4,
        7,
        // From here on: the action's own.
        crate::faults as *const () as u64,
        &raw const *context as u64,
        context.input.address,
        context.output.address,
        context.output.address + context.output.len - 1,
        context.stack.address,
        context.heap.address + context.heap.len,
        scratch + 1,
        scratch,
    ]
}

/// Makes one call with every combination; returns how often, and what it came to.
fn sweep_call(number: u64) -> Option<Value> {
    let mut counts = [0_u64; RESULTS.len()];
    let mut written = 0;
    let mut scratch = fresh()?;
    for first in 0..shapes(0).len() {
        for second in 0..shapes(0).len() {
            for third in 0..shapes(0).len() {
                let shapes = shapes(scratch);
                let arguments = [shapes[first], shapes[second], shapes[third]];
                let result = make(number, arguments);
                let kind = kind(result);
                counts[kind] += 1;
                if kind > 0 {
                    continue;
                }
                if number == Call::Write as u64 {
                    written += result;
                } else if number == Call::Map as u64 {
                    make(Call::Unmap as u64, [result, arguments[0], 0]);
                } else if number == Call::Unmap as u64 {
                    let pages = (0..SCRATCH_PAGES).map(|page| scratch + page * PAGE);
                    for page in pages {
                        make(Call::Unmap as u64, [page, PAGE, 0]);
                    }
                    scratch = fresh()?;
                }
            }
        }
    }
    let found = RESULTS.iter().zip(counts).filter(|(_, count)| *count > 0);
    let found: Vec<_> = found.map(|(name, _)| *name).collect();
    answer(json!({ "calls": counts.iter().sum::<u64>(), "results": found }), written)
}

/// Whether a number is a call of programs that host nothing.
fn is_known(number: &u64) -> bool {
    Call::from_number(*number).is_some_and(|call| !call.is_for_hosts())
}

/// Makes calls that do not exist; returns how many, and how many of them did something.
fn sweep_unknown_calls() -> Value {
    let (known, unknown) = (0..=NUMBER_MAX).partition::<Vec<_>, _>(is_known);
    let known_low_half = known.into_iter().map(|number| number | 1 << 32);
    let negative = (1..=NUMBER_MAX).map(|number| 0_u64.wrapping_sub(number));
    let powers = (0..u64::BITS).map(|bit| 1 << bit).filter(|number| *number > NUMBER_MAX);
    let numbers = unknown.into_iter().chain(known_low_half).chain(negative).chain(powers);
    let (mut calls, mut known) = (0_u64, 0_u64);
    for number in numbers {
        for shape in shapes(0) {
            calls += 1;
            let result = make(number, [shape; 3]);
            known += u64::from(CallError::check(result) != Err(CallError::UnknownCall));
        }
    }
    json!({ "calls": calls, "known": known })
}

fn make(number: u64, arguments: [u64; 3]) -> u64 {
    // SAFETY: calls can take away or change only what was mapped, which is scratch; what they write
    // goes to the log and the output window.
    unsafe { call::raw(number, arguments) }
}

/// Where in [`RESULTS`] a result belongs.
fn kind(result: u64) -> usize {
    match CallError::check(result) {
        Ok(value) if value < NEGATIVE => 0,
        Ok(_) => RESULTS.len() - 1,
        Err(error) => error as usize,
    }
}

/// The address of new scratch pages.
fn fresh() -> Option<u64> {
    let pages = call::map((SCRATCH_PAGES * PAGE) as usize, READ | WRITE).ok()?;
    Some(pages.cast::<u8>().as_ptr() as u64)
}

/// Ends with this result, also if calls have `written` something already: that much of the window
/// is the result then, and is overwritten, with spaces behind.
fn answer(report: Value, written: u64) -> Option<Value> {
    if written == 0 {
        return Some(report);
    }
    let mut text = report.to_string().into_bytes();
    text.resize(written as usize, b' ');
    let window = context().output.address as usize;
    let window = core::ptr::with_exposed_provenance_mut::<u8>(window);
    // SAFETY: the kernel has copied that many bytes into the window, and nothing else uses it.
    unsafe { window.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    call::exit(call::STATUS_OK)
}
