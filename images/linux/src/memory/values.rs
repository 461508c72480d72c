//! Numbers, records and strings in the program's memory, over [`Space::bytes`].
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use super::Space;
use super::regions::{PAGE, Protection};
use crate::Errno;

/// Longest path Linux takes, with its NUL.
pub const PATH_LEN_MAX: u64 = 4096;

impl Space {
    /// Bytes of the program that it could read itself.
    ///
    /// # Errors
    /// `EFAULT` if it could not.
    #[inline]
    pub fn bytes(&self, address: u64, len: u64) -> Result<&[u8], Errno> {
        self.memory.bytes(&self.regions, address, len)
    }

    /// Bytes of the program that it could write itself.
    ///
    /// # Errors
    /// `EFAULT` if it could not.
    #[inline]
    pub fn bytes_mut(&mut self, address: u64, len: u64) -> Result<&mut [u8], Errno> {
        self.memory.bytes_mut(&self.regions, address, len)
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn read_u64(&self, address: u64) -> Result<u64, Errno> {
        self.read(address).map(u64::from_le_bytes)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn read_u32(&self, address: u64) -> Result<u32, Errno> {
        self.read(address).map(u32::from_le_bytes)
    }

    /// A record of a fixed length.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn read<const LEN: usize>(&self, address: u64) -> Result<[u8; LEN], Errno> {
        let mut record = [0; LEN];
        record.copy_from_slice(self.bytes(address, LEN as u64)?);
        Ok(record)
    }

    /// 64-bit numbers in a row.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn read_words<const COUNT: usize>(&self, address: u64) -> Result<[u64; COUNT], Errno> {
        let bytes = self.bytes(address, COUNT as u64 * 8)?;
        let mut words = [0; COUNT];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*chunk);
        }
        Ok(words)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.bytes_mut(address, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a 64-bit number.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn write_u64(&mut self, address: u64, value: u64) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes a 32-bit number.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn write_u32(&mut self, address: u64, value: u32) -> Result<(), Errno> {
        self.write(address, &value.to_le_bytes())
    }

    /// Writes 64-bit numbers in a row.
    ///
    /// # Errors
    /// `EFAULT`
    pub fn write_words(&mut self, address: u64, words: &[u64]) -> Result<(), Errno> {
        let bytes = self.bytes_mut(address, words.len() as u64 * 8)?;
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_le_bytes();
        }
        Ok(())
    }

    /// A string up to its NUL, which is not part of it.
    ///
    /// # Errors
    /// `EFAULT` if it leaves readable memory before it ends, `ENAMETOOLONG` past the longest path.
    pub fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut path = Vec::new();
        let mut at = address;
        let end = address.saturating_add(PATH_LEN_MAX);
        while at < end {
            // Page by page: what lies behind the string may not be mapped.
            let page_end = (at / PAGE + 1) * PAGE;
            let page = self.bytes(at, page_end.min(end) - at)?;
            let len = page.iter().position(|byte| *byte == 0);
            path.extend_from_slice(&page[..len.unwrap_or(page.len())]);
            if len.is_some() {
                return Ok(path);
            }
            at = page_end;
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Whether the program can read the byte there.
    #[must_use]
    pub fn is_readable(&self, address: u64) -> bool {
        self.regions.covers(address, 1, Protection::READ)
    }
}
