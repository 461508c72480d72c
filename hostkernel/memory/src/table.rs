//! Page tables of actions: entries, walks, and the two ways an entry can refer to a frame.
//!
//! An entry either *owns* its target (the frame belongs to this address space) or *borrows* it (the
//! frame belongs to a template, an input buffer or the kernel, and outlives the address space). A
//! borrowed table is never written; the first change below it copies it. Entries are atomics
//! because processors on several cores read borrowed tables while they walk; the accessed and dirty
//! bits are set in advance, so that they never write them.

use core::ops::Range;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use super::frames::FrameNumber;
use super::physical::{frame_pointer, zero_words};
use crate::Protection;
use limits::PAGE_LEN;

/// One entry of a page table of any level (Intel SDM vol. 3A, 4.5.4).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub u64);

impl Entry {
    const PRESENT: u64 = 1 << 0;
    const WRITABLE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;
    /// Ignored by the processor (bits 9..=11 are ours): the target belongs to someone else.
    const BORROWED: u64 = 1 << 9;
    /// Likewise: the page belongs to the template in whose table the entry is. Means nothing in a
    /// table of an instance, where the entry is borrowed.
    const TEMPLATES: u64 = 1 << 10;
    /// Likewise, in an entry that refers to an own table: a [`Hint`], in two parts.
    const HINT_LOW: u64 = 3 << Self::HINT_LOW_SHIFT;
    const HINT_LOW_SHIFT: u32 = 10;
    const HINT_HIGH_SHIFT: u32 = 52;
    const NO_EXECUTE: u64 = 1 << 63;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

    pub const EMPTY: Self = Self(0);

    fn target(frame: FrameNumber) -> u64 {
        u64::from(frame.get()) * PAGE_LEN as u64 | Self::PRESENT | Self::USER | Self::ACCESSED
    }

    /// Refers to a table this address space owns. Permissions are the leaves' business.
    pub fn owned_table(frame: FrameNumber, Hint(hint): Hint) -> Self {
        let hint = u64::from(hint);
        let low = hint << Self::HINT_LOW_SHIFT & Self::HINT_LOW;
        Self(Self::target(frame) | Self::WRITABLE | low | hint >> 2 << Self::HINT_HIGH_SHIFT)
    }

    /// What [`Self::owned_table`] was told.
    pub fn hint(self) -> Hint {
        let high = self.0 >> Self::HINT_HIGH_SHIFT << 2 & (HINT_MAX - 1);
        Hint((high | (self.0 & Self::HINT_LOW) >> Self::HINT_LOW_SHIFT) as u16)
    }

    /// Refers to a table somebody else owns; nothing below it is ever writable.
    pub fn borrowed_table(frame: FrameNumber) -> Self {
        Self(Self::target(frame) | Self::WRITABLE | Self::BORROWED)
    }

    /// Refers to a table of the kernel that user mode must not reach.
    #[cfg(target_os = "none")]
    pub fn supervisor_table(frame: FrameNumber) -> Self {
        Self((Self::target(frame) | Self::WRITABLE | Self::BORROWED) & !Self::USER)
    }

    /// Maps a page this address space owns.
    pub fn owned_page(frame: FrameNumber, protection: Protection) -> Self {
        Self(Self::target(frame) | Self::DIRTY | Self::rights(protection))
    }

    fn rights(protection: Protection) -> u64 {
        match protection {
            Protection::Read => Self::NO_EXECUTE,
            Protection::ReadWrite => Self::NO_EXECUTE | Self::WRITABLE,
            Protection::ReadExecute => 0,
        }
    }

    /// Maps a page somebody else owns. Never writable, whatever the region allows: a write copies.
    pub fn borrowed_page(frame: FrameNumber, protection: Protection) -> Self {
        let rights = if protection == Protection::ReadExecute { 0 } else { Self::NO_EXECUTE };
        Self(Self::target(frame) | Self::DIRTY | Self::BORROWED | rights)
    }

    /// The same target with the rights of `protection`; borrowed pages stay read-only. A page that
    /// may not be touched at all stays, out of reach of ring 3.
    pub fn with_protection(self, protection: Option<Protection>) -> Self {
        const RIGHTS: u64 = Entry::USER | Entry::WRITABLE | Entry::NO_EXECUTE;
        let rights = match protection {
            None => Self::NO_EXECUTE,
            Some(protection) if self.is_borrowed() => {
                (Self::USER | Self::rights(protection)) & !Self::WRITABLE
            }
            Some(protection) => Self::USER | Self::rights(protection),
        };
        Self(self.0 & !RIGHTS | rights)
    }

    pub fn is_present(self) -> bool {
        self.0 & Self::PRESENT != 0
    }

    pub fn is_borrowed(self) -> bool {
        self.0 & Self::BORROWED != 0
    }

