//! The calls, named as Linux names them.
//!
//! A method takes what the call takes, decoded; what it answers is what the call answers in `rax`,
//! or [`Errno`]. Calls that can block answer [`Stop`]. Paths are bytes without the final zero.

use crate::abi::{EpollEvent, PollFd, Stat, Statfs, Statx};
use crate::errno::{Errno, Stop};
use crate::host::{Host, Time};

/// Whose process it is, and what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who the process is; 0 may do everything that a root without capabilities beside those for
    /// files may.
    pub owner: Owner,
    /// Bytes that files, names and pipes may take together.
    pub bytes_max: u64,
    /// Inodes there may be, those out of archives included.
    pub inodes_max: u32,
}

/// A user and a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// What the program may do with what an archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Writing answers `EROFS`.
    ReadOnly,
    /// Writing changes the process' own copy.
    Writable,
}

/// Why an archive cannot be had as a tree. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadReject {
    /// There is no archive, or none that is whole.
    Damaged,
}

/// What a mapping of a file can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping<'p> {
    /// These bytes of an archive or of the executable, from the offset on to the file's end; they
    /// never change, so that they can be mapped where the offset within the page fits.
    Payload(&'p [u8]),
    /// There is no such place: read the file into the pages.
    Copy,
}

/// What `poll` found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Descriptors (for `select`: bits) that are ready.
    pub ready: usize,
    /// If none is: when one becomes ready without anybody's doing, by
    /// [`Host::monotonic_ns`]. A thread that waits need not look again before that, or before
    /// another thread has made a call of this crate.
    pub wake_ns: Option<u64>,
}

/// How a timer stands (`struct itimerspec`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    /// From one expiry to the next; zero for a single one.
    pub interval: Time,
    /// To the next one; zero if disarmed.
    pub value: Time,
}

/// What `timerfd_settime` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// The new setting.
    pub timer: Timer,
    /// `TFD_TIMER_…` flags.
    pub flags: u32,
}

/// What `utimensat` is told about one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// `UTIME_NOW`.
    Now,
    /// `UTIME_OMIT`.
    Keep,
    /// This.
    At(Time),
}

/// All files, directories, pipes and descriptors of a process.
#[derive(Debug)]
pub struct Files<'p> {
    input: Option<&'p [u8]>,
}

type Sets<'a> = [Option<&'a mut [u64]>; 3];

// The interface; what serves a call replaces its line here.
macro_rules! not_yet { ($($argument:expr),*) => {{ $(let _ = &$argument;)* Err(Errno::ENOSYS.into()) }} }

/// Making the tree.
impl<'p> Files<'p> {
    /// An empty tree with `/dev`, `/etc`, `/proc`, `/sys` and a writable `/tmp`; descriptors 0 to 3
    /// are open. Working directory: `/`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn new(settings: &Settings) -> Result<Self, Errno> {
        let _ = settings;
        Ok(Self { input: None })
    }

    /// Unpacks an archive into a directory, which is made; entries replace what is there.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn mount(
        &mut self,
        archive: &'p [u8],
        at: &[u8],
        access: Access,
    ) -> Result<(), LoadReject> {
        let _ = archive;
        let _ = at;
        let _ = access;
        Err(LoadReject::Damaged)
    }

    /// Puts a file there, with the directories on the way: for an executable that is no archive.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn insert(&mut self, path: &[u8], bytes: &'p [u8], permissions: u32) -> Result<(), Errno> {
        not_yet!(path, bytes, permissions)
    }

    /// Inflates and checks all files that have not been opened yet, so that no instance has to.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn unpack(&mut self) -> Result<(), LoadReject> {
        Err(LoadReject::Damaged)
    }

    /// Gives the input. Before, a call that looks at it answers [`Stop::NeedsInput`].
    pub fn set_input(&mut self, input: &'p [u8]) {
        self.input = Some(input);
    }
}

/// Descriptors.
impl<'p> Files<'p> {
    /// `RLIMIT_NOFILE`, its soft limit.
    pub fn descriptors_max(&self) -> u32 {
        crate::limits::DESCRIPTORS_DEFAULT
    }

