//! `protect(address, len, protection)`: changes what may be done with mapped memory.

use action_abi::CallError;

use super::{Instance, protection, refused};

pub(super) fn protect(
    instance: &mut Instance,
    address: u64,
    len: u64,
    bits: u64,
) -> Result<u64, CallError> {
    instance.space.protect(address, len, protection(bits)?).map_err(refused)?;
    Ok(0)
}
