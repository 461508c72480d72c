//! Bytes in whole frames: request bodies, results, images.
//!
//! A [`PageBuffer`] grows a page at a time out of the frame pool, so a body never moves and never
//! needs contiguous memory; the same frames are later mapped into an action's address space (its
//! input) or came out of one (its result). The first few frames need no list on the heap: most
//! bodies have one.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use smallvec::SmallVec;

use super::frames::{Frame, OutOfFrames, give_back};
use limits::PAGE_LEN;

/// A growable sequence of bytes in frames. Bytes past the end of the last page are zero, or were
/// written by whoever owned the page.
#[derive(Default)]
pub struct PageBuffer {
    pages: Pages,
    len: usize,
}

/// The frames of a buffer. As many as fit where a list on the heap has its address and length.
pub(super) type Pages = SmallVec<[Frame; 4]>;

const _: () = assert!(size_of::<Pages>() == size_of::<Vec<Frame>>());

impl PageBuffer {
    /// An empty buffer that owns nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { pages: SmallVec::new_const(), len: 0 }
    }

    /// A buffer holding a copy of `bytes`.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there are not enough frames.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OutOfFrames> {
        let mut buffer = Self::new();
        buffer.append(bytes)?;
        Ok(buffer)
    }

    /// A buffer of the first `len` bytes of `pages`.
    #[must_use]
    pub(super) fn from_pages(pages: Pages, len: usize) -> Self {
        assert!(len <= pages.len() * PAGE_LEN, "a buffer's length is within its pages");
        Self { pages, len }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the buffer holds no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frames, in order. The last one may be partly filled.
    #[must_use]
    pub fn pages(&self) -> &[Frame] {
        &self.pages
    }

    /// Makes zero what lies behind the end in the last page, for who shares whole pages.
    pub fn clear_tail(&mut self) {
        let Some(last) = self.len.checked_sub(1) else { return };
        let page = &mut self.pages[last / PAGE_LEN];
        page.bytes_mut()[last % PAGE_LEN + 1..].fill(0);
    }

    /// Appends a copy of `bytes`.
    ///
    /// # Errors
    /// [`OutOfFrames`] if the frames run out; then a prefix of `bytes` may have been appended.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), OutOfFrames> {
        #[cfg(any(test, feature = "selftest"))]
        crate::effort::note_written(bytes.len());
        while !bytes.is_empty() {
            let offset = self.len % PAGE_LEN;
            if self.len == self.pages.len() * PAGE_LEN {
                self.pages.try_reserve(1).map_err(|_| OutOfFrames)?;
                self.pages.push(Frame::allocate()?);
            }
            let page = &mut self.pages[self.len / PAGE_LEN];
            let count = bytes.len().min(PAGE_LEN - offset);
            page.bytes_mut()[offset..offset + count].copy_from_slice(&bytes[..count]);
            self.len += count;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// The longest contiguous piece that starts at `offset`; empty at or past the end.
    #[must_use]
    pub fn chunk_at(&self, offset: usize) -> &[u8] {
        if offset >= self.len {
            return &[];
        }
        let page = offset / PAGE_LEN;
        let end = (self.len - page * PAGE_LEN).min(PAGE_LEN);
        &self.pages[page].bytes()[offset % PAGE_LEN..end]
    }

    /// Copies of a part as much as there is, and as there is room for; returns how many bytes.
    pub fn copy_to(&self, part: Range<usize>, room: &mut [u8]) -> usize {
        let len = part.len().min(room.len());
        let mut filled = 0;
        while filled < len {
            let chunk = self.chunk_at(part.start + filled);
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len().min(len - filled);
            room[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        filled
    }

    /// Gives all frames back together, for a buffer whose length was for a client to say. Dropping
    /// it gives them back one by one, which takes several times as long.
    pub fn give_back(mut self) {
        give_back(self.pages.drain(..));
    }

    /// Whether these bytes are all of a part.
    #[must_use]
    pub fn is_at(&self, part: &Range<usize>, bytes: &[u8]) -> bool {
        let mut at = part.start;
        let mut rest = bytes;
        while part.len() == bytes.len() && !rest.is_empty() {
            let chunk = self.chunk_at(at);
            let (now, later) = rest.split_at(rest.len().min(chunk.len()));
            if now.is_empty() || !chunk.starts_with(now) {
                return false;
            }
            at += now.len();
            rest = later;
        }
        part.len() == bytes.len()
    }

    /// The contiguous pieces in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len).step_by(PAGE_LEN).map(|offset| self.chunk_at(offset))
    }

    /// A copy of everything in one allocation.
    ///
    /// # Errors
    /// [`OutOfFrames`] if the heap has no room for it.
    pub fn to_vec(&self) -> Result<Vec<u8>, OutOfFrames> {
        #[cfg(any(test, feature = "selftest"))]
        crate::effort::note_written(self.len);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.len).map_err(|_| OutOfFrames)?;
        self.chunks().for_each(|chunk| bytes.extend_from_slice(chunk));
        Ok(bytes)
    }
}

impl fmt::Debug for PageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageBuffer({} bytes)", self.len)
    }
}
