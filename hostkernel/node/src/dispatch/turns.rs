//! Whose turn it is on a core that serves the network and runs an action.
//!
//! Frames may arrive faster than they can be served. Whoever serves them whenever there is one
//! never goes on with the action that was interrupted. So the action is owed the time that the
//! network took since it last had as much: it gets half of the core, and the network what it needs
//! as long as that is less than the other half.

use limits::{FRONT_OWED_MAX_NS, FRONT_OWED_MIN_NS, FRONT_SLICE_MIN_NS};

/// What comes after serving the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The action goes on; the next frame interrupts it.
    UntilInterrupt,
    /// The action goes on for so many nanoseconds, whatever arrives.
    For(u64),
}

/// The account of one core. It does not read the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    owed_ns: u64,
    resumed_ns: u64,
}

impl Turns {
    /// The network was served from `interrupted_ns` to `resumed_ns`; `is_waiting` if there is more
    /// to serve already.
    pub fn next(&mut self, interrupted_ns: u64, resumed_ns: u64, is_waiting: bool) -> Turn {
        let ran_ns = interrupted_ns.saturating_sub(self.resumed_ns);
        let served_ns = resumed_ns.saturating_sub(interrupted_ns);
        self.resumed_ns = resumed_ns;
        let owed_ns = self.owed_ns.saturating_sub(ran_ns).saturating_add(served_ns);
        // What a single long step took is not held against the network for longer than this.
        self.owed_ns = owed_ns.min(FRONT_OWED_MAX_NS);
        if is_waiting || self.owed_ns >= FRONT_OWED_MIN_NS {
            Turn::For(self.owed_ns.max(FRONT_SLICE_MIN_NS))
        } else {
            Turn::UntilInterrupt
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// A core whose network interrupts the action `gap_ns` after it was let in, or has something
    /// waiting already, and takes `serve_ns` each time. Returns how long the action ran
    /// in a second.
    fn ran_ns(gap_ns: u64, serve_ns: u64, is_waiting: bool) -> u64 {
        let mut turns = Turns::default();
        let (mut now_ns, mut ran_ns) = (SECOND_NS, 0);
        while now_ns < 2 * SECOND_NS {
            let resumed_ns = now_ns + serve_ns;
            let run_ns = match turns.next(now_ns, resumed_ns, is_waiting) {
                Turn::UntilInterrupt => gap_ns,
                Turn::For(slice_ns) => slice_ns,
            };
            ran_ns += run_ns;
            now_ns = resumed_ns + run_ns;
        }
        ran_ns
    }

    #[test]
    fn an_action_gets_half_of_the_core_however_much_arrives() {
        for serve_ns in [100, 1_000, 20_000, 100_000, 1_000_000, FRONT_OWED_MAX_NS] {
            for gap_ns in [0, 1, 300, 10_000] {
                for is_waiting in [false, true] {
                    let ran_ns = ran_ns(gap_ns, serve_ns, is_waiting);
                    let least_ns = SECOND_NS / 2 - FRONT_OWED_MAX_NS;
                    assert!(ran_ns >= least_ns, "{serve_ns} {gap_ns} {is_waiting}: {ran_ns}");
                }
            }
        }
    }

    #[test]
    fn a_network_with_little_to_do_is_served_at_once() {
        let mut turns = Turns::default();
        let mut now_ns = SECOND_NS;
        for _ in 0..1000 {
            let resumed_ns = now_ns + 20_000;
            assert_eq!(turns.next(now_ns, resumed_ns, false), Turn::UntilInterrupt);
            now_ns = resumed_ns + 30_000;
        }
    }

    #[test]
    fn a_frame_that_waits_does_for_a_moment() {
        let mut turns = Turns::default();
        let turn = turns.next(SECOND_NS, SECOND_NS + 10, true);
        assert_eq!(turn, Turn::For(FRONT_SLICE_MIN_NS));
    }

    #[test]
    fn what_ran_meanwhile_is_no_longer_owed() {
        let mut turns = Turns::default();
        let served_ns = FRONT_OWED_MIN_NS - 1;
        let _ = turns.next(SECOND_NS, SECOND_NS + served_ns, false);
        let later_ns = SECOND_NS + 2 * served_ns;
        assert_eq!(turns.next(later_ns, later_ns + served_ns, false), Turn::UntilInterrupt);
    }

    proptest! {
        #[test]
        fn any_times_are_borne(
            times in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..20),
        ) {
            let mut turns = Turns::default();
            for (interrupted_ns, resumed_ns, is_waiting) in times {
                if let Turn::For(slice_ns) = turns.next(interrupted_ns, resumed_ns, is_waiting) {
                    prop_assert!((FRONT_SLICE_MIN_NS..=FRONT_OWED_MAX_NS).contains(&slice_ns));
                }
            }
        }
    }
}
