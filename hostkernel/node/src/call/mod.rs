//! The calls an action can make: numbers and arguments in, a result or the end out.
//!
//! Arguments are claims until they were checked against the instance's own address space; the
//! checks and the copies are [`memory`]'s. Nothing here can fail in a way that is not the
//! action's.

pub mod crash;
mod exit;
mod flush;
mod host;
mod hosted;
mod log;
mod map;
mod protect;
mod unmap;
mod write;

use action_abi::{Call, CallError};

pub use hosted::{Host, Request};

use crate::dispatch::{End, Log};
use crate::registry::Limits;
use memory::Protection;
use memory::physical::speculation_barrier;
use memory::{AddressSpace, PageBuffer, Refusal};

/// One running invocation as its calls see it.
#[derive(Debug)]
pub struct Instance {
    /// Its memory.
    pub space: AddressSpace,
    /// What it logged.
    pub log: Log,
    /// What it may use.
    pub limits: Limits,
    /// The time by the wall clock, for its log: nanoseconds since 1970-01-01 UTC, or 0.
    pub clock: fn() -> u64,
    /// Bytes of the output window that `write` filled.
    pub written: u64,
    /// Its result, once it exited.
    pub output: PageBuffer,
    /// What only host images have.
    pub host: Option<Host>,
}

/// What happens after a call.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// The action goes on with this result.
    Resume(u64),
    /// The invocation is over.
    End(End),
    /// The action goes on; so much of its result may leave.
    Flush {
        /// From its beginning on, in bytes.
        len: u64,
    },
    /// The action goes on once its core did this.
    Machine(Request),
}

/// Serves call `number`.
pub fn serve(instance: &mut Instance, number: u64, arguments: [u64; 4]) -> After {
    let [a, b, c, _] = arguments;
    let call = Call::from_number(number);
    // The next branch is indexed by the number.
    speculation_barrier();
    let result = match call {
        None => crash::serve(number, a),
        Some(Call::Exit) => return After::End(exit::exit(instance, a, b)),
        Some(Call::Log) => log::log(instance, a, b, c),
        Some(Call::Write) => write::write(instance, a, b),
        Some(Call::Map) => map::map(instance, a, b),
        Some(Call::Unmap) => unmap::unmap(instance, a, b),
        Some(Call::Protect) => protect::protect(instance, a, b, c),
        Some(Call::Flush) => match flush::flush(instance, a) {
            Ok(after) => return after,
            Err(error) => Err(error),
        },
        Some(call) => match host::serve(instance, call, arguments) {
            Ok(after) => return after,
            Err(error) => Err(error),
        },
    };
    After::Resume(result.unwrap_or_else(CallError::to_result))
}

fn refused(refusal: Refusal) -> CallError {
    match refusal {
        Refusal::NotAllowed | Refusal::StackOverflow => CallError::BadAddress,
        Refusal::OutOfMemory => CallError::OutOfMemory,
        Refusal::BadRange => CallError::BadArgument,
        Refusal::TooManyRegions | Refusal::TooManyStages => CallError::LimitReached,
    }
}

/// Bits of which host images know one more: no access at all.
fn protection_or_none(bits: u64) -> Result<Option<Protection>, CallError> {
    if bits == action_abi::protection::NONE { Ok(None) } else { protection(bits).map(Some) }
}

fn protection(bits: u64) -> Result<Protection, CallError> {
    use action_abi::protection::{EXECUTE, READ, WRITE};
    match bits {
        READ => Ok(Protection::Read),
        bits if bits | READ == READ | WRITE => Ok(Protection::ReadWrite),
        bits if bits | READ == READ | EXECUTE => Ok(Protection::ReadExecute),
        _ => Err(CallError::BadArgument),
    }
}

#[cfg(test)]
mod tests;
