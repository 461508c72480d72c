//! The entries of a directory, in the order of a hash of their names.
//!
//! That order is what makes the positions of `getdents64` stable: an entry's position is its hash,
//! whatever comes and goes around it. Entries of one hash stay together and are read together.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use smallvec::SmallVec;

/// Where the entries begin: 0 and 1 are `.` and `..`.
const FIRST: u64 = 2;

/// Index of an inode.
pub type Number = u32;

/// A position in a directory, as `lseek` and `d_off` have it.
type Cursor = u64;

#[derive(Debug, Default)]
pub struct Directory {
    entries: BTreeMap<Cursor, SmallVec<[Entry; 1]>>,
    len: usize,
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    number: Number,
}

/// FNV-1a: short, and only the program itself can make its names collide. Positive as an `off_t`.
fn hash(name: &[u8]) -> Cursor {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 2) + FIRST
}

impl Directory {
    /// What an entry is charged.
    pub fn cost(name: &[u8]) -> u64 {
        64 + name.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// As tmpfs reports it: 20 bytes an entry.
    pub fn apparent_len(&self) -> u64 {
        20 * (self.len as u64 + 2)
    }

    pub fn get(&self, name: &[u8]) -> Option<Number> {
        let entries = self.entries.get(&hash(name))?;
        entries.iter().find(|entry| *entry.name == *name).map(|entry| entry.number)
    }

    /// The name is not in use.
    pub fn insert(&mut self, name: Box<[u8]>, number: Number) {
        self.entries.entry(hash(&name)).or_default().push(Entry { name, number });
        self.len += 1;
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Number> {
        let hash = hash(name);
        let entries = self.entries.get_mut(&hash)?;
        let index = entries.iter().position(|entry| *entry.name == *name)?;
        let entry = entries.remove(index);
        if entries.is_empty() {
            self.entries.remove(&hash);
        }
        self.len -= 1;
        Some(entry.number)
    }

    /// Lets a name mean another inode.
    pub fn replace(&mut self, name: &[u8], number: Number) {
        let entries = self.entries.get_mut(&hash(name)).into_iter().flatten();
        for entry in entries.filter(|entry| *entry.name == *name) {
            entry.number = number;
        }
    }

    /// A name of an inode in here. Looks at all of them: for `getcwd` and `/proc/self/fd`.
    pub fn name_of(&self, number: Number) -> Option<&[u8]> {
        self.iter().find(|(_, entry)| *entry == number).map(|(name, _)| name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Number)> {
        self.entries.values().flatten().map(|entry| (&*entry.name, entry.number))
    }

    /// The entries from a position on, by groups that are read together, each with the position
    /// behind it.
    pub fn from(
        &self,
        cursor: Cursor,
    ) -> impl Iterator<Item = (Cursor, impl Iterator<Item = (&[u8], Number)>)> {
        self.entries.range(cursor.max(FIRST)..).map(|(hash, entries)| {
            (hash + 1, entries.iter().map(|entry| (&*entry.name, entry.number)))
        })
    }
}
