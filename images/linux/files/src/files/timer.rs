//! `timerfd_settime`, `timerfd_gettime`.

use super::Files;
use crate::abi::flag;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::host::Host;
use crate::settings::{Timer, TimerChange};
use crate::timer::{TimerFile, nanoseconds};

/// The time by a timer's clock.
pub(super) fn now_ns(host: &mut dyn Host, timer: &TimerFile) -> u64 {
    match timer.is_realtime {
        // A wall clock before 1970 does not make timers fail.
        true => nanoseconds(host.realtime()).unwrap_or(0),
        false => host.monotonic_ns(),
    }
}

impl Files<'_> {
    fn timer(&mut self, fd: i32) -> Result<&mut TimerFile, Errno> {
        match &mut self.table.usable_mut(fd)?.object {
            Object::Timer(timer) => Ok(timer),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `timerfd_settime`: how it stood before.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_settime(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        change: TimerChange,
    ) -> Result<Timer, Errno> {
        const KNOWN: u32 = flag::TIMER_ABSOLUTE | flag::TIMER_CANCEL_ON_SET;
        if change.flags & !KNOWN != 0 {
            return Err(Errno::EINVAL);
        }
        nanoseconds(change.timer.value)?;
        nanoseconds(change.timer.interval)?;
        let timer = self.timer(fd)?;
        let now_ns = now_ns(host, timer);
        timer.advance(now_ns);
        let before = timer.get(now_ns);
        timer.set(&change, change.flags & flag::TIMER_ABSOLUTE != 0, now_ns)?;
        Ok(before)
    }

    /// `timerfd_gettime`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_gettime(&mut self, host: &mut dyn Host, fd: i32) -> Result<Timer, Errno> {
        let timer = self.timer(fd)?;
        let now_ns = now_ns(host, timer);
        timer.advance(now_ns);
        Ok(timer.get(now_ns))
    }
}
