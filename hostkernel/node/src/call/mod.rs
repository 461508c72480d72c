//! The calls an action can make: numbers and arguments in, a result or the end out.
//!
//! Arguments are claims until they were checked against the instance's own address space; the
//! checks and the copies are [`memory`]'s. Nothing here can fail in a way that is not the
//! action's.

pub mod crash;
mod exit;
mod log;
mod map;
mod protect;
mod unmap;
mod write;

use action_abi::{Call, CallError};

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
}

/// What happens after a call.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// The action goes on with this result.
    Resume(u64),
    /// The invocation is over.
    End(End),
}

/// Serves call `number`.
pub fn serve(instance: &mut Instance, number: u64, arguments: [u64; 3]) -> After {
    let [a, b, c] = arguments;
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
        // For host images only, of which there are none yet.
        Some(_) => Err(CallError::UnknownCall),
    };
    After::Resume(result.unwrap_or_else(CallError::to_result))
}

fn refused(refusal: Refusal) -> CallError {
    match refusal {
        Refusal::NotAllowed | Refusal::StackOverflow => CallError::BadAddress,
        Refusal::OutOfMemory => CallError::OutOfMemory,
        Refusal::BadRange => CallError::BadArgument,
        Refusal::TooManyRegions => CallError::LimitReached,
    }
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
