//! Timers that are read like files (`fs/timerfd.c`). Nothing ticks: how often one has expired is
//! computed when somebody looks.

use crate::errno::Errno;
use crate::host::Time;
use crate::settings::{Timer, TimerChange};

const SECOND_NS: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, Default)]
pub struct TimerFile {
    /// By the wall clock.
    pub is_realtime: bool,
    /// Next expiry that has not been counted, by the timer's clock.
    deadline_ns: Option<u64>,
    /// From one to the next; zero for a single one.
    interval_ns: u64,
    /// Expiries counted and not read.
    unread: u64,
    /// Grows with each expiry: what edge-triggered watchers see.
    pub edges: u32,
}

/// A length of time in nanoseconds; what Linux refuses is `EINVAL`. Beyond 584 years is never.
pub fn nanoseconds(time: Time) -> Result<u64, Errno> {
    let seconds = u64::try_from(time.seconds).map_err(|_| Errno::EINVAL)?;
    if u64::from(time.nanoseconds) >= SECOND_NS {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(time.nanoseconds.into()))
}

fn time(ns: u64) -> Time {
    Time { seconds: (ns / SECOND_NS) as i64, nanoseconds: (ns % SECOND_NS) as u32 }
}

impl TimerFile {
    /// Counts what has expired by now.
    pub fn advance(&mut self, now_ns: u64) {
        let Some(deadline_ns) = self.deadline_ns.filter(|deadline_ns| *deadline_ns <= now_ns)
        else {
            return;
        };
        let again = (now_ns - deadline_ns).checked_div(self.interval_ns);
        let count = 1 + again.unwrap_or(0);
        self.deadline_ns =
            again.map(|_| deadline_ns.saturating_add(self.interval_ns.saturating_mul(count)));
        self.unread = self.unread.saturating_add(count);
        self.edges = self.edges.wrapping_add(1);
    }

    pub fn new(is_realtime: bool) -> Self {
        Self { is_realtime, ..Self::default() }
    }

    /// How often it has expired since the last time, if at all.
    pub fn take(&mut self) -> Option<u64> {
        let count = core::mem::take(&mut self.unread);
        (count > 0).then_some(count)
    }

    pub fn is_expired(&self) -> bool {
        self.unread > 0
    }

    /// When it expires next.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.deadline_ns
    }

    /// How it stands; it has been advanced to now.
    pub fn get(&self, now_ns: u64) -> Timer {
        let left_ns = self.deadline_ns.map_or(0, |deadline_ns| deadline_ns.saturating_sub(now_ns));
        Timer { interval: time(self.interval_ns), value: time(left_ns) }
    }

    /// Sets it anew; what had expired is forgotten.
    pub fn set(
        &mut self,
        change: &TimerChange,
        is_absolute: bool,
        now_ns: u64,
    ) -> Result<(), Errno> {
        let value_ns = nanoseconds(change.timer.value)?;
        let interval_ns = nanoseconds(change.timer.interval)?;
        self.unread = 0;
        self.interval_ns = interval_ns;
        self.deadline_ns = match (value_ns, is_absolute) {
            (0, _) => None,
            (_, true) => Some(value_ns),
            (_, false) => Some(now_ns.saturating_add(value_ns)),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value_ns: u64, interval_ns: u64, is_absolute: bool, now_ns: u64) -> TimerFile {
        let mut file = TimerFile::default();
        let timer = Timer { interval: time(interval_ns), value: time(value_ns) };
        file.set(&TimerChange { timer, flags: 0 }, is_absolute, now_ns).expect("it is valid");
        file
    }

    #[test]
    fn a_single_timer_expires_once() {
        let mut file = set(10, 0, false, 100);
        file.advance(109);
        assert!(!file.is_expired());
        assert_eq!(file.get(109).value, time(1));
        file.advance(1000);
        assert_eq!((file.take(), file.take(), file.deadline_ns()), (Some(1), None, None));
    }

    #[test]
    fn an_interval_counts_what_was_missed() {
        let mut file = set(10, 5, true, 100);
        file.advance(100);
        assert_eq!((file.take(), file.deadline_ns()), (Some(19), Some(105)));
        file.advance(105);
        assert_eq!((file.take(), file.get(107).value), (Some(1), time(3)));
    }

    #[test]
    fn never_is_far_away() {
        let mut file = set(u64::MAX, 0, false, 100);
        file.advance(u64::MAX - 1);
        assert!(!file.is_expired());
        assert_eq!(nanoseconds(Time { seconds: i64::MAX, nanoseconds: 0 }), Ok(u64::MAX));
        for (seconds, nanoseconds_) in [(-1, 0), (0, 1_000_000_000)] {
            let refused = nanoseconds(Time { seconds, nanoseconds: nanoseconds_ });
            assert_eq!(refused, Err(Errno::EINVAL));
        }
    }
}
