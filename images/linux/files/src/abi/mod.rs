//! Numbers and layouts of Linux on x86-64, as far as files are concerned.

mod dirent;
mod event;
mod stat;

pub use dirent::DirentWriter;
pub use event::{EpollEvent, PollFd};
pub(crate) use stat::device;
pub use stat::{Stat, Statfs, Statx};

/// Flags of `open` (`asm-generic/fcntl.h`).
pub mod open {
    #![expect(missing_docs, reason = "they are Linux' names, explained in open(2)")]
    pub const ACCESS_MODE: u32 = 0o3;
    pub const READ_ONLY: u32 = 0o0;
    pub const WRITE_ONLY: u32 = 0o1;
    pub const READ_WRITE: u32 = 0o2;
    pub const CREATE: u32 = 0o100;
    pub const EXCLUSIVE: u32 = 0o200;
    pub const NO_TERMINAL: u32 = 0o400;
    pub const TRUNCATE: u32 = 0o1000;
    pub const APPEND: u32 = 0o2000;
    pub const NONBLOCK: u32 = 0o4000;
    pub const DSYNC: u32 = 0o10000;
    pub const ASYNC: u32 = 0o20000;
    pub const DIRECT: u32 = 0o40000;
    pub const LARGE_FILE: u32 = 0o100_000;
    pub const DIRECTORY: u32 = 0o200_000;
    pub const NO_FOLLOW: u32 = 0o400_000;
    pub const NO_ACCESS_TIME: u32 = 0o1_000_000;
    pub const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    pub const SYNC: u32 = 0o4_010_000;
    pub const PATH: u32 = 0o10_000_000;
    pub const TEMPORARY: u32 = 0o20_200_000;
}

/// Kinds of files in `st_mode`.
pub mod kind {
    #![expect(missing_docs, reason = "they are Linux' names, explained in inode(7)")]
    pub const MASK: u32 = 0o170_000;
    pub const FIFO: u32 = 0o010_000;
    pub const CHARACTER: u32 = 0o020_000;
    pub const DIRECTORY: u32 = 0o040_000;
    pub const REGULAR: u32 = 0o100_000;
    pub const LINK: u32 = 0o120_000;
    pub const SOCKET: u32 = 0o140_000;
}

/// For `…at` calls.
pub mod at {
    /// Instead of a descriptor: the working directory.
    pub const CURRENT: i32 = -100;
    /// Do not follow a link at the end.
    pub const NO_FOLLOW: u32 = 0x100;
    /// Of `unlinkat`: a directory.
    pub const REMOVE_DIRECTORY: u32 = 0x200;
    /// Of `faccessat2`, with the same value: the effective ids.
    pub const EFFECTIVE_ACCESS: u32 = 0x200;
    /// Follow a link at the end where that is not the rule.
    pub const FOLLOW: u32 = 0x400;
    /// Do not mount on the way; nothing does.
    pub const NO_AUTOMOUNT: u32 = 0x800;
    /// An empty path means the descriptor itself.
    pub const EMPTY_PATH: u32 = 0x1000;
    /// How fresh `statx` has to be: all is.
    pub const STATX_SYNC: u32 = 0x6000;
}

/// `fcntl` commands.
pub mod control {
    #![expect(missing_docs, reason = "they are Linux' names, explained in fcntl(2)")]
    pub const DUPLICATE: u32 = 0;
    pub const GET_DESCRIPTOR_FLAGS: u32 = 1;
    pub const SET_DESCRIPTOR_FLAGS: u32 = 2;
    pub const GET_STATUS_FLAGS: u32 = 3;
    pub const SET_STATUS_FLAGS: u32 = 4;
    pub const GET_LOCK: u32 = 5;
    pub const SET_LOCK: u32 = 6;
    pub const SET_LOCK_WAIT: u32 = 7;
    pub const SET_OWNER: u32 = 8;
    pub const GET_OWNER: u32 = 9;
    pub const OPEN_GET_LOCK: u32 = 36;
    pub const OPEN_SET_LOCK: u32 = 37;
    pub const OPEN_SET_LOCK_WAIT: u32 = 38;
    pub const DUPLICATE_CLOSE_ON_EXEC: u32 = 1030;
    pub const SET_PIPE_SIZE: u32 = 1031;
    pub const GET_PIPE_SIZE: u32 = 1032;
    /// Descriptor flag `FD_CLOEXEC`.
    pub const CLOSE_ON_EXEC: u64 = 1;
    /// Lock types of `struct flock`.
    pub const READ_LOCK: u32 = 0;
    pub const WRITE_LOCK: u32 = 1;
    pub const UNLOCK: u32 = 2;
}

