//! A file on its way out of an archive, slice by slice.

use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest};

use super::directory::Entry;
use super::link;
use super::reject::{Damage, Unread, ZipReject};
use crate::image::inflate::{Inflated, Inflater, NotDeflated};
use crate::slice::Slice;
use memory::PageBuffer;

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
                Some(inflater) => inflate(inflater, archive, data, file, slice)?,
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

/// Inflates a piece of the data; returns whether that was all.
fn inflate(
    inflater: &mut Inflater,
    archive: &PageBuffer,
    data: &mut Range<usize>,
    file: &mut File,
    slice: &mut Slice,
) -> Result<bool, ZipReject> {
    const DAMAGED: ZipReject = ZipReject::Damaged(Damage::Data);
    let input = piece(archive, data);
    let has_more = input.len() < data.len();
    let Inflated { read, bytes, is_done } =
        inflater.step(input, has_more).map_err(|NotDeflated| DAMAGED)?;
    slice.take(read + bytes.len());
    file.append(bytes)?;
    data.start += read;
    if is_done && data.start < data.end { Err(DAMAGED) } else { Ok(is_done) }
}
