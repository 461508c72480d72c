//! `fcntl`, `ioctl`, `flock`, and the limit of descriptors.

use super::Files;
use crate::abi::{control, flag, open, request};
use crate::descriptors::Object;
use crate::errno::{Errno, Stop};
use crate::limits::{PAGE_LEN, PIPE_LEN_MAX, PIPES_LEN_MAX};
use crate::tree::Node;

/// What `F_SETFL` can change.
const CHANGEABLE: u32 =
    open::APPEND | open::ASYNC | open::DIRECT | open::NO_ACCESS_TIME | open::NONBLOCK;

impl Files<'_> {
    /// `RLIMIT_NOFILE`, its soft limit.
    pub fn descriptors_max(&self) -> u32 {
        self.table.limit
    }

    /// Sets it.
    ///
    /// # Errors
    /// `EPERM` beyond the hard limit, [`DESCRIPTORS_MAX`](crate::limits::DESCRIPTORS_MAX).
    pub fn set_descriptors_max(&mut self, most: u32) -> Result<(), Errno> {
        self.table.set_limit(most)
    }

    /// Whether `O_NONBLOCK` is set. If not, a short write to a pipe or socket is to be gone on
    /// with.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn is_nonblocking(&self, fd: i32) -> Result<bool, Errno> {
        self.table.get(fd).map(|description| !description.blocks())
    }

    /// `fcntl`. Locks are granted: of `F_SETLK…` the argument is `l_type`, and what `F_GETLK`
    /// answers belongs there.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fcntl(&mut self, fd: i32, command: u32, argument: u64) -> Result<u64, Errno> {
        let description = self.table.get(fd)?;
        let works_for_path = matches!(
            command,
            control::DUPLICATE
                | control::DUPLICATE_CLOSE_ON_EXEC
                | control::GET_DESCRIPTOR_FLAGS
                | control::SET_DESCRIPTOR_FLAGS
                | control::GET_STATUS_FLAGS
        );
        if description.is_path() && !works_for_path {
            return Err(Errno::EBADF);
        }
        match command {
            control::DUPLICATE | control::DUPLICATE_CLOSE_ON_EXEC => {
                let closes = command == control::DUPLICATE_CLOSE_ON_EXEC;
                // Linux takes an int: what is negative is beyond every limit.
                let from = u64::from(argument as u32);
                self.table.duplicate(fd, from, closes).map(|fd| fd as u64)
            }
            control::GET_DESCRIPTOR_FLAGS => self.table.closes_on_exec(fd).map(u64::from),
            control::SET_DESCRIPTOR_FLAGS => {
                let closes = argument & control::CLOSE_ON_EXEC != 0;
                self.table.set_close_on_exec(fd, closes).map(|()| 0)
            }
            control::GET_STATUS_FLAGS => Ok(description.flags.into()),
            control::SET_STATUS_FLAGS => self.set_flags(fd, argument as u32).map(|()| 0),
            control::GET_OWNER | control::SET_OWNER => Ok(0),
            control::SET_PIPE_SIZE => self.set_pipe_len(fd, argument as u32),
            control::GET_PIPE_SIZE => match description.object {
                Object::Pipe(pipe) => Ok(self.pipes[pipe as usize].capacity() as u64),
                _ => Err(Errno::EBADF),
            },
            control::GET_LOCK | control::OPEN_GET_LOCK => {
                lock_type(argument).map(|_| control::UNLOCK.into())
            }
            control::SET_LOCK
            | control::SET_LOCK_WAIT
            | control::OPEN_SET_LOCK
            | control::OPEN_SET_LOCK_WAIT => {
                let is_open = match lock_type(argument)? {
                    control::READ_LOCK => description.is_readable(),
                    control::WRITE_LOCK => description.is_writable(),
                    _ => true,
                };
                if is_open { Ok(0) } else { Err(Errno::EBADF) }
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn set_flags(&mut self, fd: i32, flags: u32) -> Result<(), Errno> {
        let description = self.table.get_mut(fd)?;
        if flags & open::NO_ACCESS_TIME & !description.flags != 0
            && let Object::Inode(number) = description.object
            && !self.tree.owns(number)
        {
            return Err(Errno::EPERM);
        }
        description.flags = description.flags & !CHANGEABLE | flags & CHANGEABLE;
        Ok(())
    }

    fn set_pipe_len(&mut self, fd: i32, len: u32) -> Result<u64, Errno> {
        let Object::Pipe(number) = self.table.get(fd)?.object else {
            return Err(Errno::EBADF);
        };
        let pipe = &mut self.pipes[number as usize];
        let pages = (len as usize).div_ceil(PAGE_LEN).max(1).next_power_of_two();
        let (old, new) = (pipe.capacity(), pages * PAGE_LEN);
        if len > i32::MAX as u32 {
            return Err(Errno::EINVAL);
        }
        if new > old && (new > PIPE_LEN_MAX || self.pipes_len - old + new > PIPES_LEN_MAX) {
            return Err(Errno::EPERM);
        }
        if !pipe.set_pages_max(pages) {
            return Err(Errno::EBUSY);
        }
        self.pipes_len = self.pipes_len - old + new;
        Ok(new as u64)
    }

    /// `ioctl`; the argument is the number that the pointer points to. What `FIONREAD` answers
    /// belongs there.
    ///
    /// # Errors
    /// `ENOTTY` for what is not known, and for whatever a terminal would be asked.
    pub fn ioctl(&mut self, fd: i32, wanted: u64, argument: u32) -> Result<u32, Stop> {
        self.table.usable(fd)?;
        match wanted {
            request::NONBLOCK => {
                let description = self.table.get_mut(fd)?;
                let cleared = description.flags & !open::NONBLOCK;
                description.flags = cleared | if argument != 0 { open::NONBLOCK } else { 0 };
                Ok(0)
            }
            request::CLOSE_ON_EXEC | request::NO_CLOSE_ON_EXEC => {
                let closes = wanted == request::CLOSE_ON_EXEC;
                Ok(self.table.set_close_on_exec(fd, closes).map(|()| 0)?)
            }
            request::BYTES_READABLE => {
                self.readable_len(fd).map(|len| len.min(i32::MAX as u64) as u32)
            }
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    fn readable_len(&self, fd: i32) -> Result<u64, Stop> {
        let description = self.table.get(fd)?;
        match description.object {
            Object::Input => Ok(self.input.rest()?.len() as u64),
            Object::Output(_) => Ok(0),
            Object::Pipe(pipe) => Ok(self.pipes[pipe as usize].len() as u64),
            Object::Inode(number) => match &self.tree.inode(number).node {
                Node::File(content) => Ok(content.len().saturating_sub(description.position)),
                _ => Err(Errno::ENOTTY.into()),
            },
            _ => Err(Errno::ENOTTY.into()),
        }
    }

    /// `flock`: granted, since nobody else is there.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn flock(&mut self, fd: i32, operation: u32) -> Result<(), Errno> {
        let known = matches!(
            operation & !flag::LOCK_NONBLOCK,
            flag::LOCK_SHARED | flag::LOCK_EXCLUSIVE | flag::LOCK_NONE
        );
        match known {
            true => self.table.usable(fd).map(drop),
            false => Err(Errno::EINVAL),
        }
    }
}

fn lock_type(argument: u64) -> Result<u32, Errno> {
    match argument as u32 {
        kind @ (control::READ_LOCK | control::WRITE_LOCK | control::UNLOCK) => Ok(kind),
        _ => Err(Errno::EINVAL),
    }
}
