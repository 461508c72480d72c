//! Descriptors come and go: `close`, `dup` and their kind, and what happens with the last of them.

use super::Files;
use crate::abi::open;
use crate::descriptors::{Description, Object};
use crate::errno::Errno;
use crate::host::Host;
use crate::watch::DescriptionNumber;

/// `CLOSE_RANGE_UNSHARE` and `CLOSE_RANGE_CLOEXEC`.
const RANGE_UNSHARE: u32 = 2;
const RANGE_CLOSE_ON_EXEC: u32 = 4;

impl Files<'_> {
    /// `close`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, host: &mut dyn Host, fd: i32) -> Result<(), Errno> {
        if let Some((number, description)) = self.table.close(fd)? {
            self.ended(host, number, &description);
        }
        Ok(())
    }

    /// `close_range`.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn close_range(
        &mut self,
        host: &mut dyn Host,
        first: u32,
        last: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        if flags & !(RANGE_UNSHARE | RANGE_CLOSE_ON_EXEC) != 0 || first > last {
            return Err(Errno::EINVAL);
        }
        let end = self.table.slots().min((last as usize).saturating_add(1));
        for fd in first as usize..end {
            // Numbers in between that are not open are passed over.
            let _ = match flags & RANGE_CLOSE_ON_EXEC {
                0 => self.close(host, fd as i32),
                _ => self.table.set_close_on_exec(fd as i32, true),
            };
        }
        Ok(())
    }

    /// `dup`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn dup(&mut self, fd: i32) -> Result<i32, Errno> {
        self.table.duplicate(fd, 0, false)
    }

    /// `dup2`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn dup2(&mut self, host: &mut dyn Host, from: i32, to: i32) -> Result<i32, Errno> {
        if from == to {
            return self.table.number(from).map(|_| to);
        }
        self.dup3(host, from, to, 0)
    }

    /// `dup3`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn dup3(
        &mut self,
        host: &mut dyn Host,
        from: i32,
        to: i32,
        flags: u32,
    ) -> Result<i32, Errno> {
        if flags & !open::CLOSE_ON_EXEC != 0 || from == to {
            return Err(Errno::EINVAL);
        }
        let gone = self.table.replace(from, to, flags & open::CLOSE_ON_EXEC != 0)?;
        if let Some((number, description)) = gone {
            self.ended(host, number, &description);
        }
        Ok(to)
    }

    /// Nothing stands for a description any more.
    fn ended(&mut self, host: &mut dyn Host, number: DescriptionNumber, description: &Description) {
        if description.watchers > 0 {
            self.forget(number);
        }
        match &description.object {
            Object::Inode(number) | Object::Text(number, _) => self.tree.release(*number),
            Object::Pipe(pipe) => self.end_closed(*pipe, description),
            Object::Socket(socket) => host.socket_closed(*socket),
            Object::Epoll(watcher) => {
                for watch in &watcher.watches {
                    if let Some(watched) =
                        self.table.descriptions.get_mut(watch.description as usize)
                    {
                        watched.watchers -= 1;
                    }
                }
            }
            Object::Input | Object::Output(_) | Object::Event(_) | Object::Timer(_) => {}
        }
    }

    /// No instance of epoll watches a description any more.
    fn forget(&mut self, number: DescriptionNumber) {
        for (_, other) in &mut self.table.descriptions {
            if let Object::Epoll(watcher) = &mut other.object {
                watcher.watches.retain(|watch| watch.description != number);
            }
        }
    }

    fn end_closed(&mut self, number: u32, description: &Description) {
        let pipe = &mut self.pipes[number as usize];
        pipe.readers -= u32::from(description.is_readable());
        pipe.writers -= u32::from(description.is_writable());
        // Who waits at the other end learns that this one is gone.
        pipe.readable_edges = pipe.readable_edges.wrapping_add(1);
        pipe.writable_edges = pipe.writable_edges.wrapping_add(1);
        if pipe.readers == 0 && pipe.writers == 0 {
            let pipe = self.pipes.remove(number as usize);
            self.pipes_len -= pipe.capacity();
        }
    }
}
