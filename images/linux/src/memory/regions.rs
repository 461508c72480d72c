//! Which addresses of the program hold what: the library OS's own book of the mappings.
//!
//! The kernel keeps one too, and holds the program to it. This one exists because Linux's calls
//! need to know more (what a mapping was made from, where a gap is), and because an address a
//! program passes must be looked up before the library OS touches it: a fault in its own code would
//! end the invocation instead of giving the program `EFAULT`.
//!
//! Invariant: regions do not overlap, are not empty, and begin and end at whole pages. Neighbours
//! that could be one region are one.

use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::Range;

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// What a program may do with memory: the bits of [`action_abi::protection`], none for no access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection(pub u8);

impl Protection {
    /// No access.
    pub const NONE: Self = Self(0);
    /// Reading.
    pub const READ: Self = Self(action_abi::protection::READ as u8);
    /// Reading and writing.
    pub const WRITE: Self = Self(Self::READ.0 | action_abi::protection::WRITE as u8);
    /// Reading and executing.
    pub const EXECUTE: Self = Self(Self::READ.0 | action_abi::protection::EXECUTE as u8);

    /// Whether everything that `needed` allows is allowed.
    #[must_use]
    pub const fn allows(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// The bits of a native call.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0 as u64
    }
}

/// What a region was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Zeroes.
    Anonymous,
    /// Zeroes, and zeroes again behind a fork (`MADV_WIPEONFORK`).
    Wiped,
    /// The memory of `brk`.
    Heap,
    /// The first thread's stack.
    Stack,
    /// The page with the time functions.
    Vdso,
    /// The deployed file, from this offset on, not copied.
    Payload {
        /// Offset of the region's first byte.
        offset: u64,
    },
    /// The file of an earlier stage, from this offset on, not copied: no more of it can be mapped.
    Former {
        /// Offset of the region's first byte.
        offset: u64,
    },
    /// A file of the tree that is shared: what is written is brought back to it.
    Shared {
        /// Which file.
        file: u32,
        /// Offset of the region's first byte.
        offset: u64,
    },
    /// Bytes copied out of a file of the tree when they were mapped.
    Copied {
        /// Which file, for `/proc/self/maps`.
        file: u64,
        /// Offset of the region's first byte.
        offset: u64,
    },
}

impl Source {
    /// The source of what begins `len` bytes further on.
    fn advanced(self, len: u64) -> Self {
        match self {
            Self::Payload { offset } => Self::Payload { offset: offset + len },
            Self::Former { offset } => Self::Former { offset: offset + len },
            Self::Shared { file, offset } => Self::Shared { file, offset: offset + len },
            Self::Copied { file, offset } => Self::Copied { file, offset: offset + len },
            other => other,
        }
    }
}

/// One region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Address behind its last byte.
    pub end: u64,
    /// What the program may do with it.
    pub protection: Protection,
    /// What it was made from.
    pub source: Source,
}

impl Region {
    /// Whether this region, which begins at `start`, and the `next` one, which does `at` that
    /// address, are one.
    fn goes_on_as(&self, start: u64, at: u64, next: Self) -> bool {
        self.end == at
            && self.protection == next.protection
            && self.source.advanced(at - start) == next.source
            && self.source != Source::Stack
    }
}

/// All regions, the highest first: mappings are placed downwards, so that a new one comes near the
/// end. A program has dozens of them, as a rule; a tree would cost it more than moving some.
#[derive(Debug, Default)]
pub struct Regions {
    /// Each with its first address.
    all: Vec<(u64, Region)>,
    /// Regions found last: most calls pass addresses of the same few, a stack and a heap.
    last: [Cell<Known>; KNOWN],
    /// Which of them is forgotten next.
    oldest: Cell<usize>,
}

/// Regions that are remembered.
const KNOWN: usize = 4;

/// A region's bounds and what it allows. The empty one allows nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    start: u64,
    end: u64,
    protection: Protection,
}

impl Regions {
    /// No regions.
    #[must_use]
    pub const fn new() -> Self {
        let none = const { Known { start: 0, end: 0, protection: Protection::NONE } };
        let last = [Cell::new(none), Cell::new(none), Cell::new(none), Cell::new(none)];
        Self { all: Vec::new(), last, oldest: Cell::new(0) }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The region that holds this address, with its first address.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<(u64, Region)> {
        let at = self.all.partition_point(|(start, _)| *start > address);
        self.all.get(at).copied().filter(|(_, region)| address < region.end)
    }

    /// Whether all of these bytes can be used so. No bytes always can.
    #[must_use]
    #[inline]
    pub fn covers(&self, address: u64, len: u64, needed: Protection) -> bool {
        for known in &self.last {
            let Known { start, end, protection } = known.get();
            let inside = address >= start && address < end && len <= end - address;
            if inside && protection.allows(needed) {
                return true;
            }
        }
        self.covers_slowly(address, len, needed)
    }

    #[inline(never)]
    fn covers_slowly(&self, address: u64, len: u64, needed: Protection) -> bool {
        let Some(end) = address.checked_add(len) else { return false };
        let mut at = address;
        while at < end {
            match self.find(at) {
                Some((start, region)) if region.protection.allows(needed) => {
                    let oldest = self.oldest.get();
                    let known = Known { start, end: region.end, protection: region.protection };
                    self.last[oldest % KNOWN].set(known);
                    self.oldest.set(oldest.wrapping_add(1));
                    at = region.end;
                }
                _ => return false,
            }
        }
        true
    }

    /// How many bytes from this address on can be used so, up to `len`.
    #[must_use]
    pub fn covered_len(&self, address: u64, len: u64, needed: Protection) -> u64 {
        let end = address.saturating_add(len);
        let mut at = address;
        while at < end {
            match self.find(at) {
                Some((_, region)) if region.protection.allows(needed) => at = region.end,
                _ => break,
            }
        }
        at.min(end) - address
    }

    /// The places of the regions that have bytes in this range.
    fn places(&self, range: &Range<u64>) -> Range<usize> {
        let first = self.all.partition_point(|(start, _)| *start >= range.end);
        let below = self.all[first..].iter().take_while(|(_, region)| region.end > range.start);
        first..first + below.count()
    }

    /// The regions that have bytes in this range, cut to it, in ascending order.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = (u64, Region)> + '_ {
        let places = self.places(&range);
        self.all[places].iter().rev().map(move |(start, region)| {
            let cut = range.start.saturating_sub(*start);
            let source = region.source.advanced(cut);
            (start + cut, Region { end: region.end.min(range.end), source, ..*region })
        })
    }

