//! A file on its way out of an archive, slice by slice.

use alloc::vec::Vec;
use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::directory::Entry;
use super::link;
use super::reject::{Damage, Unread, ZipReject};
use crate::document::keeping_reserve;
use crate::slice::Slice;
use memory::{OutOfFrames, PageBuffer};

/// A file that is unpacked.
pub(super) struct Unpacking {
    entry: Entry,
    /// What of its data was not read.
    data: Range<usize>,
    file: File,
    /// If it is deflated.
    inflater: Option<Inflater>,
}

impl Unpacking {
    pub(super) fn new(entry: Entry) -> Result<Self, ZipReject> {
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
    pub(super) fn step(
        &mut self,
        archive: &PageBuffer,
        slice: &mut Slice,
    ) -> Result<bool, ZipReject> {
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

    /// How much memory what was unpacked takes by now.
    pub(super) fn held_len(&self) -> usize {
        self.file.bytes.len()
    }

    /// Whether it is a symbolic link.
    pub(super) fn is_link(&self) -> bool {
        self.entry.is_link
    }

    /// The file, if it is as long as it should be and not damaged.
    pub(super) fn finish(&mut self) -> Result<PageBuffer, ZipReject> {
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
