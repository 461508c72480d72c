//! Clocks, sleeping, and timers.
#![forbid(unsafe_code)]

use linux_raw_sys::general as linux;

use crate::Errno;
use crate::limits::TIMERS_MAX;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served};
use crate::signal::{Info, SIGNAL_MAX};
use crate::thread::{On, Wait};
use crate::timers::{INTERVAL_TIMERS, SECOND_NS, Timer};

/// Nanoseconds of a microsecond.
const MICROSECOND_NS: u64 = 1_000;
/// Resolution of the clocks that only count ticks (`CLOCK_REALTIME_COARSE`).
const TICK_NS: u64 = 4_000_000;
/// `SI_TIMER`, `SI_KERNEL`
const BY_TIMER: i32 = -2;
const BY_KERNEL: i32 = 0x80;
/// `SIGEV_SIGNAL`, `SIGEV_NONE`, `SIGEV_THREAD_ID`
const NOTIFY_SIGNAL: u32 = 0;
const NOTIFY_NONE: u32 = 1;
const NOTIFY_THREAD: u32 = 4;

/// Nanoseconds as seconds and the rest.
#[must_use]
pub fn words(ns: u64) -> [u64; 2] {
    [ns / SECOND_NS, ns % SECOND_NS]
}

/// A `timespec` as nanoseconds; what is longer than they can count lasts for ever.
fn nanoseconds([seconds, rest]: [u64; 2]) -> Result<u64, Errno> {
    if seconds.cast_signed() < 0 || rest >= SECOND_NS {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(rest))
}

/// A `timeval` as nanoseconds.
fn from_microseconds([seconds, rest]: [u64; 2]) -> Result<u64, Errno> {
    if rest >= SECOND_NS / MICROSECOND_NS {
        return Err(Errno::EINVAL);
    }
    nanoseconds([seconds, rest * MICROSECOND_NS])
}

/// Nanoseconds as a `timeval`.
fn to_microseconds(ns: u64) -> [u64; 2] {
    [ns / SECOND_NS, ns % SECOND_NS / MICROSECOND_NS]
}

impl<N: Native> Os<N> {
    /// The monotonic time that a length at this address ends at; none at 0.
    pub(crate) fn time_from_now(&self, address: u64) -> Result<Option<u64>, Errno> {
        if address == 0 {
            return Ok(None);
        }
        let len = nanoseconds(self.space.read_words(address)?)?;
        Ok(Some(self.native.now_ns().saturating_add(len)))
    }

    /// The monotonic time that the moment at this address is; none at 0.
    pub(crate) fn time_at(&self, address: u64, realtime: bool) -> Result<Option<u64>, Errno> {
        if address == 0 {
            return Ok(None);
        }
        let at = nanoseconds(self.space.read_words(address)?)?;
        Ok(Some(if realtime { self.monotonic_of(at) } else { at }))
    }

    fn monotonic_of(&self, at: u64) -> u64 {
        at.saturating_sub(self.identity.wall_offset_ns)
    }

    /// What a clock shows.
    fn clock(&self, clock: u64) -> Result<u64, Errno> {
        let now = self.native.now_ns();
        Ok(match clock as u32 {
            linux::CLOCK_REALTIME | linux::CLOCK_REALTIME_COARSE | linux::CLOCK_TAI => {
                now.saturating_add(self.identity.wall_offset_ns)
            }
            linux::CLOCK_MONOTONIC
            | linux::CLOCK_MONOTONIC_RAW
            | linux::CLOCK_MONOTONIC_COARSE
            | linux::CLOCK_BOOTTIME => now,
            // The core belongs to the invocation, so all time is its time.
            linux::CLOCK_PROCESS_CPUTIME_ID | linux::CLOCK_THREAD_CPUTIME_ID => {
                now.saturating_sub(self.identity.start_ns)
            }
            // Clocks of processes and threads: CPUCLOCK_ bits of a negative number.
            number if number.cast_signed() < 0 => now.saturating_sub(self.identity.start_ns),
            _ => return Err(Errno::EINVAL),
        })
    }

    /// `clock_gettime`.
    pub(crate) fn clock_gettime(&mut self, clock: u64, time: u64) -> Served {
        let now = self.clock(clock)?;
        self.space.write_words(time, &words(now))?;
        Ok(0)
    }

    /// `clock_getres`.
    pub(crate) fn clock_getres(&mut self, clock: u64, time: u64) -> Served {
        self.clock(clock)?;
        let coarse = [linux::CLOCK_REALTIME_COARSE, linux::CLOCK_MONOTONIC_COARSE];
        let resolution = if coarse.contains(&(clock as u32)) { TICK_NS } else { 1 };
        if time != 0 {
            self.space.write_words(time, &words(resolution))?;
        }
        Ok(0)
    }