    /// Sets it.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn set_descriptors_max(&mut self, most: u32) -> Result<(), Errno> {
        not_yet!(most)
    }

    /// `close`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn close(&mut self, host: &mut dyn Host, fd: i32) -> Result<(), Errno> {
        not_yet!(host, fd)
    }

    /// `close_range`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn close_range(
        &mut self,
        host: &mut dyn Host,
        first: u32,
        last: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, first, last, flags)
    }

    /// `dup`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn dup(&mut self, fd: i32) -> Result<i32, Errno> {
        not_yet!(fd)
    }

    /// `dup2`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn dup2(&mut self, host: &mut dyn Host, from: i32, to: i32) -> Result<i32, Errno> {
        not_yet!(host, from, to)
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
        not_yet!(host, from, to, flags)
    }

    /// `fcntl`. Locks are granted: of `F_SETLK…` the argument is `l_type`, and what `F_GETLK`
    /// answers belongs there.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fcntl(&mut self, fd: i32, command: u32, argument: u64) -> Result<u64, Errno> {
        not_yet!(fd, command, argument)
    }

    /// `ioctl`; the argument is the number that the pointer points to. What `FIONREAD` answers
    /// belongs there.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn ioctl(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        request: u64,
        argument: u32,
    ) -> Result<u32, Errno> {
        not_yet!(host, fd, request, argument)
    }

    /// `flock`: granted.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn flock(&mut self, fd: i32, operation: u32) -> Result<(), Errno> {
        not_yet!(fd, operation)
    }

    /// A descriptor for a socket of the host, by the host's number for it; `O_NONBLOCK` and
    /// `O_CLOEXEC` count.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn socket(&mut self, socket: u32, flags: u32) -> Result<i32, Errno> {
        not_yet!(socket, flags)
    }

    /// The host's number for the socket behind a descriptor; `ENOTSOCK` for others.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn socket_of(&self, fd: i32) -> Result<u32, Errno> {
        not_yet!(fd)
    }

    /// Whether `O_NONBLOCK` is set. If not, a short write to a pipe or socket is to be gone on
    /// with.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn is_nonblocking(&self, fd: i32) -> Result<bool, Errno> {
        not_yet!(fd)
    }
}

/// Opening.
impl<'p> Files<'p> {
    /// `openat`, `open`, `creat`. Never blocks: there are no named pipes.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn openat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
        mode: u32,
    ) -> Result<i32, Errno> {
        not_yet!(host, directory, path, flags, mode)
    }

    /// `umask`.
    pub fn umask(&mut self, mask: u32) -> u32 {
        mask
    }

    /// `pipe2`: the end to read from, the end to write to.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn pipe2(&mut self, flags: u32) -> Result<[i32; 2], Errno> {
        not_yet!(flags)
    }

    /// `eventfd2`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn eventfd2(&mut self, count: u32, flags: u32) -> Result<i32, Errno> {
        not_yet!(count, flags)
    }

    /// `timerfd_create`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_create(&mut self, clock: u32, flags: u32) -> Result<i32, Errno> {
        not_yet!(clock, flags)
    }

    /// `epoll_create1`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_create1(&mut self, flags: u32) -> Result<i32, Errno> {
        not_yet!(flags)
    }
}

/// Reading and writing.
impl<'p> Files<'p> {
    /// `read`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn read(&mut self, host: &mut dyn Host, fd: i32, bytes: &mut [u8]) -> Result<usize, Stop> {
        not_yet!(host, fd, bytes)
    }

    /// `write`. `EPIPE` comes with SIGPIPE, which is the caller's to raise.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn write(&mut self, host: &mut dyn Host, fd: i32, bytes: &[u8]) -> Result<usize, Stop> {
        not_yet!(host, fd, bytes)
    }

    /// `readv`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn readv(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &mut [&mut [u8]],
    ) -> Result<usize, Stop> {
        not_yet!(host, fd, bytes)
    }

    /// `writev`; as atomic as one `write`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn writev(&mut self, host: &mut dyn Host, fd: i32, bytes: &[&[u8]]) -> Result<usize, Stop> {
        not_yet!(host, fd, bytes)
    }

    /// `pread64`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn pread(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &mut [u8],
        offset: i64,
    ) -> Result<usize, Stop> {
        not_yet!(host, fd, bytes, offset)
    }

    /// `pwrite64`.
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
        not_yet!(host, fd, bytes, offset)
    }

    /// `lseek`, with `SEEK_DATA` and `SEEK_HOLE`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn lseek(&mut self, fd: i32, offset: i64, whence: u32) -> Result<u64, Errno> {
        not_yet!(fd, offset, whence)
    }

    /// `sendfile`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn sendfile(
        &mut self,
        host: &mut dyn Host,
        to: i32,
        from: i32,
        offset: Option<&mut i64>,
        len: usize,
    ) -> Result<usize, Stop> {
        not_yet!(host, to, from, offset, len)
    }

    /// `copy_file_range`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn copy_file_range(
        &mut self,
        host: &mut dyn Host,
        from: (i32, Option<&mut i64>),
        to: (i32, Option<&mut i64>),
        len: usize,
        flags: u32,
    ) -> Result<usize, Stop> {
        not_yet!(host, from, to, len, flags)
    }

    /// `getdents64`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn getdents64(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        bytes: &mut [u8],
    ) -> Result<usize, Errno> {
        not_yet!(host, fd, bytes)
    }

    /// `ftruncate`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn ftruncate(&mut self, host: &mut dyn Host, fd: i32, len: i64) -> Result<(), Errno> {
        not_yet!(host, fd, len)
    }

    /// `truncate`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn truncate(&mut self, host: &mut dyn Host, path: &[u8], len: i64) -> Result<(), Errno> {
        not_yet!(host, path, len)
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
        not_yet!(host, fd, mode, offset, len)
    }

    /// `fsync`, `fdatasync`: there is nothing behind the memory.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fsync(&self, fd: i32) -> Result<(), Errno> {
        not_yet!(fd)
    }

    /// What `mmap` is to map. `EACCES` if the descriptor cannot be read, `ENODEV` for what is no
    /// regular file.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn mapping(&mut self, fd: i32, offset: u64) -> Result<Mapping<'p>, Errno> {
        not_yet!(fd, offset)
    }
}

