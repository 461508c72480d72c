//! The pages an image's instances touch early in their life, learned from the first of them.
//!
//! A page fault costs several times what providing a page does, and instances of one image mostly
//! touch the same few pages: the top of the stack, a page of data, the start of the output. Later
//! instances get these from the start. What is learned is a hint: whether the page may be touched
//! is decided anew each time, by the same check as for a page fault.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::frames::{Frame, OutOfFrames};
use super::physical::frame_pointer;
use limits::{LIKELY_PAGES_FROZEN_MAX, LIKELY_PAGES_MAX, PAGE_LEN};

/// Instances an image learns from; later ones touching something else change nothing.
const LESSONS_MAX: u32 = 16;
/// In a page's address: it was written.
const WRITTEN: u64 = 1 << 0;
/// Instances of the template may write it from the start, and all there is to do is to give them
/// a page of zeros or a copy of what is mapped there.
const PLAIN: u64 = 1 << 1;
/// Zeros, if nothing is mapped there.
const ZERO: u64 = 1 << 2;
const FLAGS: u64 = WRITTEN | PLAIN | ZERO;

const _: () = assert!((FLAGS as usize) < PAGE_LEN, "flags are below the page's address");

/// A page that was touched: its address, and whether it was written.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LikelyPage(u64);

impl LikelyPage {
    /// Takes the address of a page.
    pub fn new(address: u64, written: bool) -> Self {
        Self(address | if written { WRITTEN } else { 0 })
    }

    pub fn address(self) -> u64 {
        self.0 & !FLAGS
    }

    pub fn is_written(self) -> bool {
        self.0 & WRITTEN != 0
    }

    /// Whether nothing needs to be looked up to provide it; if so, whether it is zeros unless
    /// something is mapped there.
    pub fn plain(self) -> Option<bool> {
        (self.0 & PLAIN != 0).then_some(self.0 & ZERO != 0)
    }

    /// The same page, of which that is known.
    pub fn with_plain(self, is_zero: bool) -> Self {
        Self(self.0 | PLAIN | if is_zero { ZERO } else { 0 })
    }
}

/// The first pages that an instance touched, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Touched {
    first: [LikelyPage; LIKELY_PAGES_MAX],
    pub count: u64,
    /// Those that an instance of a frozen template touched, as many as fit.
    many: Option<Frame>,
}

impl Touched {
    /// Makes room for many.
    pub fn expect_many(&mut self, room: Frame) {
        self.many = Some(room);
    }

    pub fn record(&mut self, page: LikelyPage) {
        let place = match &self.many {
            None => self.first.get_mut(self.count as usize),
            Some(frame) => likely_in(frame).get_mut(self.count as usize),
        };
        if let Some(place) = place {
            *place = page;
        }
        self.count += 1;
    }

    /// The first of them, in order.
    pub fn first(&self) -> &[LikelyPage] {
        &self.first[..self.first.len().min(self.count as usize)]
    }

    /// As many of them as fit, in any order, and the frame they are in.
    pub fn take_many(&mut self) -> Option<(Frame, usize)> {
        let frame = self.many.take()?;
        Some((frame, MANY_MAX.min(self.count as usize)))
    }
}

/// Pages in a frame of them.
const MANY_MAX: usize = PAGE_LEN / size_of::<LikelyPage>();
const _: () = assert!(LIKELY_PAGES_FROZEN_MAX <= MANY_MAX);

#[expect(
    clippy::mut_from_ref,
    reason = "the frame's bytes are its owner's, which has it to itself"
)]
fn likely_in(frame: &Frame) -> &mut [LikelyPage; MANY_MAX] {
    // SAFETY: the frame is a [`Touched`]'s or a [`Lessons`]' own and holds nothing else; every bit
    // pattern is a page.
    unsafe { &mut *frame_pointer(frame.number()).cast() }
}

/// What a frozen template has learned: sorted lists, each better than the one before. A list is
/// never changed once it is there, so that cores can use one while another is made.
#[derive(Debug)]
pub(super) struct Lessons {
    lists: [Frame; Self::FRAMES],
    /// Lengths of those that are there.
    lens: [AtomicU32; Self::FRAMES],
    /// How many are there.
    known: AtomicU32,
    /// Whether a core makes one.
    busy: AtomicBool,
}

impl Lessons {
    /// Frames they take.
    pub const FRAMES: usize = 3;

    pub fn new() -> Result<Self, OutOfFrames> {
        let lists = [Frame::allocate()?, Frame::allocate()?, Frame::allocate()?];
        let (lens, known) = (Default::default(), AtomicU32::new(0));
        Ok(Self { lists, lens, known, busy: AtomicBool::new(false) })
    }

    /// Whether there is more to learn.
    pub fn are_wanted(&self) -> bool {
        self.known.load(Ordering::Relaxed) < Self::FRAMES as u32
    }

    /// All that is known, in order of addresses.
    pub fn pages(&self) -> &[LikelyPage] {
        let Some(last) = self.known.load(Ordering::Acquire).checked_sub(1) else { return &[] };
        let len = self.lens[last as usize].load(Ordering::Relaxed);
        &likely_in(&self.lists[last as usize])[..len as usize]
    }

