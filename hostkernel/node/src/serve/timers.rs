//! When each slot must be looked at again even if nothing happens to it.
//!
//! Setting a time is a store and a comparison, which happens for every request; finding those that
//! have come is a pass over all, which happens when the earliest has come. Most times are moved
//! into the future before they come, so passes are rare: retransmissions, delayed acknowledgements,
//! and connections that stand still.

use alloc::vec::Vec;

/// No time.
pub const NEVER: u64 = u64::MAX;

/// A time for each slot.
pub struct Timers {
    times: Vec<u64>,
    /// No time is earlier.
    earliest_ns: u64,
}

impl Timers {
    /// Times for up to `slots_max` slots.
    pub fn new(slots_max: usize) -> Self {
        Self { times: Vec::with_capacity(slots_max), earliest_ns: NEVER }
    }

    /// Sets or clears the time of a slot.
    pub fn set(&mut self, slot: u32, at_ns: Option<u64>) {
        let index = slot as usize;
        if index >= self.times.len() {
            self.times.resize(index + 1, NEVER);
        }
        let at_ns = at_ns.unwrap_or(NEVER);
        self.times[index] = at_ns;
        self.earliest_ns = self.earliest_ns.min(at_ns);
    }

    /// When to call [`Self::take_due`] at the latest.
    pub fn next_ns(&self) -> Option<u64> {
        (self.earliest_ns != NEVER).then_some(self.earliest_ns)
    }

    /// Calls `due` for every slot whose time has come, and clears it.
    pub fn take_due(&mut self, now_ns: u64, mut due: impl FnMut(u32)) {
        if now_ns < self.earliest_ns {
            return;
        }
        self.earliest_ns = NEVER;
        for (slot, at_ns) in self.times.iter_mut().enumerate() {
            if *at_ns <= now_ns {
                *at_ns = NEVER;
                due(slot as u32);
            }
            self.earliest_ns = self.earliest_ns.min(*at_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(timers: &mut Timers, now_ns: u64) -> Vec<u32> {
        let mut slots = Vec::new();
        timers.take_due(now_ns, |slot| slots.push(slot));
        slots
    }

    #[test]
    fn times_come_once_and_can_be_moved() {
        let mut timers = Timers::new(8);
        assert_eq!(timers.next_ns(), None);
        timers.set(2, Some(20));
        timers.set(0, Some(30));
        timers.set(5, Some(10));
        assert_eq!(timers.next_ns(), Some(10));
        timers.set(5, Some(40));
        // Too early, which costs a pass and nothing else.
        assert!(due(&mut timers, 10).is_empty());
        assert_eq!(timers.next_ns(), Some(20));
        assert_eq!(due(&mut timers, 30), [0, 2]);
        timers.set(5, None);
        assert!(due(&mut timers, 100).is_empty());
        assert_eq!(timers.next_ns(), None);
    }
}