    /// `gettimeofday`.
    pub(crate) fn gettimeofday(&mut self, time: u64, zone: u64) -> Served {
        let now = self.clock(u64::from(linux::CLOCK_REALTIME))?;
        if time != 0 {
            self.space.write_words(time, &to_microseconds(now))?;
        }
        if zone != 0 {
            self.space.write_u64(zone, 0)?;
        }
        Ok(0)
    }

    /// `time`.
    pub(crate) fn time(&mut self, address: u64) -> Served {
        let now = self.clock(u64::from(linux::CLOCK_REALTIME))? / SECOND_NS;
        if address != 0 {
            self.space.write_u64(address, now)?;
        }
        Ok(now)
    }

    /// `nanosleep`.
    pub(crate) fn nanosleep(&mut self, time: u64) -> Served {
        let len = nanoseconds(self.space.read_words(time)?)?;
        let until = self.native.now_ns().saturating_add(len);
        self.sleep_until(until)
    }

    /// `clock_nanosleep`.
    pub(crate) fn clock_nanosleep(&mut self, clock: u64, flags: u64, time: u64) -> Served {
        self.clock(clock)?;
        let at = nanoseconds(self.space.read_words(time)?)?;
        let absolute = flags as u32 & linux::TIMER_ABSTIME != 0;
        let until = match clock as u32 {
            _ if !absolute => self.native.now_ns().saturating_add(at),
            linux::CLOCK_REALTIME | linux::CLOCK_TAI => self.monotonic_of(at),
            linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => at,
            linux::CLOCK_PROCESS_CPUTIME_ID => at.saturating_add(self.identity.start_ns),
            _ => return Err(Errno::EOPNOTSUPP.into()),
        };
        self.sleep_until(until)
    }

    fn sleep_until(&mut self, until: u64) -> Served {
        let until = self.threads.running().until_ns.unwrap_or(until);
        if until <= self.native.now_ns() {
            return Ok(0);
        }
        Err(Break::Wait(Wait { on: On::Time, until_ns: Some(until) }))
    }

    /// `alarm`.
    pub(crate) fn alarm_call(&mut self, seconds: u64) -> Served {
        let now = self.native.now_ns();
        let length = u64::from(seconds as u32) * SECOND_NS;
        let timer = self.timers.interval(0);
        let left = timer.next_ns.map_or(0, |next| next.saturating_sub(now));
        timer.interval_ns = 0;
        timer.next_ns = (length > 0).then_some(now + length);
        self.attention = true;
        // What is left of a second counts as one.
        Ok(left.div_ceil(SECOND_NS))
    }

    /// `setitimer`.
    pub(crate) fn setitimer(&mut self, which: u64, new: u64, old: u64) -> Served {
        let which = interval_timer(which)?;
        let setting = match new {
            0 => [0; 4],
            address => self.space.read_words(address)?,
        };
        let [interval, value] =
            [[setting[0], setting[1]], [setting[2], setting[3]]].map(from_microseconds);
        let (interval, value) = (interval?, value?);
        let now = self.native.now_ns();
        if old != 0 {
            self.write_interval_timer(which, old, now)?;
        }
        let timer = self.timers.interval(which);
        timer.interval_ns = interval;
        timer.next_ns = (value > 0).then_some(now.saturating_add(value));
        self.attention = true;
        Ok(0)
    }

    /// `getitimer`.
    pub(crate) fn getitimer(&mut self, which: u64, time: u64) -> Served {
        let which = interval_timer(which)?;
        let now = self.native.now_ns();
        self.write_interval_timer(which, time, now)?;
        Ok(0)
    }

    fn write_interval_timer(&mut self, which: usize, at: u64, now: u64) -> Result<(), Errno> {
        let timer = *self.timers.interval(which);
        let left = timer.next_ns.map_or(0, |next| next.saturating_sub(now).max(MICROSECOND_NS));
        let ([interval, interval_rest], [value, value_rest]) =
            (to_microseconds(timer.interval_ns), to_microseconds(left));
        self.space.write_words(at, &[interval, interval_rest, value, value_rest])
    }

