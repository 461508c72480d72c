//! The calls that name a file by its path.
#![forbid(unsafe_code)]

use alloc::vec;

use linux_files::abi::at;
use linux_files::{Time, Timestamp};
use linux_raw_sys::general as linux;

use crate::Errno;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Served, nothing};
use crate::timers::SECOND_NS;

/// A directory and the address of a path.
type Place = (u64, u64);

impl<N: Native> Os<N> {
    pub(super) fn openat(&mut self, directory: u64, path: u64, flags: u64, mode: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| {
            let (flags, mode) = (flags as u32, mode as u32);
            Ok(io.files.openat(io.host, directory as i32, &path, flags, mode)? as u64)
        })
    }

    pub(super) fn mkdirat(&mut self, directory: u64, path: u64, mode: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| {
            nothing(io.files.mkdirat(io.host, directory as i32, &path, mode as u32))
        })
    }

    pub(super) fn unlinkat(&mut self, directory: u64, path: u64, flags: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| {
            nothing(io.files.unlinkat(io.host, directory as i32, &path, flags as u32))
        })
    }

    pub(super) fn renameat(&mut self, from: Place, to: Place, flags: u64) -> Served {
        let (from_path, to_path) = (self.space.path(from.1)?, self.space.path(to.1)?);
        self.with_files(|io| {
            let (from, to) = ((from.0 as i32, &from_path[..]), (to.0 as i32, &to_path[..]));
            nothing(io.files.renameat2(io.host, from, to, flags as u32))
        })
    }

    pub(super) fn linkat(&mut self, from: Place, to: Place, flags: u64) -> Served {
        let (from_path, to_path) = (self.space.path(from.1)?, self.space.path(to.1)?);
        self.with_files(|io| {
            let (from, to) = ((from.0 as i32, &from_path[..]), (to.0 as i32, &to_path[..]));
            nothing(io.files.linkat(io.host, from, to, flags as u32))
        })
    }

    pub(super) fn symlinkat(&mut self, target: u64, directory: u64, path: u64) -> Served {
        let (target, path) = (self.space.path(target)?, self.space.path(path)?);
        self.with_files(|io| nothing(io.files.symlinkat(io.host, &target, directory as i32, &path)))
    }

    pub(super) fn readlinkat(&mut self, directory: u64, path: u64, to: u64, len: u64) -> Served {
        let path = self.space.path(path)?;
        if (len as i32) <= 0 {
            return Err(Errno::EINVAL.into());
        }
        let target =
            self.with_files(|io| Ok(io.files.readlinkat(io.host, directory as i32, &path)?))?;
        let target = &target[..target.len().min(len as usize)];
        self.space.write(to, target)?;
        Ok(target.len() as u64)
    }

    pub(super) fn chdir(&mut self, path: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| nothing(io.files.chdir(io.host, &path)))
    }

    pub(super) fn getcwd(&mut self, to: u64, len: u64) -> Served {
        let path = self.with_files(|io| Ok(io.files.getcwd(len as usize)?))?;
        self.space.write(to, &path)?;
        Ok(path.len() as u64)
    }

    pub(super) fn truncate(&mut self, path: u64, len: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| nothing(io.files.truncate(io.host, &path, len.cast_signed())))
    }

    pub(crate) fn fstatat(&mut self, directory: u64, path: u64, to: u64, flags: u64) -> Served {
        let path = self.path_or_empty(path, flags)?;
        let stat = self.with_files(|io| {
            Ok(io.files.fstatat(io.host, directory as i32, &path, flags as u32)?)
        })?;
        self.space.write(to, &stat.to_bytes())?;
        Ok(0)
    }

    /// A path that may be missing where `AT_EMPTY_PATH` says that the descriptor is meant.
    fn path_or_empty(&self, path: u64, flags: u64) -> Result<vec::Vec<u8>, Errno> {
        match path == 0 && flags as u32 & at::EMPTY_PATH != 0 {
            true => Ok(vec::Vec::new()),
            false => self.space.path(path),
        }
    }

    pub(super) fn statx(&mut self, arguments: [u64; 6]) -> Served {
        let [directory, path, flags, mask, to, _] = arguments;
        let path = self.path_or_empty(path, flags)?;
        let statx = self.with_files(|io| {
            let (flags, mask) = (flags as u32, mask as u32);
            Ok(io.files.statx(io.host, directory as i32, &path, flags, mask)?)
        })?;
        self.space.write(to, &statx.to_bytes())?;
        Ok(0)
    }

    pub(super) fn statfs(&mut self, path: u64, to: u64) -> Served {
        let path = self.space.path(path)?;
        let statfs = self.with_files(|io| Ok(io.files.statfs(io.host, &path)?))?;
        self.space.write(to, &statfs.to_bytes())?;
        Ok(0)
    }

    pub(super) fn faccessat(&mut self, directory: u64, path: u64, mode: u64, flags: u64) -> Served {
        let path = self.path_or_empty(path, flags)?;
        self.with_files(|io| {
            let (mode, flags) = (mode as u32, flags as u32);
            nothing(io.files.faccessat2(io.host, directory as i32, &path, mode, flags))
        })
    }

    pub(super) fn fchmodat(&mut self, directory: u64, path: u64, mode: u64, flags: u64) -> Served {
        let path = self.space.path(path)?;
        self.with_files(|io| {
            let (mode, flags) = (mode as u32, flags as u32);
            nothing(io.files.fchmodat(io.host, directory as i32, &path, mode, flags))
        })
    }

    pub(super) fn fchownat(
        &mut self,
        directory: u64,
        path: u64,
        owner: (u64, u64),
        flags: u64,
    ) -> Served {
        let path = self.path_or_empty(path, flags)?;
        self.with_files(|io| {
            let (user, group) = (owner.0 as u32, owner.1 as u32);
            let directory = directory as i32;
            nothing(io.files.fchownat(io.host, directory, &path, (user, group), flags as u32))
        })
    }

    pub(super) fn utimensat(
        &mut self,
        directory: u64,
        path: u64,
        times: u64,
        flags: u64,
    ) -> Served {
        let times = match times {
            0 => [Timestamp::Now; 2],
            address => {
                let [first, first_rest, second, second_rest] = self.space.read_words(address)?;
                [timestamp(first, first_rest)?, timestamp(second, second_rest)?]
            }
        };
        // Without a path the descriptor itself is meant.
        let (path, flags) = match path {
            0 => (vec::Vec::new(), flags as u32 | at::EMPTY_PATH),
            address => (self.path_or_empty(address, flags)?, flags as u32),
        };
        self.with_files(|io| {
            nothing(io.files.utimensat(io.host, directory as i32, &path, times, flags))
        })
    }

    pub(super) fn utimes(&mut self, directory: u64, path: u64, times: u64) -> Served {
        let times = match times {
            0 => [Timestamp::Now; 2],
            address => {
                let [first, first_rest, second, second_rest] = self.space.read_words(address)?;
                let microseconds = |rest: u64| rest.saturating_mul(1000);
                [
                    timestamp(first, microseconds(first_rest))?,
                    timestamp(second, microseconds(second_rest))?,
                ]
            }
        };
        let path = self.space.path(path)?;
        self.with_files(|io| {
            nothing(io.files.utimensat(io.host, directory as i32, &path, times, 0))
        })
    }

    pub(super) fn umask(&mut self, mask: u64) -> Served {
        self.with_files(|io| Ok(u64::from(io.files.umask(mask as u32))))
    }
}

/// One of the two times that `utimensat` takes.
fn timestamp(seconds: u64, rest: u64) -> Result<Timestamp, Errno> {
    match rest {
        _ if rest == u64::from(linux::UTIME_NOW) => Ok(Timestamp::Now),
        _ if rest == u64::from(linux::UTIME_OMIT) => Ok(Timestamp::Keep),
        _ if rest < SECOND_NS => {
            Ok(Timestamp::At(Time { seconds: seconds.cast_signed(), nanoseconds: rest as u32 }))
        }
        _ => Err(Errno::EINVAL),
    }
}
