//! Files that a process has mapped to share them: their bytes are in its memory, too.
//!
//! Nothing here sees memory. Who uses this brings what was written there back before somebody reads
//! the file, and fetches what was written to the file.

use super::Files;
use crate::descriptors::Object;
use crate::errno::Errno;
use crate::tree::{Node, Number};

impl Files<'_> {
    /// The file that `mmap` with `MAP_SHARED` is to map, which stays as long as the process.
    ///
    /// # Errors
    /// `EBADF`; `EACCES` if the descriptor cannot be read, or not be written where the mapping can
    /// be; `ENODEV` for what has no bytes of its own.
    pub fn share(&mut self, fd: i32, writes: bool) -> Result<u32, Errno> {
        let description = self.table.usable(fd)?;
        if !description.is_readable() || writes && !description.is_writable() {
            return Err(Errno::EACCES);
        }
        let Object::Inode(number) = description.object else {
            return Err(Errno::ENODEV);
        };
        if !matches!(self.tree.inode(number).node, Node::File(_)) {
            return Err(Errno::ENODEV);
        }
        self.tree.hold(number);
        Ok(number)
    }

    /// Whether a descriptor can be written to.
    #[must_use]
    pub fn can_write(&self, fd: i32) -> bool {
        self.table.usable(fd).is_ok_and(|description| description.is_writable())
    }

    /// The file behind a descriptor, if it is one.
    #[must_use]
    pub fn file_of(&self, fd: i32) -> Option<u32> {
        match self.table.usable(fd).ok()?.object {
            Object::Inode(number) if matches!(self.file(number), Some(Node::File(_))) => {
                Some(number)
            }
            _ => None,
        }
    }

    /// Copies bytes of a shared file; zeroes behind its end.
    pub fn fetch(&self, file: u32, offset: u64, bytes: &mut [u8]) {
        let count = match self.file(file) {
            Some(Node::File(content)) => content.read(offset, bytes),
            _ => 0,
        };
        bytes[count..].fill(0);
    }

    /// Brings back what was written to a shared file in memory. It does not grow by that.
    ///
    /// # Errors
    /// `ENOSPC`
    pub fn bring_back(&mut self, file: u32, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let tree = &mut self.tree;
        let Some(inode) = tree.inodes.get_mut(file as usize) else { return Ok(()) };
        let Node::File(content) = &mut inode.node else { return Ok(()) };
        let len = content.len().saturating_sub(offset).min(bytes.len() as u64) as usize;
        let mut known = [0; crate::limits::PAGE_LEN];
        for (at, piece) in (0..).step_by(known.len()).zip(bytes[..len].chunks(known.len())) {
            let known = &mut known[..piece.len()];
            content.read(offset + at, known);
            if known != piece {
                content.write(offset + at, piece, &mut tree.budget)?;
            }
        }
        Ok(())
    }

    fn file(&self, number: Number) -> Option<&Node<'_>> {
        self.tree.inodes.get(number as usize).map(|inode| &inode.node)
    }
}
