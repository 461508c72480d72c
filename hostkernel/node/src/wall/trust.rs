//! Which answers of a time server the wall clock follows.
//!
//! At boot it follows the first: nothing is known that would be better. From then on the node has
//! a time of its own, which goes wrong by no more than its counter does. An answer that fits to the
//! last one believed is believed. One that does not is doubted, and the server asked again soon.
//! A server that says the same for minutes is followed (RFC 5905, 11.3, waits 300 s, too), if it is
//! not far, and not often: what is further, or comes again within the hour, is followed only if the
//! machine's own clock says so, too, as it does when a virtual machine was stopped over night.
//!
//! So a server that was right at boot and lies later moves the clock by `CLOCK_MOVE_MAX_MS` an
//! hour and by one part in `CLOCK_DRIFT_DIVISOR`, and never without a word in the log.

use limits::{
    CLOCK_AGREEING, CLOCK_DRIFT_DIVISOR, CLOCK_MOVE_INTERVAL_MS, CLOCK_MOVE_MAX_MS, CLOCK_STEP_MS,
};

const NS_PER_MS: u64 = 1_000_000;

/// What a server said the time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Monotonic time at which it holds.
    pub at_ns: u64,
    /// Wall-clock time then, in nanoseconds since 1970-01-01 UTC.
    pub wall_ns: u64,
    /// How long question and answer were on their way: it is not wrong by more than half of it.
    pub delay_ns: u64,
}

impl Reading {
    /// What the time should be at `at_ns` if this is right.
    fn expected_ns(&self, at_ns: u64) -> u64 {
        self.wall_ns.saturating_add(at_ns.saturating_sub(self.at_ns))
    }

    /// By how much a later reading says another time than this one; positive if a later one.
    fn change_ns(&self, later: &Self) -> i64 {
        let change = i128::from(later.wall_ns) - i128::from(self.expected_ns(later.at_ns));
        i64::try_from(change).unwrap_or(if change > 0 { i64::MAX } else { i64::MIN })
    }

    /// Whether both can be right.
    fn fits(&self, later: &Self) -> bool {
        let ways_ns = self.delay_ns.saturating_add(later.delay_ns) / 2;
        let drift_ns = later.at_ns.saturating_sub(self.at_ns) / CLOCK_DRIFT_DIVISOR;
        let allowed_ns = ways_ns.saturating_add(drift_ns).saturating_add(CLOCK_STEP_MS * NS_PER_MS);
        self.change_ns(later).unsigned_abs() <= allowed_ns.min(CLOCK_MOVE_MAX_MS * NS_PER_MS)
    }
}

/// What becomes of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The clock follows it.
    Believed,
    /// The server insisted: the clock follows it, by so many nanoseconds.
    Moved(i64),
    /// It changes the time by so many nanoseconds, and the server is to be asked again soon.
    Doubted(i64),
    /// The server insists on so many nanoseconds, and nothing else speaks for them.
    Refused(i64),
}

impl Opinion {
    /// Whether the clock follows it.
    #[must_use]
    pub fn is_belief(self) -> bool {
        matches!(self, Self::Believed | Self::Moved(_))
    }
}

/// Remembers what was believed, and what was not.
#[derive(Debug, Default)]
pub struct Judge {
    believed: Option<Reading>,
    doubted: Option<Doubted>,
    /// When the clock was last moved because a server insisted.
    moved_ns: Option<u64>,
}

/// Readings that agree with each other.
#[derive(Clone, Copy, Debug)]
struct Doubted {
    last: Reading,
    count: u32,
}

impl Judge {
    /// Decides about a reading. `machine_ns` asks the machine's own clock.
    pub fn judge(&mut self, reading: Reading, machine_ns: impl FnOnce() -> Option<u64>) -> Opinion {
        let Some(believed) = self.believed else { return self.believe(reading, Opinion::Believed) };
        if believed.fits(&reading) {
            return self.believe(reading, Opinion::Believed);
        }
        let change_ns = believed.change_ns(&reading);
        let before = self.doubted.filter(|doubted| doubted.last.fits(&reading));
        let count = before.map_or(1, |doubted| doubted.count.saturating_add(1));
        self.doubted = Some(Doubted { last: reading, count });
        if count < CLOCK_AGREEING {
            return Opinion::Doubted(change_ns);
        }
        let max_ns = CLOCK_MOVE_MAX_MS * NS_PER_MS;
        let since_ns = self.moved_ns.map(|moved_ns| reading.at_ns.saturating_sub(moved_ns));
        let is_again = since_ns.is_some_and(|ns| ns < CLOCK_MOVE_INTERVAL_MS * NS_PER_MS);
        let is_small = change_ns.unsigned_abs() <= max_ns && !is_again;
        if is_small || machine_ns().is_some_and(|ns| ns.abs_diff(reading.wall_ns) <= max_ns) {
            self.moved_ns = Some(reading.at_ns);
            return self.believe(reading, Opinion::Moved(change_ns));
        }
        Opinion::Refused(change_ns)
    }

