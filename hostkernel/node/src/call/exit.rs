//! `exit(status, output_len)`: the end of the invocation, and its result.

use super::Instance;
use crate::dispatch::{End, Fault};
use memory::Refusal;

pub(super) fn exit(instance: &mut Instance, status: u64, output_len: u64) -> End {
    let len = if instance.written > 0 { instance.written } else { output_len };
    match instance.space.take_output(len) {
        Ok(output) => {
            instance.output = output;
            // The status is an `int`: its low half.
            End::Exit(status as i32)
        }
        Err(Refusal::OutOfMemory) => {
            End::Fault(Fault::Memory { memory_mb: instance.limits.memory_mb, address: 0 })
        }
        Err(_) => {
            let max = instance.space.output_range().len;
            End::Fault(Fault::ResultTooLong { len, max })
        }
    }
}
