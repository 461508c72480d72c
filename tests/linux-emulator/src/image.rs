//! The image's segments, mapped where it was linked.

use object::endian::LittleEndian;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian as LE, elf};

use crate::EmulatorError;
use crate::windows::{PAGE, map_zeroed};

/// Maps the image into this process, from which the one that runs it is forked: its entry.
pub fn map(image: &[u8]) -> Result<u64, EmulatorError> {
    let bad = |_| EmulatorError::BadImage;
    let header = elf::FileHeader64::<LittleEndian>::parse(image).map_err(bad)?;
    for program in header.program_headers(LE, image).map_err(bad)? {
        if program.p_type(LE) != elf::PT_LOAD || program.p_memsz(LE) == 0 {
            continue;
        }
        let data = program.data(LE, image).map_err(|()| EmulatorError::BadImage)?;
        let (address, len) = (program.p_vaddr(LE), program.p_memsz(LE));
        let start = address / PAGE * PAGE;
        let end = (address + len).next_multiple_of(PAGE);
        let bytes = map_zeroed(start, end - start)?;
        let at = (address - start) as usize;
        bytes[at..at + data.len()].copy_from_slice(data);
        let flags = program.p_flags(LE);
        let protection = match (flags.contains(elf::PF_W), flags.contains(elf::PF_X)) {
            (true, _) => libc::PROT_READ | libc::PROT_WRITE,
            (false, true) => libc::PROT_READ | libc::PROT_EXEC,
            (false, false) => libc::PROT_READ,
        };
        crate::windows::protect(start, end - start, protection)?;
    }
    Ok(header.e_entry(LE))
}