    fn believe(&mut self, reading: Reading, opinion: Opinion) -> Opinion {
        self.believed = Some(reading);
        self.doubted = None;
        opinion
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;
    const EPOCH_S: u64 = 1_795_000_000;
    const NOBODY: fn() -> Option<u64> = || None;

    /// What is said at a time of a node that was started at `EPOCH_S`, wrong by so many seconds.
    fn said(at_s: u64, wrong_s: i64) -> Reading {
        let wall_s = (EPOCH_S + at_s).checked_add_signed(wrong_s).expect("a time");
        Reading { at_ns: at_s * S, wall_ns: wall_s * S, delay_ns: S / 100 }
    }

    /// A judge that has believed the truth.
    fn judge() -> Judge {
        let mut judge = Judge::default();
        assert_eq!(judge.judge(said(0, 0), NOBODY), Opinion::Believed);
        judge
    }

    /// Has a server insist from `from_s` on; the opinion in the end.
    fn insist(judge: &mut Judge, from_s: u64, wrong_s: i64, machine: Option<i64>) -> Opinion {
        for turn in 0..u64::from(CLOCK_AGREEING) - 1 {
            let opinion = judge.judge(said(from_s + 64 * turn, wrong_s), NOBODY);
            assert!(matches!(opinion, Opinion::Doubted(_)), "{opinion:?}");
        }
        let at_s = from_s + 64 * u64::from(CLOCK_AGREEING);
        judge.judge(said(at_s, wrong_s), || Some(said(at_s, machine?).wall_ns))
    }

    #[test]
    fn the_first_is_believed_whatever_it_says() {
        for wrong_s in [0, 1 << 30, -(1 << 30)] {
            assert_eq!(Judge::default().judge(said(5, wrong_s), NOBODY), Opinion::Believed);
        }
    }

    #[test]
    fn a_counter_that_runs_wrong_is_no_reason_to_doubt() {
        let mut judge = judge();
        for turn in 1..1000 {
            // A five-hundredth.
            let reading = said(512 * turn, (512 * turn / 500) as i64);
            assert_eq!(judge.judge(reading, NOBODY), Opinion::Believed);
        }
    }

    #[test]
    fn one_wrong_answer_changes_nothing() {
        let mut judge = judge();
        for (turn, wrong_s) in (1..).zip([3600, 0, -3600, 0, 86_400 * 365, 0, 9, 0]) {
            let opinion = judge.judge(said(512 * turn, wrong_s), NOBODY);
            let expected = match wrong_s {
                0 => Opinion::Believed,
                _ => Opinion::Doubted(wrong_s * S as i64),
            };
            assert_eq!(opinion, expected);
        }
    }

    #[test]
    fn who_insists_on_a_little_is_followed_and_on_much_is_not() {
        let near = (CLOCK_MOVE_MAX_MS / 1000) as i64;
        for sign in [1, -1] {
            let moved = insist(&mut judge(), 512, sign * near, None);
            assert_eq!(moved, Opinion::Moved(sign * near * S as i64));
            let refused = insist(&mut judge(), 512, sign * (near + 1), None);
            assert_eq!(refused, Opinion::Refused(sign * (near + 1) * S as i64));
        }
    }

    #[test]
    fn who_does_not_agree_with_himself_does_not_insist() {
        let mut judge = judge();
        for turn in 1..100 {
            let wrong_s = 100 + 60 * (turn % 2);
            let opinion = judge.judge(said(64 * turn, wrong_s as i64), NOBODY);
            assert!(matches!(opinion, Opinion::Doubted(_)), "{opinion:?}");
        }
        assert_eq!(judge.judge(said(7000, 0), NOBODY), Opinion::Believed);
    }

    #[test]
    fn the_machines_own_clock_speaks_for_a_long_way() {
        let night_s = 9 * 3600;
        assert!(insist(&mut judge(), 512, night_s, Some(night_s - 300)).is_belief());
        assert!(!insist(&mut judge(), 512, night_s, Some(0)).is_belief());
        assert!(!insist(&mut judge(), 512, night_s, None).is_belief());
    }

    #[test]
    fn the_clock_is_not_moved_again_within_the_hour() {
        let mut judge = judge();
        assert!(insist(&mut judge, 512, 600, None).is_belief());
        let refused = insist(&mut judge, 1512, 1200, None);
        assert_eq!(refused, Opinion::Refused(600 * S as i64));
        // Who goes on saying so is heard when the hour is over.
        let later_s = 1512 + CLOCK_MOVE_INTERVAL_MS / 1000;
        assert!(judge.judge(said(later_s, 1200), NOBODY).is_belief());
    }

    proptest! {
        #[test]
        fn a_liar_gets_no_further_than_is_said(
            lies in proptest::collection::vec((1_u64..2000, -4_000_i64..4_000, 0_u64..2), 1..200),
        ) {
            let mut judge = judge();
            let (mut at_s, mut clock, mut said_s) = (0, said(0, 0), 0);
            for (later_s, change_s, is_new) in lies {
                at_s += later_s;
                said_s += change_s * is_new as i64;
                let reading = said(at_s, said_s);
                if judge.judge(reading, NOBODY).is_belief() {
                    clock = reading;
                }
                let moves = at_s / (CLOCK_MOVE_INTERVAL_MS / 1000) + 1;
                // Each of the answers that fit may be wrong by a step and by its way, besides.
                let fitting_ns = 200 * (CLOCK_STEP_MS * NS_PER_MS + S / 100);
                let drift_ns = at_s * S / CLOCK_DRIFT_DIVISOR;
                let most_ns = moves * CLOCK_MOVE_MAX_MS * NS_PER_MS + fitting_ns + drift_ns;
                let moved_ns = said(0, 0).change_ns(&clock).unsigned_abs();
                prop_assert!(moved_ns <= most_ns, "{moved_ns} after {at_s} s");
            }
        }

        #[test]
        fn no_number_panics(readings: Vec<(u64, u64, u64)>, machine_ns: Option<u64>) {
            let mut judge = Judge::default();
            for (at_ns, wall_ns, delay_ns) in readings {
                let _ = judge.judge(Reading { at_ns, wall_ns, delay_ns }, || machine_ns);
            }
        }
    }
}
