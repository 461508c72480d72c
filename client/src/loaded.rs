//! The part of a program that a node has a use for: what its program headers name.
//!
//! Behind it linkers put what debuggers read, many times its size. Who explains addresses needs
//! that, and looks for it where the program was built.

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

const LE: LittleEndian = LittleEndian;
/// Fields of an ELF header that are about sections: offset and length (System V gABI, chapter 4).
const SECTION_FIELDS: [(usize, usize); 2] = [(0x28, 8), (0x3c, 4)];

/// The program without what stands behind its segments; as it is if it cannot be read.
pub fn loaded(file: Vec<u8>) -> Vec<u8> {
    match end_of_segments(&file) {
        Some(end) if end < file.len() => without_rest(file, end),
        _ => file,
    }
}

fn end_of_segments(file: &[u8]) -> Option<usize> {
    let header = FileHeader64::<LittleEndian>::parse(file).ok()?;
    let table = header.program_headers(LE, file).ok()?;
    let table_end = header.e_phoff(LE).checked_add(size_of_val(table) as u64)?;
    let mut end = table_end.max(size_of_val(header) as u64);
    for segment in table {
        end = end.max(segment.p_offset(LE).checked_add(segment.p_filesz(LE))?);
    }
    usize::try_from(end).ok()
}

fn without_rest(mut file: Vec<u8>, end: usize) -> Vec<u8> {
    file.truncate(end);
    for (at, len) in SECTION_FIELDS {
        // The header is in front of the end.
        if let Some(field) = file.get_mut(at..at + len) {
            field.fill(0);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object, ObjectSegment};

    #[test]
    fn segments_stay_and_sections_go() {
        let file = std::env::current_exe().expect("a test program is a file");
        let whole = std::fs::read(file).expect("it can be read");
        let part = loaded(whole.clone());
        assert!(part.len() < whole.len());
        let data = |file: &[u8]| {
            let elf = object::File::parse(file).expect("an ELF file");
            let parts = elf.segments().map(|segment| segment.data().map(<[u8]>::to_vec));
            (elf.sections().count(), parts.collect::<Result<Vec<_>, _>>().expect("its segments"))
        };
        let ((many, before), (none, after)) = (data(&whole), data(&part));
        assert!(many > 0 && none == 0);
        // The first one holds the header.
        assert_eq!(before[1..], after[1..]);
        assert_eq!(loaded(part.clone()), part);
    }

    #[test]
    fn what_is_no_program_stays_as_it_is() {
        for bytes in [&b"text"[..], b"", b"\x7fELF", &[0x7f; 100]] {
            assert_eq!(loaded(bytes.to_vec()), bytes);
        }
    }
}
