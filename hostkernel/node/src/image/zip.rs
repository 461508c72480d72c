//! The executable in a zip archive: bounded, checked, and inflated straight into frames.
//!
//! Only what packers of actions write: stored or deflated entries, found by the central directory
//! at the archive's end. Everything else is refused by name. Numbers are those of PKWARE's
//! APPNOTE.TXT, 4.3; all offsets come from 16- and 32-bit fields, so sums of them fit `usize`.

mod link;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use limits::{CODE_LEN_MAX, ZIP_ENTRIES_MAX, ZIP_LINKS_MAX};
use memory::{OutOfFrames, PageBuffer};

/// First bytes of an archive with files in it, and of an empty one.
pub const MAGICS: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Where in an archive the executable may be: the first of these counts. `OpenWhisk`'s native
/// actions, its Go runtime and AWS Lambda have one each.
const EXECUTABLES: [&str; 3] = ["exec", "bin/exec", "bootstrap"];
/// What names may begin with.
const HERE: &str = "./";

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

/// The first of the [`EXECUTABLES`] that is in the archive, or what it leads to as a symbolic link.
///
/// # Errors
/// See [`ZipReject`].
pub fn extract(archive: &PageBuffer) -> Result<PageBuffer, ZipReject> {
    let (name, mut entry) = find(archive, &EXECUTABLES)?;
    let mut name = String::from(name);
    for _ in 0..=ZIP_LINKS_MAX {
        if !entry.is_link {
            return unpack(archive, entry);
        }
        link::check_len(entry.len)?;
        name = link::target(&name, &unpack(archive, entry)?)?;
        let led = find(archive, &[&name]).map_err(|reject| match reject {
            ZipReject::NoExecutable => ZipReject::Link,
            reject => reject,
        })?;
        entry = led.1;
    }
    Err(ZipReject::Link)
}