/// `ioctl` requests that files know.
pub mod request {
    #![expect(missing_docs, reason = "they are Linux' names, explained in ioctl_list(2)")]
    pub const BYTES_READABLE: u64 = 0x541b;
    pub const NONBLOCK: u64 = 0x5421;
    pub const NO_CLOSE_ON_EXEC: u64 = 0x5450;
    pub const CLOSE_ON_EXEC: u64 = 0x5451;
}

/// Events of `poll` and `epoll`, which agree.
pub mod ready {
    #![expect(missing_docs, reason = "they are Linux' names, explained in poll(2), epoll_ctl(2)")]
    pub const IN: u32 = 0x001;
    pub const PRIORITY: u32 = 0x002;
    pub const OUT: u32 = 0x004;
    pub const ERROR: u32 = 0x008;
    pub const HANG_UP: u32 = 0x010;
    pub const INVALID: u32 = 0x020;
    pub const READ_NORMAL: u32 = 0x040;
    pub const READ_BAND: u32 = 0x080;
    pub const WRITE_NORMAL: u32 = 0x100;
    pub const WRITE_BAND: u32 = 0x200;
    pub const READ_HANG_UP: u32 = 0x2000;
    /// Bytes can be read.
    pub const READABLE: u32 = IN | READ_NORMAL;
    /// Of epoll only.
    pub const EXCLUSIVE: u32 = 1 << 28;
    pub const WAKE_UP: u32 = 1 << 29;
    pub const ONE_SHOT: u32 = 1 << 30;
    pub const EDGE: u32 = 1 << 31;
}

/// Operations of `epoll_ctl`.
pub mod watch {
    /// Begin to watch.
    pub const ADD: u32 = 1;
    /// Stop.
    pub const DELETE: u32 = 2;
    /// Watch for something else.
    pub const MODIFY: u32 = 3;
}

/// Flags of `eventfd2`, `timerfd_create`, `timerfd_settime`, `renameat2`, `flock`.
pub mod flag {
    /// `EFD_SEMAPHORE`.
    pub const EVENT_SEMAPHORE: u32 = 1;
    /// `TFD_TIMER_ABSTIME`.
    pub const TIMER_ABSOLUTE: u32 = 1;
    /// `TFD_TIMER_CANCEL_ON_SET`.
    pub const TIMER_CANCEL_ON_SET: u32 = 2;
    /// `RENAME_NOREPLACE`.
    pub const RENAME_NO_REPLACE: u32 = 1;
    /// `RENAME_EXCHANGE`.
    pub const RENAME_EXCHANGE: u32 = 2;
    /// `RENAME_WHITEOUT`.
    pub const RENAME_WHITEOUT: u32 = 4;
    /// `LOCK_SH`, `LOCK_EX`, `LOCK_UN` of `flock`.
    pub const LOCK_SHARED: u32 = 1;
    /// See above.
    pub const LOCK_EXCLUSIVE: u32 = 2;
    /// May be added to either.
    pub const LOCK_NONBLOCK: u32 = 4;
    /// Ends both.
    pub const LOCK_NONE: u32 = 8;
}

/// Clocks of timers.
pub mod clock {
    /// The wall clock.
    pub const REALTIME: u32 = 0;
    /// Time since the start.
    pub const MONOTONIC: u32 = 1;
    /// The same: a node does not sleep.
    pub const BOOT: u32 = 7;
    /// `CLOCK_REALTIME_ALARM`.
    pub const REALTIME_ALARM: u32 = 8;
    /// `CLOCK_BOOTTIME_ALARM`.
    pub const BOOT_ALARM: u32 = 9;
}

/// Writes numbers one after another, little end first.
#[derive(Debug)]
struct Layout<const LEN: usize> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Layout<LEN> {
    const fn new() -> Self {
        Self { bytes: [0; LEN], len: 0 }
    }

    fn put<const N: usize>(mut self, field: [u8; N]) -> Self {
        self.bytes[self.len..self.len + N].copy_from_slice(&field);
        self.len += N;
        self
    }

    fn half(self, field: u16) -> Self {
        self.put(field.to_le_bytes())
    }

    fn word(self, field: u32) -> Self {
        self.put(field.to_le_bytes())
    }

    fn long(self, field: u64) -> Self {
        self.put(field.to_le_bytes())
    }

    fn time(self, time: crate::Time) -> Self {
        self.put(time.seconds.to_le_bytes()).long(time.nanoseconds.into())
    }

    /// The structure; what was not written at its end stays zero.
    fn finish(self) -> [u8; LEN] {
        self.bytes
    }
}
