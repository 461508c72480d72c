//! Why there is nothing to be had from an archive.

use core::fmt;

use super::EXECUTABLES;
use limits::{CODE_LEN_MAX, ZIP_ENTRIES_MAX};
use memory::OutOfFrames;

/// Why there is nothing to be had from an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZipReject {
    /// It is damaged or cut off, in this place.
    Damaged(Damage),
    /// It uses something the node does not read.
    Unsupported(Unread),
    /// It has more than [`ZIP_ENTRIES_MAX`] entries.
    TooManyEntries,
    /// It has none of the [`EXECUTABLES`].
    NoExecutable,
    /// It has one of them twice.
    TwoExecutables,
    /// It is a symbolic link that leads to no file in the archive.
    Link,
    /// The file is longer than [`CODE_LEN_MAX`].
    TooLong,
    /// There is no memory for the file now.
    OutOfFrames,
}

/// Where an archive is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A file is shorter than it should be.
    TooShort,
    /// A file has another checksum than it should have.
    Checksum,
    /// It ends too early.
    End,
    /// A record is not where it should be.
    Record,
    /// Its directory is longer than it.
    Directory,
    /// It has no directory at its end.
    NoDirectory,
    /// A file reaches over its end.
    OverEnd,
    /// A file is longer than it should be.
    FileTooLong,
    /// Its compressed data makes no sense.
    Data,
}

/// What of the format the node does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// A compression other than deflate.
    Compression,
    /// The format for archives of over 4 GiB.
    Zip64,
    /// Several disks.
    Disks,
    /// Encryption.
    Encryption,
}

impl From<OutOfFrames> for ZipReject {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "a file is shorter than it should be",
            Self::Checksum => "a file has another checksum than it should have",
            Self::End => "it ends too early",
            Self::Record => "a record is not where it should be",
            Self::Directory => "its directory is longer than it",
            Self::NoDirectory => "it has no directory at its end",
            Self::OverEnd => "a file reaches over its end",
            Self::FileTooLong => "a file is longer than it should be",
            Self::Data => "its compressed data makes no sense",
        })
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compression => "a compression other than deflate",
            Self::Zip64 => "zip64",
            Self::Disks => "several disks",
            Self::Encryption => "encryption",
        })
    }
}

impl fmt::Display for ZipReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "The zip archive is damaged: {what}."),
            Self::Unsupported(what) => {
                write!(f, "The zip archive uses {what}, which is not supported.")
            }
            Self::TooManyEntries => {
                write!(f, "The zip archive has more than {ZIP_ENTRIES_MAX} entries.")
            }
            Self::NoExecutable => {
                let [first, second, third] = EXECUTABLES;
                write!(f, "The zip archive has no file named {first}, {second} or {third}.")
            }
            Self::TwoExecutables => f.write_str("The zip archive has two files of one name."),
            Self::Link => {
                f.write_str("The zip archive's executable is a link to no file in the archive.")
            }
            Self::TooLong => write!(f, "The executable exceeds the limit of {CODE_LEN_MAX} bytes."),
            Self::OutOfFrames => f.write_str("There is no memory for the executable now."),
        }
    }
}
