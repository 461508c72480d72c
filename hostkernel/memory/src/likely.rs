//! The pages an image's instances touch early in their life, learned from the first of them.
//!
//! A page fault costs several times what providing a page does, and instances of one image mostly
//! touch the same few pages: the top of the stack, a page of data, the start of the output. Later
//! instances get these from the start. What is learned is a hint: whether the page may be touched
//! is decided anew each time, by the same check as for a page fault.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use limits::{LIKELY_PAGES_MAX, PAGE_LEN};

/// Instances an image learns from; later ones touching something else change nothing.
const LESSONS_MAX: u32 = 16;
/// In a page's address: it was written.
const WRITTEN: u64 = 1;

const _: () = assert!((WRITTEN as usize) < PAGE_LEN, "flags are below the page's address");

/// A page that was touched: its address, and whether it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LikelyPage(u64);

impl LikelyPage {
    /// Takes the address of a page.
    pub fn new(address: u64, written: bool) -> Self {
        Self(address | if written { WRITTEN } else { 0 })
    }

    pub fn address(self) -> u64 {
        self.0 & !WRITTEN
    }

    pub fn is_written(self) -> bool {
        self.0 & WRITTEN != 0
    }
}

/// The first pages that an instance touched, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Touched {
    first: [LikelyPage; LIKELY_PAGES_MAX],
    pub count: u64,
}

impl Touched {
    pub fn record(&mut self, page: LikelyPage) {
        if let Some(place) = self.first.get_mut(self.count as usize) {
            *place = page;
        }
        self.count += 1;
    }

    /// The first of them, in order.
    pub fn first(&self) -> &[LikelyPage] {
        &self.first[..self.first.len().min(self.count as usize)]
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
}
