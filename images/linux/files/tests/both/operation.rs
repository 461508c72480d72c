//! Operations on files, and how to run them on this crate and on the Linux under the test.

use std::collections::BTreeSet;

use crate::linux::Linux;
use crate::ours::Ours;

/// Where in a directory of its own a test's paths start: so deep that `..` behind links does not
/// leave it.
pub const BELOW: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "base"];

/// Index of an open file. The lowest free one is taken, as with descriptors.
pub type Slot = usize;

/// One call. Paths start at a directory of the test's own.
#[derive(Clone, Debug)]
pub enum Operation {
    Open { at: Option<Slot>, path: String, flags: u32, mode: u32 },
    Close(Slot),
    Read(Slot, usize),
    Write(Slot, Vec<u8>),
    ReadAt(Slot, usize, u64),
    WriteAt(Slot, Vec<u8>, u64),
    Seek(Slot, u32, i64),
    Truncate(Slot, u64),
    Allocate { slot: Slot, keep: bool, offset: u64, len: u64 },
    StatSlot(Slot),
    Duplicate(Slot),
    Flags(Slot),
    SetFlags(Slot, u32),
    Send { to: Slot, from: Slot, offset: Option<u64>, len: usize },
    Copy { from: (Slot, Option<u64>), to: (Slot, Option<u64>), len: usize },
    Sync(Slot),
    ListSlot(Slot),
    Mkdir(String, u32),
    Rmdir(String),
    Unlink(String),
    Rename { from: String, to: String, flags: u32 },
    Link { from: String, to: String, follow: bool },
    Symlink { target: String, path: String },
    Readlink(String),
    Stat { path: String, follow: bool },
    Access { path: String, mode: u32 },
    Chmod(String, u32),
    List(String),
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Number(u64),
    Bytes(Vec<u8>),
    /// Mode, links, length, owner, blocks of a file.
    Stat(u32, u64, u64, u32, u64),
    /// Names with their kinds.
    Names(BTreeSet<(String, u8)>),
    Error(i32),
    /// There is no such slot.
    Absent,
}

/// Where a seek ended. Positions in directories mean something to their owner only.
pub fn seek(mode: u32, whence: u32, place: u64) -> Answer {
    let is_directory = mode & 0o170_000 == 0o040_000;
    if is_directory && whence == 1 { Answer::Done } else { Answer::Number(place) }
}

/// Files in slots.
#[derive(Debug)]
pub struct Slots<T>(Vec<Option<T>>);

impl<T> Slots<T> {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn put(&mut self, file: T) -> Answer {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free == self.0.len() {
            self.0.push(None);
        }
        self.0[free] = Some(file);
        Answer::Number(free as u64)
    }

    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.0.get(slot)?.as_ref()
    }

    pub fn take(&mut self, slot: Slot) -> Option<T> {
        self.0.get_mut(slot)?.take()
    }
}

/// Somebody who can do all that.
pub trait System {
    fn run(&mut self, operation: &Operation) -> Answer;
}

/// Runs operations on both and says where they differ.
pub fn compare(operations: &[Operation]) -> Result<(), String> {
    let mut ours = Ours::new();
    let mut linux = Linux::new();
    let mut log = String::new();
    for operation in operations {
        let (one, other) = (ours.run(operation), linux.run(operation));
        log += &format!("{operation:?}\n    {other:?}\n");
        if one != other {
            return Err(format!("{log}but here:\n    {one:?}"));
        }
    }
    Ok(())
}
