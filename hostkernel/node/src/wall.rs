//! Wall-clock time: what the machine said at boot, corrected while the node runs.
//!
//! It never goes back: a clock that is ahead is slowed down until time has caught up. One that is
//! behind is set forward at once, unless it is only a little; then it is sped up.

pub mod trust;

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use limits::CLOCK_STEP_MS;

/// A little is made good by running 1/2048 (488 ppm) faster or slower, which nobody notices ...
const GENTLE_SHIFT: u32 = 11;
/// ... and more, if it may not be taken at once, by running 1/8 slower.
const HARD_SHIFT: u32 = 3;

/// Wall-clock time as a function of monotonic time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wall {
    /// Wall-clock time at monotonic time 0, in nanoseconds since 1970-01-01 UTC; 0 if unknown.
    base_ns: u64,
    /// Since when an error is being made good.
    start_ns: u64,
    /// How large it was; negative if the clock was ahead.
    error_ns: i64,
    /// It is made good by one nanosecond in this power of two.
    shift: u32,
}

/// What a correction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// The clock was set.
    Step,
    /// The clock runs a little faster or slower for a while.
    Slew,
}

impl Wall {
    /// A clock that shows `wall_ns` at monotonic time `now_ns`.
    #[must_use]
    pub const fn new(now_ns: u64, wall_ns: u64) -> Self {
        Self { base_ns: wall_ns.saturating_sub(now_ns), start_ns: now_ns, error_ns: 0, shift: 0 }
    }

    /// What it shows at a monotonic time; `None` if nobody ever told it.
    #[must_use]
    pub fn at(&self, now_ns: u64) -> Option<u64> {
        let left_ns = self.error_ns.unsigned_abs();
        let done_ns = (now_ns.saturating_sub(self.start_ns) >> self.shift).min(left_ns);
        let shown_ns = self.base_ns.saturating_add(now_ns);
        let shown_ns = match self.error_ns < 0 {
            true => shown_ns.saturating_sub(done_ns),
            false => shown_ns.saturating_add(done_ns),
        };
        (self.base_ns != 0).then_some(shown_ns)
    }

    /// Goes on from monotonic time `now_ns`, when the time is `true_ns`. `may_step_back` says that
    /// nobody has been told a time yet.
    #[must_use]
    pub fn corrected(&self, now_ns: u64, true_ns: u64, may_step_back: bool) -> (Self, Correction) {
        let set = (Self::new(now_ns, true_ns), Correction::Step);
        let Some(shown_ns) = self.at(now_ns) else { return set };
        let error_ns = i64::try_from(i128::from(true_ns) - i128::from(shown_ns));
        let error_ns = error_ns.unwrap_or(if true_ns > shown_ns { i64::MAX } else { i64::MIN });
        let is_small = error_ns.unsigned_abs() < CLOCK_STEP_MS * 1_000_000;
        if !is_small && (error_ns > 0 || may_step_back) {
            return set;
        }
        let shift = if is_small { GENTLE_SHIFT } else { HARD_SHIFT };
        (Self { error_ns, shift, ..Self::new(now_ns, shown_ns) }, Correction::Slew)
    }
}

/// A [`Wall`] that one core sets and all read, without a lock: who reads while it is being set
/// reads again.
#[derive(Debug)]
pub struct SharedWall {
    /// Odd while the words change.
    version: AtomicU32,
    words: [AtomicU64; 4],
}

impl SharedWall {
    /// A clock that nobody has told the time.
    #[must_use]
    pub const fn new() -> Self {
        Self { version: AtomicU32::new(0), words: [const { AtomicU64::new(0) }; 4] }
    }

    /// Sets it. For one core only.
    pub fn set(&self, wall: Wall) {
        let Wall { base_ns, start_ns, error_ns, shift } = wall;
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let words = [base_ns, start_ns, error_ns.cast_unsigned(), shift.into()];
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> Wall {
        loop {
            let version = self.version.load(Ordering::Acquire);
            let [base_ns, start_ns, error_ns, shift] =
                self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if version & 1 == 0 && self.version.load(Ordering::Relaxed) == version {
                let error_ns = error_ns.cast_signed();
                return Wall { base_ns, start_ns, error_ns, shift: shift as u32 & 63 };
            }
            core::hint::spin_loop();
        }
    }
}

impl Default for SharedWall {
    fn default() -> Self {
        Self::new()
    }
}

/// Wall-clock time at a reading of the time stamp counter, by the two structures a hypervisor
/// writes for its guest (`pvclock_wall_clock`, `pvclock_vcpu_time_info`); `None` if they are empty.
#[must_use]
pub fn paravirtual_ns(wall: &[u8; 12], time: &[u8; 32], cycles: u64) -> Option<u64> {
    let word = |bytes: &[u8], at: usize| {
        bytes[at..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word))
    };
    let long = |at: usize| u64::from(word(time, at)) | u64::from(word(time, at + 4)) << 32;
    // Odd: being written. Zero: never written.
    let is_written = |version: u32| version != 0 && version & 1 == 0;
    if !is_written(word(wall, 0)) || !is_written(word(time, 0)) {
        return None;
    }
    let start_ns = u64::from(word(wall, 4)) * 1_000_000_000 + u64::from(word(wall, 8));
    let elapsed = u128::from(cycles.saturating_sub(long(8)));
    let (multiplier, shift) = (word(time, 24), time[28].cast_signed());
    let elapsed = match shift {
        0..=31 => elapsed << shift,
        -31..0 => elapsed >> -shift,
        _ => return None,
    };
    let elapsed_ns = u64::try_from(elapsed * u128::from(multiplier) >> 32).ok()?;
    start_ns.checked_add(long(16))?.checked_add(elapsed_ns)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;
    const EPOCH: u64 = 1_795_000_000 * S;

