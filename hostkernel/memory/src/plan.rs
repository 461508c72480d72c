//! What is to be mapped where: the vocabulary between those who read images and those who map them.

use alloc::vec::Vec;

/// Where an image's bytes go and where it starts. Everything in it is checked: segments are in
/// order, page-disjoint, inside the image range, never writable and executable at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// Address of the first instruction; inside an executable segment.
    pub entry: u64,
    /// Segments by ascending address, at most [`limits::SEGMENTS_MAX`].
    pub segments: Vec<Segment>,
    /// Whether it hosts other programs: it is built for [`action_abi::HOST_VERSION`].
    pub is_host: bool,
}

/// One loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte in memory. Congruent to `file_offset` modulo the page length.
    pub address: u64,
    /// Bytes in memory; what exceeds `file_len` is zero.
    pub memory_len: u64,
    /// First byte in the file.
    pub file_offset: u64,
    /// Bytes from the file.
    pub file_len: u64,
    /// What the action may do with it.
    pub protection: Protection,
}

/// What an action may do with a range of its memory. Readable always; writable and executable
/// exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
}

/// A range of whole pages of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// First address; a multiple of the page length.
    pub start: u64,
    /// Address after the last byte; a multiple of the page length.
    pub end: u64,
}
