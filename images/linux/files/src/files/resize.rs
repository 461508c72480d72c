//! How long files are: `truncate`, `ftruncate`, `fallocate`; and `fsync`, which has nothing to do.

use super::Files;
use super::walk::{Follow, Found};
use crate::abi::at;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::host::Host;
use crate::tree::{Node, Number, WRITE};

/// `FALLOC_FL_KEEP_SIZE`.
const KEEP_LEN: u32 = 1;

impl Files<'_> {
    /// Sets a file's length; `EINVAL` for what has none.
    pub(super) fn set_len(
        &mut self,
        host: &mut dyn Host,
        number: Number,
        len: u64,
    ) -> Result<(), Errno> {
        let tree = &mut self.tree;
        let inode = &mut tree.inodes[number as usize];
        let Node::File(content) = &mut inode.node else {
            return Err(Errno::EINVAL);
        };
        if len > 0 {
            content.prepare(&mut tree.budget)?;
        }
        content.set_len(len, &mut tree.budget)?;
        inode.touch(host.realtime());
        Ok(())
    }

    /// `ftruncate`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn ftruncate(&mut self, host: &mut dyn Host, fd: i32, len: i64) -> Result<(), Errno> {
        let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
        let description = self.table.usable(fd)?;
        match description.object {
            Object::Inode(number) if description.is_writable() => self.set_len(host, number, len),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `truncate`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn truncate(&mut self, host: &mut dyn Host, path: &[u8], len: i64) -> Result<(), Errno> {
        let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
        let Found::Inode(number) = self.resolve(host, at::CURRENT, path, Follow::Yes)? else {
            return Err(Errno::EINVAL);
        };
        match self.tree.inode(number).node {
            Node::Directory(_) | Node::Descriptors => return Err(Errno::EISDIR),
            Node::File(_) => {}
            _ => return Err(Errno::EINVAL),
        }
        self.tree.may(number, WRITE)?;
        self.set_len(host, number, len)
    }

    /// `fallocate`; of the modes 0 and `FALLOC_FL_KEEP_SIZE`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fallocate(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        mode: u32,
        offset: i64,
        len: i64,
    ) -> Result<(), Errno> {
        let description = self.table.usable(fd)?;
        if offset < 0 || len <= 0 {
            return Err(Errno::EINVAL);
        }
        if mode & !KEEP_LEN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        if !description.is_writable() {
            return Err(Errno::EBADF);
        }
        super::read::seekable(description)?;
        let Object::Inode(number) = description.object else {
            return Err(Errno::ENODEV);
        };
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)? as u64;
        let tree = &mut self.tree;
        let inode = &mut tree.inodes[number as usize];
        let Node::File(content) = &mut inode.node else {
            return Err(Errno::ENODEV);
        };
        content.reserve(offset as u64, end, &mut tree.budget)?;
        if mode & KEEP_LEN == 0 && end > content.len() {
            content.set_len(end, &mut tree.budget)?;
        }
        inode.touch(host.realtime());
        Ok(())
    }

    /// `fsync`, `fdatasync`: there is nothing behind the memory.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` for what is no file.
    pub fn fsync(&self, fd: i32) -> Result<(), Errno> {
        match self.table.usable(fd)?.object {
            Object::Inode(number) => match self.tree.inode(number).node {
                Node::File(_) | Node::Directory(_) => Ok(()),
                _ => Err(Errno::EINVAL),
            },
            _ => Err(Errno::EINVAL),
        }
    }
}
