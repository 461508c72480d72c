//! The operations on this crate.

use linux_files::abi::{Stat, at};
use linux_files::{Errno, Files, Owner, Settings, Side, Stop};

use crate::host::Still;

use crate::operation::{Answer, BELOW, Operation, Slots, System, seek};

#[derive(Debug)]
pub struct Ours {
    pub files: Files<'static>,
    pub host: Still,
    base: i32,
    slots: Slots<i32>,
}

/// Settings with room for everything a test does.
pub fn roomy(owner: Owner) -> Settings {
    Settings { owner, bytes_max: 1 << 30, inodes_max: 100_000 }
}

impl Ours {
    pub fn new() -> Self {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        let mut files = Files::new(&roomy(Owner { user, group })).expect("there is room");
        let mut host = Still::default();
        let mut path = "/tmp".to_owned();
        for part in BELOW {
            path = format!("{path}/{part}");
            let made = files.mkdirat(&mut host, at::CURRENT, path.as_bytes(), 0o755);
            made.expect("/tmp is writable");
        }
        let base = files.openat(&mut host, at::CURRENT, path.as_bytes(), 0o200_000, 0);
        let base = base.expect("it is there");
        Self { files, host, base, slots: Slots::new() }
    }

    fn try_run(&mut self, operation: &Operation) -> Result<Option<Answer>, Stop> {
        use Operation as Op;
        let base = self.base;
        let (files, host) = (&mut self.files, &mut self.host);
        macro_rules! slot {
            ($slot:expr) => {
                match self.slots.get(*$slot) {
                    Some(fd) => *fd,
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
                let fd = files.openat(host, at, path.as_bytes(), *flags, *mode)?;
                self.slots.put(fd)
            }
            Op::Close(slot) => match self.slots.take(*slot) {
                Some(fd) => {
                    files.close(host, fd)?;
                    Answer::Done
                }
                None => return Ok(None),
            },
            Op::Read(slot, len) => {
                let mut bytes = vec![0; *len];
                let count = files.read(host, slot!(slot), &mut bytes)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Op::Write(slot, bytes) => number(files.write(host, slot!(slot), bytes)?),
            Op::ReadAt(slot, len, offset) => {
                let mut bytes = vec![0; *len];
                let count = files.pread(host, slot!(slot), &mut bytes, *offset as i64)?;
                bytes.truncate(count);
                Answer::Bytes(bytes)
            }
            Op::WriteAt(slot, bytes, offset) => {
                number(files.pwrite(host, slot!(slot), bytes, *offset as i64)?)
            }
            Op::Seek(slot, whence, offset) => {
                let fd = slot!(slot);
                let place = files.lseek(fd, *offset, *whence)?;
                seek(files.fstat(fd)?.mode, *whence, place)
            }
            Op::Truncate(slot, len) => done(files.ftruncate(host, slot!(slot), *len as i64)?),
            Op::Allocate { slot, keep, offset, len } => {
                let (offset, len) = (*offset as i64, *len as i64);
                done(files.fallocate(host, slot!(slot), u32::from(*keep), offset, len)?)
            }
            Op::StatSlot(slot) => stat(files.fstat(slot!(slot))?),
            Op::Duplicate(slot) => {
                let fd = files.dup(slot!(slot))?;
                self.slots.put(fd)
            }
            Op::Flags(slot) => Answer::Number(files.fcntl(slot!(slot), 3, 0)? & !0o100_000),
            Op::SetFlags(slot, flags) => {
                files.fcntl(slot!(slot), 4, (*flags).into())?;
                Answer::Done
            }
            Op::Send { to, from, offset, len } => {
                let mut place = offset.map(|offset| offset as i64);
                let (to, from) = (slot!(to), slot!(from));
                number(files.sendfile(host, to, from, place.as_mut(), *len)?)
            }
            Op::Copy { from, to, len } => {
                let mut places = [from.1, to.1].map(|place| place.map(|place| place as i64));
                let [one, other] = &mut places;
                let from = Side { fd: slot!(&from.0), offset: one.as_mut() };
                let to = Side { fd: slot!(&to.0), offset: other.as_mut() };
                number(files.copy_file_range(host, from, to, *len, 0)?)
            }
            Op::Sync(slot) => done(files.fsync(slot!(slot))?),
            Op::ListSlot(slot) => list(files, slot!(slot))?,
            _ => return self.on_names(operation).map(Some),
        }))
    }

