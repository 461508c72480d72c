//! What is ready now, and `poll` and `select`, which ask.

use super::Files;
use crate::abi::{PollFd, ready};
use crate::descriptors::Object;
use crate::errno::{Errno, Stop};
use crate::host::Host;
use crate::limits::EPOLL_DEPTH_MAX;
use crate::settings::Polled;
use crate::tree::{Device, Node};
use crate::watch::{DescriptionNumber, Ready};

/// What a file that cannot be waited for always is.
const ALWAYS_READY: u32 = ready::READABLE | ready::OUT | ready::WRITE_NORMAL;
/// What `poll` tells without being asked.
const UNASKED: u16 = (ready::ERROR | ready::HANG_UP) as u16;

/// What each set of `select` stands for.
const READ_SET: u32 = ready::READABLE | ready::READ_BAND | ready::HANG_UP | ready::ERROR;
const WRITE_SET: u32 = ready::OUT | ready::WRITE_NORMAL | ready::WRITE_BAND | ready::ERROR;
const EXCEPTION_SET: u32 = ready::PRIORITY;

/// Descriptors that `select` takes notice of at least, whatever is open.
const TABLE_LEN_MIN: usize = 256;

/// The earlier of two moments.
pub(super) fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Files<'_> {
    /// How an object stands, in what is asked for at least. `depth` counts instances of epoll that
    /// ask each other.
    pub(super) fn readiness(
        &mut self,
        host: &mut dyn Host,
        number: DescriptionNumber,
        asked: u32,
        depth: usize,
    ) -> Result<Ready, Stop> {
        let description = &mut self.table.descriptions[number as usize];
        let (reads, writes) = (description.is_readable(), description.is_writable());
        let events = match &mut description.object {
            // Rust's programs begin by asking nothing but whether it is open: who does not ask for
            // bytes does not look at the input.
            Object::Input if asked & ready::READABLE == 0 => ready::HANG_UP,
            Object::Input => {
                let has_more = !self.input.rest()?.is_empty();
                ready::HANG_UP | if has_more { ready::READABLE } else { 0 }
            }
            Object::Output(_) => ready::OUT | ready::WRITE_NORMAL,
            Object::Text(..) => ALWAYS_READY,
            Object::Inode(_) => ALWAYS_READY,
            Object::Pipe(pipe) => {
                let pipe = &self.pipes[*pipe as usize];
                let when = |holds, value| if holds { value } else { 0 };
                // Who has one end is not woken for the other.
                let readable_edges = when(reads, pipe.readable_edges);
                let writable_edges = when(writes, pipe.writable_edges);
                let events = when(reads && pipe.len() > 0, ready::READABLE)
                    | when(reads && pipe.writers == 0, ready::HANG_UP)
                    | when(writes && !pipe.is_full(), ready::OUT | ready::WRITE_NORMAL)
                    | when(writes && pipe.readers == 0, ready::ERROR);
                return Ok(Ready { events, readable_edges, writable_edges, wake_ns: None });
            }
            Object::Event(counter) => {
                let readable = if counter.count > 0 { ready::IN } else { 0 };
                let writable = if counter.count < u64::MAX - 1 { ready::OUT } else { 0 };
                let (readable_edges, writable_edges) =
                    (counter.readable_edges, counter.writable_edges);
                let events = readable | writable;
                return Ok(Ready { events, readable_edges, writable_edges, wake_ns: None });
            }
            Object::Timer(timer) => {
                let now_ns = super::timer::now_ns(host, timer);
                timer.advance(now_ns);
                let events = if timer.is_expired() { ready::IN } else { 0 };
                let left_ns = timer.deadline_ns().map(|deadline_ns| deadline_ns - now_ns);
                let readable_edges = timer.edges;
                let wake_ns = left_ns.map(|left_ns| host.monotonic_ns().saturating_add(left_ns));
                return Ok(Ready { events, readable_edges, writable_edges: 0, wake_ns });
            }
            Object::Epoll(_) if depth > EPOLL_DEPTH_MAX => 0,
            Object::Epoll(_) => return self.epoll_readiness(host, number, depth + 1),
            Object::Socket(socket) => {
                let state = host.socket_readiness(*socket)?;
                return Ok(Ready {
                    events: state.events,
                    readable_edges: state.readable_edges,
                    writable_edges: state.writable_edges,
                    wake_ns: None,
                });
            }
        };
        Ok(Ready { events, ..Ready::default() })
    }

    /// Whether an object can become ready: `EPERM` for epoll if not.
    pub(super) fn can_be_watched(&self, number: DescriptionNumber) -> bool {
        match self.table.descriptions[number as usize].object {
            Object::Inode(number) => {
                matches!(self.tree.inode(number).node, Node::Device(Device::Random))
            }
            Object::Text(..) => false,
            _ => true,
        }
    }

    /// What of `poll`, `ppoll` holds now; waiting and time-outs are the caller's.
    ///
    /// # Errors
    /// `EINVAL` for more descriptors than there can be.
    pub fn poll(&mut self, host: &mut dyn Host, polled: &mut [PollFd]) -> Result<Polled, Stop> {
        if polled.len() > self.table.limit as usize {
            return Err(Errno::EINVAL.into());
        }
        let mut result = Polled::default();
        let mut stopped = None;
        for entry in polled {
            entry.revents = 0;
            if entry.fd < 0 {
                continue;
            }
            entry.revents = match self.table.usable(entry.fd).and(self.table.number(entry.fd)) {
                Ok(number) => match self.readiness(host, number, entry.events.into(), 0) {
                    Ok(ready) => {
                        result.wake_ns = earlier(result.wake_ns, ready.wake_ns);
                        ready.events as u16 & (entry.events | UNASKED)
                    }
                    Err(stop) => {
                        stopped = Some(stop);
                        0
                    }
                },
                Err(_) => ready::INVALID as u16,
            };
            result.ready += usize::from(entry.revents != 0);
        }
        result.or(stopped)
    }

    /// What of `select`, `pselect6` holds now, for the sets to read, to write, and for exceptions,
    /// of 64 descriptors a word. The sets are changed if something is ready; when the time is up
    /// and nothing was, the caller clears them.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn select(
        &mut self,
        host: &mut dyn Host,
        descriptors: usize,
        sets: [Option<&mut [u64]>; 3],
    ) -> Result<Polled, Stop> {
        const MEANINGS: [u32; 3] = [READ_SET, WRITE_SET, EXCEPTION_SET];
        let mut result = Polled::default();
        let mut stopped = None;
        let word_of = |set: &Option<&mut [u64]>, word: usize| {
            set.as_ref().and_then(|set| set.get(word).copied()).unwrap_or(0)
        };
        let mut answers: [alloc::vec::Vec<u64>; 3] = Default::default();
        // Linux too looks no further than its table reaches.
        let descriptors = descriptors.min(self.table.slots().max(TABLE_LEN_MIN));
        for word in 0..descriptors.div_ceil(64) {
            let asked = [0, 1, 2].map(|index| word_of(&sets[index], word));
            let mut holds = [0; 3];
            let last = (descriptors - word * 64).min(64);
            for bit in (0..last).filter(|bit| asked.iter().any(|set| set >> bit & 1 != 0)) {
                let fd = (word * 64 + bit) as i32;
                self.table.usable(fd)?;
                let is_asked = |index: &usize| asked[*index] >> bit & 1 != 0;
                let meant = (0..3).filter(is_asked).fold(0, |all, it| all | MEANINGS[it]);
                let ready = match self.readiness(host, self.table.number(fd)?, meant, 0) {
                    Ok(ready) => ready,
                    Err(stop) => {
                        stopped = Some(stop);
                        continue;
                    }
                };
                result.wake_ns = earlier(result.wake_ns, ready.wake_ns);
                for index in 0..3 {
                    if is_asked(&index) && ready.events & MEANINGS[index] != 0 {
                        holds[index] |= 1 << bit;
                        result.ready += 1;
                    }
                }
            }
            for index in 0..3 {
                answers[index].push(holds[index]);
            }
        }
        if result.ready > 0 {
            for (set, answer) in sets.into_iter().zip(answers) {
                let words = set.into_iter().flatten();
                words.zip(answer).for_each(|(word, answer)| *word = answer);
            }
        }
        result.or(stopped)
    }

    /// When a descriptor becomes ready by itself, monotonic: for a `read` of a timer that answered
    /// [`Stop::WouldBlock`].
    ///
    /// # Errors
    /// `EBADF`.
    pub fn wake_ns(&mut self, host: &mut dyn Host, fd: i32) -> Result<Option<u64>, Stop> {
        let number = self.table.number(fd)?;
        Ok(self.readiness(host, number, ready::READABLE, 0)?.wake_ns)
    }
}
