//! The inodes: files, directories, links and devices of the process, in one table.
//!
//! An inode lives while it has a name or is held (by an open description, by the working
//! directory, or by a removed directory whose `..` it is). Numbers of inodes are indices of the
//! table and never leave this crate except as `st_ino`.

mod content;
mod directory;
mod inode;
mod place;

use alloc::boxed::Box;
use alloc::vec::Vec;

use slab::Slab;

pub use content::{Base, Content};
pub use directory::{Directory, Number};
pub use inode::{Device, Inode, Magic, Node, Text};
pub use place::{Mount, MountKind};

use crate::errno::Errno;
use crate::host::Time;
use crate::settings::Owner;

/// `access` bits.
pub const READ: u32 = 4;
pub const WRITE: u32 = 2;
pub const SEARCH: u32 = 1;

/// What may still be used.
#[derive(Debug)]
pub struct Budget {
    pub bytes: u64,
    pub bytes_max: u64,
    pub inodes: u32,
    pub inodes_max: u32,
}

impl Budget {
    pub const fn new(bytes: u64, inodes: u32) -> Self {
        Self { bytes, bytes_max: bytes, inodes, inodes_max: inodes }
    }

    pub fn take(&mut self, bytes: u64) -> Result<(), Errno> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(Errno::ENOSPC)?;
        Ok(())
    }

    pub fn give(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

/// All inodes.
#[derive(Debug)]
pub struct Tree<'p> {
    pub inodes: Slab<Inode<'p>>,
    pub mounts: Vec<Mount>,
    pub budget: Budget,
    pub owner: Owner,
}

/// The root directory's number: it is made first and never goes.
pub const ROOT: Number = 0;

impl<'p> Tree<'p> {
    /// A tree with nothing but its root.
    pub fn new(owner: Owner, budget: Budget) -> Result<Self, Errno> {
        let root = Mount { kind: MountKind::Tree, is_read_only: true, root: ROOT };
        let mounts = alloc::vec![root];
        let mut tree = Self { inodes: Slab::new(), mounts, budget, owner };
        let root = tree.make(Node::Directory(Directory::default()), 0o755, 0)?;
        let inode = tree.inode_mut(root);
        (inode.links, inode.owner) = (2, Owner::default());
        Ok(tree)
    }

