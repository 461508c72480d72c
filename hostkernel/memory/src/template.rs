//! What deploying makes of an image: its pages, and how instances get them, shared by all.
//!
//! The file's own pages are mapped where they lie, since a segment's offset is congruent to its
//! address. All leaves are read-only and marked borrowed: an instance that writes gets its own page
//! then. The page in which file bytes end and zeroed memory begins is no page of the file; each
//! instance that touches it makes its own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};

use action_abi::host::Moment;
use spin::Once;

use super::buffer::PageBuffer;
use super::frames::{Frame, FrameNumber, OutOfFrames};
use super::likely::{Lessons, LikelyPages};
use super::regions::{PayloadPage, Regions};
use super::table::{Entry, Slots};
use super::tree::Tree;
use crate::plan::{LoadPlan, PageRange, Protection, Segment};
use limits::PAGE_LEN;

/// What a page holds when it is first touched, where nothing is mapped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// Zeros, but for a segment's last bytes from the file if it is their page.
    Image(Tail),
    /// Zeros.
    Zero,
    /// This page of a payload.
    Payload(PayloadPage),
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
    code: Arc<PageBuffer>,
    entry: u64,
    is_host: bool,
    /// Ascending.
    parts: Vec<Part>,
    tree: Tree,
    likely: LikelyPages,
    /// What came of running it, if instances start from there.
    frozen: Option<Box<Frozen>>,
    /// What is dropped with it.
    attached: Once<Box<dyn Attached>>,
}

impl Drop for Template {
    fn drop(&mut self) {
        if let Some(code) = Arc::get_mut(&mut self.code) {
            core::mem::take(code).give_back();
        }
    }
}

/// What may be attached to a template.
pub trait Attached: Debug + Send + Sync {}

impl<T: Debug + Send + Sync> Attached for T {}

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
        let tree = Tree::build(leaves, written(&parts))?;
        Ok(Self {
            code: Arc::new(code),
            entry: plan.entry,
            is_host: plan.is_host,
            parts,
            tree,
            likely: LikelyPages::default(),
            frozen: None,
            attached: Once::new(),
        })
    }

    /// The template of an instance that was frozen.
    pub(super) fn from_frozen(code: Arc<PageBuffer>, tree: Tree, frozen: Box<Frozen>) -> Self {
        Self {
            code,
            entry: frozen.base.entry,
            is_host: true,
            parts: Vec::new(),
            tree,
            likely: LikelyPages::default(),
            frozen: Some(frozen),
            attached: Once::new(),
        }
    }

    /// Has something dropped with it: whoever wants to know when it is gone. Once; later ones are
    /// not made.
    pub fn attach(&self, make: impl FnOnce() -> Box<dyn Attached>) {
        self.attached.call_once(make);
    }

    /// Whether the image hosts other programs.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.is_host
    }

    /// Whether it is of a web server: frozen where its program waits for a connection.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.frozen().is_some_and(|frozen| frozen.at() == Moment::Accept)
    }

    /// What its instances start from, if one was frozen.
    #[must_use]
    pub fn frozen(&self) -> Option<&Frozen> {
        self.frozen.as_deref()
    }

    /// How many templates were frozen one from the other until there was this one.
    #[must_use]
    pub fn stages(&self) -> u32 {
        self.frozen.as_ref().map_or(0, |frozen| frozen.stages)
    }

    /// The payload that was prepared at a stage.
    pub(super) fn payload(&self, stage: u32) -> Option<&PageBuffer> {
        let mut frozen = self.frozen()?;
        while frozen.stages > stage + 1 {
            frozen = frozen.base.frozen()?;
        }
        Some(&frozen.payload)
    }

    /// Which slots are in use of a table that is this template's, or of one it was made from.
    pub(super) fn slots(&self, table: FrameNumber) -> Slots {
        let mut template = self;
        loop {
            if let Some(slots) = template.tree.slots(table) {
                return slots;
            }
            let frozen = template.frozen.as_ref();
            template = &frozen.expect("a borrowed table is the template's, or its base's").base;
        }
    }

    /// The leaf entry of a page, if this was made from an instance.
    pub(super) fn leaf(&self, address: u64) -> Entry {
        match &self.tree {
            Tree::Whole(tables, _) => tables.leaf(address),
            Tree::Leaves(_) | Tree::Tables(_) => Entry::EMPTY,
        }
    }

    /// Notes what the image said of the randomness that all instances have in common.
    pub fn set_entropy(&mut self, text: Vec<u8>) {
        if let Some(frozen) = &mut self.frozen {
            frozen.entropy = text;
        }
    }

    /// The template whose file the image's pages are from.
    pub(super) fn image(&self) -> &Self {
        match &self.frozen {
            Some(frozen) => frozen.base.image(),
            None => self,
        }
    }

    /// The first address of the image that can be written.
    pub(super) fn written(&self) -> Option<u64> {
        written(&self.image().parts)
    }

    /// Where the image's segments are, and what may be done there.
    pub(super) fn segments(&self) -> impl Iterator<Item = (PageRange, Protection)> {
        self.image().parts.iter().map(|part| (part.range, part.protection))
    }

    /// The file that was deployed.
    #[must_use]
    pub fn code(&self) -> &Arc<PageBuffer> {
        &self.code
    }

    /// Address of the first instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Bytes of the file, and of the pages that were frozen.
    #[must_use]
    pub fn code_len(&self) -> usize {
        self.code.len() + self.frozen.as_ref().map_or(0, |frozen| frozen.pages * PAGE_LEN)
    }

    /// Frames the template holds: the file, tables, and what was frozen. Not those of an image that
    /// others use, too.
    #[must_use]
    pub fn frames(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |frozen| frozen.frames(&self.code));
        self.code.pages().len() + self.tree.frames() + frozen
    }

    /// What it takes of the kernel heap: lists of frames.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        let frozen = self.frozen.as_ref().map_or(0, |it| size_of::<Frozen>() + it.entropy.len());
        size_of::<Self>()
            + size_of_val(self.code.pages())
            + size_of_val(&*self.parts)
            + self.tree.heap_len()
            + frozen
    }

    /// How instances get the pages of the file.
    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What may be done at an address of the image, and what a page holds that is not in the tree.
    pub(super) fn find(&self, address: u64) -> Option<(Protection, Backing)> {
        let part = self.image().parts.iter().find(|part| address < part.range.end)?;
        let is_inside = part.range.start <= address;
        is_inside.then_some((part.protection, Backing::Image(part.tail)))
    }

    /// The bytes that a page of the image begins with, if `tail` is in this page.
    #[inline]
    pub(super) fn tail(&self, tail: Tail, page: u64) -> &[u8] {
        let is_here = tail.page == page;
        let frame = self.image().code.pages().get(tail.file_page as usize).filter(|_| is_here);
        frame.map_or(&[], |frame| &frame.bytes()[..tail.len as usize])
    }

    /// What is known of the pages that instances touch.
    pub(super) fn likely(&self) -> &LikelyPages {
        &self.likely
    }
}

