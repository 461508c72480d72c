//! What is wrong with an archive.

use super::packed::Unusable;
use crate::errno::Errno;

/// Why an archive cannot be had as a tree. The tree is not to be used then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadReject {
    /// There is no directory of an archive at the end.
    NoArchive,
    /// Something would lie outside of it.
    CutOff,
    /// A record is not where it should be.
    Misplaced,
    /// It is of the kind for many or large files.
    Zip64,
    /// It continues elsewhere.
    SeveralDisks,
    /// More than [`ARCHIVE_ENTRIES_MAX`](crate::limits::ARCHIVE_ENTRIES_MAX).
    TooManyEntries,
    /// Something is wrong with one of the entries; [`entry_name`](crate::entry_name) has its name.
    Entry {
        /// Which one, from 0 on.
        number: u32,
        /// What it is.
        reason: EntryReject,
    },
    /// There cannot be such a directory for it.
    Place(Errno),
}

/// What can be wrong with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryReject {
    /// Its data is encrypted.
    Encrypted,
    /// It is neither stored nor deflated.
    Compression,
    /// Its data makes no sense.
    Damaged,
    /// Its data is not what the directory says.
    Checksum,
    /// Its data is another entry's too.
    Overlaps,
    /// The name is empty, or has a part that is, or a zero byte.
    Name,
    /// The name is no text of UTF-8, and was to be one.
    NotText,
    /// The name begins with a slash.
    Absolute,
    /// The name leaves the tree, or has a part `.` or `..`.
    Outside,
    /// The name, a part of it or a link is longer than there can be.
    TooLong,
    /// It lies in too many directories.
    TooDeep,
    /// It is neither file nor directory nor link.
    Special,
    /// There is another one of that name, or a file where it needs a directory.
    Twice,
    /// There is no room for it.
    TooLarge,
}

impl From<Unusable> for EntryReject {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Damaged => Self::Damaged,
            Unusable::Checksum => Self::Checksum,
            Unusable::TooLarge => Self::TooLarge,
        }
    }
}

impl From<Errno> for EntryReject {
    /// Making an entry can fail for want of room only; all else has been looked at.
    fn from(_: Errno) -> Self {
        Self::TooLarge
    }
}