    /// Makes the next list, of what is known and of what an instance touched besides. `describe`
    /// says more of each page.
    pub fn learn(
        &self,
        touched: &mut Frame,
        len: usize,
        describe: impl Fn(LikelyPage) -> LikelyPage,
    ) {
        if self.busy.swap(true, Ordering::Acquire) {
            return;
        }
        let next = self.known.load(Ordering::Relaxed) as usize;
        if let Some(list) = self.lists.get(next) {
            let touched = &mut likely_in(touched)[..len];
            touched.sort_unstable_by_key(|page| page.0);
            let room = &mut likely_in(list)[..LIKELY_PAGES_FROZEN_MAX];
            let len = merge(self.pages(), touched, room);
            room[..len].iter_mut().for_each(|page| *page = describe(*page));
            self.lens[next].store(len as u32, Ordering::Relaxed);
            self.known.store(next as u32 + 1, Ordering::Release);
        }
        self.busy.store(false, Ordering::Release);
    }
}

/// Merges two sorted lists as far as there is room; a page in both was written if it was in one.
fn merge(first: &[LikelyPage], second: &[LikelyPage], room: &mut [LikelyPage]) -> usize {
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    let mut len = 0;
    loop {
        let next = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) if a.address() > b.address() => second.next(),
            (Some(_), _) => first.next(),
            (None, _) => second.next(),
        };
        let Some(page) = next else { return len };
        if let Some(last) = room[..len].last_mut().filter(|last| last.address() == page.address()) {
            last.0 |= page.0;
        } else if let Some(place) = room.get_mut(len) {
            *place = *page;
            len += 1;
        } else {
            return len;
        }
    }
}

/// What an image has learned. Cores use and extend it at the same time; a hint lost in between is
/// learned by the next instance.
#[derive(Debug, Default)]
pub(super) struct LikelyPages {
    // Ends at the first zero, which is no page.
    pages: [AtomicU64; LIKELY_PAGES_MAX],
    lessons: AtomicU32,
}

impl LikelyPages {
    /// Adds pages that an instance had to ask for.
    pub fn learn(&self, touched: &[LikelyPage]) {
        if self.lessons.load(Ordering::Relaxed) >= LESSONS_MAX {
            return;
        }
        self.lessons.fetch_add(1, Ordering::Relaxed);
        for page in touched {
            let free = self.pages.iter().find(|place| {
                let known = LikelyPage(place.load(Ordering::Relaxed));
                known.0 == 0 || known.address() == page.address()
            });
            if let Some(place) = free {
                place.fetch_or(page.0, Ordering::Relaxed);
            }
        }
    }

    /// Each of them, as known at this moment.
    pub fn pages(&self) -> impl Iterator<Item = LikelyPage> + use<> {
        let pages = self.pages.each_ref().map(|page| page.load(Ordering::Relaxed));
        pages.into_iter().take_while(|value| *value != 0).map(LikelyPage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install_for_test;
    use alloc::vec::Vec;

    fn known(likely: &LikelyPages) -> Vec<(u64, bool)> {
        likely.pages().map(|page| (page.address(), page.is_written())).collect()
    }

    #[test]
    fn pages_are_learned_once_and_no_more_than_there_is_room() {
        let likely = LikelyPages::default();
        let page = |number: u64, written| LikelyPage::new(number * 4096, written);
        likely.learn(&[page(1, false), page(2, true)]);
        likely.learn(&[page(2, false), page(1, true)]);
        assert_eq!(known(&likely), [(4096, true), (8192, true)]);
        let more: Vec<_> = (3..30).map(|number| page(number, false)).collect();
        likely.learn(&more);
        assert_eq!(known(&likely).len(), LIKELY_PAGES_MAX);
        likely.learn(&[page(99, true)]);
        assert!(!known(&likely).contains(&(99 * 4096, true)));
    }

    #[test]
    fn after_some_lessons_nothing_is_learned() {
        let likely = LikelyPages::default();
        (0..LESSONS_MAX).for_each(|_| likely.learn(&[]));
        likely.learn(&[LikelyPage::new(4096, false)]);
        assert!(known(&likely).is_empty());
    }

    #[test]
    fn an_instance_remembers_the_first_pages_and_counts_all() {
        let mut touched = Touched::default();
        assert!(touched.first().is_empty());
        for number in 0..20 {
            touched.record(LikelyPage::new(number * 4096, false));
        }
        assert_eq!(touched.count, 20);
        assert_eq!(touched.first().len(), LIKELY_PAGES_MAX);
    }

    #[test]
    fn lessons_are_sorted_and_better_each_time() {
        install_for_test();
        let page = |number: u64, written| LikelyPage::new(number * 4096, written);
        let lessons = Lessons::new().expect("the arena is large");
        let learn = |pages: &[LikelyPage]| {
            let mut touched = Touched::default();
            touched.expect_many(Frame::allocate().expect("the arena is large"));
            pages.iter().for_each(|page| touched.record(*page));
            let (mut frame, len) = touched.take_many().expect("there was room");
            lessons.learn(&mut frame, len, |page| page);
        };
        assert!(lessons.pages().is_empty() && lessons.are_wanted());
        learn(&[page(9, true), page(2, false)]);
        assert_eq!(lessons.pages(), [page(2, false), page(9, true)]);
        learn(&[page(9, false), page(2, true), page(5, false)]);
        assert_eq!(lessons.pages(), [page(2, true), page(5, false), page(9, true)]);
        learn(&(10..2000).map(|number| page(number, true)).collect::<Vec<_>>());
        assert_eq!(lessons.pages().len(), LIKELY_PAGES_FROZEN_MAX);
        assert!(lessons.pages().is_sorted_by_key(|page| page.address()) && !lessons.are_wanted());
        learn(&[page(3, true)]);
        assert!(!lessons.pages().contains(&page(3, true)));
    }
}
