//! What waits for a core, a lane for each tenant: whose turn it is depends on what it has had.
//!
//! Workers have little queued at a time, just enough that none waits for the front. All else waits
//! here, in the front's own memory, and is handed on when a worker has room: from the tenant whose
//! invocations have run for the least time so far. So one that floods the node with work, or whose
//! work is long, delays another's next invocation by what has been handed on already.
//!
//! A tenant's time is kept with its namespace ([`Namespace::used_ns`]). Who comes after a pause
//! begins where the others are: it neither has saved anything up nor owes for what nobody else
//! wanted. Since places are found by ticket, an invocation whose client has left is taken out from
//! wherever it waits.

use alloc::vec::Vec;

use super::{Invocation, Ticket};
use crate::registry::Namespace;
use limits::{NAMESPACES_MAX, TURN_MIN_NS};

/// No place.
const NONE: u32 = u32::MAX;

/// See the head of this file.
pub struct Backlog {
    /// By ticket. Made once, never grows.
    places: Vec<Option<Place>>,
    lanes: Vec<Lane>,
    len: usize,
    /// What whose turn it was last had had then.
    turn_ns: u64,
}

struct Place {
    invocation: Invocation,
    before: u32,
    after: u32,
}

/// Those of one tenant, the oldest first. There is no empty lane.
struct Lane {
    namespace: Namespace,
    first: u32,
    last: u32,
}

impl Backlog {
    /// What a place takes of the heap.
    pub const PLACE_LEN: usize = size_of::<Option<Place>>();

