//! The executable in a zip archive: bounded, checked, and inflated straight into frames.
//!
//! Only what packers of actions write: stored or deflated entries, found by the central directory
//! at the archive's end. Everything else is refused by name. Numbers are those of PKWARE's
//! APPNOTE.TXT, 4.3; all offsets come from 16- and 32-bit fields, so sums of them fit `usize`.

mod link;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::document::keeping_reserve;
use crate::slice::Slice;
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

/// Takes the executable out of an archive: the first of the [`EXECUTABLES`] that is in it, or what
/// that leads to as a symbolic link.
pub struct Extractor {
    stage: Stage,
    /// The name that is looked for; the executables, until one is found.
    name: Option<String>,
    links: usize,
}

enum Stage {
    /// Looks for the end record at this place next.
    End(usize),
    Search(Search),
    Unpack(Unpacking),
}

impl Extractor {
    /// Begins with an archive.
    ///
    /// # Errors
    /// It is too short to be one.
    pub fn new(archive: &PageBuffer) -> Result<Self, ZipReject> {
        let last = archive.len().checked_sub(END_LEN).ok_or(ZipReject::Damaged(Damage::End))?;
        Ok(Self { stage: Stage::End(last), name: None, links: 0 })
    }

    /// Goes on; returns the executable when it is there.
    ///
    /// # Errors
    /// See [`ZipReject`].
    pub fn step(
        &mut self,
        archive: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<Option<PageBuffer>, ZipReject> {
        while !slice.is_over() {
            match &mut self.stage {
                Stage::End(at) => {
                    if let Some((at, end)) = find_end(archive, at, slice)? {
                        self.stage = Stage::Search(Search::new(at, &end)?);
                    }
                }
                Stage::Search(search) => {
                    let found = search.step(archive, self.name.as_deref(), slice)?;
                    if let Some((name, entry)) = found {
                        self.name = Some(name);
                        self.stage = Stage::Unpack(Unpacking::new(entry)?);
                    }
                }
                Stage::Unpack(unpacking) => {
                    if !unpacking.step(archive, slice)? {
                        continue;
                    }
                    let file = unpacking.finish()?;
                    if !unpacking.entry.is_link {
                        return Ok(Some(file));
                    }
                    self.links += 1;
                    if self.links > ZIP_LINKS_MAX {
                        return Err(ZipReject::Link);
                    }
                    let name = self.name.as_deref().unwrap_or_default();
                    self.name = Some(link::target(name, &file)?);
                    let last = archive.len().saturating_sub(END_LEN);
                    self.stage = Stage::End(last);
                }
            }
        }
        Ok(None)
    }

    /// How much memory what was unpacked takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.stage {
            Stage::Unpack(unpacking) => unpacking.file.bytes.len(),
            Stage::End(_) | Stage::Search(_) => 0,
        }
    }
}

/// The executable in an archive, at once.
///
/// # Errors
/// See [`ZipReject`].
pub fn extract(archive: &PageBuffer) -> Result<PageBuffer, ZipReject> {
    let mut extractor = Extractor::new(archive)?;
    loop {
        if let Some(file) = extractor.step(archive, &mut Slice::new(usize::MAX))? {
            return Ok(file);
        }
    }
}

/// A file that is unpacked.
struct Unpacking {
    entry: Entry,
    /// What of its data was not read.
    data: Range<usize>,
    file: File,
    /// If it is deflated.
    inflater: Option<Inflater>,
}

impl Unpacking {
    fn new(entry: Entry) -> Result<Self, ZipReject> {
        if entry.is_link {
            link::check_len(entry.len)?;
        }
        let inflater = match entry.method {
            0 => None,
            8 => Some(Inflater::new()?),
            _ => return Err(ZipReject::Unsupported(Unread::Compression)),
        };
        let file = File { bytes: PageBuffer::new(), len: entry.len, crc: CRC.digest() };
        Ok(Self { data: entry.data.clone(), entry, file, inflater })
    }

    /// Goes on; returns whether that was all.
    fn step(&mut self, archive: &PageBuffer, slice: &mut Slice) -> Result<bool, ZipReject> {
        let Self { data, file, inflater, .. } = self;
        while !slice.is_over() {
            let is_complete = match inflater {
                Some(inflater) => inflater.step(archive, data, file, slice)?,
                None if data.start == data.end => true,
                None => {
                    let bytes = piece(archive, data);
                    slice.take(bytes.len());
                    file.append(bytes)?;
                    data.start += bytes.len();
                    false
                }
            };
            if is_complete {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn finish(&mut self) -> Result<PageBuffer, ZipReject> {
        let crc = core::mem::replace(&mut self.file.crc, CRC.digest());
        if self.file.bytes.len() != self.entry.len {
            return Err(ZipReject::Damaged(Damage::TooShort));
        }
        if crc.finalize() != self.entry.crc {
            return Err(ZipReject::Damaged(Damage::Checksum));
        }
        Ok(core::mem::take(&mut self.file.bytes))
    }
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

/// Looks through the directory for a name, or for the first of the [`EXECUTABLES`].
struct Search {
    /// Where the next header is, and how many there are from there on.
    at: usize,
    left: usize,
    end_at: usize,
    found: Option<(usize, Record<HEADER_LEN>)>,
}

impl Search {
    fn new(end_at: usize, end: &Record<END_LEN>) -> Result<Self, ZipReject> {
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
    fn step(
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
fn find_end(
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

/// How far back deflate refers (RFC 1951, 2). So much is made at a time at most.
const WINDOW_LEN: usize = 32 * 1024;

/// Together with the window this takes 43 KiB of the heap, which every request may.
struct Inflater {
    /// One, on the heap.
    state: Vec<DecompressorOxide>,
    window: Vec<u8>,
    position: usize,
}

impl Inflater {
    fn new() -> Result<Self, OutOfFrames> {
        let (mut state, mut window) = (Vec::new(), Vec::new());
        keeping_reserve(|| {
            state.try_reserve_exact(1).map_err(|_| OutOfFrames)?;
            window.try_reserve_exact(WINDOW_LEN).map_err(|_| OutOfFrames)
        })?;
        state.push(DecompressorOxide::new());
        window.resize(WINDOW_LEN, 0);
        Ok(Self { state, window, position: 0 })
    }

    /// Goes on once; returns whether that was all.
    fn step(
        &mut self,
        archive: &PageBuffer,
        data: &mut Range<usize>,
        file: &mut File,
        slice: &mut Slice,
    ) -> Result<bool, ZipReject> {
        const DAMAGED: ZipReject = ZipReject::Damaged(Damage::Data);
        let Self { state, window, position } = self;
        let state = state.first_mut().ok_or(OutOfFrames)?;
        let input = piece(archive, data);
        let has_more = input.len() < data.len();
        let flags = if has_more { TINFL_FLAG_HAS_MORE_INPUT } else { 0 };
        let (status, read, written) = decompress(state, input, window, *position, flags);
        slice.take(read + written);
        file.append(window.get(*position..*position + written).ok_or(DAMAGED)?)?;
        data.start += read;
        *position = (*position + written) % WINDOW_LEN;
        match status {
            TINFLStatus::Done if data.start == data.end => Ok(true),
            TINFLStatus::HasMoreOutput if written > 0 => Ok(false),
            TINFLStatus::NeedsMoreInput if has_more && read > 0 => Ok(false),
            _ => Err(DAMAGED),
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
