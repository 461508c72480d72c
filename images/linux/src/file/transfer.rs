//! Reading and writing.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_files::limits::TRANSFER_LEN_MAX;
use linux_files::{Side, Stop};
use linux_raw_sys::general as linux;

use super::Io;
use crate::Errno;
use crate::limits::VECTORS_MAX;
use crate::memory::calls::{Backing, Mmap};
use crate::memory::regions::Protection;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served, waits};
use crate::signal::Info;

/// Buffers of a `readv` or `writev` that need no memory of their own.
const VECTORS_INLINE: usize = 8;

impl<N: Native> Os<N> {
    /// `read`.
    #[inline]
    pub(crate) fn read(&mut self, fd: u64, address: u64, len: u64) -> Served {
        let served = self.with_files(|io| {
            let len = io.usable(address, len, Protection::WRITE)?;
            let bytes = io.memory.bytes_mut(io.regions, address, len)?;
            Ok(io.files.read(io.host, fd as i32, bytes)? as u64)
        });
        self.threads.files_used(waits(&served));
        served
    }

    /// `write`.
    #[inline]
    pub(crate) fn write(&mut self, fd: u64, address: u64, len: u64) -> Served {
        let written = self.with_files(|io| {
            let len = io.usable(address, len, Protection::READ)?;
            let bytes = io.memory.bytes(io.regions, address, len)?;
            Ok(io.files.write(io.host, fd as i32, bytes)? as u64)
        });
        self.threads.files_used(waits(&written));
        self.written(written)
    }

    /// Raises `SIGPIPE` where a write found nobody to read.
    pub(crate) fn written(&mut self, written: Served) -> Served {
        if written == Err(Break::Errno(Errno::EPIPE)) {
            let info = Info::sent(linux::SIGPIPE, 0, self.identity.process_id);
            self.raise(info);
        }
        written
    }

    /// `pread64`.
    pub(crate) fn pread(&mut self, fd: u64, address: u64, len: u64, offset: u64) -> Served {
        self.with_files(|io| {
            let len = io.usable(address, len, Protection::WRITE)?;
            let bytes = io.memory.bytes_mut(io.regions, address, len)?;
            Ok(io.files.pread(io.host, fd as i32, bytes, offset.cast_signed())? as u64)
        })
    }

    /// `pwrite64`.
    pub(crate) fn pwrite(&mut self, fd: u64, address: u64, len: u64, offset: u64) -> Served {
        let written = self.with_files(|io| {
            let len = io.usable(address, len, Protection::READ)?;
            let bytes = io.memory.bytes(io.regions, address, len)?;
            Ok(io.files.pwrite(io.host, fd as i32, bytes, offset.cast_signed())? as u64)
        });
        self.written(written)
    }