    #[test]
    fn a_small_error_is_made_good_gently_and_then_it_is_over() {
        let wall = Wall::new(5 * S, EPOCH);
        assert_eq!(wall.at(6 * S), Some(EPOCH + S));
        for (ahead, sign) in [(false, 1_i128), (true, -1)] {
            let error_ns = 100_000_000;
            let true_ns = if ahead { EPOCH + 5 * S - error_ns } else { EPOCH + 5 * S + error_ns };
            let (wall, correction) = wall.corrected(10 * S, true_ns, true);
            assert_eq!(correction, Correction::Slew);
            assert_eq!(wall.at(10 * S), Some(EPOCH + 5 * S), "no jump");
            let second_ns = wall.at(11 * S).expect("it was set");
            let gained_ns = i128::from(second_ns) - i128::from(EPOCH + 6 * S);
            assert_eq!(gained_ns, sign * i128::from(S >> 11));
            assert_eq!(wall.at(1010 * S), Some(true_ns + 1000 * S));
        }
    }

    #[test]
    fn a_large_error_is_a_step_forward_but_back_only_before_anybody_knows() {
        let wall = Wall::new(0, EPOCH);
        let (forward, correction) = wall.corrected(S, EPOCH + 3600 * S, false);
        assert_eq!((forward.at(S), correction), (Some(EPOCH + 3600 * S), Correction::Step));
        let (back, correction) = wall.corrected(S, EPOCH - 3600 * S, true);
        assert_eq!((back.at(S), correction), (Some(EPOCH - 3600 * S), Correction::Step));
        let (slow, correction) = wall.corrected(S, EPOCH - 3600 * S, false);
        assert_eq!((slow.at(S), correction), (Some(EPOCH + S), Correction::Slew));
        assert_eq!(slow.at(9 * S), Some(EPOCH + 8 * S));
        assert_eq!(slow.at(100_001 * S), Some(EPOCH - 3600 * S + 100_000 * S));
    }

    #[test]
    fn a_clock_that_nobody_told_the_time_shows_none() {
        let shared = SharedWall::new();
        assert_eq!(shared.get().at(7), None);
        let (wall, correction) = shared.get().corrected(7, EPOCH, false);
        shared.set(wall);
        assert_eq!((shared.get().at(8), correction), (Some(EPOCH + 1), Correction::Step));
    }

    #[test]
    fn readers_never_see_half_of_a_change() {
        let shared = SharedWall::new();
        let walls = [Wall::new(0, EPOCH), Wall { error_ns: -9, shift: 9, ..Wall::new(3, S) }];
        shared.set(walls[0]);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for _ in 0..20_000 {
                    assert!(walls.contains(&shared.get()));
                }
            });
            for turn in 0..20_000 {
                shared.set(walls[turn & 1]);
            }
            reader.join().expect("only whole values");
        });
    }

    #[test]
    fn the_structures_of_a_hypervisor_are_read() {
        let mut wall = [0; 12];
        let mut time = [0; 32];
        assert_eq!(paravirtual_ns(&wall, &time, 0), None, "never written");
        wall[..4].copy_from_slice(&2_u32.to_le_bytes());
        wall[4..8].copy_from_slice(&1_795_000_000_u32.to_le_bytes());
        wall[8..].copy_from_slice(&5_u32.to_le_bytes());
        time[..4].copy_from_slice(&6_u32.to_le_bytes());
        time[8..16].copy_from_slice(&1_000_u64.to_le_bytes());
        time[16..24].copy_from_slice(&(7 * S).to_le_bytes());
        // Half a nanosecond for each of twice as many units.
        time[24..28].copy_from_slice(&(1_u32 << 31).to_le_bytes());
        time[28] = 1;
        assert_eq!(paravirtual_ns(&wall, &time, 1_300), Some(EPOCH + 5 + 7 * S + 300));
        time[28] = (-1_i8).cast_unsigned();
        assert_eq!(paravirtual_ns(&wall, &time, 1_300), Some(EPOCH + 5 + 7 * S + 75));
        time[0] = 7;
        assert_eq!(paravirtual_ns(&wall, &time, 1_300), None, "being written");
    }

    proptest! {
        #[test]
        fn no_structure_panics(wall: [u8; 12], time: [u8; 32], cycles: u64) {
            let _ = paravirtual_ns(&wall, &time, cycles);
        }

        #[test]
        fn it_never_goes_back(
            // As late as a time server can mean.
            corrections in proptest::collection::vec((0_u64..100 * S, 0..8 * EPOCH / 2), 1..20),
        ) {
            let (mut now_ns, mut last_ns) = (0, 0);
            let mut wall = Wall::new(0, EPOCH);
            for (later_ns, true_ns) in corrections {
                for _ in 0..3 {
                    now_ns += later_ns / 3;
                    let shown_ns = wall.at(now_ns).expect("it was set");
                    prop_assert!(shown_ns >= last_ns);
                    last_ns = shown_ns;
                }
                (wall, _) = wall.corrected(now_ns, true_ns, false);
            }
        }
    }
}
