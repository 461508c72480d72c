//! Timers that send signals, as state.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use crate::Errno;

/// Nanoseconds of a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// A timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// Its next expiry; `None` if it is not armed.
    pub next_ns: Option<u64>,
    /// From one to the next; 0 for a single one.
    pub interval_ns: u64,
    /// What it sends; 0 for nothing.
    pub(crate) signal: u32,
    /// To which thread; 0 for the process.
    pub(crate) thread: u32,
    /// Its number and value, for the handler, of those that `timer_create` made.
    pub(crate) posix: Option<(u32, u64)>,
    /// Expiries since its signal was sent for which none was.
    pub(crate) overrun: u32,
}

/// `ITIMER_REAL`, `ITIMER_VIRTUAL`, `ITIMER_PROF`, then those of `timer_create`.
pub(crate) const INTERVAL_TIMERS: usize = 3;

/// All timers.
#[derive(Debug, Default)]
pub struct Timers(pub(crate) Vec<Option<Timer>>);

impl Timers {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there never was one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next one expires.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.0.iter().flatten().filter_map(|timer| timer.next_ns).min()
    }

    /// The interval timer of this number.
    pub(crate) fn interval(&mut self, which: usize) -> &mut Timer {
        if self.0.is_empty() {
            let signals = [linux::SIGALRM, linux::SIGVTALRM, linux::SIGPROF];
            self.0.extend(signals.map(|signal| Some(Timer { signal, ..Timer::default() })));
        }
        self.0[which].get_or_insert_default()
    }

    /// A timer that `timer_create` made.
    pub(crate) fn posix(&mut self, id: u64) -> Result<&mut Timer, Errno> {
        let at = usize::try_from(id).ok().and_then(|id| id.checked_add(INTERVAL_TIMERS));
        at.and_then(|at| self.0.get_mut(at)?.as_mut()).ok_or(Errno::EINVAL)
    }
}