    /// All regions, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Region)> + '_ {
        self.all.iter().rev().copied()
    }

    /// Whether no byte of this range belongs to a region.
    #[must_use]
    pub fn is_free(&self, range: Range<u64>) -> bool {
        self.within(range).next().is_none()
    }

    /// Forgets what is in this range; regions that reach out of it keep their outer parts.
    pub fn remove(&mut self, range: Range<u64>) {
        self.forget(&range);
        let places = self.places(&range);
        let Some((&(end_start, highest), &(start, lowest))) =
            self.all[places.clone()].first().zip(self.all[places.clone()].last())
        else {
            return;
        };
        let mut at = places.start;
        if highest.end > range.end {
            let source = highest.source.advanced(range.end - end_start);
            self.all[at] = (range.end, Region { source, ..highest });
            at += 1;
        }
        if start < range.start {
            let below = (start, Region { end: range.start, ..lowest });
            match at < places.end {
                true => self.all[at] = below,
                // In the middle of one.
                false => self.all.insert(at, below),
            }
            at += 1;
        }
        if at < places.end {
            self.all.copy_within(places.end.., at);
            self.all.truncate(self.all.len() - (places.end - at));
        }
    }

    /// Puts a region there, in place of what was there before.
    pub fn insert(&mut self, start: u64, region: Region) {
        debug_assert!(
            start < region.end && start.is_multiple_of(PAGE) && region.end.is_multiple_of(PAGE)
        );
        let place = |all: &[(u64, Region)]| all.partition_point(|(at, _)| *at >= region.end);
        let mut at = place(&self.all);
        if self.all.get(at).is_some_and(|(_, below)| below.end > start) {
            self.remove(start..region.end);
            at = place(&self.all);
        }
        let above = at.checked_sub(1).map(|above| self.all[above]);
        let above = above.filter(|(next, above)| region.goes_on_as(start, *next, *above));
        let end = above.map_or(region.end, |(_, above)| above.end);
        match self.all.get_mut(at) {
            Some((first, below)) if below.goes_on_as(*first, start, region) => {
                below.end = end;
                if above.is_some() {
                    self.all.remove(at - 1);
                }
            }
            _ if above.is_some() => self.all[at - 1] = (start, Region { end, ..region }),
            _ => self.all.insert(at, (start, region)),
        }
    }

    /// Changes the protection of everything in the range.
    pub fn protect(&mut self, range: Range<u64>, protection: Protection) {
        self.change(range, |region| region.protection = protection);
    }

    /// Changes every region in the range, and leaves what is outside of it.
    pub fn change(&mut self, range: Range<u64>, change: impl Fn(&mut Region)) {
        self.forget(&range);
        self.split(range.start);
        self.split(range.end);
        let places = self.places(&range);
        self.all[places.clone()].iter_mut().for_each(|(_, region)| change(region));
        // Each with the one below it, and the one above with the first of them.
        let (mut at, mut end) = (places.start.saturating_sub(1), places.end);
        while at < end && at + 1 < self.all.len() {
            let (next, above) = self.all[at];
            let (start, below) = &mut self.all[at + 1];
            if below.goes_on_as(*start, next, above) {
                below.end = above.end;
                self.all.remove(at);
                end -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// The highest address below `top` at which `len` bytes are free down to `floor`.
    #[must_use]
    pub fn gap_below(&self, top: u64, floor: u64, len: u64) -> Option<u64> {
        let mut end = top;
        let first = self.all.partition_point(|(start, _)| *start >= top);
        for (start, region) in &self.all[first..] {
            let below = region.end.min(end);
            if end - below >= len {
                break;
            }
            end = end.min(*start);
            if end < floor {
                return None;
            }
        }
        end.checked_sub(len).filter(|start| *start >= floor)
    }

    /// Forgets what was found there, because it changes.
    fn forget(&mut self, range: &Range<u64>) {
        for known in &mut self.last {
            let Known { start, end, .. } = known.get();
            if start < range.end && range.start < end {
                known.set(Known::default());
            }
        }
    }

    /// Makes the address the border between two regions, if it is inside one.
    fn split(&mut self, border: u64) {
        let at = self.all.partition_point(|(start, _)| *start >= border);
        let Some((start, region)) = self.all.get_mut(at) else { return };
        if region.end <= border {
            return;
        }
        let source = region.source.advanced(border - *start);
        let above = Region { source, ..*region };
        region.end = border;
        self.all.insert(at, (border, above));
    }
}

#[cfg(test)]
mod tests;
