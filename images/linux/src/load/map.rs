//! An executable's segments in memory.
#![forbid(unsafe_code)]

use super::elf::{Executable, Segment};
use super::reject::Reject;
use crate::Errno;
use crate::memory::regions::{PAGE, Protection, Source};
use crate::memory::{ADDRESS_MIN, Space, is_free_to_use};
use crate::native::Native;

/// Maps the segments of an executable at this base. `file` is where it can be read: if it lies in
/// the payload at whole pages its pages are mapped, otherwise they are copied.
///
/// # Errors
/// [`Reject`]
pub fn segments(
    space: &mut Space,
    native: &mut impl Native,
    executable: &Executable<'_>,
    file: &[u8],
    base: u64,
) -> Result<(), Reject> {
    let in_payload = space.layout.payload_offset(file.as_ptr() as u64);
    for segment in &executable.segments {
        let address = segment.address.checked_add(base).ok_or(Reject::BadAddress)?;
        let start = address / PAGE * PAGE;
        let end = (address + segment.memory_len).next_multiple_of(PAGE);
        if start < ADDRESS_MIN || !is_free_to_use(start, end - start) {
            return Err(Reject::BadAddress);
        }
        let placed = Segment { address, ..*segment };
        let mapped = match in_payload {
            Some(offset) => map(space, native, &placed, offset),
            None => copy(space, native, &placed, file),
        };
        mapped.map_err(|_| Reject::NoMemory)?;
    }
    Ok(())
}

/// Maps a segment's pages of the payload, and zeroes behind them.
fn map(
    space: &mut Space,
    native: &mut impl Native,
    segment: &Segment,
    file_offset: u64,
) -> Result<(), Errno> {
    let start = segment.address / PAGE * PAGE;
    let file_end = segment.address + segment.file_len;
    let end = (segment.address + segment.memory_len).next_multiple_of(PAGE);
    let file_pages_end = match segment.file_len {
        0 => start,
        _ => file_end.next_multiple_of(PAGE),
    };
    let protection = segment.protection;
    if file_pages_end > start {
        let offset = file_offset + segment.offset / PAGE * PAGE;
        let zeroes = segment.memory_len > segment.file_len && file_end < file_pages_end;
        let first = if zeroes { Protection::WRITE } else { protection };
        space.map_payload(native, start..file_pages_end, first, offset)?;
        if zeroes {
            space.bytes_mut(file_end, file_pages_end - file_end)?.fill(0);
            space.set_protection(native, start..file_pages_end, protection)?;
        }
    }
    if end > file_pages_end {
        space.map_zeroed(native, file_pages_end..end, protection, Source::Anonymous)?;
    }
    Ok(())
}

/// Copies a segment out of the file.
fn copy(
    space: &mut Space,
    native: &mut impl Native,
    segment: &Segment,
    file: &[u8],
) -> Result<(), Errno> {
    let start = segment.address / PAGE * PAGE;
    let end = (segment.address + segment.memory_len).next_multiple_of(PAGE);
    let from = segment.offset as usize;
    let bytes = &file[from..from + segment.file_len as usize];
    space.map_zeroed(native, start..end, Protection::WRITE, Source::Anonymous)?;
    space.write(segment.address, bytes)?;
    space.set_protection(native, start..end, segment.protection)
}
