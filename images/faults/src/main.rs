//! `{"kind":"read-null"}`: misbehaves on request, so that tests can assert what becomes of it.
//!
//! [`KINDS`] lists everything it can do; `{"kind":"list"}` returns the names. A kind that the
//! kernel should have stopped, and did not, answers `{"survived":"<kind>"}`.
//!
//! This is the one action with `unsafe` code. Its purpose is to break rules, so its `SAFETY`
//! comments say what the kernel is expected to do about it, or why nothing of the program itself is
//! harmed should it get away with it.

#![no_std]
#![no_main]

use action_abi::prelude::*;
use action_abi::runtime::entry;

mod calls;
mod code;
mod endless;
mod hosted;
mod instructions;
mod memory;
mod padding;
mod resources;
mod state;
mod sweep;

/// What to do, and its parameters; a kind ignores those that do not concern it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct In {
    kind: String,
    /// `exit-status`: the status.
    status: u32,
    /// `read`, `write`, `execute`: where.
    address: u64,
    /// `call`, `sweep-call`: its number; `far-return`, `load-fs`: a selector; `exit-at-deadline`:
    /// how long before it, in nanoseconds.
    number: u64,
    /// `call`: its arguments.
    arguments: [u64; 3],
    /// `code`: machine code in hexadecimal, run as a function.
    code: String,
}

/// Does one kind of harm. `None` means that it was survived and there is nothing else to report.
type Misbehave = fn(&In) -> Option<Value>;

/// Every kind of misbehaviour, by module; those of [`instructions`] are in several tables.
const KINDS: &[&[(&str, Misbehave)]] = &[
    memory::KINDS,
    code::KINDS,
    calls::KINDS,
    sweep::KINDS,
    resources::KINDS,
    endless::KINDS,
    state::KINDS,
    padding::KINDS,
];

fn faults(input: In) -> Result<Value, String> {
    let kinds = || KINDS.iter().chain(&instructions::KINDS).copied().flatten();
    if input.kind == "list" {
        return Ok(kinds().map(|(name, _)| *name).collect());
    }
    let (name, misbehave) = kinds()
        .find(|(name, _)| *name == input.kind)
        .ok_or_else(|| format!("unknown kind {:?}", input.kind))?;
    Ok(misbehave(&input).unwrap_or_else(|| json!({ "survived": name })))
}

action_abi::support!();

/// Called by `state::_start`, which has recorded the registers by then.
///
/// # Safety
/// Only for `_start`, with the kernel's context.
unsafe extern "C" fn run(context: *const action_abi::Context) -> ! {
    // SAFETY: the caller passes on what the kernel left in rdi, and runs once.
    unsafe { hosted::begin(context) };
    // SAFETY: as above.
    unsafe { entry::start(context, action_abi::json_body!(faults)) }
}
