//! What an archive's directory says of its files.

use alloc::string::String;
use core::ops::Range;

use super::record::Record;
use super::reject::{Damage, Unread, ZipReject};
use super::{EXECUTABLES, link};
use crate::slice::Slice;
use limits::{CODE_LEN_MAX, ZIP_ENTRIES_MAX};
use memory::{OutOfFrames, PageBuffer};

/// What names may begin with.
const HERE: &str = "./";

/// End of the central directory record (4.3.16), without its comment.
pub(super) const END_LEN: usize = 22;
const COMMENT_LEN_MAX: usize = u16::MAX as usize;
/// Central directory header (4.3.12), without name, extra field and comment.
pub(super) const HEADER_LEN: usize = 46;
/// Local file header (4.3.7), without name and extra field.
const LOCAL_LEN: usize = 30;

/// What the directory says about a file.
pub(super) struct Entry {
    pub method: usize,
    pub crc: u32,
    pub len: usize,
    pub data: Range<usize>,
    pub is_link: bool,
}

/// Looks through the directory for a name, or for the first of the [`EXECUTABLES`].
pub(super) struct Search {
    /// Where the next header is, and how many there are from there on.
    at: usize,
    left: usize,
    end_at: usize,
    found: Option<(usize, Record<HEADER_LEN>)>,
}

impl Search {
    pub(super) fn new(end_at: usize, end: &Record<END_LEN>) -> Result<Self, ZipReject> {
        let (entries, directory_len, at) = (end.half(10), end.word(12), end.word(16));
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
        Ok(Self { at, left: entries, end_at, found: None })
    }

    /// Goes on; returns the name that was found, and what the directory says about that file.
    pub(super) fn step(
        &mut self,
        archive: &PageBuffer,
        name: Option<&str>,
        slice: &mut Slice,
    ) -> Result<Option<(String, Entry)>, ZipReject> {
        let one = [name.unwrap_or_default()];
        let names = if name.is_some() { &one[..] } else { &EXECUTABLES[..] };
        while self.left > 0 {
            if slice.is_over() {
                return Ok(None);
            }
            slice.take(HEADER_LEN);
            self.left -= 1;
            self.look(archive, names)?;
        }
        let found = self.found.take().and_then(|(rank, header)| Some((names.get(rank)?, header)));
        let Some((found, header)) = found else {
            let is_led = name.is_some();
            return Err(if is_led { ZipReject::Link } else { ZipReject::NoExecutable });
        };
        let mut text = String::new();
        text.try_reserve_exact(found.len()).map_err(|_| OutOfFrames)?;
        text.push_str(found);
        Ok(Some((text, entry(archive, &header, self.end_at)?)))
    }

    /// Looks at the next header.
    fn look(&mut self, archive: &PageBuffer, names: &[&str]) -> Result<(), ZipReject> {
        let header = Record::<HEADER_LEN>::expect(archive, self.at, b"PK\x01\x02")?;
        let name_len = header.half(28);
        let name_at = self.at + HEADER_LEN;
        // Some tools write every name with the folder it is in.
        let folder_len = if is_folder(archive, name_at, name_len) { HERE.len() } else { 0 };
        let is_named = |name: &&str| is(archive, name_at + folder_len, name_len - folder_len, name);
        let rank = names.iter().position(is_named);
        self.at += HEADER_LEN + name_len + header.half(30) + header.half(32);
        match (rank, &self.found) {
            (Some(rank), Some((best, _))) if rank == *best => Err(ZipReject::TwoExecutables),
            (Some(rank), Some((best, _))) if rank > *best => Ok(()),
            (Some(rank), _) => {
                self.found = Some((rank, header));
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }
}

/// The last place from which an end record reaches exactly to the archive's end. Looks from `next`
/// backwards.
pub(super) fn find_end(
    archive: &PageBuffer,
    next: &mut usize,
    slice: &mut Slice,
) -> Result<Option<(usize, Record<END_LEN>)>, ZipReject> {
    let len = archive.len();
    let first = len.saturating_sub(END_LEN + COMMENT_LEN_MAX);
    while !slice.is_over() {
        let at = *next;
        slice.take(1);
        if archive.chunk_at(at).first() == Some(&b'P') {
            slice.take(END_LEN);
            let record = Record::<END_LEN>::read(archive, at)?;
            if record.0.starts_with(b"PK\x05\x06") && at + END_LEN + record.half(20) == len {
                return Ok(Some((at, record)));
            }
        }
        if at == first {
            return Err(ZipReject::Damaged(Damage::NoDirectory));
        }
        *next -= 1;
    }
    Ok(None)
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
