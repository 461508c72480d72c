//! The entries of a zip archive, by its central directory.
//!
//! Only what packers write: stored or deflated entries, no encryption, no zip64. Numbers are those
//! of PKWARE's APPNOTE.TXT, 4.3. An archive is foreign bytes: each field is checked before it is
//! used, and entries whose data would overlap are refused, so that reading all of them once is
//! bounded by the archive's length.

mod packed;
mod reject;

use crate::host::Time;
use crate::limits::ARCHIVE_ENTRIES_MAX;

pub use packed::{Packed, Unusable};
pub use reject::{EntryReject, LoadReject};

/// End of the central directory record (4.3.16), without its comment.
const END_LEN: usize = 22;
const COMMENT_LEN_MAX: usize = u16::MAX as usize;
/// Central directory header (4.3.12), without name, extra field and comment.
const HEADER_LEN: usize = 46;
/// Local file header (4.3.7), without name and extra field.
const LOCAL_LEN: usize = 30;

/// What the directory says about a file.
#[derive(Debug)]
pub struct Entry<'p> {
    /// As it stands there, directories with a slash at the end.
    pub name: &'p [u8],
    /// As `st_mode`; zero where the packer knew none.
    pub mode: u32,
    pub modified: Time,
    pub packed: Packed<'p>,
}

/// Goes through an archive's directory.
#[derive(Debug)]
pub struct Entries<'p> {
    archive: &'p [u8],
    at: usize,
    number: u32,
    count: u32,
    /// Where the directory begins: data lies before it.
    data_end: usize,
    /// Bytes of data there can still be without two entries overlapping.
    data_left: usize,
}

fn half(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn word(bytes: &[u8], at: usize) -> usize {
    half(bytes, at) | half(bytes, at + 2) << 16
}

/// A record with this signature at this place.
fn record<'p>(
    archive: &'p [u8],
    at: usize,
    len: usize,
    signature: &[u8],
) -> Result<&'p [u8], LoadReject> {
    let end = at.checked_add(len).ok_or(LoadReject::CutOff)?;
    let record = archive.get(at..end).ok_or(LoadReject::CutOff)?;
    if record.starts_with(signature) { Ok(record) } else { Err(LoadReject::Misplaced) }
}

/// The last place from which an end record reaches exactly to the archive's end.
fn end_record(archive: &[u8]) -> Result<(usize, &[u8]), LoadReject> {
    let last = archive.len().checked_sub(END_LEN).ok_or(LoadReject::NoArchive)?;
    (last.saturating_sub(COMMENT_LEN_MAX)..=last)
        .rev()
        .map(|at| (at, &archive[at..at + END_LEN]))
        .find(|(at, end)| {
            end.starts_with(b"PK\x05\x06") && at + END_LEN + half(end, 20) == archive.len()
        })
        .ok_or(LoadReject::NoArchive)
}

impl<'p> Entries<'p> {
    /// The entries of an archive.
    pub fn new(archive: &'p [u8]) -> Result<Self, LoadReject> {
        let (end_at, end) = end_record(archive)?;
        let (count, len, at) = (half(end, 10), word(end, 12), word(end, 16));
        if count == 0xffff || len == 0xffff_ffff || at == 0xffff_ffff {
            return Err(LoadReject::Zip64);
        }
        if half(end, 4) != 0 || half(end, 6) != 0 || half(end, 8) != count {
            return Err(LoadReject::SeveralDisks);
        }
        if at.checked_add(len).is_none_or(|directory_end| directory_end > end_at) {
            return Err(LoadReject::CutOff);
        }
        if count > ARCHIVE_ENTRIES_MAX {
            return Err(LoadReject::TooManyEntries);
        }
        Ok(Self { archive, at, number: 0, count: count as u32, data_end: at, data_left: at })
    }