    /// Whether this, as a leaf, refers to a page that its address space owns.
    pub fn is_owned_page(self) -> bool {
        self.0 & (Self::PRESENT | Self::BORROWED) == Self::PRESENT
    }

    /// The entry for the same page in a template made of the instance that has this one: borrowed,
    /// and the template's if it was the instance's own.
    pub fn frozen(self) -> Self {
        let templates = if self.is_owned_page() { Self::TEMPLATES } else { 0 };
        Self(self.0 & !(Self::WRITABLE | Self::TEMPLATES) | Self::BORROWED | templates)
    }

    /// The entry with the same rights, but for writing, that maps a page somebody else owns.
    pub fn borrowing(self, frame: FrameNumber) -> Self {
        const KEPT: u64 = !(Entry::ADDRESS | Entry::WRITABLE | Entry::TEMPLATES);
        Self(self.0 & KEPT | u64::from(frame.get()) * PAGE_LEN as u64 | Self::BORROWED)
    }

    /// Whether this, as a leaf in a template's table, refers to a page that the template owns.
    pub fn is_templates(self) -> bool {
        self.0 & (Self::PRESENT | Self::TEMPLATES) == Self::PRESENT | Self::TEMPLATES
    }

    pub fn is_writable(self) -> bool {
        self.0 & Self::WRITABLE != 0
    }

    pub fn frame(self) -> Option<FrameNumber> {
        if !self.is_present() {
            return None;
        }
        let number = (self.0 & Self::ADDRESS) / PAGE_LEN as u64;
        FrameNumber::new(u32::try_from(number).ok()?)
    }
}

/// Where its owner finds what it noted of a table: less than [`HINT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hint(pub u16);

/// Bits 10, 11 and 52 to 61 of an entry are not looked at by the processor.
pub(super) const HINT_MAX: u64 = 1 << 12;

/// Entries in one table.
const ENTRIES: usize = 512;
/// What one level-1 table maps.
pub(super) const BLOCK_LEN: u64 = (ENTRIES * PAGE_LEN) as u64;

/// The smallest range of slots that holds every entry of a table: what a copy has to copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    first: u16,
    end: u16,
}

impl Slots {
    pub const NONE: Self = Self { first: ENTRIES as u16, end: 0 };

    pub fn include(&mut self, slot: usize) {
        let slot = slot as u16;
        self.first = self.first.min(slot);
        self.end = self.end.max(slot + 1);
    }

    pub fn include_all(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.end = self.end.max(other.end);
    }

    pub fn range(self) -> Range<usize> {
        usize::from(self.first)..usize::from(self.end.max(self.first))
    }
}

/// Bits in a word of [`Marks`].
const WORD: usize = u64::BITS as usize;

/// A mark for each slot of a table.
#[derive(Debug, Default)]
pub(super) struct Marks {
    words: [u64; ENTRIES / WORD],
    /// A bit for each word that is not zero.
    used: u8,
}

const _: () = assert!(ENTRIES / WORD == u8::BITS as usize);

impl Marks {
    pub fn insert(&mut self, slot: usize) {
        let word = slot / WORD % self.words.len();
        self.words[word] |= 1 << (slot % WORD);
        self.used |= 1 << word;
    }

    pub fn remove(&mut self, slot: usize) {
        let word = slot / WORD % self.words.len();
        self.words[word] &= !(1 << (slot % WORD));
        if self.words[word] == 0 {
            self.used &= !(1 << word);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether one of these slots is marked, of which there is at least one.
    pub fn has_any(&self, slots: Range<usize>) -> bool {
        let (first, last) = (slots.start / WORD, (slots.end - 1) / WORD);
        self.words[first..=last].iter().zip(first..).any(|(marks, word)| {
            let from = if word == first { slots.start % WORD } else { 0 };
            let to = if word == last { (slots.end - 1) % WORD } else { WORD - 1 };
            marks >> from << from << (WORD - 1 - to) != 0
        })
    }

    /// Takes all marks away and calls `f` for each.
    pub fn drain(&mut self, mut f: impl FnMut(usize)) {
        for word in bits(u64::from(core::mem::take(&mut self.used))) {
            for bit in bits(core::mem::take(&mut self.words[word % (ENTRIES / WORD)])) {
                f(word * WORD + bit);
            }
        }
    }
}

/// The numbers of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lowest = word.trailing_zeros();
        word &= word.checked_sub(1)?;
        Some(lowest as usize)
    })
}

