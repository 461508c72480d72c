//! `flush(len)`: how much of the result may leave before the end.

use action_abi::CallError;

use super::{After, Instance};

pub(super) fn flush(instance: &Instance, len: u64) -> Result<After, CallError> {
    let len = if instance.written > 0 { instance.written } else { len };
    if len > instance.space.output_range().len {
        return Err(CallError::LimitReached);
    }
    Ok(After::Flush { len })
}
