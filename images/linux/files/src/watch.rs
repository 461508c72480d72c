//! What an instance of epoll watches. Whether a watched object is ready is asked of the object when
//! somebody waits; only what edges have been seen is kept here.

use alloc::vec::Vec;

use crate::abi::{EpollEvent, ready};

/// Index of a description.
pub type DescriptionNumber = u32;

#[derive(Debug, Default)]
pub struct Watcher {
    pub watches: Vec<Watch>,
    /// Where the next look begins, so that everybody gets a turn.
    pub next: usize,
}

/// How an object stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready {
    pub events: u32,
    /// Grow with everything that wakes one who waits.
    pub readable_edges: u32,
    pub writable_edges: u32,
    /// When it becomes ready by itself, monotonic.
    pub wake_ns: Option<u64>,
}

/// One descriptor that is watched. It is known by number and description, as on Linux: closing the
/// number does not end the watch while another number stands for the description.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    pub fd: i32,
    pub description: DescriptionNumber,
    pub event: EpollEvent,
    /// Edges that have been told; `None` if all that is ready is news.
    seen: Option<(u32, u32)>,
    /// A one-shot watch that has told.
    is_spent: bool,
}

const READABLE: u32 = ready::IN | ready::READ_NORMAL | ready::READ_HANG_UP | ready::PRIORITY;
const WRITABLE: u32 = ready::OUT | ready::WRITE_NORMAL;
/// What is told without being asked for.
const ALWAYS: u32 = ready::ERROR | ready::HANG_UP;

impl Watch {
    pub fn new(fd: i32, description: DescriptionNumber, event: EpollEvent) -> Self {
        Self { fd, description, event, seen: None, is_spent: false }
    }

    /// Watches for something else: what is ready now is news.
    pub fn modify(&mut self, event: EpollEvent) {
        (self.event, self.seen, self.is_spent) = (event, None, false);
    }

    /// What there is to tell.
    pub fn events(&self, now: &Ready) -> u32 {
        if self.is_spent {
            return 0;
        }
        let events = now.events & (self.event.events | ALWAYS);
        if self.event.events & ready::EDGE == 0 {
            return events;
        }
        let is_news = self.seen.is_none_or(|(readable, writable)| {
            let reads = self.event.events & READABLE != 0 || events & ALWAYS != 0;
            let writes = self.event.events & WRITABLE != 0 || events & ALWAYS != 0;
            (reads && readable != now.readable_edges) || (writes && writable != now.writable_edges)
        });
        if is_news { events } else { 0 }
    }

    /// It has been told.
    pub fn told(&mut self, now: &Ready) {
        self.seen = Some((now.readable_edges, now.writable_edges));
        self.is_spent = self.event.events & ready::ONE_SHOT != 0;
    }
}

impl Watcher {
    pub fn find(&mut self, fd: i32, description: DescriptionNumber) -> Option<&mut Watch> {
        self.watches.iter_mut().find(|watch| watch.fd == fd && watch.description == description)
    }
}
