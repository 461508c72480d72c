//! Files that are mapped to be shared (`MAP_SHARED`).
//!
//! The kernel knows no files, so such a mapping is a copy. Before a call that may look at the file
//! what was written to the mapping is brought back, and behind one that may have written to the
//! file the mapping is renewed. So reads, writes and the mapping agree, as between processes of
//! Linux; two mappings of one file agree behind such a call, not at once.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_files::Mapping;
use linux_raw_sys::general as linux;
use syscalls::Sysno;

use crate::Errno;
use crate::frame::Frame;
use crate::memory::calls::{Backing, Mmap};
use crate::memory::regions::{Protection, Source};
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Served;

/// What a call does to files that are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Nothing.
    None,
    /// It reads the file of its descriptor.
    Reads(u64),
    /// It writes that.
    Writes(u64),
    /// It may take away mappings in so many bytes from this address on, or asks that they agree.
    Maps(u64, u64),
}

impl<N: Native> Os<N> {
    /// Whether a mapping to be shared can be seen to be: not, if it is only read, of a file of the
    /// archive by a descriptor that is only read, and of `/dev/zero`.
    pub(super) fn is_to_be_shared(&mut self, protection: u64, fd: i32) -> bool {
        let writes = protection as u32 & linux::PROT_WRITE != 0;
        let Some(files) = &self.files.files else { return false };
        let is_copied = matches!(files.mapping(fd, 0), Ok(Mapping::Copy));
        files.file_of(fd).is_some() && (writes || is_copied || files.can_write(fd))
    }

    /// `mmap` with `MAP_SHARED` of a file.
    pub(super) fn map_shared(&mut self, request: Mmap, fd: i32, offset: u64) -> Served {
        let writes = request.protection as u32 & linux::PROT_WRITE != 0;
        if request.protection as u32 & linux::PROT_EXEC != 0 {
            // Code would be written by one mapping to be executed by another, which are not one.
            return Err(Errno::EACCES.into());
        }
        let file = self.with_files(|io| Ok(io.files.share(fd, writes)?))?;
        let writable = u64::from(linux::PROT_READ | linux::PROT_WRITE);
        let first = Mmap { protection: writable, ..request };
        let backing = Backing::Shared { file, offset };
        let start = self.space.mmap(&mut self.native, first, backing)?;
        self.space.shares = true;
        self.fetch(file);
        if request.protection != writable {
            let (len, protection) = (request.len, request.protection);
            self.space.mprotect(&mut self.native, start, len, protection)?;
        }
        Ok(start)
    }

    /// Serves a call of a program that shares files.
    #[cold]
    pub(crate) fn serve_sharing(&mut self, frame: &mut Frame) -> Served {
        let uses = uses(frame);
        for each in uses {
            match each {
                Use::None => {}
                Use::Reads(fd) | Use::Writes(fd) => {
                    if let Some(file) = self.file_of(fd) {
                        self.bring_back(file);
                    }
                }
                Use::Maps(start, len) => self.agree(start, len),
            }
        }
        let served = self.serve_any(frame);
        for each in uses {
            if let Use::Writes(fd) = each
                && let Some(file) = self.file_of(fd)
            {
                self.fetch(file);
            }
        }
        served
    }

    /// Makes the mappings of files of which a part lies in this range agree with each other.
    fn agree(&mut self, start: u64, len: u64) {
        let regions = self.space.regions.within(start..start.saturating_add(len));
        let mut files: Vec<u32> = regions
            .filter_map(|(_, region)| match region.source {
                Source::Shared { file, .. } => Some(file),
                _ => None,
            })
            .collect();
        files.dedup();
        for file in files {
            self.bring_back(file);
            self.fetch(file);
        }
    }

    fn file_of(&self, fd: u64) -> Option<u32> {
        self.files.files.as_ref()?.file_of(fd as i32)
    }

    /// Brings back what was written to mappings of this file.
    fn bring_back(&mut self, wanted: u32) {
        let Some(files) = &mut self.files.files else { return };
        for (start, region) in self.space.regions.iter() {
            let Source::Shared { file, offset } = region.source else { continue };
            // One that cannot be written has not been since it was brought back.
            if file != wanted || !region.protection.allows(Protection::WRITE) {
                continue;
            }
            if let Ok(bytes) = self.space.bytes(start, region.end - start) {
                // Without room for it the file stays as it is, as where Linux cannot write a page.
                let _ = files.bring_back(file, offset, bytes);
            }
        }
    }

    /// Renews the mappings of this file.
    fn fetch(&mut self, wanted: u32) {
        let found: Vec<(u64, u64, u64, Protection)> = (self.space.regions.iter())
            .filter_map(|(start, region)| match region.source {
                Source::Shared { file, offset } if file == wanted => {
                    Some((start, region.end - start, offset, region.protection))
                }
                _ => None,
            })
            .collect();
        for (start, len, offset, protection) in found {
            let range = start..start + len;
            let locked = !protection.allows(Protection::WRITE);
            if locked
                && self
                    .space
                    .set_protection(&mut self.native, range.clone(), Protection::WRITE)
                    .is_err()
            {
                continue;
            }
            if let (Some(files), Ok(bytes)) = (&self.files.files, self.space.bytes_mut(start, len))
            {
                files.fetch(wanted, offset, bytes);
            }
            if locked {
                // What was allowed a moment ago is again.
                let _ = self.space.set_protection(&mut self.native, range, protection);
            }
        }
    }
}

/// What a call does to files.
fn uses(frame: &Frame) -> [Use; 2] {
    let [one, two, three, _, five, _] = frame.arguments();
    match Sysno::new(frame.rax as usize) {
        Some(Sysno::read | Sysno::pread64 | Sysno::readv | Sysno::preadv | Sysno::preadv2) => {
            [Use::Reads(one), Use::None]
        }
        Some(
            Sysno::write
            | Sysno::pwrite64
            | Sysno::writev
            | Sysno::pwritev
            | Sysno::pwritev2
            | Sysno::ftruncate
            | Sysno::fallocate,
        ) => [Use::Writes(one), Use::None],
        Some(Sysno::sendfile) => [Use::Writes(one), Use::Reads(two)],
        Some(Sysno::copy_file_range) => [Use::Reads(one), Use::Writes(three)],
        Some(Sysno::mmap) => [Use::Maps(one, two), Use::Reads(five)],
        Some(Sysno::munmap | Sysno::mremap | Sysno::mprotect | Sysno::msync) => {
            [Use::Maps(one, two), Use::None]
        }
        _ => [Use::None; 2],
    }
}
