//! `map(len, protection)`: zeroed memory, at an address of the kernel's choice.

use action_abi::CallError;

use super::{Instance, protection, protection_or_none, refused};

pub(super) fn map(instance: &mut Instance, len: u64, bits: u64) -> Result<u64, CallError> {
    let protection = match instance.host {
        Some(_) => protection_or_none(bits)?,
        None => Some(protection(bits)?),
    };
    instance.space.map(len, protection).map_err(refused)
}