    /// The calls that take paths.
    fn on_names(&mut self, operation: &Operation) -> Result<Answer, Stop> {
        use Operation as Op;
        let base = self.base;
        let (files, host) = (&mut self.files, &mut self.host);
        Ok(match operation {
            Op::Mkdir(path, mode) => done(files.mkdirat(host, base, path.as_bytes(), *mode)?),
            Op::Rmdir(path) => done(files.unlinkat(host, base, path.as_bytes(), 0x200)?),
            Op::Unlink(path) => done(files.unlinkat(host, base, path.as_bytes(), 0)?),
            Op::Rename { from, to, flags } => {
                let (from, to) = ((base, from.as_bytes()), (base, to.as_bytes()));
                done(files.renameat2(host, from, to, *flags)?)
            }
            Op::Link { from, to, follow } => {
                let (from, to) = ((base, from.as_bytes()), (base, to.as_bytes()));
                done(files.linkat(host, from, to, if *follow { 0x400 } else { 0 })?)
            }
            Op::Symlink { target, path } => {
                done(files.symlinkat(host, target.as_bytes(), base, path.as_bytes())?)
            }
            Op::Readlink(path) => Answer::Bytes(files.readlinkat(host, base, path.as_bytes())?),
            Op::Stat { path, follow } => {
                let flags = if *follow { 0 } else { 0x100 };
                stat(files.fstatat(host, base, path.as_bytes(), flags)?)
            }
            Op::Access { path, mode } => {
                done(files.faccessat2(host, base, path.as_bytes(), *mode, 0)?)
            }
            Op::Chmod(path, mode) => done(files.fchmodat(host, base, path.as_bytes(), *mode, 0)?),
            Op::List(path) => {
                let fd = files.openat(host, base, path.as_bytes(), 0o200_000, 0)?;
                let names = list(files, fd);
                files.close(host, fd)?;
                names?
            }
            _ => unreachable!("the others take slots"),
        })
    }
}

fn done((): ()) -> Answer {
    Answer::Done
}

fn number(count: usize) -> Answer {
    Answer::Number(count as u64)
}

fn stat(stat: Stat) -> Answer {
    let blocks = if stat.mode & 0o170_000 == 0o100_000 { stat.blocks } else { 0 };
    Answer::Stat(stat.mode, stat.links, stat.len, stat.user, blocks)
}

/// Lists by a small buffer, so that several calls are needed.
fn list(files: &mut Files<'_>, fd: i32) -> Result<Answer, Errno> {
    let mut names = std::collections::BTreeSet::new();
    let mut bytes = [0; 300];
    loop {
        let len = files.getdents64(fd, &mut bytes)?;
        if len == 0 {
            return Ok(Answer::Names(names));
        }
        let mut rest = &bytes[..len];
        while !rest.is_empty() {
            let entry_len = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
            let name = rest[19..entry_len].split(|byte| *byte == 0).next().unwrap_or_default();
            names.insert((String::from_utf8_lossy(name).into_owned(), rest[18]));
            rest = &rest[entry_len..];
        }
    }
}

impl System for Ours {
    fn run(&mut self, operation: &Operation) -> Answer {
        match self.try_run(operation) {
            Ok(answer) => answer.unwrap_or(Answer::Absent),
            Err(Stop::Errno(errno)) => Answer::Error(errno.number()),
            Err(stop) => panic!("a file made somebody wait: {stop:?}"),
        }
    }
}
