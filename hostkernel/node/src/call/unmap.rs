//! `unmap(address, len)`: gives back what `map` gave.

use action_abi::CallError;

use super::{Instance, refused};

pub(super) fn unmap(instance: &mut Instance, address: u64, len: u64) -> Result<u64, CallError> {
    instance.space.unmap(address, len).map_err(refused)?;
    Ok(0)
}
