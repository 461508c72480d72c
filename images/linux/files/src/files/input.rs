//! Standard input: bytes that are given once, or piece by piece.

use super::Files;
use crate::errno::Stop;

/// What has been given of the input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Input<'p> {
    bytes: &'p [u8],
    /// Bytes that have been read.
    at: usize,
    /// Nothing comes behind them.
    is_whole: bool,
}

impl<'p> Input<'p> {
    /// What is there to read: nothing only at the end of all.
    pub fn rest(&self) -> Result<&'p [u8], Stop> {
        match self.bytes.get(self.at..).unwrap_or_default() {
            [] if !self.is_whole => Err(Stop::NeedsInput),
            rest => Ok(rest),
        }
    }

    /// Stops unless all of it was given.
    pub fn need(&self) -> Result<(), Stop> {
        if self.is_whole { Ok(()) } else { Err(Stop::NeedsInput) }
    }

    /// Copies what is there, and goes on behind it.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Stop> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let rest = self.rest()?;
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl<'p> Files<'p> {
    /// Gives all there will be of the input.
    pub fn set_input(&mut self, input: &'p [u8]) {
        self.input = Input { bytes: input, at: 0, is_whole: true };
    }

    /// Gives a piece of the input, in place of the one before. Behind it, and as long as nothing
    /// has been given, a call that looks at the input answers
    /// [`Stop::NeedsInput`].
    pub fn set_input_piece(&mut self, piece: &'p [u8]) {
        self.input = Input { bytes: piece, at: 0, is_whole: false };
    }

    /// Stops with [`Stop::NeedsInput`] unless all of the input was given:
    /// for what else begins with an instance.
    ///
    /// # Errors
    /// That.
    pub fn need_input(&self) -> Result<(), Stop> {
        self.input.need()
    }
}
