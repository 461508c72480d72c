//! A few bytes of a file in one piece, wherever they lie in its pages.
//!
//! What is read of an image's structures is short and bounded, so it is copied: the file itself, of
//! up to 48 MiB, need not be in one piece for it.

use limits::{NOTES_LEN_MAX, PROGRAM_HEADERS_MAX};
use memory::PageBuffer;
use object::elf::ProgramHeader64;
use object::{LittleEndian, pod};

/// The longest excerpt.
const LEN_MAX: usize = NOTES_LEN_MAX;
const WORD_LEN: usize = size_of::<u64>();
const _: () = assert!(PROGRAM_HEADERS_MAX * size_of::<ProgramHeader64<LittleEndian>>() <= LEN_MAX);

/// A file.
#[derive(Clone, Copy)]
pub enum File<'a> {
    /// In one piece.
    Bytes(&'a [u8]),
    /// In frames.
    Pages(&'a PageBuffer),
}

impl<'a> File<'a> {
    /// How long it is.
    pub fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Pages(pages) => pages.len(),
        }
    }

    fn chunk_at(self, offset: usize) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes.get(offset..).unwrap_or_default(),
            Self::Pages(pages) => pages.chunk_at(offset),
        }
    }
}

/// Room for an excerpt. Words, so that a structure is where its alignment wants it, if it is in the
/// file.
pub struct Excerpt {
    words: [u64; LEN_MAX / WORD_LEN + 1],
}

impl Default for Excerpt {
    fn default() -> Self {
        Self { words: [0; LEN_MAX / WORD_LEN + 1] }
    }
}

impl Excerpt {
    /// The first bytes of a file, fewer if it is shorter.
    pub fn read_up_to(&mut self, file: File<'_>, len: usize) -> &[u8] {
        self.read(file, 0, len.min(file.len())).unwrap_or_default()
    }

    /// Bytes of a file; `None` if it does not have them, or they are more than an excerpt may be.
    pub fn read(&mut self, file: File<'_>, start: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(start).ok()?;
        if len > LEN_MAX || start.checked_add(len)? > file.len() {
            return None;
        }
        let offset = start % WORD_LEN;
        let bytes = pod::bytes_of_slice_mut(&mut self.words).get_mut(offset..offset + len)?;
        let mut filled = 0;
        while filled < len {
            let chunk = file.chunk_at(start + filled);
            let count = chunk.len().min(len - filled);
            bytes[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn bytes_are_the_same_wherever_pages_end() {
        memory::install_for_test();
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at * 7 % 251) as u8).collect();
        let pages = PageBuffer::from_bytes(&bytes).expect("frames are left");
        for (start, len) in [(0, 64), (4090, 20), (4095, 4096), (9990, 10), (10_000, 0)] {
            for file in [File::Bytes(&bytes), File::Pages(&pages)] {
                let mut excerpt = Excerpt::default();
                let read = excerpt.read(file, start as u64, len).expect("they are there");
                assert_eq!(read, &bytes[start..start + len]);
                assert_eq!(read.as_ptr().addr() % WORD_LEN, start % WORD_LEN);
            }
        }
        let mut excerpt = Excerpt::default();
        for (start, len) in [(9990, 11), (10_001, 0), (u64::MAX, 1), (0, LEN_MAX + 1)] {
            assert_eq!(excerpt.read(File::Pages(&pages), start, len), None);
        }
    }
}
