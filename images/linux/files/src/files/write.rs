//! `write` and its kind.

use alloc::vec::Vec;

use super::Files;
use super::read::{place, seekable, wait};
use crate::abi::open;
use crate::descriptors::{EventCounter, Object};
use crate::errno::{Errno, Stop};
use crate::host::Host;
use crate::limits::{PIPE_ATOMIC_LEN, TRANSFER_LEN_MAX};
use crate::tree::{Device, Node, Number};

impl EventCounter {
    /// What a read answers, if there is anything.
    pub(super) fn take(&mut self) -> Option<u64> {
        let count = if self.is_semaphore { self.count.min(1) } else { self.count };
        if count == 0 {
            return None;
        }
        self.count -= count;
        self.writable_edges = self.writable_edges.wrapping_add(1);
        Some(count)
    }

    fn add(&mut self, count: u64, blocks: bool) -> Result<(), Stop> {
        if count == u64::MAX {
            return Err(Errno::EINVAL.into());
        }
        if u64::MAX - 1 - self.count < count {
            return Err(wait(blocks));
        }
        self.count += count;
        self.readable_edges = self.readable_edges.wrapping_add(1);
        Ok(())
    }
}

impl Files<'_> {
    /// `write`. `EPIPE` comes with SIGPIPE, which is the caller's to raise. What is written to a
    /// pipe by a descriptor that may block may be less than asked for: the caller goes on with
    /// the rest ([`Self::is_nonblocking`]).
    ///
    /// # Errors
    /// As Linux answers.
    pub fn write(&mut self, host: &mut dyn Host, fd: i32, bytes: &[u8]) -> Result<usize, Stop> {
        let description = self.table.get_mut(fd)?;
        if !description.is_writable() {
            return Err(Errno::EBADF.into());
        }
        let bytes = &bytes[..bytes.len().min(TRANSFER_LEN_MAX)];
        let blocks = description.blocks();
        match &mut description.object {
            Object::Output(_) if bytes.is_empty() => Ok(0),
            Object::Output(sink) => Ok(host.output(*sink, bytes)?),
            Object::Inode(number) => {
                let (number, position, flags) = (*number, description.position, description.flags);
                place(position as i64, bytes.len())?;
                let (count, end) = self.write_inode(host, number, position, flags, bytes)?;
                self.table.get_mut(fd)?.position = end;
                Ok(count)
            }
            Object::Pipe(pipe) => {
                let pipe = &mut self.pipes[*pipe as usize];
                if bytes.is_empty() {
                    return Ok(0);
                }
                if pipe.readers == 0 {
                    return Err(Errno::EPIPE.into());
                }
                match pipe.write(bytes) {
                    0 => Err(wait(blocks)),
                    count => Ok(count),
                }
            }
            Object::Event(counter) => {
                let count = <[u8; 8]>::try_from(bytes).map_err(|_| Errno::EINVAL)?;
                counter.add(u64::from_le_bytes(count), blocks)?;
                Ok(count.len())
            }
            Object::Socket(socket) => host.socket_write(*socket, bytes, blocks),
            Object::Input | Object::Text(..) | Object::Timer(_) | Object::Epoll(_) => {
                Err(Errno::EINVAL.into())
            }
        }
    }

    /// Answers how many bytes, and the position behind them.
    fn write_inode(
        &mut self,
        host: &mut dyn Host,
        number: Number,
        position: u64,
        flags: u32,
        bytes: &[u8],
    ) -> Result<(usize, u64), Errno> {
        let tree = &mut self.tree;
        let inode = &mut tree.inodes[number as usize];
        match &mut inode.node {
            Node::File(content) => {
                let at = if flags & open::APPEND != 0 { content.len() } else { position };
                if bytes.is_empty() {
                    return Ok((0, position));
                }
                let count = content.write(at, bytes, &mut tree.budget)?;
                inode.touch(host.realtime());
                Ok((count, at + count as u64))
            }
            Node::Device(Device::Full) => Err(Errno::ENOSPC),
            Node::Device(_) => Ok((bytes.len(), position)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `writev`; to a pipe as atomic as one `write`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn writev(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        pieces: &[&[u8]],
    ) -> Result<usize, Stop> {
        let len = pieces.iter().fold(0, |len: usize, piece| len.saturating_add(piece.len()));
        let is_pipe = matches!(self.table.get(fd)?.object, Object::Pipe(_));
        if is_pipe && len <= PIPE_ATOMIC_LEN {
            let whole: Vec<u8> = pieces.concat();
            return self.write(host, fd, &whole);
        }
        let mut total = 0;
        let mut is_first = true;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match self.write(host, fd, piece) {
                Ok(count) => {
                    total += count;
                    if count < piece.len() {
                        return Ok(total);
                    }
                }
                Err(stop) if is_first => return Err(stop),
                Err(_) => return Ok(total),
            }
            is_first = false;
        }
        if is_first { self.write(host, fd, &[]) } else { Ok(total) }
    }

    /// `pwrite64`. As on Linux, `O_APPEND` wins over the offset.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn pwrite(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &[u8],
        offset: i64,
    ) -> Result<usize, Stop> {
        if offset < 0 {
            return Err(Errno::EINVAL.into());
        }
        let description = self.table.usable(fd)?;
        seekable(description)?;
        if !description.is_writable() {
            return Err(Errno::EBADF.into());
        }
        let offset = place(offset, bytes.len())?;
        match description.object {
            Object::Inode(number) => {
                let flags = description.flags;
                Ok(self.write_inode(host, number, offset, flags, bytes)?.0)
            }
            _ => self.write(host, fd, bytes),
        }
    }
}