    /// `timer_create`.
    pub(crate) fn timer_create(&mut self, clock: u64, event: u64, id: u64) -> Served {
        self.clock(clock)?;
        self.timers.interval(0);
        let free = self.timers.0.iter().skip(INTERVAL_TIMERS).position(Option::is_none);
        let number = free.unwrap_or(self.timers.0.len() - INTERVAL_TIMERS);
        if number >= TIMERS_MAX {
            return Err(Errno::EAGAIN.into());
        }
        let (value, signal, notify, thread) = match event {
            0 => (number as u64, linux::SIGALRM, NOTIFY_SIGNAL, 0),
            address => {
                let [value, numbers, thread] = self.space.read_words(address)?;
                (value, numbers as u32, (numbers >> 32) as u32, thread as u32)
            }
        };
        let (signal, thread) = match notify {
            NOTIFY_NONE => (0, 0),
            NOTIFY_SIGNAL | NOTIFY_THREAD if signal == 0 || signal > SIGNAL_MAX => {
                return Err(Errno::EINVAL.into());
            }
            NOTIFY_SIGNAL => (signal, 0),
            NOTIFY_THREAD if self.threads.find(thread).is_some() => (signal, thread),
            _ => return Err(Errno::EINVAL.into()),
        };
        self.space.write_u32(id, number as u32)?;
        let posix = Some((number as u32, value));
        let timer = Some(Timer { signal, thread, posix, ..Timer::default() });
        match self.timers.0.get_mut(number + INTERVAL_TIMERS) {
            Some(place) => *place = timer,
            None => self.timers.0.push(timer),
        }
        Ok(0)
    }

    /// `timer_settime`.
    pub(crate) fn timer_settime(&mut self, id: u64, flags: u64, new: u64, old: u64) -> Served {
        self.timers.posix(id)?;
        let [first, second, third, fourth] = self.space.read_words(new)?;
        let (interval, value) = (nanoseconds([first, second])?, nanoseconds([third, fourth])?);
        if old != 0 {
            self.timer_gettime(id, old)?;
        }
        let absolute = flags as u32 & linux::TIMER_ABSTIME != 0;
        let now = self.native.now_ns();
        // A moment far beyond the monotonic clock is one of the wall clock's.
        let wall = self.identity.wall_offset_ns;
        let at = match absolute {
            true if wall > 0 && value >= wall => value - wall,
            true => value,
            false => now.saturating_add(value),
        };
        let timer = self.timers.posix(id)?;
        timer.interval_ns = interval;
        timer.next_ns = (value > 0).then_some(at);
        self.attention = true;
        Ok(0)
    }

    /// `timer_gettime`.
    pub(crate) fn timer_gettime(&mut self, id: u64, time: u64) -> Served {
        let now = self.native.now_ns();
        let timer = *self.timers.posix(id)?;
        let left = timer.next_ns.map_or(0, |next| next.saturating_sub(now).max(1));
        let ([interval, interval_rest], [value, value_rest]) =
            (words(timer.interval_ns), words(left));
        self.space.write_words(time, &[interval, interval_rest, value, value_rest])?;
        Ok(0)
    }

    /// `timer_getoverrun`.
    pub(crate) fn timer_getoverrun(&mut self, id: u64) -> Served {
        Ok(u64::from(self.timers.posix(id)?.overrun))
    }

    /// `timer_delete`.
    pub(crate) fn timer_delete(&mut self, id: u64) -> Served {
        self.timers.posix(id)?;
        self.timers.0[id as usize + INTERVAL_TIMERS] = None;
        Ok(0)
    }

    /// Sends the signals of the timers that have expired.
    pub(crate) fn fire_timers(&mut self, now: u64) {
        for at in 0..self.timers.0.len() {
            let Some(timer) = &mut self.timers.0[at] else { continue };
            let Some(next) = timer.next_ns.filter(|next| *next <= now) else { continue };
            let missed = (now - next).checked_div(timer.interval_ns);
            timer.overrun = u32::try_from(missed.unwrap_or(0)).unwrap_or(u32::MAX);
            timer.next_ns =
                missed.map(|missed| next + (missed + 1).saturating_mul(timer.interval_ns));
            let Timer { signal, thread, posix, overrun, .. } = *timer;
            if signal == 0 {
                continue;
            }
            let info = match posix {
                None => Info { signal, code: BY_KERNEL, fields: [0, 0] },
                Some((number, value)) => {
                    let first = u64::from(number) | u64::from(overrun) << 32;
                    Info { signal, code: BY_TIMER, fields: [first, value] }
                }
            };
            match self.threads.find(thread) {
                // A full queue loses the expiry, which counts as overrun in Linux.
                Some(thread) => drop(thread.pending.add(info)),
                None => self.raise(info),
            }
        }
    }
}

/// The number of an interval timer.
fn interval_timer(which: u64) -> Result<usize, Errno> {
    usize::try_from(which).ok().filter(|which| *which < INTERVAL_TIMERS).ok_or(Errno::EINVAL)
}