/// Names.
impl<'p> Files<'p> {
    /// `mkdirat`, `mkdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn mkdirat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, mode)
    }

    /// `unlinkat`, `unlink`, `rmdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn unlinkat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, flags)
    }

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
        not_yet!(host, from, to, flags)
    }

    /// `linkat`, `link`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn linkat(
        &mut self,
        host: &mut dyn Host,
        from: (i32, &[u8]),
        to: (i32, &[u8]),
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, from, to, flags)
    }

    /// `symlinkat`, `symlink`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn symlinkat(
        &mut self,
        host: &mut dyn Host,
        target: &[u8],
        directory: i32,
        path: &[u8],
    ) -> Result<(), Errno> {
        not_yet!(host, target, directory, path)
    }

    /// `readlinkat`, `readlink`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn readlinkat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        bytes: &mut [u8],
    ) -> Result<usize, Errno> {
        not_yet!(host, directory, path, bytes)
    }

    /// `chdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn chdir(&mut self, host: &mut dyn Host, path: &[u8]) -> Result<(), Errno> {
        not_yet!(host, path)
    }

    /// `fchdir`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchdir(&mut self, fd: i32) -> Result<(), Errno> {
        not_yet!(fd)
    }

    /// `getcwd`: the length includes the final zero, which is written.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn getcwd(&self, bytes: &mut [u8]) -> Result<usize, Errno> {
        not_yet!(bytes)
    }
}

/// Attributes.
impl<'p> Files<'p> {
    /// `fstat`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fstat(&mut self, host: &mut dyn Host, fd: i32) -> Result<Stat, Errno> {
        not_yet!(host, fd)
    }

    /// `newfstatat`, `stat`, `lstat`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fstatat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
    ) -> Result<Stat, Errno> {
        not_yet!(host, directory, path, flags)
    }

    /// `statx`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn statx(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        flags: u32,
        mask: u32,
    ) -> Result<Statx, Errno> {
        not_yet!(host, directory, path, flags, mask)
    }

    /// `statfs`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn statfs(&mut self, host: &mut dyn Host, path: &[u8]) -> Result<Statfs, Errno> {
        not_yet!(host, path)
    }

    /// `fstatfs`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fstatfs(&mut self, fd: i32) -> Result<Statfs, Errno> {
        not_yet!(fd)
    }

    /// `faccessat2`, `faccessat`, `access`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn faccessat2(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, mode, flags)
    }

    /// `fchmodat2`, `fchmodat`, `chmod`; with `AT_EMPTY_PATH`, `fchmod`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchmodat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        mode: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, mode, flags)
    }

    /// `fchownat`, `chown`, `lchown`; with `AT_EMPTY_PATH`, `fchown`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn fchownat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        user: u32,
        group: u32,
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, user, group, flags)
    }

    /// `utimensat`; with `AT_EMPTY_PATH`, `futimens`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn utimensat(
        &mut self,
        host: &mut dyn Host,
        directory: i32,
        path: &[u8],
        times: [Timestamp; 2],
        flags: u32,
    ) -> Result<(), Errno> {
        not_yet!(host, directory, path, times, flags)
    }
}

/// Readiness.
impl<'p> Files<'p> {
    /// What of `poll`, `ppoll` holds now; waiting and time-outs are the caller's.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn poll(&mut self, host: &mut dyn Host, polled: &mut [PollFd]) -> Result<Polled, Stop> {
        not_yet!(host, polled)
    }

    /// What of `select`, `pselect6` holds now. The sets are changed if something is ready.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn select(
        &mut self,
        host: &mut dyn Host,
        descriptors: usize,
        sets: Sets<'_>,
    ) -> Result<Polled, Stop> {
        not_yet!(host, descriptors, sets)
    }

    /// `epoll_ctl`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_ctl(
        &mut self,
        host: &mut dyn Host,
        epoll: i32,
        operation: u32,
        fd: i32,
        event: EpollEvent,
    ) -> Result<(), Errno> {
        not_yet!(host, epoll, operation, fd, event)
    }

    /// What of `epoll_wait`, `epoll_pwait` holds now.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_wait(
        &mut self,
        host: &mut dyn Host,
        epoll: i32,
        events: &mut [EpollEvent],
    ) -> Result<Polled, Stop> {
        not_yet!(host, epoll, events)
    }

    /// `timerfd_settime`: what was set before.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_settime(
        &mut self,
        host: &mut dyn Host,
        fd: i32,
        change: TimerChange,
    ) -> Result<Timer, Errno> {
        not_yet!(host, fd, change)
    }

    /// `timerfd_gettime`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn timerfd_gettime(&mut self, host: &mut dyn Host, fd: i32) -> Result<Timer, Errno> {
        not_yet!(host, fd)
    }
}
