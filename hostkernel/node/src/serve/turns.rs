//! Work in slices: a slice of one piece of work at a time, between everything else.
//!
//! Namespaces take turns, and of one namespace the oldest goes first: whoever wants much waits for
//! himself. A slice counts for whose turn it is on the cores, too.

use alloc::vec::Vec;

use crate::registry::Namespace;
use limits::{SLICE_INTERVAL_NS, SLICE_NS};

/// What is done in slices.
pub trait Work {
    /// Whose it is.
    fn namespace(&self) -> &Namespace;

    /// The connection that waits for it is gone. Returns whether it goes on.
    fn is_left(&mut self, slot: u32) -> bool;
}

/// All work of a kind.
pub struct Turns<W> {
    list: Vec<W>,
    /// There is more than one tenant.
    is_shared: bool,
    /// Whose turn it was last.
    last: Option<Namespace>,
    next_ns: u64,
}

impl<W: Work> Turns<W> {
    /// Room for so much before it takes memory.
    pub fn new(is_shared: bool, count: usize) -> Self {
        Self { list: Vec::with_capacity(count), is_shared, last: None, next_ns: 0 }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether a namespace may have one more of at most `max`: of several none has more than
    /// `share_factor` times what is left.
    pub fn admits(&self, namespace: &Namespace, max: usize, share_factor: usize) -> bool {
        let own = self.list.iter().filter(|it| it.namespace() == namespace).count();
        let left = max.saturating_sub(self.list.len());
        left > 0 && (!self.is_shared || own < share_factor * left)
    }

    /// Takes one more.
    pub fn enter(&mut self, work: W) {
        self.list.push(work);
    }

    /// Tells all that a connection is gone.
    pub fn abandon(&mut self, slot: u32) {
        self.list.retain_mut(|work| work.is_left(slot));
    }

    /// When the next slice is due.
    pub fn next_ns(&self) -> Option<u64> {
        (!self.list.is_empty()).then_some(self.next_ns)
    }

    /// The one whose turn it is, if it is time, and its place.
    pub fn next(&mut self, now_ns: u64) -> Option<(usize, &mut W)> {
        if self.list.is_empty() || now_ns < self.next_ns {
            return None;
        }
        self.next_ns = now_ns + SLICE_INTERVAL_NS;
        let place = self.place();
        let work = self.list.get_mut(place)?;
        let namespace = work.namespace();
        namespace.use_ns(SLICE_NS);
        self.last = Some(namespace.clone());
        Some((place, work))
    }

    /// The oldest of the namespace that comes next behind the last one, by name.
    fn place(&self) -> usize {
        let is_later = |name: &Namespace| self.last.as_ref().is_none_or(|last| name > last);
        let names = self.list.iter().map(Work::namespace).enumerate();
        // Of equal ones the first is the least.
        names.min_by_key(|(_, name)| (!is_later(name), *name)).map_or(0, |(place, _)| place)
    }

    /// Takes the one at this place out.
    pub fn remove(&mut self, place: usize) -> W {
        self.list.remove(place)
    }
}