/// A page table in a frame.
pub(super) struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// # Safety
    /// `frame` is a page table, alive for as long as the result is used.
    pub unsafe fn at<'a>(frame: FrameNumber) -> &'a Self {
        // SAFETY: the caller vouches for the frame; a page is aligned and every bit pattern is
        // valid.
        unsafe { &*frame_pointer(frame).cast() }
    }

    pub fn get(&self, index: usize) -> Entry {
        Entry(self.0[index].load(Ordering::Relaxed))
    }

    pub fn set(&self, index: usize, entry: Entry) {
        self.0[index].store(entry.0, Ordering::Relaxed);
    }

    /// All entries that are present, with their slots.
    pub fn entries(&self) -> impl Iterator<Item = (usize, Entry)> {
        let all = (0..ENTRIES).map(|slot| (slot, self.get(slot)));
        all.filter(|(_, entry)| entry.is_present())
    }

    /// Empties a range of slots.
    ///
    /// # Safety
    /// No processor runs on the table.
    pub unsafe fn clear(&self, slots: Slots) {
        let range = &self.0[slots.range()];
        // SAFETY: the words are ours to write, and nobody reads them meanwhile.
        unsafe { zero_words(range.as_ptr().cast::<u64>().cast_mut(), range.len()) };
    }

    /// Writes entries from slot `first` on.
    ///
    /// # Safety
    /// As for [`Self::clear`].
    pub unsafe fn fill(&self, first: usize, entries: &[Entry]) {
        let range = &self.0[first..first + entries.len()];
        // SAFETY: as in `clear`; an entry is a word.
        unsafe {
            let words = range.as_ptr().cast::<Entry>().cast_mut();
            words.copy_from_nonoverlapping(entries.as_ptr(), entries.len());
        }
    }

    /// Copies a range of slots of another table.
    ///
    /// # Safety
    /// As for [`Self::clear`], and the other table does not change meanwhile.
    pub unsafe fn copy_from(&self, other: &Self, slots: Slots) {
        let others = &other.0[slots.range()];
        // SAFETY: nobody writes these words meanwhile; a word is an entry.
        let entries = unsafe { slice::from_raw_parts(others.as_ptr().cast(), others.len()) };
        // SAFETY: the caller's promise.
        unsafe { self.fill(slots.range().start, entries) };
    }
}

/// What one slot of a table of `level` maps.
pub(super) fn reach(level: u32) -> u64 {
    1 << (12 + 9 * (level - 1))
}

/// Index into the table of `level` (4 = root) for an address.
pub(super) fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1))) as usize % ENTRIES
}

/// The leaf entry that maps `address`, following owned and borrowed tables alike.
///
/// # Safety
/// `root` is the root of a page table whose tables are all alive.
pub(super) unsafe fn leaf(root: FrameNumber, address: u64) -> Entry {
    // SAFETY: the caller's promise.
    unsafe { leaf_below(root, 4, address) }
}

/// The same from a table of another level on.
///
/// # Safety
/// As for [`leaf`].
pub(super) unsafe fn leaf_below(table: FrameNumber, level: u32, address: u64) -> Entry {
    let mut frame = table;
    for level in (2..=level).rev() {
        // SAFETY: the caller vouches for the first; tables refer to live tables.
        let entry = unsafe { Table::at(frame) }.get(index(address, level));
        match entry.frame() {
            Some(next) => frame = next,
            None => return Entry::EMPTY,
        }
    }
    // SAFETY: as above.
    unsafe { Table::at(frame) }.get(index(address, 1))
}

/// Calls `f` for every entry below a table, with its address and the level of the table it is in,
/// in order of addresses, whoever owns the tables. It says whether the table that an entry refers
/// to is looked at, too.
///
/// # Safety
/// As for [`leaf`].
pub(super) unsafe fn for_each_entry(
    table: FrameNumber,
    level: u32,
    start: u64,
    f: &mut impl FnMut(u64, u32, Entry) -> bool,
) {
    // SAFETY: the caller vouches for it.
    for (slot, entry) in unsafe { Table::at(table) }.entries() {
        // The upper half is the kernel's.
        if level == 4 && slot >= ENTRIES / 2 {
            return;
        }
        let address = start + slot as u64 * reach(level);
        if f(address, level, entry)
            && level > 1
            && let Some(below) = entry.frame()
        {
            // SAFETY: tables refer to live tables.
            unsafe { for_each_entry(below, level - 1, address, f) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_the_slots_where_they_are() {
        let mut marks = Marks::default();
        for slot in [0, 63, 64, 200, 511] {
            marks.insert(slot);
        }
        for start in 0..ENTRIES {
            for len in [1, 2, 63, 64, 65, 130, 512] {
                let slots = start..(start + len).min(ENTRIES);
                let expected = [0, 63, 64, 200, 511].iter().any(|slot| slots.contains(slot));
                assert_eq!(marks.has_any(slots.clone()), expected, "{slots:?}");
            }
        }
        marks.remove(200);
        assert!(!marks.has_any(65..511));
    }
}
