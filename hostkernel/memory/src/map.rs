//! The memory map as firmware states it, made into one that can be relied on.
//!
//! Firmware's entries come in any order; they overlap, touch, repeat each other, begin and end
//! anywhere, and what one calls memory another may call taken. What comes out is sorted, disjoint,
//! in whole pages, and memory by the word of every entry that says anything about it.

use limits::{MEMORY_RANGES_MAX, PAGE_LEN};

use super::holes::Range;

const PAGE: u64 = PAGE_LEN as u64;
/// End of what a frame's number can name; no machine has memory behind it.
const MEMORY_END: u64 = 1 << 44;

/// An entry of firmware's map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// Whether it is ordinary memory, free for us. Anything else is taken.
    pub is_usable: bool,
}

impl Entry {
    /// Clipped to where memory can be; one that wraps around ends there.
    fn range(self) -> Range {
        let end = self.address.saturating_add(self.len).min(MEMORY_END);
        (self.address, end)
    }
}

/// Memory that is free for us: whole pages, sorted, disjoint, and not even touching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    ranges: [Range; MEMORY_RANGES_MAX],
    len: usize,
    left_out: usize,
}

impl MemoryMap {
    /// No memory at all.
    pub const EMPTY: Self = Self { ranges: [(0, 0); MEMORY_RANGES_MAX], len: 0, left_out: 0 };

    /// What these entries leave. Looks at all of them a few times for each range; there is no heap
    /// yet to sort them in.
    pub fn of(entries: impl Iterator<Item = Entry> + Clone) -> Self {
        let of_kind = |is_usable: bool| {
            let wanted = move |entry: &Entry| entry.is_usable == is_usable;
            entries.clone().filter(wanted).map(Entry::range).filter(|(start, end)| start < end)
        };
        let mut map = Self::EMPTY;
        let mut at = 0;
        loop {
            let behind = of_kind(true).filter(|(_, end)| *end > at);
            let Some(start) = behind.map(|(start, _)| start.max(at)).min() else { return map };
            let taken = of_kind(false).filter(|(first, end)| (*first..*end).contains(&start));
            if let Some(end) = taken.map(|(_, end)| end).max() {
                at = end;
                continue;
            }
            let next_taken = of_kind(false).map(|(first, _)| first).filter(|first| *first > start);
            let limit = next_taken.min().unwrap_or(MEMORY_END);
            let mut end = start;
            let further = |end| {
                let touching = of_kind(true).filter(move |range| range.0 <= end && range.1 > end);
                touching.map(|(_, end)| end).max().filter(|_| end < limit)
            };
            while let Some(next) = further(end) {
                end = next;
            }
            at = end.min(limit);
            map.push(start.next_multiple_of(PAGE), at / PAGE * PAGE);
        }
    }

    fn push(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        match self.ranges.get_mut(self.len) {
            Some(place) => {
                *place = (start, end);
                self.len += 1;
            }
            None => self.left_out += 1,
        }
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..self.len]
    }

    /// How many further ranges had no room, and are not used.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Bytes of all ranges.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges().iter().map(|(start, end)| end - start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn map(entries: &[(u64, u64, bool)]) -> Vec<Range> {
        let entry = |&(address, len, is_usable): &_| Entry { address, len, is_usable };
        MemoryMap::of(entries.iter().map(entry)).ranges().to_vec()
    }

    #[test]
    fn maps_of_real_machines_come_out_as_they_are_meant() {
        // A BIOS: memory to the middle of a page below its data, devices, then all the rest.
        let bios = [
            (0, 0x9_fc00, true),
            (0x9_fc00, 0x400, false),
            (0xf_0000, 0x1_0000, false),
            (0x10_0000, 0xfee_0000, true),
            (0xffe_0000, 0x2_0000, false),
            (0xfffc_0000, 0x4_0000, false),
            (1 << 32, 1 << 30, true),
        ];
        let expected = [(0, 0x9_f000), (0x10_0000, 0xffe_0000), (1 << 32, (1 << 32) + (1 << 30))];
        assert_eq!(map(&bios), expected);
        // The same backwards, with all twice, cut into pieces, and empty ones.
        let mut odd: Vec<_> = bios.iter().rev().chain(&bios).copied().collect();
        odd.extend([(0x10_0000, 0x80_0123, true), (0x90_0123, 0x100, true), (5, 0, true)]);
        odd.extend([(0x9_fff0, 0, false), (0, 0, false)]);
        assert_eq!(map(&odd), expected);
    }

    #[test]
    fn what_anybody_takes_is_taken() {
        assert_eq!(
            map(&[(0, 0x10_000, true), (0x4001, 1, false)]),
            [(0, 0x4000), (0x5000, 0x10_000)]
        );
        assert_eq!(
            map(&[(0x4001, 1, false), (0, 0x10_000, true)]),
            [(0, 0x4000), (0x5000, 0x10_000)]
        );
        assert_eq!(map(&[(0x2000, 0x2000, true), (0, 0x10_000, false)]), []);
        assert_eq!(map(&[(0xfff, 0x1001, true)]), [(0x1000, 0x2000)]);
        assert_eq!(map(&[(0xfff, 0x1000, true)]), []);
    }

    #[test]
    fn addresses_that_wrap_around_end_where_memory_does() {
        assert_eq!(map(&[(u64::MAX - 5, 100, true)]), []);
        assert_eq!(map(&[(0x1000, u64::MAX, true)]), [(0x1000, MEMORY_END)]);
        assert_eq!(map(&[(0, MEMORY_END, true), (0x1000, u64::MAX, false)]), [(0, 0x1000)]);
        assert_eq!(map(&[(u64::MAX, u64::MAX, false), (0, 0x1000, true)]), [(0, 0x1000)]);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let extra = 3;
        let pages = 0..(MEMORY_RANGES_MAX + extra) as u64;
        let pieces =
            pages.map(|page| Entry { address: 2 * page * PAGE, len: PAGE, is_usable: true });
        let map = MemoryMap::of(pieces);
        assert_eq!((map.ranges().len(), map.left_out()), (MEMORY_RANGES_MAX, extra));
        assert_eq!(map.bytes(), MEMORY_RANGES_MAX as u64 * PAGE);
    }

    /// Steps in which the model sees memory.
    const STEP: u64 = PAGE / 4;
    const STEPS: u64 = 160;

    proptest! {
        #[test]
        fn a_page_is_memory_if_all_of_it_is_by_everybodys_word(
            entries in proptest::collection::vec((0..STEPS, 0..STEPS / 3, any::<bool>()), 0..12),
        ) {
            let in_bytes = |(start, len, kind): &(u64, u64, _)| (start * STEP, len * STEP, *kind);
            let bytes: Vec<_> = entries.iter().map(in_bytes).collect();
            let found = map(&bytes);
            prop_assert!(found.iter().all(|(start, end)| start < end));
            prop_assert!(found.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", found);
            let is_free = |step: u64| {
                let says = |kind: bool| entries.iter().any(|entry| {
                    entry.2 == kind && (entry.0..entry.0 + entry.1).contains(&step)
                });
                says(true) && !says(false)
            };
            for page in 0..2 * STEPS * STEP / PAGE {
                let mut steps = page * PAGE / STEP..(page + 1) * PAGE / STEP;
                let covers = |(start, end): &Range| (*start..*end).contains(&(page * PAGE));
                prop_assert_eq!(found.iter().any(covers), steps.all(is_free), "page {}", page);
            }
        }
    }
}
