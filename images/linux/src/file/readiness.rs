//! `poll`, `select`, `epoll`: what is ready, or waiting until something is.
//!
//! `linux-files` says what is ready now. If nothing is, the thread waits, and the whole call is
//! made again when another thread has done something with files, or when a timer expires.
#![forbid(unsafe_code)]

use alloc::vec;
use alloc::vec::Vec;

use linux_files::Polled;
use linux_files::abi::{EpollEvent, PollFd};

use crate::Errno;
use crate::limits::{EVENTS_MAX, POLLED_MAX};
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served, nothing};
use crate::signal::SignalSet;
use crate::thread::{On, Wait};
use crate::timers::SECOND_NS;

const MILLISECOND_NS: u64 = 1_000_000;
/// Descriptors of one `select` (`FD_SETSIZE` is no bound of the call itself).
const SELECT_MAX: usize = 65_536;
/// Bits of a word of a set.
const WORD_BITS: usize = 64;

impl<N: Native> Os<N> {
    /// What a call answers that found `polled`: how many, or that it waits, until this time.
    fn polled(&mut self, polled: Polled, until_ns: Option<u64>) -> Served {
        if polled.ready > 0 {
            return Ok(polled.ready as u64);
        }
        if until_ns.is_some_and(|until| until <= self.native.now_ns()) {
            return Ok(0);
        }
        // A timer makes the call look again, but only the call's own time ends it.
        let until = until_ns.into_iter().chain(polled.wake_ns).min();
        self.threads.running().gives_up_ns = until_ns;
        Err(Break::Wait(Wait { on: On::Files, until_ns: until }))
    }

    /// What a call found that must not wait, in a server that nobody has connected to yet: nothing.
    /// A server has more to do before it waits, and is to be frozen when that is done.
    fn glance(&self, found: Result<Polled, Break>, until_ns: Option<u64>) -> Result<Polled, Break> {
        match found {
            Err(Break::Wait(Wait { on: On::Input, .. }))
                if self.sockets.exchange.is_server()
                    && until_ns.is_some_and(|until| until <= self.native.now_ns()) =>
            {
                Ok(Polled::default())
            }
            found => found,
        }
    }

    /// When a call gives up, which was decided when it was first made.
    fn gives_up(
        &mut self,
        first: impl FnOnce(&Self) -> Result<Option<u64>, Errno>,
    ) -> Result<Option<u64>, Errno> {
        let thread = self.threads.running();
        match thread.until_ns.is_some() || thread.gives_up_ns.is_some() {
            true => Ok(thread.gives_up_ns),
            false => first(self),
        }
    }

    /// The time that so many milliseconds from now are; none if negative.
    fn milliseconds(&self, milliseconds: u64) -> Option<u64> {
        let milliseconds = u64::try_from(milliseconds as i32).ok()?;
        Some(self.native.now_ns().saturating_add(milliseconds * MILLISECOND_NS))
    }

    /// `poll`.
    pub(crate) fn poll(&mut self, list: u64, count: u64, milliseconds: u64) -> Served {
        let until = self.gives_up(|os| Ok(os.milliseconds(milliseconds)))?;
        self.poll_until(list, count, until)
    }

    /// `ppoll`.
    pub(super) fn ppoll(&mut self, arguments: [u64; 6]) -> Served {
        let [list, count, time, mask, mask_len, _] = arguments;
        let until = self.gives_up(|os| os.time_from_now(time))?;
        self.mask_from(mask, mask_len)?;
        self.poll_until(list, count, until)
    }

    /// Takes the mask of a call that blocks signals only while it waits.
    fn mask_from(&mut self, mask: u64, len: u64) -> Result<(), Errno> {
        if mask == 0 {
            return Ok(());
        }
        if len != 8 {
            return Err(Errno::EINVAL);
        }
        let mask = SignalSet(self.space.read_u64(mask)?);
        self.mask_for_call(mask);
        Ok(())
    }

    fn poll_until(&mut self, list: u64, count: u64, until: Option<u64>) -> Served {
        let count = usize::try_from(count).ok().filter(|count| *count <= POLLED_MAX);
        let count = count.ok_or(Errno::EINVAL)?;
        let len = (count * PollFd::LEN) as u64;
        let bytes = self.space.bytes(list, len)?;
        let mut polled: Vec<PollFd> =
            bytes.as_chunks().0.iter().map(|bytes| PollFd::from_bytes(*bytes)).collect();
        let found = self.with_files(|io| Ok(io.files.poll(io.host, &mut polled)?));
        let found = self.glance(found, until)?;
        let bytes = self.space.bytes_mut(list, len)?;
        for (place, polled) in bytes.as_chunks_mut().0.iter_mut().zip(&polled) {
            *place = polled.to_bytes();
        }
        self.polled(found, until)
    }

