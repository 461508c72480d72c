//! What deploying makes of an image: its pages, and how instances get them, shared by all.
//!
//! The file's own pages are mapped where they lie, since a segment's offset is congruent to its
//! address. All leaves are read-only and marked borrowed: an instance that writes gets its own page
//! then. The page in which file bytes end and zeroed memory begins is no page of the file; each
//! instance that touches it makes its own.

use alloc::vec::Vec;

use super::buffer::PageBuffer;
use super::frames::{Frame, OutOfFrames};
use super::likely::{LikelyPage, LikelyPages};
use super::table::Entry;
use super::tree::Tree;
use crate::{LoadPlan, Protection, Segment};
use limits::PAGE_LEN;

/// A range of whole pages of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// First address; a multiple of the page length.
    pub start: u64,
    /// Address after the last byte; a multiple of the page length.
    pub end: u64,
}

/// What a page holds when it is first touched, where nothing is mapped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// Zeros, but for a segment's last bytes from the file if it is their page.
    Image(Tail),
    /// Zeros.
    Zero,
    /// Pages are placed when the range is made; there is nothing to provide later.
    Placed,
}

/// The last bytes of a segment that come from the file, where zeros follow in the same page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Address of their page; 0, which is no page of an image, if the segment has none.
    page: u64,
    file_page: u32,
    len: u32,
}

/// A segment as instances see it.
#[derive(Clone, Copy, Debug)]
struct Part {
    range: PageRange,
    protection: Protection,
    tail: Tail,
}

/// A deployed image, ready to be mapped. Immutable, but for what it learns from its instances.
#[derive(Debug)]
pub struct Template {
    // Entries of `tree` refer to its frames.
    code: PageBuffer,
    entry: u64,
    /// Ascending.
    parts: Vec<Part>,
    tree: Tree,
    likely: LikelyPages,
}

// Images live below IMAGE_END, which one level-3 table covers.
const _: () = assert!(action_abi::IMAGE_END <= 1 << 39);

impl Template {
    /// Prepares the pages for `plan`, which was made from the bytes of `code`.
    ///
    /// # Errors
    /// [`OutOfFrames`] if memory runs out; everything taken is given back.
    ///
    /// # Panics
    /// If `plan` does not lie within `code` and the image range; who reads images makes none such.
    pub fn build(plan: &LoadPlan, code: PageBuffer) -> Result<Self, OutOfFrames> {
        let mut parts: Vec<Part> = plan.segments.iter().map(Part::new).collect();
        parts.sort_unstable_by_key(|part| part.range.start);
        let disjoint = |pair: &[Part]| pair[0].range.end <= pair[1].range.start;
        assert!(parts.windows(2).all(disjoint), "segments share no page");
        let leaves = plan.segments.iter().flat_map(|segment| leaves_of(segment, &code));
        let is_writable = |part: &&Part| part.protection == Protection::ReadWrite;
        let written = parts.iter().find(is_writable).map(|part| part.range.start);
        let tree = Tree::build(leaves, written)?;
        Ok(Self { code, entry: plan.entry, parts, tree, likely: LikelyPages::default() })
    }

    /// The image file.
    #[must_use]
    pub fn code(&self) -> &PageBuffer {
        &self.code
    }

    /// Address of the first instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Frames the template holds: the file and tables.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.code.pages().len() + self.tree.frames()
    }

    /// What it takes of the kernel heap: lists of frames.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.code.pages())
            + size_of_val(&*self.parts)
            + self.tree.heap_len()
    }

    /// How instances get the pages of the file.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What may be done at an address of the image, and what a page holds that is not in the tree.
    pub(super) fn find(&self, address: u64) -> Option<(Protection, Backing)> {
        let part = self.parts.iter().find(|part| address < part.range.end)?;
        let is_inside = part.range.start <= address;
        is_inside.then_some((part.protection, Backing::Image(part.tail)))
    }

    /// The bytes that a page of the image begins with, if `tail` is in this page.
    pub(super) fn tail(&self, tail: Tail, page: u64) -> &[u8] {
        let is_here = tail.page == page;
        let frame = self.code.pages().get(tail.file_page as usize).filter(|_| is_here);
        frame.map_or(&[], |frame| &frame.bytes()[..tail.len as usize])
    }

    /// Pages that instances touch early.
    pub(super) fn likely_pages(&self) -> impl Iterator<Item = LikelyPage> + use<> {
        self.likely.pages()
    }

    /// Learns from an instance which pages it had to ask for.
    pub(super) fn learn(&self, touched: &[LikelyPage]) {
        self.likely.learn(touched);
    }
}

impl Part {
    fn new(segment: &Segment) -> Self {
        let page_len = PAGE_LEN as u64;
        let start = segment.address / page_len * page_len;
        let end = (segment.address + segment.memory_len).next_multiple_of(page_len);
        assert!(
            start >= action_abi::IMAGE_START && end <= action_abi::IMAGE_END,
            "the load plan is inside the image range"
        );
        let file_end = segment.address + segment.file_len;
        let len = file_end % page_len;
        let is_partial = len > 0 && segment.file_len > 0 && segment.memory_len > segment.file_len;
        let tail = match is_partial {
            true => Tail {
                page: file_end - len,
                file_page: ((segment.file_offset + segment.file_len) / page_len) as u32,
                len: len as u32,
            },
            false => Tail { page: 0, file_page: 0, len: 0 },
        };
        Self { range: PageRange { start, end }, protection: segment.protection, tail }
    }
}

/// The whole pages of the file that a segment maps: their addresses, and what maps them.
fn leaves_of<'a>(
    segment: &Segment,
    code: &'a PageBuffer,
) -> impl Iterator<Item = (u64, Entry)> + Clone + use<'a> {
    let Part { range, protection, tail } = Part::new(segment);
    let end = if tail.page != 0 { tail.page } else { segment.address + segment.file_len };
    let start = if segment.file_len > 0 { range.start } else { end };
    let frames = &code.pages()[(segment.file_offset / PAGE_LEN as u64) as usize..];
    let entry = move |frame: &Frame| Entry::borrowed_page(frame.number(), protection);
    (start..end).step_by(PAGE_LEN).zip(frames.iter().map(entry))
}
