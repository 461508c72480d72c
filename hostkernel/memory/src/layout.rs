//! What the machine's memory is, as whoever booted it says.

/// A range of physical addresses and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
    /// Whether it is ordinary memory, free for us.
    pub usable: bool,
}

/// All ranges, and what among the usable ones is taken.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLayout<'a> {
    /// The memory map, in the loader's order.
    pub ranges: &'a [MemoryRange],
    /// The boot loader's module: its first address, and the one after its last.
    pub module: Option<(u64, u64)>,
}
