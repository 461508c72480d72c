//! Actions made to measure: of a chosen size, writing to a chosen number of pages, and no more.
//!
//! ```text
//! 0x0040_0000  headers, note, code, padding   read, execute
//! 0x1000_0000  zeroed pages                   read, write
//! ```

const BASE: u64 = 0x40_0000;
const DATA: u64 = 0x1000_0000;
const PAGE_LEN: u64 = 4096;
/// An ELF header and three program headers.
const HEADERS_LEN: u64 = 64 + 3 * 56;
/// Version 1 of the contract, as `action-abi` defines it.
const NOTE: &[u8; 28] = b"\x0b\0\0\0\x04\0\0\0\x01\0\0\0hostkernel\0\0\x01\0\0\0";
/// `xor eax, eax; xor edi, edi; xor esi, esi; syscall`: exit, successfully and without output.
const EXIT: [u8; 8] = [0x31, 0xC0, 0x31, 0xFF, 0x31, 0xF6, 0x0F, 0x05];
/// Kinds of program headers, and their permissions.
const LOAD: u32 = 1;
const NOTES: u32 = 4;
const READ: u32 = 4;
const READ_WRITE: u32 = 6;
const READ_EXECUTE: u32 = 5;

/// A part of the image.
struct Segment {
    kind: u32,
    permissions: u32,
    offset: u64,
    address: u64,
    file_len: u64,
    memory_len: u64,
    align: u64,
}

/// An ELF file of at least `len` bytes, all of them loaded, that writes to `pages` zeroed pages,
/// one byte each, and exits.
#[must_use]
pub fn image(len: usize, pages: u32) -> Vec<u8> {
    let code = code(pages);
    let code_offset = HEADERS_LEN + NOTE.len() as u64;
    let len = len.max(code_offset as usize + code.len());
    let text = Segment {
        kind: LOAD,
        permissions: READ_EXECUTE,
        offset: 0,
        address: BASE,
        file_len: len as u64,
        memory_len: len as u64,
        align: PAGE_LEN,
    };
    let data = Segment {
        kind: LOAD,
        permissions: READ_WRITE,
        offset: 0,
        address: DATA,
        file_len: 0,
        memory_len: u64::from(pages.max(1)) * PAGE_LEN,
        align: PAGE_LEN,
    };
    let note = Segment {
        kind: NOTES,
        permissions: READ,
        offset: HEADERS_LEN,
        address: BASE + HEADERS_LEN,
        file_len: NOTE.len() as u64,
        memory_len: NOTE.len() as u64,
        align: 4,
    };
    let mut file = header(BASE + code_offset);
    for segment in [text, data, note] {
        segment.append(&mut file);
    }
    file.extend(NOTE);
    file.extend(code);
    file.resize(len, 0);
    file
}

/// The instructions.
fn code(pages: u32) -> Vec<u8> {
    let mut code = Vec::new();
    if pages > 0 {
        code.push(0xB9); // mov ecx, pages
        code.extend(pages.to_le_bytes());
        code.push(0xBF); // mov edi, DATA
        code.extend((DATA as u32).to_le_bytes());
        code.extend([0xC6, 0x07, 0x01]); // again: mov byte ptr [rdi], 1
        code.extend([0x48, 0x81, 0xC7, 0x00, 0x10, 0x00, 0x00]); // add rdi, 4096
        code.extend([0xFF, 0xC9, 0x75, 0xF2]); // dec ecx; jnz again
    }
    code.extend(EXIT);
    code
}

/// The ELF header of an executable with three program headers and no section headers.
fn header(entry: u64) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend([2, 0, 62, 0, 1, 0, 0, 0]); // executable, x86-64, version
    header.extend(entry.to_le_bytes());
    header.extend(64_u64.to_le_bytes()); // program headers
    header.extend([0; 12]); // section headers, flags
    header.extend([64, 0, 56, 0, 3, 0, 64, 0, 0, 0, 0, 0]); // sizes and numbers of headers
    header
}

impl Segment {
    fn append(&self, file: &mut Vec<u8>) {
        file.extend(self.kind.to_le_bytes());
        file.extend(self.permissions.to_le_bytes());
        let Self { offset, address, file_len, memory_len, align, .. } = *self;
        for word in [offset, address, address, file_len, memory_len, align] {
            file.extend(word.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSegment};

    use super::*;

    #[test]
    fn an_elf_reader_finds_the_segments_and_the_code() {
        let file = image(64 << 10, 7);
        assert_eq!(file.len(), 64 << 10);
        let elf = object::File::parse(&*file).expect("an ELF file");
        let segments: Vec<_> = elf.segments().map(|it| (it.address(), it.size())).collect();
        assert_eq!(segments, [(BASE, 64 << 10), (DATA, 7 * PAGE_LEN)]);
        let entry = (elf.entry() - BASE) as usize;
        assert!(file[entry..].starts_with(&[0xB9, 7, 0, 0, 0]));
        assert!(image(0, 0).ends_with(&EXIT));
    }
}
