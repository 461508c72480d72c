//! What an executable's headers say (System V gABI, chapters 4 and 5).
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian as LE, elf};

use super::reject::Reject;
use crate::limits::PROGRAM_HEADERS_MAX;
use crate::memory::ADDRESS_END;
use crate::memory::regions::{PAGE, Protection};
use crate::memory::values::PATH_LEN_MAX;

/// A part of the file and of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it goes, before a base is added.
    pub address: u64,
    /// Bytes in memory.
    pub memory_len: u64,
    /// Where it is in the file.
    pub offset: u64,
    /// Bytes in the file; the rest is zero.
    pub file_len: u64,
    /// What the program may do with it.
    pub protection: Protection,
}

/// An executable that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable<'f> {
    /// Its parts.
    pub segments: Vec<Segment>,
    /// Where it begins, before a base is added.
    pub entry: u64,
    /// Where its program headers will be in memory.
    pub headers: u64,
    /// How many there are.
    pub header_count: u64,
    /// It can be anywhere, at multiples of this; otherwise its addresses are final.
    pub movable_by: Option<u64>,
    /// What loads it and its libraries, by its path.
    pub interpreter: Option<&'f [u8]>,
}

/// Reads the headers.
///
/// # Errors
/// [`Reject`]
pub fn parse(file: &[u8]) -> Result<Executable<'_>, Reject> {
    let header =
        elf::FileHeader64::<LittleEndian>::parse(file).map_err(|_| Reject::NotExecutable)?;
    let kind = header.e_type(LE);
    let movable = kind == elf::ET_DYN;
    if header.e_machine(LE) != elf::EM_X86_64
        || !header.is_little_endian()
        || !(movable || kind == elf::ET_EXEC)
    {
        return Err(Reject::NotExecutable);
    }
    let headers = header.program_headers(LE, file).map_err(|_| Reject::NotExecutable)?;
    if headers.len() > PROGRAM_HEADERS_MAX {
        return Err(Reject::Malformed);
    }
    let mut segments = Vec::new();
    let mut align = PAGE;
    let mut headers_address = 0;
    let mut interpreter = None;
    for program in headers {
        match program.p_type(LE) {
            elf::PT_INTERP => interpreter = Some(name(program, file)?),
            elf::PT_LOAD if program.p_memsz(LE) > 0 => {
                let segment = segment(program, file)?;
                align = align.max(program.p_align(LE));
                let table = header.e_phoff(LE);
                if (segment.offset..segment.offset + segment.file_len).contains(&table) {
                    headers_address = segment.address + (table - segment.offset);
                }
                segments.push(segment);
            }
            _ => {}
        }
    }
    check(&segments, header.e_entry(LE))?;
    if !align.is_power_of_two() {
        return Err(Reject::Malformed);
    }
    Ok(Executable {
        segments,
        entry: header.e_entry(LE),
        headers: headers_address,
        header_count: headers.len() as u64,
        movable_by: movable.then_some(align),
        interpreter,
    })
}

/// The name of the interpreter that a program asks for.
fn name<'f>(
    header: &elf::ProgramHeader64<LittleEndian>,
    file: &'f [u8],
) -> Result<&'f [u8], Reject> {
    let name = header.data(LE, file).map_err(|()| Reject::Malformed)?;
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    if name.is_empty() || name.len() >= PATH_LEN_MAX as usize {
        return Err(Reject::Malformed);
    }
    Ok(name)
}

fn segment(header: &elf::ProgramHeader64<LittleEndian>, file: &[u8]) -> Result<Segment, Reject> {
    let (address, offset) = (header.p_vaddr(LE), header.p_offset(LE));
    let (memory_len, file_len) = (header.p_memsz(LE), header.p_filesz(LE));
    let end = address.checked_add(memory_len).ok_or(Reject::Malformed)?;
    let file_end = offset.checked_add(file_len).ok_or(Reject::Malformed)?;
    if file_len > memory_len || address % PAGE != offset % PAGE {
        return Err(Reject::Malformed);
    }
    if file_end > file.len() as u64 {
        return Err(Reject::NotExecutable);
    }
    if end > ADDRESS_END {
        return Err(Reject::BadAddress);
    }
    let flags = header.p_flags(LE);
    let protection = match (flags.contains(elf::PF_W), flags.contains(elf::PF_X)) {
        (true, true) => return Err(Reject::WritableAndExecutable),
        (true, false) => Protection::WRITE,
        (false, true) => Protection::EXECUTE,
        (false, false) => Protection::READ,
    };
    Ok(Segment { address, memory_len, offset, file_len, protection })
}

/// Segments ascend, and the first instruction is in one of them.
fn check(segments: &[Segment], entry: u64) -> Result<(), Reject> {
    if segments.is_empty() {
        return Err(Reject::Malformed);
    }
    let pages_end = |segment: &Segment| (segment.address + segment.memory_len).div_ceil(PAGE);
    for pair in segments.windows(2) {
        // Two protections cannot share a page.
        if pages_end(&pair[0]) > pair[1].address / PAGE {
            return Err(Reject::Malformed);
        }
    }
    let runs = |segment: &Segment| {
        segment.protection == Protection::EXECUTE
            && entry.checked_sub(segment.address).is_some_and(|at| at < segment.memory_len)
    };
    if segments.iter().any(runs) { Ok(()) } else { Err(Reject::Malformed) }
}

#[cfg(test)]
mod tests;
