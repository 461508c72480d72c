//! `write(address, len)`: appends to the result, by copying into the output window.

use action_abi::CallError;

use super::{Instance, refused};

pub(super) fn write(instance: &mut Instance, address: u64, len: u64) -> Result<u64, CallError> {
    let window = instance.space.output_range();
    let end = instance.written.checked_add(len).filter(|end| *end <= window.len);
    let end = end.ok_or(CallError::LimitReached)?;
    let target = window.address + instance.written;
    instance.space.copy_within(address, target, len).map_err(refused)?;
    instance.written = end;
    Ok(len)
}