    /// `readv`, `preadv`: buffer by buffer, since two of them may be the same memory.
    pub(crate) fn readv(&mut self, fd: u64, list: u64, count: u64, offset: Option<u64>) -> Served {
        if count > VECTORS_MAX as u64 {
            return Err(Errno::EINVAL.into());
        }
        let mut few = [(0, 0); VECTORS_INLINE];
        let many;
        let vectors = match few.get_mut(..count as usize) {
            Some(few) => {
                let list = self.space.bytes(list, count * 16)?.as_chunks::<16>().0;
                few.iter_mut().zip(list).for_each(|(few, vector)| *few = vector_of(vector));
                &*few
            }
            None => {
                many = self.vectors(list, count)?;
                &many
            }
        };
        let mut read = 0;
        for &(address, len) in vectors {
            let served = match offset {
                None => self.read(fd, address, len),
                Some(offset) => self.pread(fd, address, len, offset.wrapping_add(read)),
            };
            match served {
                Ok(part) => {
                    read += part;
                    if part < len {
                        break;
                    }
                }
                Err(_) if read > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(read)
    }

    /// `writev`, `pwritev`.
    pub(crate) fn writev(&mut self, fd: u64, list: u64, count: u64, offset: Option<u64>) -> Served {
        if let Some(offset) = offset {
            return self.pwritev(fd, list, count, offset);
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= VECTORS_MAX);
        let count = count.ok_or(Errno::EINVAL)?;
        let written = self.with_files(|io| {
            let mut few = [&[][..]; VECTORS_INLINE];
            let mut many;
            let pieces = match few.get_mut(..count) {
                Some(few) => few,
                None => {
                    many = alloc::vec![&[][..]; count];
                    &mut many[..]
                }
            };
            let list = io.memory.bytes(io.regions, list, count as u64 * 16)?;
            for (piece, vector) in pieces.iter_mut().zip(list.as_chunks::<16>().0) {
                let (address, len) = vector_of(vector);
                *piece = io.memory.bytes(io.regions, address, len)?;
            }
            Ok(io.files.writev(io.host, fd as i32, pieces)? as u64)
        });
        self.threads.files_used(waits(&written));
        self.written(written)
    }

    fn pwritev(&mut self, fd: u64, list: u64, count: u64, offset: u64) -> Served {
        let mut written = 0;
        for (address, len) in self.vectors(list, count)? {
            match self.pwrite(fd, address, len, offset.wrapping_add(written)) {
                Ok(part) => {
                    written += part;
                    if part < len {
                        break;
                    }
                }
                Err(_) if written > 0 => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(written)
    }

    /// The buffers of a call.
    pub(crate) fn vectors(&self, list: u64, count: u64) -> Result<Vec<(u64, u64)>, Errno> {
        if count > VECTORS_MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let list = self.space.bytes(list, count * 16)?;
        Ok(list.as_chunks::<16>().0.iter().map(vector_of).collect())
    }

    /// `sendfile`.
    pub(crate) fn sendfile(&mut self, to: u64, from: u64, offset: u64, len: u64) -> Served {
        let mut at = match offset {
            0 => None,
            address => Some(self.space.read_u64(address)?.cast_signed()),
        };
        let sent = self.with_files(|io| {
            let len = len.min(TRANSFER_LEN_MAX as u64) as usize;
            Ok(io.files.sendfile(io.host, to as i32, from as i32, at.as_mut(), len)? as u64)
        })?;
        if let Some(at) = at {
            self.space.write_u64(offset, at.cast_unsigned())?;
        }
        Ok(sent)
    }

    /// `copy_file_range`.
    pub(crate) fn copy_file_range(&mut self, arguments: [u64; 6]) -> Served {
        let [from, from_offset, to, to_offset, len, flags] = arguments;
        let offset = |space: &crate::memory::Space, address: u64| match address {
            0 => Ok(None),
            address => space.read_u64(address).map(|at| Some(at.cast_signed())),
        };
        let mut from_at = offset(&self.space, from_offset)?;
        let mut to_at = offset(&self.space, to_offset)?;
        let copied = self.with_files(|io| {
            let len = len.min(TRANSFER_LEN_MAX as u64) as usize;
            let from = Side { fd: from as i32, offset: from_at.as_mut() };
            let to = Side { fd: to as i32, offset: to_at.as_mut() };
            Ok(io.files.copy_file_range(io.host, from, to, len, flags as u32)? as u64)
        })?;
        for (address, at) in [(from_offset, from_at), (to_offset, to_at)] {
            if let Some(at) = at {
                self.space.write_u64(address, at.cast_unsigned())?;
            }
        }
        Ok(copied)
    }

    /// `mmap` of a file.
    pub(super) fn map_file(&mut self, request: Mmap, fd: i32, offset: u64) -> Served {
        let mapping = self.with_files(|io| Ok(io.files.mapping(fd, offset)?))?;
        let whole = match mapping {
            linux_files::Mapping::Payload(bytes) => bytes,
            linux_files::Mapping::Copy => return self.map_copy(request, fd, offset),
        };
        let backing = match self.space.layout.payload_offset(whole.as_ptr() as u64) {
            Some(offset) => Backing::Payload { offset, len: whole.len() as u64 },
            None => Backing::Bytes { bytes: whole, file: 0, offset },
        };
        self.space.mmap(&mut self.native, request, backing).map_err(Break::Errno)
    }

    /// `mmap` of a file whose bytes are in no one place.
    fn map_copy(&mut self, request: Mmap, fd: i32, offset: u64) -> Served {
        let protection = request.protection;
        let writable = u64::from(linux::PROT_READ | linux::PROT_WRITE);
        let source = Backing::Bytes { bytes: &[], file: 0, offset };
        let first = Mmap { protection: writable, ..request };
        let start = self.space.mmap(&mut self.native, first, source)?;
        let mut at = 0;
        while at < request.len {
            let offset = offset.wrapping_add(at);
            match self.pread(fd as u64, start + at, request.len - at, offset) {
                Ok(0) | Err(_) => break,
                Ok(part) => at += part,
            }
        }
        if protection != writable {
            let len = request.len;
            self.space.mprotect(&mut self.native, start, len, protection)?;
        }
        Ok(start)
    }
}

/// A `struct iovec`.
fn vector_of(bytes: &[u8; 16]) -> (u64, u64) {
    let (words, _) = bytes.as_chunks::<8>();
    (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
}

impl Io<'_> {
    /// How much of a buffer can be used: Linux notices a bad page when it gets there.
    #[inline]
    pub(super) fn usable(&self, address: u64, len: u64, needed: Protection) -> Result<u64, Stop> {
        let len = len.min(TRANSFER_LEN_MAX as u64);
        if self.regions.covers(address, len, needed) {
            return Ok(len);
        }
        match self.regions.covered_len(address, len, needed) {
            0 => Err(Errno::EFAULT.into()),
            len => Ok(len),
        }
    }
}
