//! `log(address, len, stream)`: appends to the invocation's log, line by line.
//!
//! What is over the bound is dropped, not refused: a chatty action still does its work. The result
//! is the number of bytes kept.

use action_abi::{CallError, Stream};

use super::{Instance, refused};
use crate::config::LOG_LEN_MAX;
use crate::dispatch::Log;

pub(super) fn log(
    instance: &mut Instance,
    address: u64,
    len: u64,
    stream: u64,
) -> Result<u64, CallError> {
    let mark = match stream {
        stream if stream == Stream::Stdout as u64 => Log::STDOUT,
        stream if stream == Stream::Stderr as u64 => Log::STDERR,
        _ => return Err(CallError::BadArgument),
    };
    let Instance { space, log, .. } = instance;
    // One call may not cost more than a whole log: what does not fit is not even looked at.
    let room = LOG_LEN_MAX.saturating_sub(log.text.len()) as u64;
    let taken = len.min(room);
    log.truncated |= taken < len;
    let mut at_line_start = true;
    let mut out_of_memory = false;
    space
        .read(address, taken, |bytes| {
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let start: &[u8] = if at_line_start { &[mark] } else { &[] };
                let appended = log.text.append(start).and_then(|()| log.text.append(line));
                out_of_memory |= appended.is_err();
                at_line_start = line.ends_with(b"\n");
            }
            Ok(())
        })
        .map_err(refused)?;
    if !at_line_start {
        out_of_memory |= log.text.append(b"\n").is_err();
    }
    log.truncated |= out_of_memory;
    Ok(taken)
}
