//! How much may be done at a time of work whose length a client chose.
//!
//! Who serves everybody does such work in slices: a step takes bytes from the slice for all it
//! reads or makes, and ends when there are none left, to go on with the next.

/// What is left of a slice, in bytes.
#[derive(Debug)]
pub struct Slice(usize);

impl Slice {
    /// A whole one.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self(len)
    }

    /// Takes so many bytes, or what is left.
    pub const fn take(&mut self, len: usize) {
        self.0 = self.0.saturating_sub(len);
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0 == 0
    }
}
