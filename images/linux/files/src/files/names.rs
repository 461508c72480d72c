//! Names move and are read: `renameat2`, `readlinkat`, `chdir`, `getcwd`.

use alloc::vec::Vec;

use super::Files;
use super::walk::{Follow, Found};
use crate::abi::{at, flag};
use crate::errno::Errno;
use crate::host::Host;
use crate::tree::{Number, SEARCH, WRITE};

impl Files<'_> {
    /// `renameat2`, `renameat`, `rename`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn renameat2(
        &mut self,
        host: &mut dyn Host,
        from: (i32, &[u8]),
        to: (i32, &[u8]),
        flags: u32,
    ) -> Result<(), Errno> {
        const KNOWN: u32 = flag::RENAME_NO_REPLACE | flag::RENAME_EXCHANGE;
        if flags & !KNOWN != 0 || flags == KNOWN {
            return Err(Errno::EINVAL);
        }
        let (keeps, exchanges) =
            (flags & flag::RENAME_NO_REPLACE != 0, flags & flag::RENAME_EXCHANGE != 0);
        let old = self.walk(host, from.0, from.1)?;
        let new = self.walk(host, to.0, to.1)?;
        if self.tree.inode(old.directory).mount != self.tree.inode(new.directory).mount {
            return Err(Errno::EXDEV);
        }
        old.name_or(Errno::EBUSY)?;
        new.name_or(if keeps { Errno::EEXIST } else { Errno::EBUSY })?;
        self.tree.writable(old.directory)?;
        let source = self.victim(host, &old)?;
        let target = match self.look_up(host, &new)? {
            Found::Inode(number) => Some(number),
            Found::Nothing => None,
            _ => return Err(Errno::EPERM),
        };
        if keeps && target.is_some() {
            return Err(Errno::EEXIST);
        }
        let is_directory = self.tree.inode(source).is_directory();
        if exchanges {
            let target = target.ok_or(Errno::ENOENT)?;
            if new.has_slashes && !self.tree.inode(target).is_directory() {
                return Err(Errno::ENOTDIR);
            }
        }
        if !is_directory && (old.has_slashes || (new.has_slashes && !exchanges)) {
            return Err(Errno::ENOTDIR);
        }
        // A directory cannot come to lie in itself.
        if is_directory && self.tree.is_above(source, new.directory) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = target
            && self.tree.inode(target).is_directory()
            && self.tree.is_above(target, old.directory)
        {
            return Err(if exchanges { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if target == Some(source) {
            return Ok(());
        }
        self.may_move(old.directory, source, new.directory, target, exchanges)?;
        let now = host.realtime();
        let (old, new) = ((old.directory, old.name()), (new.directory, new.name()));
        match exchanges {
            true => self.tree.exchange(old, new, now),
            false => self.tree.rename(old, new, now),
        }
    }

    fn may_move(
        &self,
        old: Number,
        source: Number,
        new: Number,
        target: Option<Number>,
        exchanges: bool,
    ) -> Result<(), Errno> {
        let is_directory = self.tree.inode(source).is_directory();
        self.may_remove(old, source, is_directory)?;
        match target {
            None => self.may_create(new)?,
            Some(target) => {
                let target_is_directory = self.tree.inode(target).is_directory();
                let must_be = if exchanges { target_is_directory } else { is_directory };
                self.may_remove(new, target, must_be)?;
                if !exchanges && must_be && !self.tree.directory(target)?.is_empty() {
                    return Err(Errno::ENOTEMPTY);
                }
                if exchanges && old != new && target_is_directory {
                    self.tree.may(target, WRITE)?;
                }
            }
        }
        // Its `..` changes.
        if is_directory && old != new {
            self.tree.may(source, WRITE)?;
        }
        Ok(())
    }

    /// `readlinkat`, `readlink`: all of the link's text.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn readlinkat(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        let is_empty = path.is_empty();
        match self.resolve_at(host, directory, path, at::NO_FOLLOW | at::EMPTY_PATH)? {
            Found::Inode(number) => self.target(host, number).map_err(|errno| match errno {
                // A descriptor that is no link has no name either.
                Errno::EINVAL if is_empty => Errno::ENOENT,
                errno => errno,
            }),
            Found::DescriptorLink(fd) => self.name_of(fd),
            Found::Descriptor(_) | Found::Nothing if is_empty => Err(Errno::ENOENT),
            Found::Descriptor(_) | Found::Nothing => Err(Errno::EINVAL),
        }
    }

    /// `chdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn chdir(&mut self, host: &mut dyn Host, path: &[u8]) -> Result<(), Errno> {
        match self.resolve(host, at::CURRENT, path, Follow::Yes)? {
            Found::Inode(number) => self.work_in(number),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// `fchdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchdir(&mut self, fd: i32) -> Result<(), Errno> {
        let number = self.directory_of(fd)?;
        self.work_in(number)
    }

    fn work_in(&mut self, number: Number) -> Result<(), Errno> {
        if !self.tree.inode(number).is_directory() {
            return Err(Errno::ENOTDIR);
        }
        self.tree.may(number, SEARCH)?;
        self.tree.hold(number);
        let before = core::mem::replace(&mut self.working, number);
        self.tree.release(before);
        Ok(())
    }

    /// `getcwd`: the path with its final zero.
    ///
    /// # Errors
    /// `ERANGE` if it has no room there; `ENOENT` if the directory was removed.
    pub fn getcwd(&self, room: usize) -> Result<Vec<u8>, Errno> {
        let mut path = self.tree.path(self.working).ok_or(Errno::ENOENT)?;
        path.push(0);
        if path.len() <= room { Ok(path) } else { Err(Errno::ERANGE) }
    }
}
