//! One range of an address space: what its pages hold at first, and what may be done with them.

use crate::plan::{PageRange, Protection};
use limits::PAGE_LEN;

/// A range with one protection and one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub range: PageRange,
    pub source: Source,
    /// What may be done there, if anything.
    pub protection: Option<Protection>,
}

/// What a page holds that nobody has touched yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u32);

impl Source {
    /// Zeros.
    pub const ZERO: Self = Self(u32::MAX);
    /// What the image says.
    pub const IMAGE: Self = Self(u32::MAX - 1);

    /// The payload, from this page of it on.
    pub fn payload(page: u32) -> Self {
        assert!(page < Self::IMAGE.0, "payloads are shorter");
        Self(page)
    }

    /// The page of the payload with which it begins.
    pub fn payload_page(self) -> Option<u32> {
        (self.0 < Self::IMAGE.0).then_some(self.0)
    }

    /// The source of what begins so many bytes later.
    pub fn behind(self, bytes: u64) -> Self {
        match self.payload_page() {
            Some(page) => Self::payload(page + (bytes / PAGE_LEN as u64) as u32),
            None => self,
        }
    }
}

impl Region {
    /// The part of it that lies in `range`, which overlaps it.
    pub fn part(self, range: PageRange) -> Self {
        let start = self.range.start.max(range.start);
        let end = self.range.end.min(range.end);
        let source = self.source.behind(start - self.range.start);
        Self { range: PageRange { start, end }, source, ..self }
    }

    pub fn below(self, address: u64) -> Self {
        self.part(PageRange { start: self.range.start, end: address })
    }

    pub fn above(self, address: u64) -> Self {
        self.part(PageRange { start: address, end: self.range.end })
    }

    /// Both as one, if `next` goes on where this one ends.
    pub fn joined(self, next: Self) -> Option<Self> {
        let len = self.range.end - self.range.start;
        let joins = self.range.end == next.range.start
            && self.protection == next.protection
            && self.source.behind(len) == next.source;
        let range = PageRange { start: self.range.start, end: next.range.end };
        joins.then_some(Self { range, ..self })
    }
}
