//! Memory of environments that were used, for those of later invocations: to allocate and to free
//! it would cost each invocation as much as to fill it.
//!
//! What was in it is another tenant's, perhaps. Nobody can read it: a buffer is empty when it is
//! handed out.

use alloc::vec::Vec;

use limits::{ENVIRONMENT_FIXED_LEN, ENVIRONMENTS_SPARE_MAX};

/// Empty buffers.
#[derive(Debug)]
pub struct SpareBuffers(Vec<Vec<u8>>);

impl SpareBuffers {
    /// None yet, with room for all there may be.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(ENVIRONMENTS_SPARE_MAX))
    }

    /// An empty buffer with room for `len` bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut buffer = self.0.pop().unwrap_or_default();
        buffer.reserve(len);
        buffer
    }

    /// Keeps a buffer for later, if there are not enough and it is none of the large ones.
    pub fn put(&mut self, mut buffer: Vec<u8>) {
        let is_usual = (1..=ENVIRONMENT_FIXED_LEN).contains(&buffer.capacity());
        if is_usual && self.0.len() < ENVIRONMENTS_SPARE_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

impl Default for SpareBuffers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_empty() {
        let mut spare = SpareBuffers::new();
        let mut buffer = spare.take(100);
        buffer.extend_from_slice(b"A=secret\0");
        let (address, capacity) = (buffer.as_ptr(), buffer.capacity());
        spare.put(buffer);
        let buffer = spare.take(capacity);
        assert_eq!((buffer.as_ptr(), buffer.len()), (address, 0));
        assert!(spare.take(2 * capacity).capacity() >= 2 * capacity);
    }

    #[test]
    fn neither_many_nor_large_ones_are_kept() {
        let mut spare = SpareBuffers::new();
        spare.put(Vec::with_capacity(ENVIRONMENT_FIXED_LEN + 1));
        spare.put(Vec::new());
        assert!(spare.0.is_empty());
        for _ in 0..=ENVIRONMENTS_SPARE_MAX {
            spare.put(Vec::with_capacity(64));
        }
        assert_eq!(spare.0.len(), ENVIRONMENTS_SPARE_MAX);
    }
}
