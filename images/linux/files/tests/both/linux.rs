//! The operations on the kernel under the test, in a directory of tmpfs.

use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{self as calls, AtFlags, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::{self, Errno};

use crate::operation::{Answer, BELOW, Operation, Slots, System, seek};

/// What the model is: its answers are Linux' for files in memory.
const TMPFS: &str = "/dev/shm";

#[derive(Debug)]
pub struct Linux {
    path: PathBuf,
    base: OwnedFd,
    slots: Slots<OwnedFd>,
}

impl Linux {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("{TMPFS}/linux-files-{}-{number}", std::process::id()));
        // Ours has the usual one from the start.
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let below: PathBuf = path.join(BELOW.iter().collect::<PathBuf>());
        fs::create_dir_all(&below).expect("/dev/shm is writable");
        let base = calls::open(&below, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Self { path, base: base.expect("it is there"), slots: Slots::new() }
    }

    fn try_run(&mut self, operation: &Operation) -> Result<Option<Answer>, Errno> {
        use Operation as Op;
        let base = &self.base;
        macro_rules! slot {
            ($slot:expr) => {
                match self.slots.get(*$slot) {
                    Some(fd) => fd,
                    None => return Ok(None),
                }
            };
        }
        Ok(Some(match operation {
            Op::Open { at, path, flags, mode } => {
                let at = match at {
                    Some(slot) => slot!(slot),
                    None => base,
                };
                let (flags, mode) = (OFlags::from_bits_retain(*flags), Mode::from_raw_mode(*mode));
                let fd = calls::openat(at, path, flags, mode)?;
                self.slots.put(fd)
            }
            Op::Close(slot) => match self.slots.take(*slot) {
                Some(fd) => {
                    drop(fd);
                    Answer::Done
                }
                None => return Ok(None),
            },
            Op::Read(slot, len) => {
                let mut bytes = vec![0; *len];
                let count = io::read(slot!(slot), &mut bytes)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Op::Write(slot, bytes) => number(io::write(slot!(slot), bytes)?),
            Op::ReadAt(slot, len, offset) => {
                let mut bytes = vec![0; *len];
                let count = io::pread(slot!(slot), &mut bytes, *offset)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Op::WriteAt(slot, bytes, offset) => number(io::pwrite(slot!(slot), bytes, *offset)?),
            Op::Seek(slot, whence, offset) => {
                let place = match whence {
                    0 => SeekFrom::Start(*offset as u64),
                    1 => SeekFrom::Current(*offset),
                    2 => SeekFrom::End(*offset),
                    3 => SeekFrom::Data(*offset as u64),
                    _ => SeekFrom::Hole(*offset as u64),
                };
                let fd = slot!(slot);
                let place = calls::seek(fd, place)?;
                seek(calls::fstat(fd)?.st_mode, *whence, place)
            }
            Op::Truncate(slot, len) => done(calls::ftruncate(slot!(slot), *len)?),
            Op::Allocate { slot, keep, offset, len } => {
                let flags = calls::FallocateFlags::from_bits_retain((*keep).into());
                done(calls::fallocate(slot!(slot), flags, *offset, *len)?)
            }
            Op::StatSlot(slot) => stat(calls::fstat(slot!(slot))?),
            Op::Duplicate(slot) => {
                let fd = io::dup(slot!(slot))?;
                self.slots.put(fd)
            }
            Op::Flags(slot) => {
                let flags = calls::fcntl_getfl(slot!(slot))?.bits();
                Answer::Number(u64::from(flags & !0o100_000))
            }
            Op::SetFlags(slot, flags) => {
                done(calls::fcntl_setfl(slot!(slot), OFlags::from_bits_retain(*flags))?)
            }
            Op::Send { to, from, offset, len } => {
                let mut place = *offset;
                number(calls::sendfile(slot!(to), slot!(from), place.as_mut(), *len)?)
            }
            Op::Copy { from, to, len } => {
                let (mut one, mut other) = (from.1, to.1);
                let (from, to) = (slot!(&from.0), slot!(&to.0));
                number(calls::copy_file_range(from, one.as_mut(), to, other.as_mut(), *len)?)
            }
            Op::Sync(slot) => done(calls::fsync(slot!(slot))?),
            Op::ListSlot(slot) => list(slot!(slot))?,
            _ => return self.on_names(operation).map(Some),
        }))
    }

    /// The calls that take paths.
    fn on_names(&self, operation: &Operation) -> Result<Answer, Errno> {
        use Operation as Op;
        let base = &self.base;
        Ok(match operation {
            Op::Mkdir(path, mode) => done(calls::mkdirat(base, path, Mode::from_raw_mode(*mode))?),
            Op::Rmdir(path) => done(calls::unlinkat(base, path, AtFlags::REMOVEDIR)?),
            Op::Unlink(path) => done(calls::unlinkat(base, path, AtFlags::empty())?),
            Op::Rename { from, to, flags } => {
                let flags = calls::RenameFlags::from_bits_retain(*flags);
                done(calls::renameat_with(base, from, base, to, flags)?)
            }
            Op::Link { from, to, follow } => {
                let flags = if *follow { AtFlags::SYMLINK_FOLLOW } else { AtFlags::empty() };
                done(calls::linkat(base, from, base, to, flags)?)
            }
            Op::Symlink { target, path } => done(calls::symlinkat(target, base, path)?),
            Op::Readlink(path) => {
                let target = calls::readlinkat(base, path, Vec::new())?;
                Answer::Bytes(target.into_bytes())
            }
            Op::Stat { path, follow } => {
                let flags = if *follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
                stat(calls::statat(base, path, flags)?)
            }
            Op::Access { path, mode } => {
                let mode = calls::Access::from_bits_retain(*mode);
                done(calls::accessat(base, path, mode, AtFlags::empty())?)
            }
            Op::Chmod(path, mode) => {
                done(calls::chmodat(base, path, Mode::from_raw_mode(*mode), AtFlags::empty())?)
            }
            Op::List(path) => {
                let fd = calls::openat(base, path, OFlags::DIRECTORY, Mode::empty())?;
                list(&fd)?
            }
            _ => unreachable!("the others take slots"),
        })
    }
}

/// Makes directories such that they can be removed.
fn unlock(path: &Path) {
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.for_each(|entry| unlock(&entry.path()));
}

fn done((): ()) -> Answer {
    Answer::Done
}

fn number(count: usize) -> Answer {
    Answer::Number(count as u64)
}

fn stat(stat: calls::Stat) -> Answer {
    let blocks = if stat.st_mode & 0o170_000 == 0o100_000 { stat.st_blocks } else { 0 };
    Answer::Stat(stat.st_mode, stat.st_nlink, stat.st_size as u64, stat.st_uid, blocks as u64)
}

fn list(fd: impl AsFd) -> Result<Answer, Errno> {
    let mut names = BTreeSet::new();
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut directory = RawDir::new(fd.as_fd(), &mut buffer);
    while let Some(entry) = directory.next() {
        let entry = entry?;
        let kind = (entry.file_type().as_raw_mode() >> 12) as u8;
        names.insert((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    Ok(Answer::Names(names))
}

impl System for Linux {
    fn run(&mut self, operation: &Operation) -> Answer {
        match self.try_run(operation) {
            Ok(answer) => answer.unwrap_or(Answer::Absent),
            Err(errno) => Answer::Error(errno.raw_os_error()),
        }
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        // What a test has locked up is opened again; what is left of it is a few bytes of memory.
        unlock(&self.path);
        let _ = fs::remove_dir_all(&self.path);
    }
}
