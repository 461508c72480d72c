//! `lseek`, and where a mapping finds the bytes.

use super::Files;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::limits::FILE_LEN_MAX;
use crate::settings::Mapping;
use crate::tree::{Node, Number};

/// `SEEK_SET`, `SEEK_CUR`, `SEEK_END`, `SEEK_DATA`, `SEEK_HOLE`.
const SET: u32 = 0;
const CURRENT: u32 = 1;
const END: u32 = 2;
const DATA: u32 = 3;
const HOLE: u32 = 4;

impl<'p> Files<'p> {
    /// `lseek`, with `SEEK_DATA` and `SEEK_HOLE`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn lseek(&mut self, fd: i32, offset: i64, whence: u32) -> Result<u64, Errno> {
        let description = self.table.usable(fd)?;
        if whence > HOLE {
            return Err(Errno::EINVAL);
        }
        super::read::seekable(description)?;
        let position = match &description.object {
            Object::Inode(number) => self.seek(*number, description.position, offset, whence)?,
            Object::Text(_, text) => {
                target(description.position, text.len() as u64, offset, whence)?
            }
            Object::Event(_) | Object::Timer(_) | Object::Epoll(_) => return Ok(0),
            _ => return Err(Errno::ESPIPE),
        };
        self.table.get_mut(fd)?.position = position;
        Ok(position)
    }

    fn seek(&self, number: Number, position: u64, offset: i64, whence: u32) -> Result<u64, Errno> {
        match &self.tree.inode(number).node {
            Node::File(content) if whence == DATA || whence == HOLE => {
                let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                content.seek(offset, whence == DATA)
            }
            Node::File(content) => target(position, content.len(), offset, whence),
            Node::Directory(_) | Node::Descriptors if whence == SET || whence == CURRENT => {
                target(position, 0, offset, whence)
            }
            Node::Device(_) => Ok(0),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What `mmap` is to map.
    ///
    /// # Errors
    /// `EBADF`; `EACCES` if the descriptor cannot be read; `ENODEV` for what has no bytes of its
    /// own.
    pub fn mapping(&self, fd: i32, offset: u64) -> Result<Mapping<'p>, Errno> {
        let description = self.table.usable(fd)?;
        if !description.is_readable() {
            return Err(Errno::EACCES);
        }
        let Object::Inode(number) = description.object else {
            return Err(Errno::ENODEV);
        };
        match &self.tree.inode(number).node {
            Node::File(content) => {
                Ok(content.payload(offset).map_or(Mapping::Copy, Mapping::Payload))
            }
            Node::Device(crate::tree::Device::Zero) => Ok(Mapping::Copy),
            _ => Err(Errno::ENODEV),
        }
    }
}

fn target(position: u64, len: u64, offset: i64, whence: u32) -> Result<u64, Errno> {
    let from = match whence {
        SET => 0,
        CURRENT => position,
        END => len,
        _ => return Err(Errno::EINVAL),
    };
    let target = (from as i64).checked_add(offset).ok_or(Errno::EINVAL)?;
    u64::try_from(target).ok().filter(|target| *target <= FILE_LEN_MAX).ok_or(Errno::EINVAL)
}
