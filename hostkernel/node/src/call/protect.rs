//! `protect(address, len, protection)`: changes what may be done with mapped memory.

use action_abi::CallError;

use super::{Instance, protection, protection_or_none, refused};

pub(super) fn protect(
    instance: &mut Instance,
    address: u64,
    len: u64,
    bits: u64,
) -> Result<u64, CallError> {
    let Instance { space, host, .. } = instance;
    let changed = match host {
        Some(_) => space.protect_any(address, len, protection_or_none(bits)?),
        None => space.protect(address, len, protection(bits)?),
    };
    changed.map_err(refused)?;
    Ok(0)
}
