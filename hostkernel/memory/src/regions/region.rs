//! One range of an address space: what its pages hold at first, and what may be done with them.

use crate::plan::{PageRange, Protection};
use limits::{PAGE_LEN, STAGES_MAX};

/// A range with one protection and one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub range: PageRange,
    pub source: Source,
    /// What may be done there, if anything.
    pub protection: Option<Protection>,
}

/// What a page holds that nobody has touched yet: in one word, since there may be thousands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u32);

/// A page of a payload. A template that is made from another has one more than that: they count
/// from 0, the one that was prepared first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadPage {
    pub stage: u32,
    pub page: u32,
}

/// Bits of a [`Source`] that number a page of the payload; the stage is above them.
const PAGE_BITS: u32 = 28;

impl Source {
    /// Zeros.
    pub const ZERO: Self = Self(u32::MAX);
    /// What the image says.
    pub const IMAGE: Self = Self(u32::MAX - 1);

    /// A payload, from this page of it on.
    pub fn payload(PayloadPage { stage, page }: PayloadPage) -> Self {
        assert!(stage < STAGES_MAX && page >> PAGE_BITS == 0, "payloads are fewer and shorter");
        Self(stage << PAGE_BITS | page)
    }

    /// The page of the payload with which it begins.
    pub fn payload_page(self) -> Option<PayloadPage> {
        let page =
            PayloadPage { stage: self.0 >> PAGE_BITS, page: self.0 & ((1 << PAGE_BITS) - 1) };
        (page.stage < STAGES_MAX).then_some(page)
    }

    /// The source of what begins so many bytes later.
    pub fn behind(self, bytes: u64) -> Self {
        match self.payload_page() {
            Some(PayloadPage { stage, page }) => {
                Self::payload(PayloadPage { stage, page: page + (bytes / PAGE_LEN as u64) as u32 })
            }
            None => self,
        }
    }
}

const _: () = assert!(STAGES_MAX << PAGE_BITS <= Source::IMAGE.0 >> PAGE_BITS << PAGE_BITS);

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
