//! The pages an image's instances touch early in their life, learned from the first of them.
//!
//! A page fault costs several times what providing a page does, and instances of one image mostly
//! touch the same few pages: the top of the stack, a page of data, the start of the output. Later
//! instances get these from the start. What is learned is a hint: whether the page may be touched
//! is decided anew each time, by the same check as for a page fault.

use core::array;
use core::iter;
use core::ptr;
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
    many: Option<Room>,
}

impl Touched {
    /// Takes room for many.
    pub fn expect_many(&mut self, room: Room) {
        self.many = Some(room);
    }

    #[inline]
    pub fn record(&mut self, page: LikelyPage) {
        let at = self.count as usize;
        self.count += 1;
        if let Some(room) = &mut self.many {
            room.note(at, page);
        } else if let Some(place) = self.first.get_mut(at) {
            *place = page;
        }
    }

    /// The first of them, in order.
    pub fn first(&self) -> &[LikelyPage] {
        &self.first[..self.first.len().min(self.count as usize)]
    }

    /// As many of them as fit, in any order, and the room they are in.
    pub fn take_many(&mut self) -> Option<(Room, usize)> {
        let room = self.many.take()?;
        let len = room.len().min(self.count as usize);
        Some((room, len))
    }
}

/// Pages in a frame of them.
const PAGES_IN_FRAME: usize = PAGE_LEN / size_of::<LikelyPage>();
/// Frames of a list.
const ROOM_FRAMES_MAX: usize = LIKELY_PAGES_FROZEN_MAX.div_ceil(PAGES_IN_FRAME);

/// Frames with pages, one behind the other.
#[derive(Debug)]
pub(super) struct Room([Option<Frame>; ROOM_FRAMES_MAX]);

impl Room {
    /// Room of so many frames, or of as many as there are.
    pub fn new(frames: usize, mut take: impl FnMut() -> Result<Frame, OutOfFrames>) -> Self {
        let mut room = Self([const { None }; ROOM_FRAMES_MAX]);
        for place in &mut room.0[..frames] {
            *place = take().ok();
        }
        room
    }

    /// The frames, to be given back.
    pub fn into_frames(self) -> impl Iterator<Item = Frame> {
        self.0.into_iter().flatten()
    }

    fn len(&self) -> usize {
        self.0.iter().flatten().count() * PAGES_IN_FRAME
    }

    /// Notes a page at a place, if that is within.
    #[cold]
    fn note(&mut self, at: usize, page: LikelyPage) {
        // SAFETY: the room is borrowed exclusively.
        let frame = unsafe { self.pieces_mut(self.len()) }.nth(at / PAGES_IN_FRAME);
        if let Some(place) = frame.and_then(|pages| pages.get_mut(at % PAGES_IN_FRAME)) {
            *place = page;
        }
    }

    /// The pages of each frame, of the first `len`.
    #[inline]
    fn frames(&self, len: usize) -> impl Iterator<Item = *mut [LikelyPage]> {
        let mut left = len;
        self.0.iter().map_while(move |frame| {
            let frame = frame.as_ref().filter(|_| left > 0)?;
            let len = left.min(PAGES_IN_FRAME);
            left -= len;
            let first: *mut LikelyPage = frame_pointer(frame.number()).cast();
            Some(ptr::slice_from_raw_parts_mut(first, len))
        })
    }

    /// The first `len` pages, frame by frame.
    ///
    /// # Safety
    /// Nobody changes them meanwhile.
    unsafe fn pieces(&self, len: usize) -> impl Iterator<Item = &[LikelyPage]> {
        // SAFETY: the room's frames hold pages and nothing else, and every bit pattern is one; they
        // are borrowed as long as the result.
        self.frames(len).map(|pages| unsafe { &*pages })
    }

    /// The same, to be changed.
    ///
    /// # Safety
    /// Nobody else uses the room meanwhile.
    unsafe fn pieces_mut(&self, len: usize) -> impl Iterator<Item = &mut [LikelyPage]> {
        // SAFETY: as in `pieces`, and each frame is handed out once.
        self.frames(len).map(|pages| unsafe { &mut *pages })
    }
}

/// What a frozen template has learned: sorted lists, each better than the one before. A list is
/// never changed once it is there, so that cores can use one while another is made.
#[derive(Debug)]
pub(super) struct Lessons {
    lists: [Room; Self::LISTS],
    /// Lengths of those that are there.
    lens: [AtomicU32; Self::LISTS],
    /// How many are there.
    known: AtomicU32,
    /// Whether a core makes one.
    busy: AtomicBool,
    /// Frames of each list.
    frames: usize,
}

impl Lessons {
    const LISTS: usize = 3;

    /// Of a template that owns so many pages: an instance writes hardly more than twice as many.
    pub fn new(pages: usize) -> Result<Self, OutOfFrames> {
        let frames = (2 * pages).div_ceil(PAGES_IN_FRAME).clamp(1, ROOM_FRAMES_MAX);
        let lists: [Room; Self::LISTS] = array::from_fn(|_| Room::new(frames, Frame::allocate));
        if lists.iter().any(|list| list.len() < frames * PAGES_IN_FRAME) {
            return Err(OutOfFrames);
        }
        let (lens, known) = (Default::default(), AtomicU32::new(0));
        Ok(Self { lists, lens, known, busy: AtomicBool::new(false), frames })
    }

