//! How a node leaves: nobody who was told that it is there may find it gone.
//!
//! ```text
//! asked to leave        last call                              all ended       off
//! │ not ready; idle     │ connects are reset, invocations      │ slow readers  │ whoever still
//! │ connections end,    │ refused; what was begun goes on,     │ get some time │ has a connection
//! │ answers end theirs  │ all idle connections end             │               │ is told: reset
//! ```

use crate::settings;
use limits::DRAIN_QUIET_MS;

const NS_PER_MS: u64 = 1_000_000;

/// A node that leaves.
#[derive(Debug)]
pub struct Drain {
    last_call_ns: u64,
    readers_ns: u64,
    /// Since when nothing has been running.
    ended_ns: Option<u64>,
    /// Connections that wait for a request were told that the last call is over.
    pub is_last_call_over: bool,
}

/// Where a drain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Something is still to come, by this time at the latest if it is known.
    Waiting(Option<u64>),
    /// Nothing is.
    Over,
}

impl Drain {
    /// Asked to leave now. If nobody has asked for anything since `asked_ns` for as long as it
    /// would wait, nobody looks whether it is there, and it waits less.
    pub fn new(now_ns: u64, asked_ns: Option<u64>, times: settings::Drain) -> Self {
        let accept_ns = times.accept_ms * NS_PER_MS;
        let is_watched = asked_ns.is_some_and(|asked_ns| now_ns < asked_ns + accept_ns);
        let quiet_ns = DRAIN_QUIET_MS * NS_PER_MS;
        let accept_ns = if is_watched { accept_ns } else { accept_ns.min(quiet_ns) };
        Self {
            last_call_ns: now_ns + accept_ns,
            readers_ns: times.readers_ms * NS_PER_MS,
            ended_ns: None,
            is_last_call_over: false,
        }
    }

    /// Whether it is too late for anything new.
    pub const fn is_late(&self, now_ns: u64) -> bool {
        now_ns >= self.last_call_ns
    }

    /// Where it stands, with so many invocations outstanding. Each ends by its deadline and nothing
    /// new begins, so waiting for them needs no bound of its own.
    pub fn stand(&mut self, now_ns: u64, outstanding: usize, is_busy: bool) -> Stand {
        if !self.is_late(now_ns) {
            return Stand::Waiting(Some(self.last_call_ns));
        }
        if outstanding > 0 {
            return Stand::Waiting(None);
        }
        let end_ns = *self.ended_ns.get_or_insert(now_ns) + self.readers_ns;
        if is_busy && now_ns < end_ns { Stand::Waiting(Some(end_ns)) } else { Stand::Over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_what_was_begun_and_not_for_ever_for_readers() {
        let ms = |ms: u64| ms * NS_PER_MS;
        let times = settings::Drain { accept_ms: 15_000, readers_ms: 5_000 };
        let mut drain = Drain::new(ms(1_000), Some(ms(900)), times);
        let last_call = ms(16_000);
        let until = |at_ns| Stand::Waiting(Some(at_ns));
        assert_eq!(drain.stand(ms(1_000), 0, false), until(last_call), "others may still come");
        assert!(!drain.is_late(last_call - 1) && drain.is_late(last_call));
        assert_eq!(drain.stand(last_call + ms(1_000_000), 1, true), Stand::Waiting(None));
        let ended = last_call + ms(2_000_000);
        assert_eq!(drain.stand(ended, 0, true), until(ended + ms(5_000)));
        assert_eq!(drain.stand(ended + 1, 0, false), Stand::Over);
        assert_eq!(drain.stand(ended + ms(5_000), 0, true), Stand::Over);
    }
    #[test]
    fn it_waits_less_if_nobody_looks() {
        let ms = |ms: u64| ms * NS_PER_MS;
        let times = settings::Drain { accept_ms: 15_000, readers_ms: 5_000 };
        for asked_ns in [None, Some(ms(85_000))] {
            let drain = Drain::new(ms(100_000), asked_ns, times);
            assert!(!drain.is_late(ms(99_999 + DRAIN_QUIET_MS)));
            assert!(drain.is_late(ms(100_000 + DRAIN_QUIET_MS)));
        }
        let at_once = settings::Drain { accept_ms: 0, ..times };
        assert!(Drain::new(ms(100_000), Some(ms(100_000)), at_once).is_late(ms(100_000)));
    }
}
