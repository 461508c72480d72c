//! The calls that name a file by its descriptor.
#![forbid(unsafe_code)]

use linux_files::abi::{at, control, request as requests};
use linux_files::{Time, Timer, TimerChange};

use crate::Errno;
use crate::memory::regions::Protection;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Served, nothing};

/// Offset and type of the lock in a `struct flock`.
const LOCK_TYPE_LEN: usize = 2;

impl<N: Native> Os<N> {
    pub(super) fn close(&mut self, fd: u64) -> Served {
        self.with_files(|io| nothing(io.files.close(io.host, fd as i32)))
    }

    pub(super) fn close_range(&mut self, first: u64, last: u64, flags: u64) -> Served {
        self.with_files(|io| {
            let (first, last, flags) = (first as u32, last as u32, flags as u32);
            nothing(io.files.close_range(io.host, first, last, flags))
        })
    }

    pub(super) fn dup(&mut self, fd: u64) -> Served {
        self.with_files(|io| Ok(io.files.dup(fd as i32)? as u64))
    }

    pub(super) fn dup2(&mut self, from: u64, to: u64) -> Served {
        self.with_files(|io| Ok(io.files.dup2(io.host, from as i32, to as i32)? as u64))
    }

    pub(super) fn dup3(&mut self, from: u64, to: u64, flags: u64) -> Served {
        self.with_files(|io| {
            Ok(io.files.dup3(io.host, from as i32, to as i32, flags as u32)? as u64)
        })
    }

    pub(super) fn fcntl(&mut self, fd: u64, command: u64, argument: u64) -> Served {
        let command = command as u32;
        let locks = [
            control::GET_LOCK,
            control::SET_LOCK,
            control::SET_LOCK_WAIT,
            control::OPEN_GET_LOCK,
            control::OPEN_SET_LOCK,
            control::OPEN_SET_LOCK_WAIT,
        ];
        if !locks.contains(&command) {
            return self.with_files(|io| Ok(io.files.fcntl(fd as i32, command, argument)?));
        }
        let kind: [u8; LOCK_TYPE_LEN] = self.space.read(argument)?;
        let kind = u64::from(u16::from_le_bytes(kind));
        let answer = self.with_files(|io| Ok(io.files.fcntl(fd as i32, command, kind)?))?;
        if command == control::GET_LOCK || command == control::OPEN_GET_LOCK {
            self.space.write(argument, &(answer as u16).to_le_bytes())?;
        }
        Ok(0)
    }

    pub(crate) fn ioctl(&mut self, fd: u64, request: u64, argument: u64) -> Served {
        let request = u64::from(request as u32);
        let value = match request {
            requests::NONBLOCK => self.space.read_u32(argument)?,
            _ => 0,
        };
        let answer = match self.socket_of(fd) {
            Ok(socket) if request == requests::BYTES_READABLE => {
                self.sockets.readable_len(socket)? as u32
            }
            _ => self.with_files(|io| Ok(io.files.ioctl(fd as i32, request, value)?))?,
        };
        if request == requests::BYTES_READABLE {
            self.space.write_u32(argument, answer)?;
        }
        Ok(0)
    }

    pub(super) fn flock(&mut self, fd: u64, operation: u64) -> Served {
        self.with_files(|io| nothing(io.files.flock(fd as i32, operation as u32)))
    }

    pub(crate) fn fstat(&mut self, fd: u64, to: u64) -> Served {
        let stat = self.with_files(|io| Ok(io.files.fstat(fd as i32)?))?;
        self.space.write(to, &stat.to_bytes())?;
        Ok(0)
    }

    pub(super) fn fstatfs(&mut self, fd: u64, to: u64) -> Served {
        let statfs = self.with_files(|io| Ok(io.files.fstatfs(fd as i32)?))?;
        self.space.write(to, &statfs.to_bytes())?;
        Ok(0)
    }

    pub(super) fn fchdir(&mut self, fd: u64) -> Served {
        self.with_files(|io| nothing(io.files.fchdir(fd as i32)))
    }

