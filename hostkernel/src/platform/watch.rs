//! Watches whether somebody is served by the interrupts of a source; if not, it is to be switched
//! off and polled.
//!
//! A line that is wired the other way round than said, that another device shares and nobody
//! services, or that floats, interrupts again as soon as it may. Without an end to that the core
//! does nothing else: its actions get no instruction, and it never sleeps.

use limits::{INTERRUPT_GAP_NS, INTERRUPTS_UNSERVICED_MAX, INTERRUPTS_WATCHED};
use node::state::machine::SourceCounts;

/// One source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    counts: SourceCounts,
    /// Of the stretch that is looked at: its interrupts, and those for nothing.
    stretch: u32,
    stretch_unserviced: u32,
    last_unserviced_ns: u64,
}

impl Watch {
    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> SourceCounts {
        self.counts
    }

    /// Whether the source was switched off, and is to be polled.
    #[must_use]
    pub const fn is_polled(&self) -> bool {
        self.counts.is_polled
    }

    /// Counts an interrupt for which there was something to do, or was not long ago.
    pub const fn serviced(&mut self) {
        self.counts.interrupts += 1;
        self.count(false);
    }

    /// Counts one for nothing. Returns whether the source is now to be switched off: once.
    #[must_use]
    pub const fn unserviced(&mut self, now_ns: u64) -> bool {
        self.counts.interrupts += 1;
        self.counts.unserviced += 1;
        let gap_ns = now_ns.saturating_sub(self.last_unserviced_ns);
        self.last_unserviced_ns = now_ns;
        // Now and then one comes late, when what it was for is done.
        if gap_ns > INTERRUPT_GAP_NS {
            (self.stretch, self.stretch_unserviced) = (0, 0);
        }
        self.count(true);
        let is_too_much = self.stretch_unserviced > INTERRUPTS_UNSERVICED_MAX;
        let is_news = is_too_much && !self.counts.is_polled;
        self.counts.is_polled |= is_too_much;
        is_news
    }

    const fn count(&mut self, unserviced: bool) {
        if self.stretch == INTERRUPTS_WATCHED {
            (self.stretch, self.stretch_unserviced) = (0, 0);
        }
        self.stretch += 1;
        self.stretch_unserviced += unserviced as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1000;

    /// Interrupts until the source is switched off, at most `max`.
    fn until_off(max: u32, step_ns: u64, is_serviced: impl Fn(u32) -> bool) -> Option<u32> {
        let mut watch = Watch::default();
        let mut now_ns = 5_000_000_000;
        let off = (1..=max).find(|number| {
            now_ns += step_ns;
            if is_serviced(*number) {
                watch.serviced();
                return false;
            }
            watch.unserviced(now_ns)
        });
        assert_eq!(watch.is_polled(), off.is_some());
        assert_eq!(watch.counts().interrupts, u64::from(off.unwrap_or(max)));
        off
    }

    #[test]
    fn a_line_that_never_falls_is_switched_off_and_that_once() {
        let expected = INTERRUPTS_UNSERVICED_MAX + 1;
        assert_eq!(until_off(u32::MAX, US, |_| false), Some(expected));
        let mut watch = Watch::default();
        let off = (0..10_000).filter(|at| watch.unserviced(at * US)).count();
        assert_eq!((off, watch.counts().unserviced), (1, 10_000));
    }

    #[test]
    fn one_that_works_now_and_then_is_switched_off_all_the_same() {
        let off = until_off(100_000, US, |number| number % 20 == 0);
        assert!(off.is_some_and(|off| off <= INTERRUPTS_WATCHED), "{off:?}");
    }

    #[test]
    fn late_ones_and_rare_ones_are_borne() {
        assert_eq!(until_off(100_000, US, |number| number % 2 == 0), None);
        assert_eq!(until_off(100_000, US, |number| number % 5 == 0), None);
        assert_eq!(until_off(100_000, INTERRUPT_GAP_NS + 1, |_| false), None);
        assert_eq!(until_off(100_000, US, |_| true), None);
    }
}
