//! How a node leaves: nobody who was told that it is there may find it gone.
//!
//! ```text
//! asked to leave        last call                              all ended       off
//! │ not ready; answers  │ connects are reset, invocations      │ slow readers  │
//! │ close connections   │ refused; what was begun goes on      │ get some time │
//! ```

use limits::{DRAIN_ACCEPT_MS, DRAIN_READERS_MS};

const NS_PER_MS: u64 = 1_000_000;

/// A node that leaves.
#[derive(Debug)]
pub struct Drain {
    last_call_ns: u64,
    /// Since when nothing has been running.
    ended_ns: Option<u64>,
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
    /// Asked to leave now.
    pub const fn new(now_ns: u64) -> Self {
        Self { last_call_ns: now_ns + DRAIN_ACCEPT_MS * NS_PER_MS, ended_ns: None }
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
        let end_ns = *self.ended_ns.get_or_insert(now_ns) + DRAIN_READERS_MS * NS_PER_MS;
        if is_busy && now_ns < end_ns { Stand::Waiting(Some(end_ns)) } else { Stand::Over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_what_was_begun_and_not_for_ever_for_readers() {
        let ms = |ms: u64| ms * NS_PER_MS;
        let mut drain = Drain::new(ms(1_000));
        let last_call = ms(1_000 + DRAIN_ACCEPT_MS);
        let until = |at_ns| Stand::Waiting(Some(at_ns));
        assert_eq!(drain.stand(ms(1_000), 0, false), until(last_call), "others may still come");
        assert!(!drain.is_late(last_call - 1) && drain.is_late(last_call));
        assert_eq!(drain.stand(last_call + ms(1_000_000), 1, true), Stand::Waiting(None));
        let ended = last_call + ms(2_000_000);
        assert_eq!(drain.stand(ended, 0, true), until(ended + ms(DRAIN_READERS_MS)));
        assert_eq!(drain.stand(ended + 1, 0, false), Stand::Over);
        assert_eq!(drain.stand(ended + ms(DRAIN_READERS_MS), 0, true), Stand::Over);
    }
}
