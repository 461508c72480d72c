//! What the machine's memory is, as whoever booted it says.

/// All of it, and what of it is taken.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLayout<'a> {
    /// Ranges of whole pages, as `map` makes them: sorted and disjoint.
    pub ranges: &'a [(u64, u64)],
    /// The boot loader's module: its first address, and the one after its last.
    pub module: Option<(u64, u64)>,
}
