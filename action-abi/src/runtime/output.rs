//! The output window as a growing byte string.
//!
//! ```text
//! window.address                                       window.address + window.len
//! │ result so far (len) │ zeroed, not yet touched                                │
//! ```
//!
//! The result is built where the kernel reads it: no copy, and no call but the final exit. The
//! window never grows; its length is the longest result.

use core::fmt;

use super::call;
use crate::Range;

/// The result does not fit into the output window. Nothing of the refused write was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFull {
    /// Length of the window in bytes.
    pub window_len: usize,
}

impl fmt::Display for OutputFull {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the result is longer than the output window of {} bytes",
            self.window_len
        )
    }
}

/// The result of this invocation, written where the kernel will read it.
#[derive(Debug)]
pub struct Output {
    window: &'static mut [u8],
    len: usize,
}

impl Output {
    /// An empty output over the window.
    ///
    /// # Safety
    /// The window must be mapped writable and initialised, for the whole invocation, and nothing
    /// else may use it.
    pub unsafe fn over_window(window: Range) -> Self {
        if window.len == 0 {
            return Self { window: &mut [], len: 0 };
        }
        let first = core::ptr::with_exposed_provenance_mut(window.address as usize);
        // SAFETY: the caller's promise; a window that exists has an address that is not null.
        let window = unsafe { core::slice::from_raw_parts_mut(first, window.len as usize) };
        Self { window, len: 0 }
    }

    /// Appends bytes to the result.
    ///
    /// # Errors
    /// [`OutputFull`] if they do not fit; then nothing is appended.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputFull> {
        let full = self.full();
        self.spare().get_mut(..bytes.len()).ok_or(full)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// Appends one byte.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(super) fn push(&mut self, byte: u8) -> Result<(), OutputFull> {
        let full = self.full();
        *self.window.get_mut(self.len).ok_or(full)? = byte;
        self.len += 1;
        Ok(())
    }

    /// The unused rest of the window, to be filled in place and then declared with
    /// [`advance`](Self::advance).
    pub fn spare(&mut self) -> &mut [u8] {
        &mut self.window[self.len..]
    }

    /// Makes the first `len` bytes of [`spare`](Self::spare) part of the result.
    ///
    /// # Errors
    /// [`OutputFull`] if `len` is more than is spare; then nothing changes.
    pub fn advance(&mut self, len: usize) -> Result<(), OutputFull> {
        let full = self.full();
        self.spare().get(..len).ok_or(full)?;
        self.len += len;
        Ok(())
    }

    /// The error of a write that did not fit.
    pub(super) fn full(&self) -> OutputFull {
        OutputFull { window_len: self.window.len() }
    }

    /// Lets the result so far leave, to a client that waits for it and if the action was deployed
    /// with the annotation `stream`. Never waits; what the client does not take yet leaves later.
    /// Returns how many bytes have left.
    pub fn flush(&mut self) -> usize {
        call::flush(self.len)
    }

    /// Forgets the result so far, unless part of it has left.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Length of the result so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The result so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.window[..self.len]
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes()).map_err(|OutputFull { .. }| fmt::Error)
    }
}

#[cfg(test)]
impl Output {
    /// An output over ordinary memory, for the tests of the modules that write to one.
    pub(super) fn for_test(window_len: usize) -> Self {
        Self { window: vec![0; window_len].leak(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: OutputFull = OutputFull { window_len: 5 };

    #[test]
    fn what_fits_is_kept_and_what_does_not_changes_nothing() {
        let mut output = Output::for_test(FULL.window_len);
        assert_eq!(output.write(b"abc"), Ok(()));
        assert_eq!(output.write(b"def"), Err(FULL));
        assert_eq!(output.write(b"de"), Ok(()));
        assert_eq!(output.as_bytes(), b"abcde");
    }

    #[test]
    fn the_spare_part_can_be_filled_in_place() {
        let mut output = Output::for_test(FULL.window_len);
        assert_eq!(output.write(b"a"), Ok(()));
        output.spare()[..2].copy_from_slice(b"bc");
        assert_eq!(output.advance(2), Ok(()));
        assert_eq!(output.as_bytes(), b"abc");
        assert_eq!(output.spare(), [0, 0]);
        assert_eq!(output.advance(3), Err(FULL));
        assert_eq!(output.advance(usize::MAX), Err(FULL));
        assert_eq!(output.len(), 3);
    }

    #[test]
    fn no_window_takes_nothing() {
        // SAFETY: a window of length 0 is never touched.
        let mut output = unsafe { Output::over_window(Range::default()) };
        assert_eq!(output.write(b""), Ok(()));
        assert_eq!(output.write(b"x"), Err(OutputFull { window_len: 0 }));
    }
}
