//! Documents composed in frames, and the other way: bytes in frames as one piece.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

use limits::HEAP_RESERVE_LEN;
use memory::{OutOfFrames, PageBuffer};

/// A document that may grow long, composed in frames: it needs no contiguous memory, and when there
/// is none at all that is an error, where growing a `String` would be the end of the node.
#[derive(Debug, Default)]
pub struct Document(PageBuffer);

impl Document {
    /// How long it is by now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The document in its frames.
    #[must_use]
    pub fn into_pages(self) -> PageBuffer {
        self.0
    }

    /// Appends bytes, which are text.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is no memory for them.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), OutOfFrames> {
        self.0.append(bytes)
    }

    /// Composes a document.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is no memory for it.
    pub fn compose(
        write: impl FnOnce(&mut Self) -> fmt::Result,
    ) -> Result<PageBuffer, OutOfFrames> {
        let mut document = Self::default();
        write(&mut document).map_err(|fmt::Error| OutOfFrames)?;
        Ok(document.0)
    }
}

impl fmt::Write for Document {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.append(text.as_bytes()).map_err(|OutOfFrames| fmt::Error)
    }
}

/// The bytes of a buffer in one piece: where they are if they fit one page, else a copy.
///
/// # Errors
/// [`OutOfFrames`] if the heap has no room for the copy.
pub fn contiguous(buffer: &PageBuffer) -> Result<Cow<'_, [u8]>, OutOfFrames> {
    gather((buffer.len(), buffer.chunks()))
}

/// Pieces as one: where they are if there is only one, else a copy.
///
/// # Errors
/// As [`contiguous`].
pub fn gather<'a>(
    (len, mut pieces): (usize, impl Iterator<Item = &'a [u8]>),
) -> Result<Cow<'a, [u8]>, OutOfFrames> {
    let first = pieces.next().unwrap_or_default();
    if first.len() == len {
        return Ok(Cow::Borrowed(first));
    }
    #[cfg(test)]
    memory::effort::note_written(len);
    keeping_reserve(|| {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| OutOfFrames)?;
        core::iter::once(first).chain(pieces).for_each(|piece| bytes.extend_from_slice(piece));
        Ok(Cow::Owned(bytes))
    })
}

/// Makes a large allocation that may fail such that the small ones after it, which may not, still
/// find [`HEAP_RESERVE_LEN`] bytes: whoever chooses the length of a request must not be able to use
/// up the heap to the last byte.
///
/// # Errors
/// [`OutOfFrames`] if the heap has no room for both.
pub fn keeping_reserve<T>(
    allocate: impl FnOnce() -> Result<T, OutOfFrames>,
) -> Result<T, OutOfFrames> {
    let mut reserve: Vec<u8> = Vec::new();
    reserve.try_reserve_exact(HEAP_RESERVE_LEN).map_err(|_| OutOfFrames)?;
    let allocated = allocate();
    // Without this the compiler may see that nobody uses the reserve, and leave it out.
    drop(core::hint::black_box(reserve));
    allocated
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write as _;

    #[test]
    fn documents_span_pages() {
        memory::install_for_test();
        let pages =
            Document::compose(|out| (0..3000).try_for_each(|number| write!(out, "{number},")));
        let pages = pages.expect("frames are left");
        let text = contiguous(&pages).expect("the heap has room");
        assert!(matches!(text, Cow::Owned(_)) && text.ends_with(b"2998,2999,"));
        let short = Document::compose(|out| out.write_str("short")).expect("frames are left");
        assert!(matches!(contiguous(&short), Ok(Cow::Borrowed(b"short"))));
        assert!(matches!(contiguous(&PageBuffer::new()), Ok(Cow::Borrowed(b""))));
    }
}