/// The first address that can be written.
fn written(parts: &[Part]) -> Option<u64> {
    let is_writable = |part: &&Part| part.protection == Protection::ReadWrite;
    parts.iter().find(is_writable).map(|part| part.range.start)
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

/// What the processor held, in the order of whoever saved it: nothing here looks at it.
#[derive(Debug)]
pub struct Processor {
    /// Registers, and what belongs to them.
    pub words: [u64; Processor::WORDS],
    /// Extended state, if it is not the initial one.
    pub extended: Option<Frame>,
    /// What the program had come to.
    pub at: Moment,
}

impl Processor {
    /// Room for words.
    pub const WORDS: usize = 32;
}

/// Tells a frozen template from all others, also from those that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TemplateNumber(NonZeroU64);

/// A frozen instance, without its pages.
#[derive(Debug)]
pub struct Frozen {
    number: TemplateNumber,
    /// What the instance was made from, whose pages these tables refer to, too.
    pub(super) base: Arc<Template>,
    pub(super) payload: Arc<PageBuffer>,
    /// One more than the base's.
    stages: u32,
    pub(super) regions: Regions,
    pub(super) heap: PageRange,
    pub(super) lessons: Lessons,
    /// Pages that the template owns.
    pub(super) pages: usize,
    pub(super) processor: Processor,
    /// What the image said of the randomness that all instances have in common, as text.
    entropy: Vec<u8>,
    /// Instances that were made.
    instances: AtomicU64,
}

/// What [`Frozen::new`] takes of an address space.
pub(super) struct Memory {
    pub base: Arc<Template>,
    pub payload: Arc<PageBuffer>,
    pub regions: Regions,
    pub heap: PageRange,
    pub pages: usize,
}

impl Frozen {
    pub(super) fn new(memory: Memory, lessons: Lessons, processor: Processor) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let number = TemplateNumber(NonZeroU64::new(number).expect("so many are never made"));
        let Memory { base, payload, regions, heap, pages } = memory;
        let instances = AtomicU64::new(0);
        let stages = base.stages() + 1;
        let entropy = Vec::new();
        Self {
            number,
            base,
            payload,
            stages,
            regions,
            heap,
            lessons,
            pages,
            processor,
            entropy,
            instances,
        }
    }

    pub(super) fn number(&self) -> TemplateNumber {
        self.number
    }

    /// What the image said of the randomness that all instances have in common, as text.
    #[must_use]
    pub fn entropy(&self) -> &[u8] {
        &self.entropy
    }

    /// What the processor held.
    #[must_use]
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// What the instance was made from.
    #[must_use]
    pub fn base(&self) -> &Arc<Template> {
        &self.base
    }

    /// What it prepared; empty if it prepared itself.
    #[must_use]
    pub fn payload(&self) -> &Arc<PageBuffer> {
        &self.payload
    }

    /// What its program had come to.
    #[must_use]
    pub fn at(&self) -> Moment {
        self.processor.at
    }

    /// Pages that were written before it was frozen.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// A number for an instance, which no other has.
    #[must_use]
    pub fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Frames it holds, besides the deployed file and tables. What it was made from, others have,
    /// too.
    pub(super) fn frames(&self, code: &Arc<PageBuffer>) -> usize {
        // An image that was deployed by itself is nobody else's.
        let is_own = Arc::ptr_eq(code, self.base.code()) && self.base.frozen.is_none();
        let base = if is_own { self.base.frames() - code.pages().len() } else { 0 };
        let extended = usize::from(self.processor.extended.is_some());
        base + self.pages + self.regions.frames() + extended + self.lessons.frames()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.regions.clear(drop);
    }
}
