//! `unmap(address, len)`: gives back what `map` gave; in a host image, whatever there is.

use action_abi::CallError;

use super::{Instance, refused};

pub(super) fn unmap(instance: &mut Instance, address: u64, len: u64) -> Result<u64, CallError> {
    let Instance { space, host, .. } = instance;
    let unmapped = match host {
        Some(_) => space.unmap_any(address, len),
        None => space.unmap(address, len),
    };
    unmapped.map_err(refused)?;
    Ok(0)
}
