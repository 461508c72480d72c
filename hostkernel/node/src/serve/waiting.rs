//! Invocations under way: what is needed to answer each, and which connection waits for the answer.
//!
//! A place is taken when an invocation is submitted and free again when its completion was taken,
//! whatever became of the client meanwhile: it may have left, or been told to ask again later. So a
//! completion finds nobody's place but its own.

use alloc::vec::Vec;

use crate::api::Pending;
use crate::dispatch::{Dispatcher, Ticket};
use crate::registry::Holding;

/// A place for each invocation that can be under way. Made once, never grows.
pub struct Waiting {
    places: Vec<Option<Place>>,
    free: Vec<Ticket>,
    /// What is held at each place while no connection holds it; mostly nothing.
    holdings: Vec<Holding>,
}

struct Place {
    pending: Pending,
    /// The slot of the connection that waits.
    slot: Option<u32>,
    /// Something is held.
    holds: bool,
}

impl Waiting {
    /// What one invocation under way takes of the heap.
    pub const PLACE_LEN: usize =
        size_of::<Option<Place>>() + size_of::<Ticket>() + size_of::<Holding>();

    /// Places for all that a dispatcher takes.
    pub fn new(dispatcher: &Dispatcher) -> Self {
        let count = dispatcher.capacity();
        Self {
            places: (0..count).map(|_| None).collect(),
            free: (0..count as u32).rev().map(Ticket).collect(),
            holdings: (0..count).map(|_| Holding::default()).collect(),
        }
    }

    /// The place that the next invocation will have; `None` if as many as possible are under way.
    pub fn next(&self) -> Option<Ticket> {
        self.free.last().copied()
    }

    /// Takes the place that [`Self::next`] named.
    pub fn enter(&mut self, pending: Pending, slot: Option<u32>) {
        if let Some(ticket) = self.free.pop() {
            self.places[ticket.0 as usize] = Some(Place { pending, slot, holds: false });
        }
    }

    /// What is at a place, and who waits there.
    pub fn at(&mut self, ticket: Ticket) -> Option<(&mut Pending, Option<u32>)> {
        let place = self.places.get_mut(ticket.0 as usize)?.as_mut()?;
        Some((&mut place.pending, place.slot))
    }

    /// Nobody waits at this place any more. What is needed for the record stays.
    pub fn leave(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        let place = self.places.get_mut(ticket.0 as usize)?.as_mut()?;
        place.slot = None;
        Some(&mut place.pending)
    }

    /// Holds something until the invocation has ended, because its connection does not any more.
    pub fn hold(&mut self, ticket: Ticket, holding: Holding) {
        let index = ticket.0 as usize;
        if let Some(Some(place)) = self.places.get_mut(index)
            && !holding.is_empty()
        {
            place.holds = true;
            self.holdings[index] = holding;
        }
    }

    /// Takes what belongs to a completion, and frees its place.
    pub fn take(&mut self, ticket: Ticket) -> Option<(Pending, Option<u32>)> {
        let index = ticket.0 as usize;
        let Place { pending, slot, holds } = self.places.get_mut(index)?.take()?;
        if holds {
            self.holdings[index].clear();
        }
        self.free.push(ticket);
        Some((pending, slot))
    }
}
