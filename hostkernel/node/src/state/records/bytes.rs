//! A ring of bytes in frames: appended at one end, forgotten at the other.
//!
//! Positions count from the first byte ever appended, so they grow for ever and name the same byte
//! as long as it is there.

use alloc::vec::Vec;

use limits::PAGE_LEN;
use memory::{Frame, OutOfFrames, Reservation};

/// The ring. Its frames are promised from the start and taken as it grows: to touch them all at
/// boot takes longer than the rest of it.
#[derive(Debug)]
pub struct Bytes {
    pages: Vec<Frame>,
    promised: Reservation,
    capacity: usize,
    end: u64,
    /// Where that is, so that appending need not divide.
    at: usize,
}

impl Bytes {
    /// A ring of `pages` frames, which nobody else can have.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are not so many.
    pub fn new(pages: usize) -> Result<Self, OutOfFrames> {
        let promised = Reservation::new(pages)?;
        let capacity = pages * PAGE_LEN;
        Ok(Self { pages: Vec::with_capacity(pages), promised, capacity, end: 0, at: 0 })
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The position of the next byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Appends bytes over the oldest.
    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (page, offset) = (self.at / PAGE_LEN, self.at % PAGE_LEN);
            let count = bytes.len().min(PAGE_LEN - offset);
            let (piece, rest) = bytes.split_at(count);
            if page == self.pages.len() {
                self.pages.push(self.promised.take_promised());
            }
            self.pages[page].bytes_mut()[offset..offset + count].copy_from_slice(piece);
            self.end += count as u64;
            self.at += count;
            if self.at == self.capacity() {
                self.at = 0;
            }
            bytes = rest;
        }
    }

    /// The `len` bytes from a position on, piece by piece.
    pub fn pieces(&self, position: u64, len: usize) -> impl Iterator<Item = &[u8]> {
        let end = position + len as u64;
        let mut position = position;
        core::iter::from_fn(move || {
            let at = (position % self.capacity() as u64) as usize;
            let (page, offset) = (at / PAGE_LEN, at % PAGE_LEN);
            let count = ((end - position) as usize).min(PAGE_LEN - offset);
            position += count as u64;
            (count > 0).then(|| &self.pages[page].bytes()[offset..offset + count])
        })
    }
}
