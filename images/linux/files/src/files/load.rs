//! Archives become trees.

use alloc::boxed::Box;

use super::Files;
use crate::abi::kind;
use crate::archive::{Entries, Entry, EntryReject, LoadReject};
use crate::errno::Errno;
use crate::limits::{ARCHIVE_DEPTH_MAX, NAME_LEN_MAX, PATH_LEN_MAX};
use crate::settings::{Access, Owner};
use crate::tree::{Base, Content, Directory, Mount, MountKind, Node, Number, ROOT};

/// A name in an archive, by parts. A slash at the end is allowed.
fn parts(name: &[u8]) -> Result<impl Iterator<Item = &[u8]> + Clone, EntryReject> {
    if name.starts_with(b"/") {
        return Err(EntryReject::Absolute);
    }
    if name.len() >= PATH_LEN_MAX {
        return Err(EntryReject::TooLong);
    }
    // Some packers begin names with `./`, which means nothing.
    let mut inside = name;
    while let Some(rest) = inside.strip_prefix(b"./") {
        inside = rest;
    }
    let inside = inside.strip_suffix(b"/").unwrap_or(inside);
    let parts = inside.split(|byte| *byte == b'/');
    for (depth, part) in parts.clone().enumerate() {
        match part {
            b"." | b".." => return Err(EntryReject::Outside),
            b"" if inside.is_empty() && !name.is_empty() => {}
            part if part.is_empty() || part.contains(&0) => return Err(EntryReject::Name),
            part if part.len() > NAME_LEN_MAX => return Err(EntryReject::TooLong),
            _ if depth >= ARCHIVE_DEPTH_MAX => return Err(EntryReject::TooDeep),
            _ => {}
        }
    }
    Ok(parts.filter(|part| !part.is_empty()))
}

/// Where a link leads.
fn unpack_link(entry: &Entry<'_>) -> Result<Box<[u8]>, EntryReject> {
    if entry.packed.len >= PATH_LEN_MAX {
        return Err(EntryReject::TooLong);
    }
    let target = entry.packed.unpack()?;
    if target.is_empty() || target.contains(&0) {
        return Err(EntryReject::Name);
    }
    Ok(target)
}

impl<'p> Files<'p> {
    /// Unpacks an archive into a directory, which is made. What is there already is replaced by
    /// what the archive has under the same name. Files are neither inflated nor checked before
    /// they are opened.
    ///
    /// # Errors
    /// See [`LoadReject`].
    pub fn mount(
        &mut self,
        archive: &'p [u8],
        at: &[u8],
        access: Access,
    ) -> Result<(), LoadReject> {
        let root = self.make_directories(at).map_err(LoadReject::Place)?;
        let mount = self.add_mount(MountKind::Tree, access == Access::ReadOnly, root);
        let mount = mount.map_err(LoadReject::Place)?;
        for (number, entry) in Entries::new(archive)?.enumerate() {
            let refused = |reason| LoadReject::Entry { number: number as u32, reason };
            self.unpack_entry(root, mount, &entry?).map_err(refused)?;
        }
        Ok(())
    }

    /// The next mount; `ENOSPC` if there are too many.
    pub(super) fn add_mount(
        &mut self,
        kind: MountKind,
        is_read_only: bool,
        root: Number,
    ) -> Result<u8, Errno> {
        let index = u8::try_from(self.tree.mounts.len()).map_err(|_| Errno::ENOSPC)?;
        self.tree.mounts.push(Mount { kind, is_read_only, root });
        self.tree.inode_mut(root).mount = index;
        Ok(index)
    }

    fn unpack_entry(
        &mut self,
        root: Number,
        mount: u8,
        entry: &Entry<'p>,
    ) -> Result<(), EntryReject> {
        let mut parts = parts(entry.name)?.peekable();
        let mut directory = root;
        let last = loop {
            let Some(part) = parts.next() else {
                // The root itself.
                return Ok(());
            };
            if parts.peek().is_none() {
                break part;
            }
            directory = self.unpack_directory(directory, mount, part)?;
        };
        let permissions = entry.mode & 0o7777;
        let is_directory = entry.name.ends_with(b"/") || entry.mode & kind::MASK == kind::DIRECTORY;
        if is_directory {
            let number = self.unpack_directory(directory, mount, last)?;
            if permissions != 0 {
                self.tree.inode_mut(number).permissions = permissions as u16;
            }
            self.date(number, entry);
            return Ok(());
        }
        let default = |default| if permissions == 0 { default } else { permissions };
        let (node, permissions) = match entry.mode & kind::MASK {
            kind::LINK => (Node::Link(unpack_link(entry)?), 0o777),
            kind::REGULAR | 0 => {
                (Node::File(Content::new(Base::Packed(entry.packed))), default(0o644))
            }
            _ => return Err(EntryReject::Special),
        };
        match self.tree.directory(directory)?.get(last) {
            Some(number) if self.tree.inode(number).mount == mount => {
                return Err(EntryReject::Twice);
            }
            Some(number) if self.tree.inode(number).is_directory() => {
                return Err(EntryReject::Twice);
            }
            Some(_) => self.tree.unlink(directory, last, entry.modified)?,
            None => {}
        }
        let number = self.put(directory, last, node, permissions, mount)?;
        self.date(number, entry);
        Ok(())
    }

