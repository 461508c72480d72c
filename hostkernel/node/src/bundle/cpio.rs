//! The archive format of boot bundles: cpio, `newc` (`Documentation/driver-api/early-userspace/
//! buffer-format.rst` of Linux). An entry is a header of hexadecimal digits, a path ended by a NUL
//! byte, and the file; each part starts at a multiple of four bytes.

use core::fmt;

use limits::{BUNDLE_ENTRIES_MAX, BUNDLE_PATH_LEN_MAX};

const MAGIC: &[u8] = b"070701";
const HEADER_LEN: usize = 110;
const FIELD_LEN: usize = 8;
/// Positions among the fields behind the magic.
const MODE: usize = 1;
const FILE_LEN: usize = 6;
const PATH_LEN: usize = 11;
const ALIGNMENT: usize = 4;
const TRAILER: &str = "TRAILER!!!";
/// What of the mode tells the type, and two types.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_FOLDER: u32 = 0o040_000;

/// One thing in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, without a leading `./`.
    pub path: &'a str,
    /// What it is.
    pub kind: EntryKind,
    /// The file's content.
    pub content: &'a [u8],
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// An ordinary file.
    File,
    /// A folder.
    Folder,
    /// A link, a device, ...
    Other,
}

/// Why nothing can be read from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// There is something else where an entry should be.
    NotAnEntry,
    /// It ends before its end.
    Truncated,
    /// A path is empty, too long, or no text.
    Path,
    /// It has more than [`BUNDLE_ENTRIES_MAX`] entries.
    TooMany,
    /// Something follows its end.
    Behind,
}

/// The entries of an archive, in order. After an error there are no more.
pub fn entries(archive: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Broken>> {
    let mut rest = Some(archive);
    let mut count = 0;
    core::iter::from_fn(move || {
        let at = archive.len() - rest?.len();
        count += 1;
        let read =
            if count > BUNDLE_ENTRIES_MAX { Err(Broken::TooMany) } else { read(archive, at) };
        rest = None;
        match read {
            Ok(Some((entry, next))) => {
                rest = archive.get(next..);
                Some(Ok(entry))
            }
            Ok(None) => None,
            Err(broken) => Some(Err(broken)),
        }
    })
}

/// The entry at `at` and where the next one starts; `None` at the end.
fn read(archive: &[u8], at: usize) -> Result<Option<(Entry<'_>, usize)>, Broken> {
    let from = |start: usize, len: usize| {
        let end = start.checked_add(len).ok_or(Broken::Truncated)?;
        archive.get(start..end).ok_or(Broken::Truncated)
    };
    let start = from(at, archive.len().saturating_sub(at).min(MAGIC.len()))?;
    if !MAGIC.starts_with(start) {
        return Err(Broken::NotAnEntry);
    }
    let header = from(at, HEADER_LEN)?;
    let field = |index: usize| {
        let start = MAGIC.len() + index * FIELD_LEN;
        hexadecimal(header.get(start..start + FIELD_LEN).unwrap_or_default())
    };
    let mode = field(MODE)?;
    let (path_len, len) = (field(PATH_LEN)? as usize, field(FILE_LEN)? as usize);
    if path_len > BUNDLE_PATH_LEN_MAX {
        return Err(Broken::Path);
    }
    let path_at = at + HEADER_LEN;
    let path = from(path_at, path_len)?.split_last().filter(|(last, _)| **last == 0);
    let path = path.and_then(|(_, path)| core::str::from_utf8(path).ok()).ok_or(Broken::Path)?;
    let content_at = (path_at + path_len).next_multiple_of(ALIGNMENT);
    let content = from(content_at, len)?;
    let next = (content_at + len).next_multiple_of(ALIGNMENT);
    if path == TRAILER {
        let is_padding = archive.get(next..).unwrap_or_default().iter().all(|byte| *byte == 0);
        return if is_padding { Ok(None) } else { Err(Broken::Behind) };
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.is_empty() || path.contains('\0') {
        return Err(Broken::Path);
    }
    let kind = match mode & TYPE_MASK {
        TYPE_FILE => EntryKind::File,
        TYPE_FOLDER => EntryKind::Folder,
        _ => EntryKind::Other,
    };
    // The padding of a file at the very end may be missing; then so is the trailer.
    if next > archive.len() {
        return Err(Broken::Truncated);
    }
    Ok(Some((Entry { path, kind, content }, next)))
}

fn hexadecimal(digits: &[u8]) -> Result<u32, Broken> {
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(16).ok_or(Broken::NotAnEntry)?;
        Ok(value << 4 | digit)
    })
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEntry => f.write_str(
                "this is not a cpio archive of the format newc: make it with `cargo xtask bundle` \
                 or `cpio -o -H newc`, and do not compress it",
            ),
            Self::Truncated => f.write_str("the archive is truncated"),
            Self::Path => {
                write!(f, "a path is empty, not text, or longer than {BUNDLE_PATH_LEN_MAX} bytes")
            }
            Self::TooMany => write!(f, "there are more than {BUNDLE_ENTRIES_MAX} entries"),
            Self::Behind => f.write_str("something follows the archive"),
        }
    }
}
