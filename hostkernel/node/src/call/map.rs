//! `map(len, protection)`: zeroed memory, at an address of the kernel's choice.

use action_abi::CallError;

use super::{Instance, protection, refused};

pub(super) fn map(instance: &mut Instance, len: u64, bits: u64) -> Result<u64, CallError> {
    instance.space.map(len, protection(bits)?).map_err(refused)
}
