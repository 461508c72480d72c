//! Deflated data (RFC 1951), a piece at a time.

use alloc::vec::Vec;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::document::keeping_reserve;
use memory::OutOfFrames;

/// How far back deflate refers (RFC 1951, 2). So much is made at a time at most.
const WINDOW_LEN: usize = 32 * 1024;

/// Together with the window this takes 43 KiB of the heap, which every request may.
pub struct Inflater {
    /// One, on the heap.
    state: Vec<DecompressorOxide>,
    window: Vec<u8>,
    position: usize,
}

/// What a step came to.
pub struct Inflated<'a> {
    /// So much of the input was read.
    pub read: usize,
    /// What came out.
    pub bytes: &'a [u8],
    /// That was all.
    pub is_done: bool,
}

/// The data makes no sense, or ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDeflated;

impl Inflater {
    /// One that has read nothing.
    ///
    /// # Errors
    /// [`OutOfFrames`] if there is no memory for it.
    pub fn new() -> Result<Self, OutOfFrames> {
        let (mut state, mut window) = (Vec::new(), Vec::new());
        keeping_reserve(|| {
            state.try_reserve_exact(1).map_err(|_| OutOfFrames)?;
            window.try_reserve_exact(WINDOW_LEN).map_err(|_| OutOfFrames)
        })?;
        state.push(DecompressorOxide::new());
        window.resize(WINDOW_LEN, 0);
        Ok(Self { state, window, position: 0 })
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.state.iter_mut().for_each(DecompressorOxide::init);
        self.position = 0;
    }

    /// Goes on once. With `has_more` the input goes on behind this.
    ///
    /// # Errors
    /// [`NotDeflated`]
    pub fn step(&mut self, input: &[u8], has_more: bool) -> Result<Inflated<'_>, NotDeflated> {
        let Self { state, window, position } = self;
        let state = state.first_mut().ok_or(NotDeflated)?;
        let flags = if has_more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
        let (status, read, written) = decompress(state, input, window, *position, flags);
        let start = *position;
        *position = (start + written) % WINDOW_LEN;
        let is_done = match status {
            TINFLStatus::Done => true,
            TINFLStatus::HasMoreOutput if written > 0 => false,
            TINFLStatus::NeedsMoreInput if has_more && read > 0 => false,
            _ => return Err(NotDeflated),
        };
        let bytes = window.get(start..start + written).ok_or(NotDeflated)?;
        Ok(Inflated { read, bytes, is_done })
    }
}
