//! Why a file cannot be run, in sentences for who deployed it.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use linux_files::{EntryReject, LoadReject, entry_name};

/// Why a file cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// It is no ELF file for this machine, or is not whole.
    NotExecutable,
    /// It needs an interpreter that is not there, of this name.
    Dynamic(String),
    /// That cannot be used as one.
    Interpreter(String),
    /// A segment asks to be written and executed.
    WritableAndExecutable,
    /// Its headers contradict themselves or each other.
    Malformed,
    /// It lies where no program can be.
    BadAddress,
    /// There is not enough memory for it.
    NoMemory,
    /// A zip without `exec` or `bootstrap`, or one that cannot be read.
    NoProgram,
    /// A zip that is none.
    Archive(LoadReject),
    /// Its working directory is none.
    WorkingDirectory,
    /// Something in a zip, by its name.
    Entry(String, EntryReject),
}

/// A name longer than this is cut: it goes into a sentence.
const NAME_LEN_MAX: usize = 200;

impl Reject {
    /// What is wrong with an archive.
    pub(crate) fn archive(archive: &[u8], why: LoadReject) -> Self {
        match why {
            LoadReject::Entry { number, reason } => {
                Self::Entry(printable(entry_name(archive, number).unwrap_or_default()), reason)
            }
            why => Self::Archive(why),
        }
    }

    /// A program's interpreter that is not there.
    pub(crate) fn dynamic(interpreter: &[u8]) -> Self {
        Self::Dynamic(printable(interpreter))
    }

    /// A program's interpreter that is none.
    pub(crate) fn interpreter(interpreter: &[u8]) -> Self {
        Self::Interpreter(printable(interpreter))
    }

    /// What is wrong with a file out of an archive.
    pub(crate) fn file((path, why): (Vec<u8>, EntryReject)) -> Self {
        Self::Entry(printable(&path), why)
    }
}

/// A name as text: bytes that are none become U+FFFD.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(NAME_LEN_MAX)]).into_owned()
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExecutable => {
                f.write_str("this is no complete ELF executable for x86-64 Linux")
            }
            Self::Dynamic(interpreter) => write!(
                f,
                "the program is dynamically linked and needs {interpreter}; link it statically: \
                 Rust `--target x86_64-unknown-linux-musl`, Go `CGO_ENABLED=0`, C `-static`, \
                 Zig `-target x86_64-linux-musl`; or put that and the libraries into its archive"
            ),
            Self::Interpreter(name) => {
                write!(f, "the program's interpreter {name} is no executable that could load it")
            }
            Self::WritableAndExecutable => {
                f.write_str("a segment of the program is writable and executable at once")
            }
            Self::Malformed => f.write_str("the program's headers make no sense"),
            Self::BadAddress => {
                f.write_str("the program is linked to addresses that it cannot have")
            }
            Self::NoMemory => f.write_str("the memory limit does not cover the program"),
            Self::NoProgram => {
                f.write_str("the archive has no file `exec` or `bootstrap` that could be read")
            }
            Self::WorkingDirectory => {
                f.write_str("the working directory that the archive names is not in it")
            }
            Self::Archive(why) => write!(f, "the archive cannot be read: {}", archive_text(why)),
            Self::Entry(name, why) => {
                write!(f, "{name:?} in the archive cannot be used: {}", entry_text(*why))
            }
        }
    }
}

fn archive_text(why: &LoadReject) -> &'static str {
    match why {
        LoadReject::NoArchive => "it has no directory at its end",
        LoadReject::CutOff => "a part of it is missing",
        LoadReject::Misplaced => "a record is not where its directory says",
        LoadReject::Zip64 => "it is of the kind for large files (zip64)",
        LoadReject::SeveralDisks => "it has several parts",
        LoadReject::TooManyEntries => "it has too many entries",
        LoadReject::Entry { reason, .. } => entry_text(*reason),
        LoadReject::Place(_) => "there is no room for its files",
    }
}

fn entry_text(why: EntryReject) -> &'static str {
    match why {
        EntryReject::Encrypted => "it is encrypted",
        EntryReject::Compression => "it is neither stored nor deflated",
        EntryReject::Damaged => "its data is damaged",
        EntryReject::Checksum => "its checksum is wrong",
        EntryReject::Overlaps => "its data is that of another, too",
        EntryReject::Name => "this is no name",
        EntryReject::NotText => "its name is no text of UTF-8",
        EntryReject::Absolute => "its name is absolute",
        EntryReject::Outside => "its name leads out of the archive",
        EntryReject::TooLong => "its name, or where it leads, is too long",
        EntryReject::TooDeep => "it lies in too many directories",
        EntryReject::Special => "it is no file, directory or symbolic link",
        EntryReject::Twice => "it is there twice",
        EntryReject::TooLarge => "the memory limit does not cover it",
    }
}