    pub(super) fn fchmod(&mut self, fd: u64, mode: u64) -> Served {
        self.with_files(|io| {
            let mode = mode as u32;
            nothing(io.files.fchmodat(io.host, fd as i32, b"", mode, at::EMPTY_PATH))
        })
    }

    pub(super) fn fchown(&mut self, fd: u64, user: u64, group: u64) -> Served {
        self.with_files(|io| {
            let (user, group) = (user as u32, group as u32);
            nothing(io.files.fchownat(io.host, fd as i32, b"", (user, group), at::EMPTY_PATH))
        })
    }

    pub(super) fn lseek(&mut self, fd: u64, offset: u64, whence: u64) -> Served {
        self.with_files(|io| Ok(io.files.lseek(fd as i32, offset.cast_signed(), whence as u32)?))
    }

    pub(super) fn getdents64(&mut self, fd: u64, to: u64, len: u64) -> Served {
        self.with_files(|io| {
            let len = io.usable(to, u64::from(len as u32), Protection::WRITE)?;
            let bytes = io.memory.bytes_mut(io.regions, to, len)?;
            Ok(io.files.getdents64(fd as i32, bytes)? as u64)
        })
    }

    pub(super) fn ftruncate(&mut self, fd: u64, len: u64) -> Served {
        self.with_files(|io| nothing(io.files.ftruncate(io.host, fd as i32, len.cast_signed())))
    }

    pub(super) fn fallocate(&mut self, fd: u64, mode: u64, offset: u64, len: u64) -> Served {
        self.with_files(|io| {
            let (offset, len) = (offset.cast_signed(), len.cast_signed());
            nothing(io.files.fallocate(io.host, fd as i32, mode as u32, offset, len))
        })
    }

    pub(super) fn fsync(&mut self, fd: u64) -> Served {
        self.with_files(|io| nothing(io.files.fsync(fd as i32)))
    }

    pub(super) fn pipe(&mut self, to: u64, flags: u64) -> Served {
        // Before there is something to take back.
        self.space.bytes_mut(to, 8)?;
        let [read, write] = self.with_files(|io| Ok(io.files.pipe2(flags as u32)?))?;
        self.space.write_u32(to, read.cast_unsigned())?;
        self.space.write_u32(to + 4, write.cast_unsigned())?;
        Ok(0)
    }

    pub(super) fn eventfd(&mut self, count: u64, flags: u64) -> Served {
        self.with_files(|io| Ok(io.files.eventfd2(count as u32, flags as u32)? as u64))
    }

    pub(super) fn timerfd_create(&mut self, clock: u64, flags: u64) -> Served {
        self.with_files(|io| Ok(io.files.timerfd_create(clock as u32, flags as u32)? as u64))
    }

    pub(super) fn timerfd_settime(&mut self, fd: u64, flags: u64, new: u64, old: u64) -> Served {
        let [first, first_rest, second, second_rest] = self.space.read_words(new)?;
        let timer = Timer { interval: time(first, first_rest)?, value: time(second, second_rest)? };
        let change = TimerChange { timer, flags: flags as u32 };
        let before =
            self.with_files(|io| Ok(io.files.timerfd_settime(io.host, fd as i32, change)?))?;
        if old != 0 {
            self.write_timer(old, &before)?;
        }
        Ok(0)
    }

    pub(super) fn timerfd_gettime(&mut self, fd: u64, to: u64) -> Served {
        let timer = self.with_files(|io| Ok(io.files.timerfd_gettime(io.host, fd as i32)?))?;
        self.write_timer(to, &timer)?;
        Ok(0)
    }

    fn write_timer(&mut self, to: u64, timer: &Timer) -> Result<(), Errno> {
        let [interval, value] = [timer.interval, timer.value]
            .map(|time| [time.seconds.cast_unsigned(), u64::from(time.nanoseconds)]);
        self.space.write_words(to, &[interval[0], interval[1], value[0], value[1]])
    }
}

/// A `struct timespec`.
fn time(seconds: u64, rest: u64) -> Result<Time, Errno> {
    let nanoseconds = u32::try_from(rest).map_err(|_| Errno::EINVAL)?;
    Ok(Time { seconds: seconds.cast_signed(), nanoseconds })
}