    fn date(&mut self, number: Number, entry: &Entry<'p>) {
        self.tree.inode_mut(number).set_times(entry.modified);
    }

    /// The directory of this name, made if it is not there.
    fn unpack_directory(
        &mut self,
        directory: Number,
        mount: u8,
        name: &[u8],
    ) -> Result<Number, EntryReject> {
        match self.tree.directory(directory)?.get(name) {
            Some(number) if matches!(self.tree.inode(number).node, Node::Directory(_)) => {
                Ok(number)
            }
            Some(_) => Err(EntryReject::Twice),
            None => Ok(self.put(
                directory,
                name,
                Node::Directory(Directory::default()),
                0o755,
                mount,
            )?),
        }
    }

    /// A new inode with a name.
    pub(super) fn put(
        &mut self,
        directory: Number,
        name: &[u8],
        node: Node<'p>,
        permissions: u32,
        mount: u8,
    ) -> Result<Number, Errno> {
        let number = self.tree.make(node, permissions, mount)?;
        self.tree.inode_mut(number).owner = Owner::default();
        let now = self.tree.inode(directory).modified;
        match self.tree.link(directory, name, number, now) {
            Ok(()) => Ok(number),
            Err(errno) => {
                self.tree.discard(number);
                Err(errno)
            }
        }
    }

    /// The directory of this path, made if need be, before the program runs: nobody is asked
    /// whether it may be.
    pub(super) fn make_directories(&mut self, path: &[u8]) -> Result<Number, Errno> {
        let mut directory = ROOT;
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            if part == b"." || part == b".." || part.len() > NAME_LEN_MAX {
                return Err(Errno::EINVAL);
            }
            directory = match self.tree.directory(directory)?.get(part) {
                Some(number) => number,
                None => {
                    let mount = self.tree.inode(directory).mount;
                    self.put(directory, part, Node::Directory(Directory::default()), 0o755, mount)?
                }
            };
        }
        self.tree.directory(directory)?;
        Ok(directory)
    }

    /// Makes a directory, with those on the way, unless it is there.
    ///
    /// # Errors
    /// `ENOTDIR` and `EINVAL` for paths that cannot be; `ENOSPC`.
    pub fn make_directory(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.make_directories(path).map(drop)
    }

    /// Lets `/lib`, `/usr` and the like lead into a directory that has them, where programs and
    /// their interpreter look for libraries.
    ///
    /// # Errors
    /// `ENOTDIR` if there is no such directory, `ENOSPC`.
    pub fn expose(&mut self, path: &[u8]) -> Result<(), Errno> {
        const NAMES: [&[u8]; 7] = [b"bin", b"lib", b"lib32", b"lib64", b"opt", b"sbin", b"usr"];
        let from = self.make_directories(path)?;
        for name in NAMES {
            let is_there = self.tree.directory(from)?.get(name).is_some();
            if is_there && self.tree.directory(ROOT)?.get(name).is_none() {
                let target = [path, b"/", name].concat().into_boxed_slice();
                self.put(ROOT, name, Node::Link(target), 0o777, 0)?;
            }
        }
        Ok(())
    }

    /// Puts a file there, with the directories on the way: for an executable that is no archive.
    ///
    /// # Errors
    /// `EEXIST`; `ENOTDIR` and `EINVAL` for paths that cannot be; `ENOSPC`.
    pub fn insert(&mut self, path: &[u8], bytes: &'p [u8], permissions: u32) -> Result<(), Errno> {
        let at = path.iter().rposition(|byte| *byte == b'/').ok_or(Errno::EINVAL)?;
        let (directory, name) = (&path[..at], &path[at + 1..]);
        if name.is_empty() || name == b"." || name == b".." || name.len() > NAME_LEN_MAX {
            return Err(Errno::EINVAL);
        }
        let directory = self.make_directories(directory)?;
        if self.tree.directory(directory)?.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let mount = self.tree.inode(directory).mount;
        let node = Node::File(Content::new(Base::Stored(bytes)));
        self.put(directory, name, node, permissions, mount).map(drop)
    }

    /// Inflates and checks all files that have not been opened yet, so that no instance has to.
    ///
    /// # Errors
    /// The first of them that cannot be used, by its path.
    pub fn unpack(&mut self) -> Result<(), (alloc::vec::Vec<u8>, EntryReject)> {
        let mut refused = None;
        for (number, inode) in &mut self.tree.inodes {
            if let Node::File(content) = &mut inode.node
                && let Err(unusable) = content.prepare(&mut self.tree.budget)
            {
                refused = Some((number as Number, unusable));
                break;
            }
        }
        match refused {
            Some((number, unusable)) => {
                Err((self.tree.path(number).unwrap_or_default(), unusable.into()))
            }
            None => Ok(()),
        }
    }
}
