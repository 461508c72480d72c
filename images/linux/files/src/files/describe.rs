//! What things are: `stat` and its kind, `access`, and the names of descriptors in
//! `/proc/self/fd`.

use alloc::format;
use alloc::vec::Vec;

use super::Files;
use super::walk::Found;
use crate::abi::{Stat, Statfs, Statx, at, device, kind};
use crate::descriptors::{Description, Object};
use crate::errno::Errno;
use crate::host::{Host, Sink, Time};
use crate::limits::PAGE_LEN;
use crate::tree::{MountKind, Number};
use crate::watch::DescriptionNumber;

/// File systems of what has no place in the tree, by number.
const PIPES: u64 = device(0, 0x101);
const ANONYMOUS: u64 = device(0, 0x102);
const SOCKETS: u64 = device(0, 0x103);
/// Pipes of the program are numbered behind the four that are there from the start.
const PIPE_FIRST: u64 = 5;

const STAT_FLAGS: u32 = at::NO_FOLLOW | at::NO_AUTOMOUNT | at::EMPTY_PATH | at::STATX_SYNC;
/// `STATX__RESERVED`.
const STATX_RESERVED: u32 = 1 << 31;
/// `ST_VALID`, `ST_RDONLY`, `ST_NOATIME`.
const VALID: u64 = 0x20;
const READ_ONLY: u64 = 1;
const NO_ACCESS_TIMES: u64 = 0x400;

impl Files<'_> {
    /// `fstat`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn fstat(&self, fd: i32) -> Result<Stat, Errno> {
        let number = self.table.number(fd)?;
        Ok(self.stat_of(self.table.get(fd)?, number))
    }

    fn stat_of(&self, description: &Description, number: DescriptionNumber) -> Stat {
        let stream = |device, inode, mode| Stat {
            device,
            inode,
            links: 1,
            mode,
            user: self.tree.owner.user,
            group: self.tree.owner.group,
            block_len: PAGE_LEN as u64,
            ..Stat::default()
        };
        let pipe = |inode| stream(PIPES, inode, kind::FIFO | 0o600);
        match description.object {
            Object::Inode(number) | Object::Text(number, _) => self.tree.inode(number).stat(number),
            Object::Input => pipe(1),
            Object::Output(sink) => pipe(number_of(sink)),
            Object::Pipe(number) => pipe(u64::from(number) + PIPE_FIRST),
            Object::Socket(number) => stream(SOCKETS, number.into(), kind::SOCKET | 0o777),
            Object::Event(_) | Object::Timer(_) | Object::Epoll(_) => {
                stream(ANONYMOUS, u64::from(number) + 1, 0o600)
            }
        }
    }

    fn stat_found(&self, found: Found) -> Result<Stat, Errno> {
        match found {
            Found::Inode(number) => Ok(self.tree.inode(number).stat(number)),
            Found::Descriptor(fd) => self.fstat(fd),
            Found::DescriptorLink(fd) => Ok(Stat {
                device: self.tree.inode(self.places.own).stat(self.places.own).device,
                inode: fd as u64 + 1,
                links: 1,
                mode: kind::LINK | 0o700,
                user: self.tree.owner.user,
                group: self.tree.owner.group,
                len: 64,
                block_len: 1024,
                ..Stat::default()
            }),
            Found::Nothing => Err(Errno::ENOENT),
        }
    }

    /// `newfstatat`, `stat`, `lstat`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fstatat(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<Stat, Errno> {
        if flags & !STAT_FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        self.stat_found(self.resolve_at(host, directory, path, flags)?)
    }

    /// `statx`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn statx(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
        mask: u32,
    ) -> Result<Statx, Errno> {
        if mask & STATX_RESERVED != 0 || flags & at::STATX_SYNC == at::STATX_SYNC {
            return Err(Errno::EINVAL);
        }
        if flags & !STAT_FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        let found = self.resolve_at(host, directory, path, flags)?;
        let born = match found {
            Found::Inode(number) => self.tree.inode(number).born,
            _ => Time::default(),
        };
        Ok(Statx { stat: self.stat_found(found)?, born })
    }

    /// `statfs`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn statfs(&self, host: &mut dyn Host, path: &[u8]) -> Result<Statfs, Errno> {
        Ok(match self.resolve_at(host, at::CURRENT, path, 0)? {
            Found::Inode(number) => self.mount_stat(number),
            _ => self.stream_stat(),
        })
    }

    /// `fstatfs`.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn fstatfs(&self, fd: i32) -> Result<Statfs, Errno> {
        Ok(match self.table.get(fd)?.object {
            Object::Inode(number) | Object::Text(number, _) => self.mount_stat(number),
            _ => self.stream_stat(),
        })
    }

    fn stream_stat(&self) -> Statfs {
        // What pipes say they are, `PIPEFS_MAGIC`; nobody asks anything else here.
        Statfs { kind: 0x5049_5045, flags: VALID, ..Statfs::default() }
    }

    fn mount_stat(&self, number: Number) -> Statfs {
        let mount = self.tree.mount_of(number);
        let budget = &self.tree.budget;
        let read_only = if mount.is_read_only { READ_ONLY } else { 0 };
        let flags = VALID | NO_ACCESS_TIMES | read_only;
        let kind = mount.kind.magic();
        if matches!(mount.kind, MountKind::Process | MountKind::System) {
            return Statfs { kind, flags, ..Statfs::default() };
        }
        Statfs {
            kind,
            blocks: budget.bytes_max / PAGE_LEN as u64,
            blocks_free: budget.bytes / PAGE_LEN as u64,
            inodes: budget.inodes_max.into(),
            inodes_free: budget.inodes.into(),
            flags,
        }
    }

    /// `faccessat2`, `faccessat`, `access`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn faccessat2(
        &self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        const FLAGS: u32 = at::EFFECTIVE_ACCESS | at::NO_FOLLOW | at::EMPTY_PATH;
        if mode & !7 != 0 || flags & !FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        match self.resolve_at(host, directory, path, flags)? {
            Found::Inode(_) if mode == 0 => Ok(()),
            Found::Inode(number) => self.tree.may(number, mode),
            Found::Descriptor(_) if mode & 1 != 0 => Err(Errno::EACCES),
            _ => Ok(()),
        }
    }

    /// What `/proc/self/fd/N` says.
    pub(super) fn name_of(&self, fd: i32) -> Result<Vec<u8>, Errno> {
        let number = self.table.number(fd)?;
        let description = self.table.get(fd)?;
        let inode = self.stat_of(description, number).inode;
        Ok(match description.object {
            Object::Inode(number) | Object::Text(number, _) => match self.tree.path(number) {
                Some(path) => path,
                None => format!("/tmp/#{inode} (deleted)").into_bytes(),
            },
            Object::Input | Object::Output(_) | Object::Pipe(_) => {
                format!("pipe:[{inode}]").into_bytes()
            }
            Object::Socket(_) => format!("socket:[{inode}]").into_bytes(),
            Object::Event(_) => b"anon_inode:[eventfd]".to_vec(),
            Object::Timer(_) => b"anon_inode:[timerfd]".to_vec(),
            Object::Epoll(_) => b"anon_inode:[eventpoll]".to_vec(),
        })
    }
}

/// The inode numbers of the pipes that are there from the start.
const fn number_of(sink: Sink) -> u64 {
    match sink {
        Sink::Stdout => 2,
        Sink::Stderr => 3,
        Sink::Result => 4,
    }
}