    /// Places for tickets below `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let places = (0..capacity).map(|_| None).collect();
        // Those with a key, and the one that is there without.
        let lanes = Vec::with_capacity(NAMESPACES_MAX + 1);
        Self { places, lanes, len: 0, turn_ns: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts one behind the others of its tenant. Nothing else may wait with its ticket.
    pub fn push(&mut self, invocation: Invocation) {
        let number = invocation.ticket.0;
        let namespace = invocation.permit.namespace();
        let found = self.lanes.iter().position(|lane| lane.namespace == *namespace);
        let before = match found {
            Some(lane) => core::mem::replace(&mut self.lanes[lane].last, number),
            None => {
                let namespace = namespace.clone();
                namespace.catch_up(self.turn_ns);
                self.lanes.push(Lane { namespace, first: number, last: number });
                NONE
            }
        };
        if let Some(place) = self.place(before) {
            place.after = number;
        }
        self.places[number as usize] = Some(Place { invocation, before, after: NONE });
        self.len += 1;
    }

    /// How long invocations of the tenant whose turn it is take; `None` if nobody waits.
    #[must_use]
    pub fn mean_ns(&self) -> Option<u64> {
        self.next().map(|lane| lane.namespace.mean_ns())
    }

    fn next(&self) -> Option<&Lane> {
        self.lanes.iter().min_by_key(|lane| lane.namespace.used_ns())
    }

    /// Takes the oldest of the tenant whose turn it is.
    pub fn pop(&mut self) -> Option<Invocation> {
        let lane = self.next()?;
        let (first, turn_ns) = (lane.first, lane.namespace.used_ns());
        // Until it has ended nobody knows how long it takes.
        lane.namespace.use_ns(TURN_MIN_NS);
        self.turn_ns = turn_ns;
        self.remove(Ticket(first))
    }

    /// Takes one out, if it waits here.
    pub fn remove(&mut self, ticket: Ticket) -> Option<Invocation> {
        let number = ticket.0;
        let Place { invocation, before, after } = self.places.get_mut(number as usize)?.take()?;
        if let Some(place) = self.place(before) {
            place.after = after;
        }
        if let Some(place) = self.place(after) {
            place.before = before;
        }
        let namespace = invocation.permit.namespace();
        if let Some(index) = self.lanes.iter().position(|lane| lane.namespace == *namespace) {
            let lane = &mut self.lanes[index];
            if lane.first == number {
                lane.first = after;
            }
            if lane.last == number {
                lane.last = before;
            }
            if lane.first == NONE {
                self.lanes.swap_remove(index);
            }
        }
        self.len -= 1;
        Some(invocation)
    }

    fn place(&mut self, number: u32) -> Option<&mut Place> {
        self.places.get_mut(number as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::invocation_of;
    use super::*;
    use limits::LEAD_MAX_NS;
    use proptest::prelude::*;

    fn push(backlog: &mut Backlog, namespace: &Namespace, ticket: u32) {
        backlog.push(invocation_of(namespace, ticket));
    }

    /// Whose turn it is, who then runs for so long.
    fn turn(backlog: &mut Backlog, run_ns: u64) -> Option<u32> {
        let invocation = backlog.pop()?;
        invocation.permit.namespace().note_run(run_ns);
        Some(invocation.ticket.0)
    }

    #[test]
    fn a_flood_delays_nobody_by_more_than_one_turn() {
        let (flood, other) = (Namespace::new("flood"), Namespace::new("other"));
        let mut backlog = Backlog::new(128);
        (0..100).for_each(|ticket| push(&mut backlog, &flood, ticket));
        assert_eq!(turn(&mut backlog, 1_000_000), Some(0));
        assert_eq!(turn(&mut backlog, 1_000_000), Some(1));
        for ticket in 100..110 {
            push(&mut backlog, &other, ticket);
            let turns = [turn(&mut backlog, 1_000_000), turn(&mut backlog, 1_000_000)];
            assert!(turns.contains(&Some(ticket)), "{turns:?}");
        }
        assert_eq!(backlog.len(), 88);
    }

    #[test]
    fn time_is_shared_and_not_the_number_of_calls() {
        let (long, short) = (Namespace::new("long"), Namespace::new("short"));
        let mut backlog = Backlog::new(256);
        (0..100).for_each(|ticket| push(&mut backlog, &long, ticket));
        (100..256).for_each(|ticket| push(&mut backlog, &short, ticket));
        let (mut long_ns, mut short_ns) = (0, 0);
        for _ in 0..100 {
            let invocation = backlog.pop().expect("many wait");
            let is_long = invocation.ticket.0 < 100;
            let (run_ns, sum) =
                if is_long { (50_000_000, &mut long_ns) } else { (1_000_000, &mut short_ns) };
            *sum += run_ns;
            invocation.permit.namespace().note_run(run_ns);
        }
        assert!(long_ns <= short_ns + 2 * 50_000_000, "{long_ns} and {short_ns}");
    }

    #[test]
    fn nobody_saves_up_and_nobody_owes() {
        let (old, new) = (Namespace::new("old"), Namespace::new("new"));
        let mut backlog = Backlog::new(64);
        // Alone for an hour.
        old.use_ns(3_600_000_000_000);
        (0..20).for_each(|ticket| push(&mut backlog, &new, ticket));
        (20..40).for_each(|ticket| push(&mut backlog, &old, ticket));
        // Ten turns make up for the little that counts.
        let of_old = (0..30).filter(|_| turn(&mut backlog, LEAD_MAX_NS / 10) >= Some(20)).count();
        assert!((9..=11).contains(&of_old), "{of_old} of 30");
    }

    proptest! {
        #[test]
        fn each_line_is_a_queue_and_nothing_is_lost(
            steps in proptest::collection::vec((0..3_usize, 0..16_u32, 0..4_u8), 0..200)
        ) {
            let namespaces = ["a", "b", "c"].map(Namespace::new);
            let mut backlog = Backlog::new(16);
            let mut model: Vec<(usize, u32)> = Vec::new();
            for (owner, ticket, kind) in steps {
                let waits = model.iter().position(|(_, other)| *other == ticket);
                match (kind, waits) {
                    (0 | 1, None) => {
                        push(&mut backlog, &namespaces[owner], ticket);
                        model.push((owner, ticket));
                    }
                    (0 | 1, Some(_)) => {}
                    (2, waits) => {
                        prop_assert_eq!(backlog.remove(Ticket(ticket)).is_some(), waits.is_some());
                        if let Some(at) = waits {
                            model.remove(at);
                        }
                    }
                    _ => {
                        let taken = turn(&mut backlog, 1);
                        prop_assert_eq!(taken.is_some(), !model.is_empty());
                        if let Some(taken) = taken {
                            let at = model.iter().position(|(_, other)| *other == taken);
                            let at = at.expect("it waited");
                            let owner = model[at].0;
                            let oldest = model.iter().find(|(other, _)| *other == owner);
                            prop_assert_eq!(oldest, Some(&(owner, taken)));
                            model.remove(at);
                        }
                    }
                }
                prop_assert_eq!(backlog.len(), model.len());
                let owners = (0..3).filter(|owner| model.iter().any(|(other, _)| other == owner));
                prop_assert_eq!(backlog.lanes.len(), owners.count());
            }
        }
    }
}
