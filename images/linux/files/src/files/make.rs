//! The calls that make something without a name: pipes, counters, timers, instances of epoll.

use super::Files;
use crate::abi::{clock, open};
use crate::descriptors::{EventCounter, Object};
use crate::errno::Errno;
use crate::limits::{PAGE_LEN, PIPE_LEN_DEFAULT, PIPES_LEN_MAX};
use crate::pipe::Pipe;
use crate::timer::TimerFile;

/// What calls that make a descriptor out of nothing take.
const DESCRIPTOR_FLAGS: u32 = open::NONBLOCK | open::CLOSE_ON_EXEC;

impl Files<'_> {
    /// `pipe2`: the end to read from, the end to write to.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn pipe2(&mut self, flags: u32) -> Result<[i32; 2], Errno> {
        if flags & !(DESCRIPTOR_FLAGS | open::DIRECT) != 0 {
            return Err(Errno::EINVAL);
        }
        let is_tight = self.pipes_len + PIPE_LEN_DEFAULT > PIPES_LEN_MAX;
        let len = if is_tight { 2 * PAGE_LEN } else { PIPE_LEN_DEFAULT };
        let pipe = self.pipes.insert(Pipe::new(len / PAGE_LEN)) as u32;
        self.pipes_len += len;
        let ends = self.table.open(Object::Pipe(pipe), flags | open::READ_ONLY).and_then(|read| {
            let write = self.table.open(Object::Pipe(pipe), flags | open::WRITE_ONLY);
            write.map(|write| [read, write]).inspect_err(|_| drop(self.table.close(read)))
        });
        if ends.is_err() {
            self.pipes.remove(pipe as usize);
            self.pipes_len -= len;
        }
        ends
    }

    /// `eventfd2`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn eventfd2(&mut self, count: u32, flags: u32) -> Result<i32, Errno> {
        const SEMAPHORE: u32 = crate::abi::flag::EVENT_SEMAPHORE;
        if flags & !(DESCRIPTOR_FLAGS | SEMAPHORE) != 0 {
            return Err(Errno::EINVAL);
        }
        let counter = EventCounter {
            count: count.into(),
            is_semaphore: flags & SEMAPHORE != 0,
            readable_edges: 0,
            writable_edges: 0,
        };
        self.table.open(Object::Event(counter), flags & DESCRIPTOR_FLAGS | open::READ_WRITE)
    }

    /// `timerfd_create`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_create(&mut self, clock_number: u32, flags: u32) -> Result<i32, Errno> {
        if flags & !DESCRIPTOR_FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        let is_realtime = match clock_number {
            clock::REALTIME | clock::REALTIME_ALARM => true,
            clock::MONOTONIC | clock::BOOT | clock::BOOT_ALARM => false,
            _ => return Err(Errno::EINVAL),
        };
        let file = TimerFile::new(is_realtime);
        self.table.open(Object::Timer(file.into()), flags | open::READ_WRITE)
    }

    /// `epoll_create1`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_create1(&mut self, flags: u32) -> Result<i32, Errno> {
        if flags & !open::CLOSE_ON_EXEC != 0 {
            return Err(Errno::EINVAL);
        }
        self.table.open(Object::Epoll(Default::default()), flags | open::READ_WRITE)
    }

    /// A descriptor for a socket of the host, by the host's number for it; `O_NONBLOCK` and
    /// `O_CLOEXEC` count.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn socket(&mut self, socket: u32, flags: u32) -> Result<i32, Errno> {
        self.table.open(Object::Socket(socket), flags & DESCRIPTOR_FLAGS | open::READ_WRITE)
    }

    /// Whether another descriptor can be had.
    ///
    /// # Errors
    /// `EMFILE` if not.
    pub fn has_descriptor(&self) -> Result<(), Errno> {
        self.table.has_room()
    }

    /// The host's number for the socket behind a descriptor.
    ///
    /// # Errors
    /// `EBADF`; `ENOTSOCK` for what is none.
    pub fn socket_of(&self, fd: i32) -> Result<u32, Errno> {
        match self.table.usable(fd)?.object {
            Object::Socket(socket) => Ok(socket),
            _ => Err(Errno::ENOTSOCK),
        }
    }
}