    pub fn inode(&self, number: Number) -> &Inode<'p> {
        &self.inodes[number as usize]
    }

    pub fn inode_mut(&mut self, number: Number) -> &mut Inode<'p> {
        &mut self.inodes[number as usize]
    }

    /// Makes an inode without a name.
    pub fn make(&mut self, node: Node<'p>, permissions: u32, mount: u8) -> Result<Number, Errno> {
        let inode = Inode::new(node, permissions, mount, self.owner);
        self.budget.take(inode.cost())?;
        let Some(inodes) = self.budget.inodes.checked_sub(1) else {
            self.budget.give(inode.cost());
            return Err(Errno::ENOSPC);
        };
        self.budget.inodes = inodes;
        Ok(self.inodes.insert(inode) as Number)
    }

    /// The directory an inode is; `ENOTDIR` for others.
    pub fn directory(&self, number: Number) -> Result<&Directory, Errno> {
        match &self.inode(number).node {
            Node::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn directory_mut(&mut self, number: Number) -> Result<&mut Directory, Errno> {
        match &mut self.inode_mut(number).node {
            Node::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Gives an inode a name.
    pub fn link(
        &mut self,
        directory: Number,
        name: &[u8],
        number: Number,
        now: Time,
    ) -> Result<(), Errno> {
        self.budget.take(Directory::cost(name))?;
        self.directory_mut(directory)?.insert(Box::from(name), number);
        let is_directory = self.inode(number).is_directory();
        let inode = self.inode_mut(number);
        inode.parent = directory;
        inode.changed = now;
        inode.links += if is_directory { 2 } else { 1 };
        let parent = self.inode_mut(directory);
        parent.touch(now);
        parent.links += u32::from(is_directory);
        Ok(())
    }

    /// Takes a name away, and the inode with it if nothing else needs it.
    pub fn unlink(&mut self, directory: Number, name: &[u8], now: Time) -> Result<(), Errno> {
        let number = self.directory_mut(directory)?.remove(name).ok_or(Errno::ENOENT)?;
        self.budget.give(Directory::cost(name));
        let is_directory = self.inode(number).is_directory();
        let parent = self.inode_mut(directory);
        parent.touch(now);
        parent.links -= u32::from(is_directory);
        let inode = self.inode_mut(number);
        inode.changed = now;
        inode.links -= if is_directory { 2 } else { 1 };
        if is_directory {
            // Its `..` must lead somewhere as long as somebody stands in it.
            self.hold(directory);
        }
        self.reap(number);
        Ok(())
    }

    /// Moves a name, over another one if need be. Links and parents are put right; whether it may
    /// be done is the caller's business.
    pub fn rename(
        &mut self,
        (from, from_name): (Number, &[u8]),
        (to, to_name): (Number, &[u8]),
        now: Time,
    ) -> Result<(), Errno> {
        let number = self.directory(from)?.get(from_name).ok_or(Errno::ENOENT)?;
        if from_name.len() != to_name.len() {
            self.budget.take(Directory::cost(to_name))?;
            self.budget.give(Directory::cost(from_name));
        }
        if self.directory(to)?.get(to_name).is_some() {
            self.unlink(to, to_name, now)?;
        }
        self.directory_mut(from)?.remove(from_name);
        self.directory_mut(to)?.insert(Box::from(to_name), number);
        self.adopt(number, from, to, now);
        Ok(())
    }

    /// Two names change places.
    pub fn exchange(
        &mut self,
        (from, from_name): (Number, &[u8]),
        (to, to_name): (Number, &[u8]),
        now: Time,
    ) -> Result<(), Errno> {
        let one = self.directory(from)?.get(from_name).ok_or(Errno::ENOENT)?;
        let other = self.directory(to)?.get(to_name).ok_or(Errno::ENOENT)?;
        self.directory_mut(from)?.replace(from_name, other);
        self.directory_mut(to)?.replace(to_name, one);
        self.adopt(one, from, to, now);
        self.adopt(other, to, from, now);
        Ok(())
    }

    fn adopt(&mut self, number: Number, from: Number, to: Number, now: Time) {
        let inode = self.inode_mut(number);
        inode.parent = to;
        inode.changed = now;
        let is_directory = u32::from(inode.is_directory());
        self.inode_mut(from).touch(now);
        self.inode_mut(from).links -= is_directory;
        self.inode_mut(to).touch(now);
        self.inode_mut(to).links += is_directory;
    }

    /// Keeps an inode, with a name or without.
    pub fn hold(&mut self, number: Number) {
        self.inode_mut(number).held += 1;
    }

    /// Ends [`Self::hold`].
    pub fn release(&mut self, number: Number) {
        self.inode_mut(number).held -= 1;
        self.reap(number);
    }

    /// Frees an inode that nothing needs, and the directories that only it kept.
    fn reap(&mut self, mut number: Number) {
        loop {
            let inode = self.inode(number);
            if inode.links > 0 || inode.held > 0 {
                return;
            }
            let inode = self.inodes.remove(number as usize);
            self.budget.inodes += 1;
            self.budget.give(inode.cost());
            if !inode.is_directory() {
                return;
            }
            number = inode.parent;
            self.inode_mut(number).held -= 1;
        }
    }

    /// Frees an inode that has never had a name.
    pub fn discard(&mut self, number: Number) {
        if let Some(inode) = self.inodes.try_remove(number as usize) {
            self.budget.inodes += 1;
            self.budget.give(inode.cost());
        }
    }

    /// Whether the process may do that; `EACCES` if not. Changing files of a mount that is only
    /// for reading is `EROFS` even for root.
    pub fn may(&self, number: Number, want: u32) -> Result<(), Errno> {
        let inode = self.inode(number);
        if want & WRITE != 0 && !inode.is_special() {
            self.writable(number)?;
        }
        let permissions = u32::from(inode.permissions);
        if self.owner.user == 0 {
            let executable = inode.is_directory() || permissions & 0o111 != 0;
            return if want & SEARCH == 0 || executable { Ok(()) } else { Err(Errno::EACCES) };
        }
        let class = if inode.owner.user == self.owner.user {
            permissions >> 6
        } else if inode.owner.group == self.owner.group {
            permissions >> 3
        } else {
            permissions
        };
        if class & want == want { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// `EROFS` where nothing can be changed.
    pub fn writable(&self, number: Number) -> Result<(), Errno> {
        match self.mount_of(number).is_read_only {
            true => Err(Errno::EROFS),
            false => Ok(()),
        }
    }

    pub fn mount_of(&self, number: Number) -> &Mount {
        &self.mounts[usize::from(self.inode(number).mount)]
    }

    /// Whether the process is the inode's owner, or root.
    pub fn owns(&self, number: Number) -> bool {
        self.owner.user == 0 || self.owner.user == self.inode(number).owner.user
    }

    /// The absolute path of an inode by its last name; `None` if it has lost that.
    pub fn path(&self, mut number: Number) -> Option<Vec<u8>> {
        let mut parts = Vec::new();
        while number != ROOT {
            let parent = self.inode(number).parent;
            let directory = match &self.inodes.get(parent as usize)?.node {
                Node::Directory(directory) => directory,
                _ => return None,
            };
            parts.push(directory.name_of(number)?);
            number = parent;
        }
        if parts.is_empty() {
            return Some(b"/".to_vec());
        }
        let mut path = Vec::new();
        for part in parts.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        Some(path)
    }

    /// Whether a directory is another one or lies above it.
    pub fn is_above(&self, above: Number, mut below: Number) -> bool {
        loop {
            if above == below {
                return true;
            }
            if below == ROOT {
                return false;
            }
            below = self.inode(below).parent;
        }
    }
}