    /// The next header, without the name behind it.
    fn header(&self) -> Result<&'p [u8], LoadReject> {
        record(self.archive, self.at, HEADER_LEN, b"PK\x01\x02")
    }

    fn name(&self) -> Result<&'p [u8], LoadReject> {
        let at = self.at + HEADER_LEN;
        self.archive.get(at..at + half(self.header()?, 28)).ok_or(LoadReject::CutOff)
    }

    fn skip_record(&mut self) -> Option<()> {
        let header = self.header().ok()?;
        self.at += HEADER_LEN + half(header, 28) + half(header, 30) + half(header, 32);
        Some(())
    }

    fn read(&mut self) -> Result<Entry<'p>, LoadReject> {
        let (header, name) = (self.header()?, self.name()?);
        self.skip_record();
        let refused = |reason| LoadReject::Entry { number: self.number, reason };

        const ENCRYPTED: usize = 1 | 1 << 6 | 1 << 13;
        if half(header, 8) & ENCRYPTED != 0 {
            return Err(refused(EntryReject::Encrypted));
        }
        let method = half(header, 10);
        if method != 0 && method != 8 {
            return Err(refused(EntryReject::Compression));
        }
        let (packed_len, len) = (word(header, 20), word(header, 24));
        let local_at = word(header, 42);
        if [packed_len, len, local_at].contains(&0xffff_ffff) {
            return Err(LoadReject::Zip64);
        }
        if half(header, 34) != 0 {
            return Err(LoadReject::SeveralDisks);
        }
        if method == 0 && packed_len != len {
            return Err(refused(EntryReject::Damaged));
        }
        let local = record(self.archive, local_at, LOCAL_LEN, b"PK\x03\x04")?;
        let start = local_at + LOCAL_LEN + half(local, 26) + half(local, 28);
        let data = self.archive[..self.data_end].get(start..start + packed_len);
        let data = data.ok_or(LoadReject::CutOff)?;
        self.data_left =
            self.data_left.checked_sub(packed_len).ok_or(refused(EntryReject::Overlaps))?;
        // The upper byte says on what system it was packed: 3 is Unix, 19 is macOS.
        let mode = match header[5] {
            3 | 19 => word(header, 38) >> 16,
            _ => 0,
        };
        Ok(Entry {
            name,
            mode: mode as u32,
            modified: time(half(header, 12), half(header, 14)),
            packed: Packed {
                bytes: data,
                len,
                crc: word(header, 16) as u32,
                is_deflated: method == 8,
            },
        })
    }
}

/// The name of an entry that was refused ([`LoadReject::Entry`]).
pub fn entry_name(archive: &[u8], number: u32) -> Option<&[u8]> {
    let mut entries = Entries::new(archive).ok()?;
    for _ in 0..number {
        entries.skip_record()?;
    }
    entries.name().ok()
}

/// Whether an archive has an entry of this name. One that cannot be read has none: who unpacks it
/// says why.
pub fn has_entry(archive: &[u8], name: &[u8]) -> bool {
    let Ok(mut entries) = Entries::new(archive) else { return false };
    for _ in 0..entries.count {
        match entries.name() {
            Ok(found) if found == name => return true,
            _ if entries.skip_record().is_none() => return false,
            _ => {}
        }
    }
    false
}

/// The first entry whose name is no text of UTF-8. Linux has no such rule; an author whose packer
/// wrote names in another encoding would look for the file in vain.
pub fn entry_not_text(archive: &[u8]) -> Option<u32> {
    let mut entries = Entries::new(archive).ok()?;
    let is_text = |entries: &Entries<'_>| Some(str::from_utf8(entries.name().ok()?).is_ok());
    for number in 0..entries.count {
        if !is_text(&entries)? {
            return Some(number);
        }
        entries.skip_record()?;
    }
    None
}

impl<'p> Iterator for Entries<'p> {
    type Item = Result<Entry<'p>, LoadReject>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.number == self.count {
            return None;
        }
        let entry = self.read();
        self.number = if entry.is_ok() { self.number + 1 } else { self.count };
        Some(entry)
    }
}

/// A DOS date and time (4.4.6), taken as UTC; what makes no sense is 1980.
fn time(time: usize, date: usize) -> Time {
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 15, date & 31);
    if !(1..=12).contains(&month) || day == 0 {
        return Time { seconds: 315_532_800, nanoseconds: 0 };
    }
    // Days since 1970, with years that begin in March.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day
        - 719_469;
    let seconds = (time >> 11) * 3600 + (time >> 5 & 63) * 60 + (time & 31) * 2;
    Time { seconds: (days * 86_400 + seconds) as i64, nanoseconds: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |year: usize, month: usize, day: usize, hour: usize| {
            time(hour << 11, (year - 1980) << 9 | month << 5 | day).seconds
        };
        assert_eq!(at(1980, 1, 1, 0), 315_532_800);
        assert_eq!(at(2000, 2, 29, 12), 951_825_600);
        assert_eq!(at(2000, 3, 1, 0), 951_868_800);
        assert_eq!(at(2026, 11, 30, 1), 1_796_000_400);
        assert_eq!(time(0, 0).seconds, 315_532_800);
        assert_eq!(time(0xffff, 0xffff).seconds, 315_532_800);
    }
}