    /// Frames they take.
    pub fn frames(&self) -> usize {
        Self::LISTS * self.frames
    }

    /// Room for what an instance touches, if there is more to learn.
    pub fn room(&self, take: impl FnMut() -> Result<Frame, OutOfFrames>) -> Option<Room> {
        let are_wanted = self.known.load(Ordering::Relaxed) < Self::LISTS as u32;
        are_wanted.then(|| Room::new(self.frames, take))
    }

    /// All that is known, in order of addresses.
    pub fn pages(&self) -> impl Iterator<Item = &[LikelyPage]> {
        let last = self.known.load(Ordering::Acquire).checked_sub(1);
        last.into_iter().flat_map(|last| {
            let len = self.lens[last as usize].load(Ordering::Relaxed);
            // SAFETY: the list is there, and is not changed any more.
            unsafe { self.lists[last as usize].pieces(len as usize) }
        })
    }

    /// Makes the next list, of what is known and of the first `len` pages in the room of an
    /// instance. `describe` says more of each page.
    pub fn learn(
        &self,
        touched: &mut Room,
        len: usize,
        describe: impl Fn(LikelyPage) -> LikelyPage,
    ) {
        if self.busy.swap(true, Ordering::Acquire) {
            return;
        }
        let next = self.known.load(Ordering::Relaxed) as usize;
        if let Some(list) = self.lists.get(next) {
            let mut touched_pieces = [&[][..]; ROOM_FRAMES_MAX];
            // SAFETY: the room is borrowed exclusively.
            for (place, pages) in touched_pieces.iter_mut().zip(unsafe { touched.pieces_mut(len) })
            {
                pages.sort_unstable_by_key(|page| page.0);
                *place = pages;
            }
            let mut pages = merged(self.pages().flatten(), touched_pieces);
            let mut len = 0;
            // SAFETY: the list is not there yet, and no other core makes one.
            for place in unsafe { list.pieces_mut(list.len()) }.flatten() {
                let Some(page) = pages.next() else { break };
                *place = describe(page);
                len += 1;
            }
            self.lens[next].store(len, Ordering::Relaxed);
            self.known.store(next as u32 + 1, Ordering::Release);
        }
        self.busy.store(false, Ordering::Release);
    }
}

/// The pages of several sorted lists in order, each once; one in several was written if it was in
/// one of them.
fn merged<'a>(
    known: impl Iterator<Item = &'a LikelyPage>,
    mut touched: [&'a [LikelyPage]; ROOM_FRAMES_MAX],
) -> impl Iterator<Item = LikelyPage> {
    let mut known = known.peekable();
    iter::from_fn(move || {
        let first = touched.iter().filter_map(|pages| pages.first());
        let address = first.chain(known.peek().copied()).map(|page| page.address()).min()?;
        let mut result = LikelyPage(address);
        if let Some(page) = known.next_if(|page| page.address() == address) {
            result.0 |= page.0;
        }
        for pages in &mut touched {
            while let Some((page, rest)) = pages.split_first()
                && page.address() == address
            {
                result.0 |= page.0;
                *pages = rest;
            }
        }
        Some(result)
    })
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
        let lessons = Lessons::new(700).expect("the arena is large");
        let learn = |pages: &[LikelyPage]| {
            let mut touched = Touched::default();
            touched.expect_many(lessons.room(Frame::allocate)?);
            pages.iter().for_each(|page| touched.record(*page));
            let (mut room, len) = touched.take_many().expect("there was room");
            lessons.learn(&mut room, len, |page| page);
            Some(())
        };
        let known = || lessons.pages().flatten().copied().collect::<Vec<_>>();
        assert!(known().is_empty());
        learn(&[page(9, true), page(2, false)]).expect("more is wanted");
        assert_eq!(known(), [page(2, false), page(9, true)]);
        learn(&[page(9, false), page(2, true), page(5, false)]).expect("more is wanted");
        assert_eq!(known(), [page(2, true), page(5, false), page(9, true)]);
        // More than there is room for, in three frames, and in no order.
        let many = (0..2000).map(|number| page(10 + number * 7 % 2000, true));
        learn(&many.collect::<Vec<_>>()).expect("more is wanted");
        let pages = known();
        assert_eq!(pages.len(), 3 * PAGES_IN_FRAME);
        assert!(pages.is_sorted_by_key(|page| page.address()));
        assert_eq!(pages[..4], [page(2, true), page(5, false), page(9, true), page(10, true)]);
        assert!(learn(&[page(3, true)]).is_none(), "nothing more is wanted");
        assert_eq!(Lessons::new(100_000).expect("the arena is large").frames(), 3 * 4);
        assert_eq!(Lessons::new(0).expect("the arena is large").frames(), 3);
    }
}
