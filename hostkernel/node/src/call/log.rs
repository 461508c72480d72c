//! `log(address, len, stream)`: appends to the invocation's log, line by line.
//!
//! What is over the bound is dropped, not refused: a chatty action still does its work. The result
//! is the number of bytes kept.

use action_abi::{CallError, Stream as Number};

use super::{Instance, refused};
use crate::dispatch::log::Stream;

pub(super) fn log(
    instance: &mut Instance,
    address: u64,
    len: u64,
    stream: u64,
) -> Result<u64, CallError> {
    let stream = match stream {
        stream if stream == Number::Stdout as u64 => Stream::Stdout,
        stream if stream == Number::Stderr as u64 => Stream::Stderr,
        _ => return Err(CallError::BadArgument),
    };
    let Instance { space, log, limits, clock, .. } = instance;
    if limits.logs_mb == 0 {
        return Ok(0);
    }
    // One call may not cost more than a whole log: what does not fit is not even looked at.
    let taken = len.min(log.room() as u64);
    log.truncated |= taken < len;
    // Before it is appended, so that the last line ends whatever becomes of the rest.
    let truncated = core::mem::take(&mut log.truncated);
    let mut writer = log.writer(stream, clock());
    let read = space.read(address, taken, |bytes| {
        writer.push(bytes);
        Ok(())
    });
    let kept = writer.finish();
    log.truncated |= truncated;
    read.map_err(refused)?;
    Ok(kept as u64)
}
