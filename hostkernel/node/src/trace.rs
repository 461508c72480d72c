//! The last events of each core, kept for crash records. Recording one costs a few stores.

use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use limits::{CORES_MAX, TRACE_EVENTS};
use memory::{core_id, cycles};

/// A step in the life of an invocation, or of the node.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request is complete; the argument is its connection.
    Request = 1,
    /// An invocation was admitted; low half of its id.
    Admit,
    /// A core took it; low half of its id.
    Start,
    /// It runs in ring 3 for the first time; its entry point.
    Enter,
    /// It made a call; the number.
    Call,
    /// A page was provided; the address.
    Page,
    /// It broke a rule; the instruction.
    Fault,
    /// It ended and its memory is back; low half of its id.
    End,
    /// Its response was handed to the connection; the connection.
    Respond,
    /// A connection was opened; its slot.
    Open,
    /// A connection is gone; its slot.
    Close,
}

const KINDS: [Event; 11] = [
    Event::Request,
    Event::Admit,
    Event::Start,
    Event::Enter,
    Event::Call,
    Event::Page,
    Event::Fault,
    Event::End,
    Event::Respond,
    Event::Open,
    Event::Close,
];

struct CoreEvents {
    next: AtomicUsize,
    // Time, and kind in the top byte above the argument.
    events: [(AtomicU64, AtomicU64); TRACE_EVENTS],
}

const KIND_SHIFT: u32 = 56;

static RINGS: [CoreEvents; CORES_MAX] = [const {
    CoreEvents {
        next: AtomicUsize::new(0),
        events: [const { (AtomicU64::new(0), AtomicU64::new(0)) }; TRACE_EVENTS],
    }
}; CORES_MAX];

/// Records an event of the calling core. The argument's top byte is dropped.
pub fn record(event: Event, argument: u64) {
    let ring = &RINGS[core_id()];
    let slot = ring.next.load(Ordering::Relaxed);
    let (time, what) = &ring.events[slot % TRACE_EVENTS];
    time.store(cycles(), Ordering::Relaxed);
    let argument = argument & ((1 << KIND_SHIFT) - 1);
    what.store((event as u64) << KIND_SHIFT | argument, Ordering::Relaxed);
    ring.next.store(slot.wrapping_add(1), Ordering::Relaxed);
}

/// One event as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Time stamp counter.
    pub cycles: u64,
    /// What happened.
    pub event: Event,
    /// To what.
    pub argument: u64,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:#x}", self.event, self.argument)
    }
}

/// The events of a core, oldest first.
pub fn events(core: usize) -> impl Iterator<Item = Recorded> {
    let ring = &RINGS[core];
    let next = ring.next.load(Ordering::Relaxed);
    (next.saturating_sub(TRACE_EVENTS)..next).filter_map(|slot| {
        let (time, what) = &ring.events[slot % TRACE_EVENTS];
        let what = what.load(Ordering::Relaxed);
        let event = *KINDS.get((what >> KIND_SHIFT).checked_sub(1)? as usize)?;
        let argument = what & ((1 << KIND_SHIFT) - 1);
        Some(Recorded { cycles: time.load(Ordering::Relaxed), event, argument })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_in_order() {
        for number in 0..TRACE_EVENTS as u64 + 10 {
            record(Event::Call, number);
        }
        let recorded: alloc::vec::Vec<_> = events(core_id()).collect();
        assert_eq!(recorded.len(), TRACE_EVENTS);
        assert_eq!(recorded[0].argument, 10);
        assert_eq!(recorded[TRACE_EVENTS - 1].argument, TRACE_EVENTS as u64 + 9);
        assert!(recorded.iter().all(|recorded| recorded.event == Event::Call));
    }

    #[test]
    fn every_kind_is_found_by_its_number() {
        for (index, event) in KINDS.iter().enumerate() {
            assert_eq!(*event as usize, index + 1);
        }
    }
}