    /// `select`.
    pub(super) fn select(&mut self, arguments: [u64; 6]) -> Served {
        let [count, read, write, except, time, _] = arguments;
        let until = self.gives_up(|os| {
            if time == 0 {
                return Ok(None);
            }
            let [seconds, rest] = os.space.read_words(time)?;
            if seconds.cast_signed() < 0 || rest.cast_signed() < 0 {
                return Err(Errno::EINVAL);
            }
            let length = seconds.saturating_mul(SECOND_NS).saturating_add(rest * 1000);
            Ok(Some(os.native.now_ns().saturating_add(length)))
        })?;
        let served = self.select_until(count, [read, write, except], until);
        if time != 0
            && let (Ok(_), Some(until)) = (&served, until)
        {
            let left = until.saturating_sub(self.native.now_ns());
            self.space.write_words(time, &[left / SECOND_NS, left % SECOND_NS / 1000])?;
        }
        served
    }

    /// `pselect6`.
    pub(super) fn pselect(&mut self, arguments: [u64; 6]) -> Served {
        let [count, read, write, except, time, mask] = arguments;
        let until = self.gives_up(|os| os.time_from_now(time))?;
        if mask != 0 {
            let [mask, len] = self.space.read_words(mask)?;
            self.mask_from(mask, len)?;
        }
        self.select_until(count, [read, write, except], until)
    }

    fn select_until(&mut self, count: u64, sets: [u64; 3], until: Option<u64>) -> Served {
        let count = usize::try_from(count as i32).map_err(|_| Errno::EINVAL)?.min(SELECT_MAX);
        let words = count.div_ceil(WORD_BITS);
        let mut copies: [Option<Vec<u64>>; 3] = [None, None, None];
        for (copy, address) in copies.iter_mut().zip(sets) {
            if address != 0 {
                let bytes = self.space.bytes(address, words as u64 * 8)?;
                let set = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
                *copy = Some(set.collect());
            }
        }
        let [read, write, except] = &mut copies;
        let views = [read.as_deref_mut(), write.as_deref_mut(), except.as_deref_mut()];
        let found = self.with_files(|io| Ok(io.files.select(io.host, count, views)?));
        let found = self.glance(found, until)?;
        let served = self.polled(found, until);
        if let Ok(ready) = served {
            for (copy, address) in copies.iter_mut().zip(sets) {
                if let Some(copy) = copy {
                    if ready == 0 {
                        copy.fill(0);
                    }
                    self.space.write_words(address, copy)?;
                }
            }
        }
        served
    }

    pub(super) fn epoll_create(&mut self, flags: u64) -> Served {
        self.with_files(|io| Ok(io.files.epoll_create1(flags as u32)? as u64))
    }

    pub(super) fn epoll_ctl(&mut self, epoll: u64, operation: u64, fd: u64, event: u64) -> Served {
        let deletes = operation as u32 == linux_files::abi::watch::DELETE;
        let event = match deletes {
            true => EpollEvent::default(),
            false => EpollEvent::from_bytes(self.space.read(event)?),
        };
        self.with_files(|io| {
            let (epoll, operation) = (epoll as i32, operation as u32);
            nothing(io.files.epoll_ctl(epoll, operation, fd as i32, event))
        })
    }

    pub(super) fn epoll_wait(&mut self, epoll: u64, to: u64, count: u64, ms: u64) -> Served {
        let until = self.gives_up(|os| Ok(os.milliseconds(ms)))?;
        self.epoll_until(epoll, to, count, until)
    }

    pub(super) fn epoll_pwait(&mut self, arguments: [u64; 6]) -> Served {
        let [epoll, to, count, milliseconds, mask, mask_len] = arguments;
        let until = self.gives_up(|os| Ok(os.milliseconds(milliseconds)))?;
        self.mask_from(mask, mask_len)?;
        self.epoll_until(epoll, to, count, until)
    }

    pub(super) fn epoll_pwait2(&mut self, arguments: [u64; 6]) -> Served {
        let [epoll, to, count, time, mask, mask_len] = arguments;
        let until = self.gives_up(|os| os.time_from_now(time))?;
        self.mask_from(mask, mask_len)?;
        self.epoll_until(epoll, to, count, until)
    }

    fn epoll_until(&mut self, epoll: u64, to: u64, count: u64, until: Option<u64>) -> Served {
        let count = usize::try_from(count as i32).ok().filter(|count| *count > 0);
        let count = count.ok_or(Errno::EINVAL)?.min(EVENTS_MAX);
        let len = (count * EpollEvent::LEN) as u64;
        self.space.bytes_mut(to, len)?;
        let mut events = vec![EpollEvent::default(); count];
        let found =
            self.with_files(|io| Ok(io.files.epoll_wait(io.host, epoll as i32, &mut events)?));
        let found = self.glance(found, until)?;
        let bytes = self.space.bytes_mut(to, len)?;
        for (place, event) in bytes.as_chunks_mut().0.iter_mut().zip(&events[..found.ready]) {
            *place = event.to_bytes();
        }
        self.polled(found, until)
    }
}