fn unpack(archive: &PageBuffer, entry: Entry) -> Result<PageBuffer, ZipReject> {
    let mut file = File { bytes: PageBuffer::new(), len: entry.len, crc: CRC.digest() };
    match entry.method {
        0 => copy(archive, entry.data, &mut file)?,
        8 => inflate(archive, entry.data, &mut file)?,
        _ => return Err(ZipReject::Unsupported(Unread::Compression)),
    }
    if file.bytes.len() != entry.len {
        return Err(ZipReject::Damaged(Damage::TooShort));
    }
    if file.crc.finalize() != entry.crc {
        return Err(ZipReject::Damaged(Damage::Checksum));
    }
    Ok(file.bytes)
}

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A record of the format, read whole.
struct Record<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> Record<LEN> {
    fn read(archive: &PageBuffer, at: usize) -> Result<Self, ZipReject> {
        let mut bytes = [0; LEN];
        let mut filled = 0;
        while filled < LEN {
            let chunk = archive.chunk_at(at + filled);
            if chunk.is_empty() {
                return Err(ZipReject::Damaged(Damage::End));
            }
            let count = chunk.len().min(LEN - filled);
            bytes[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        Ok(Self(bytes))
    }

    /// A record with this signature.
    fn expect(archive: &PageBuffer, at: usize, signature: &[u8; 4]) -> Result<Self, ZipReject> {
        let record = Self::read(archive, at)?;
        if record.0.starts_with(signature) {
            Ok(record)
        } else {
            Err(ZipReject::Damaged(Damage::Record))
        }
    }

    fn half(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    fn word(&self, at: usize) -> usize {
        self.half(at) | self.half(at + 2) << 16
    }
}

/// End of the central directory record (4.3.16), without its comment.
const END_LEN: usize = 22;
const COMMENT_LEN_MAX: usize = u16::MAX as usize;
/// Central directory header (4.3.12), without name, extra field and comment.
const HEADER_LEN: usize = 46;
/// Local file header (4.3.7), without name and extra field.
const LOCAL_LEN: usize = 30;

/// What the directory says about a file.
struct Entry {
    method: usize,
    crc: u32,
    len: usize,
    data: Range<usize>,
    is_link: bool,
}

/// Looks through the directory for the first of these names.
fn find<'a>(archive: &PageBuffer, names: &[&'a str]) -> Result<(&'a str, Entry), ZipReject> {
    let (end_at, end) = find_end(archive)?;
    let (entries, directory_len, mut at) = (end.half(10), end.word(12), end.word(16));
    if [entries, end.half(8)].contains(&0xffff) || [directory_len, at].contains(&0xffff_ffff) {
        return Err(ZipReject::Unsupported(Unread::Zip64));
    }
    if end.half(4) != 0 || end.half(6) != 0 || end.half(8) != entries {
        return Err(ZipReject::Unsupported(Unread::Disks));
    }
    if at + directory_len > end_at {
        return Err(ZipReject::Damaged(Damage::Directory));
    }
    if entries > ZIP_ENTRIES_MAX {
        return Err(ZipReject::TooManyEntries);
    }
    let mut found: Option<(usize, Record<HEADER_LEN>)> = None;
    for _ in 0..entries {
        let header = Record::<HEADER_LEN>::expect(archive, at, b"PK\x01\x02")?;
        let name_len = header.half(28);
        let name_at = at + HEADER_LEN;
        // Some tools write every name with the folder it is in.
        let folder_len = if is_folder(archive, name_at, name_len) { HERE.len() } else { 0 };
        let is_named = |name: &&str| is(archive, name_at + folder_len, name_len - folder_len, name);
        let rank = names.iter().position(is_named);
        at += HEADER_LEN + name_len + header.half(30) + header.half(32);
        match (rank, &found) {
            (Some(rank), Some((best, _))) if rank == *best => {
                return Err(ZipReject::TwoExecutables);
            }
            (Some(rank), Some((best, _))) if rank > *best => {}
            (Some(rank), _) => found = Some((rank, header)),
            (None, _) => {}
        }
    }
    let (rank, header) = found.ok_or(ZipReject::NoExecutable)?;
    Ok((names[rank], entry(archive, &header, end_at)?))
}

/// The last place from which an end record reaches exactly to the archive's end.
fn find_end(archive: &PageBuffer) -> Result<(usize, Record<END_LEN>), ZipReject> {
    let len = archive.len();
    let last = len.checked_sub(END_LEN).ok_or(ZipReject::Damaged(Damage::End))?;
    for at in (last.saturating_sub(COMMENT_LEN_MAX)..=last).rev() {
        if archive.chunk_at(at).first() == Some(&b'P') {
            let record = Record::<END_LEN>::read(archive, at)?;
            if record.0.starts_with(b"PK\x05\x06") && at + END_LEN + record.half(20) == len {
                return Ok((at, record));
            }
        }
    }
    Err(ZipReject::Damaged(Damage::NoDirectory))
}

/// Whether a name begins with the folder it is in.
fn is_folder(archive: &PageBuffer, at: usize, name_len: usize) -> bool {
    name_len >= HERE.len() && is(archive, at, HERE.len(), HERE)
}

/// Whether the bytes there are this text.
fn is(archive: &PageBuffer, mut at: usize, len: usize, text: &str) -> bool {
    let mut rest = text.as_bytes();
    if rest.len() != len {
        return false;
    }
    while !rest.is_empty() {
        let chunk = archive.chunk_at(at);
        let (now, later) = rest.split_at(rest.len().min(chunk.len()));
        if now.is_empty() || !chunk.starts_with(now) {
            return false;
        }
        at += now.len();
        rest = later;
    }
    true
}

/// Where the file is that a directory header describes. Its sizes count: those in front of the data
/// may be missing.
fn entry(
    archive: &PageBuffer,
    header: &Record<HEADER_LEN>,
    end_at: usize,
) -> Result<Entry, ZipReject> {
    const ENCRYPTED: usize = 1 | 1 << 6 | 1 << 13;
    if header.half(8) & ENCRYPTED != 0 {
        return Err(ZipReject::Unsupported(Unread::Encryption));
    }
    let (crc, packed_len, len) = (header.word(16), header.word(20), header.word(24));
    let local_at = header.word(42);
    if [packed_len, len, local_at].contains(&0xffff_ffff) {
        return Err(ZipReject::Unsupported(Unread::Zip64));
    }
    if header.half(34) != 0 {
        return Err(ZipReject::Unsupported(Unread::Disks));
    }
    if len > CODE_LEN_MAX {
        return Err(ZipReject::TooLong);
    }
    let local = Record::<LOCAL_LEN>::expect(archive, local_at, b"PK\x03\x04")?;
    let start = local_at + LOCAL_LEN + local.half(26) + local.half(28);
    let data = start..start + packed_len;
    if data.end > end_at {
        return Err(ZipReject::Damaged(Damage::OverEnd));
    }
    Ok(Entry {
        method: header.half(10),
        crc: crc as u32,
        len,
        data,
        is_link: link::is_link(header),
    })
}

/// A file on its way out: never longer than its directory entry says.
struct File {
    bytes: PageBuffer,
    len: usize,
    crc: Digest<'static, u32>,
}

impl File {
    fn append(&mut self, bytes: &[u8]) -> Result<(), ZipReject> {
        if bytes.len() > self.len - self.bytes.len() {
            return Err(ZipReject::Damaged(Damage::FileTooLong));
        }
        self.crc.update(bytes);
        Ok(self.bytes.append(bytes)?)
    }
}

/// The piece of the archive that begins at `data`, not empty unless `data` is.
fn piece<'a>(archive: &'a PageBuffer, data: &Range<usize>) -> &'a [u8] {
    let chunk = archive.chunk_at(data.start);
    &chunk[..chunk.len().min(data.len())]
}

fn copy(archive: &PageBuffer, mut data: Range<usize>, file: &mut File) -> Result<(), ZipReject> {
    while !data.is_empty() {
        let bytes = piece(archive, &data);
        file.append(bytes)?;
        data.start += bytes.len();
    }
    Ok(())
}

/// How far back deflate refers (RFC 1951, 2).
const WINDOW_LEN: usize = 32 * 1024;

/// Together with the window this takes 43 KiB of the heap, which every request may.
fn inflate(archive: &PageBuffer, mut data: Range<usize>, file: &mut File) -> Result<(), ZipReject> {
    const DAMAGED: ZipReject = ZipReject::Damaged(Damage::Data);
    let mut state = Box::new(DecompressorOxide::new());
    let mut window = Vec::new();
    window.try_reserve_exact(WINDOW_LEN).map_err(|_| OutOfFrames)?;
    window.resize(WINDOW_LEN, 0);
    let mut position = 0;
    loop {
        let input = piece(archive, &data);
        let has_more = input.len() < data.len();
        let flags = if has_more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
        let (status, read, written) = decompress(&mut state, input, &mut window, position, flags);
        file.append(window.get(position..position + written).ok_or(DAMAGED)?)?;
        data.start += read;
        position = (position + written) % WINDOW_LEN;
        match status {
            TINFLStatus::Done if data.is_empty() => return Ok(()),
            TINFLStatus::HasMoreOutput if written > 0 => {}
            TINFLStatus::NeedsMoreInput if has_more && read > 0 => {}
            _ => return Err(DAMAGED),
        }
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

#[cfg(test)]
mod tests;
