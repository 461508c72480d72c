//! A tar archive that comes piece by piece: headers of POSIX and GNU, and what follows them.
//!
//! `pax(1)` of POSIX.1-2017 has the format; long names come as records in front of a header
//! (`x`) or as the data of one of GNU's own (`L`, `K`). Nothing is kept of an archive but the
//! entry under way.

use alloc::vec::Vec;

use super::LayerReject;
use limits::{IMAGE_PATH_LEN_MAX, IMAGE_RECORDS_LEN_MAX};

const BLOCK_LEN: usize = 512;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    /// Another name of a file.
    HardLink,
    SymbolicLink,
    Directory,
    /// A device or a pipe.
    Special,
}

/// An entry, in front of its data.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub kind: EntryKind,
    pub path: &'a [u8],
    /// Where a link leads.
    pub target: &'a [u8],
    pub mode: u32,
    /// Bytes of data that follow.
    pub len: usize,
}

/// What becomes of the entries.
pub trait Sink {
    /// An entry begins. Its data follows, if it is a file.
    fn begin(&mut self, entry: &Entry<'_>) -> Result<(), LayerReject>;
    /// A piece of its data.
    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerReject>;
    /// All of its data was there.
    fn end(&mut self) -> Result<(), LayerReject>;
}

/// Takes an archive apart.
pub struct Tar {
    state: State,
    block: [u8; BLOCK_LEN],
    filled: usize,
    /// Of the next entry, from what stands in front of it.
    path: Vec<u8>,
    target: Vec<u8>,
    len: Option<usize>,
    /// The data of something that says more of the next entry.
    record: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    /// So many bytes of data, and of what fills the block behind them.
    File {
        left: usize,
        fill: usize,
    },
    /// Likewise, of what says more of the next entry.
    Record {
        of: u8,
        left: usize,
        fill: usize,
    },
    /// Likewise, of what is passed over.
    Skip {
        left: usize,
    },
    /// Behind the empty block at the end.
    Over,
}

impl Tar {
    /// One of which nothing was read.
    pub const fn new() -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK_LEN],
            filled: 0,
            path: Vec::new(),
            target: Vec::new(),
            len: None,
            record: Vec::new(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`LayerReject::Tar`], or what the sink does not like.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut impl Sink) -> Result<(), LayerReject> {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Over => return Ok(()),
                State::Header => {
                    let len = bytes.len().min(BLOCK_LEN - self.filled);
                    self.block[self.filled..self.filled + len].copy_from_slice(&bytes[..len]);
                    self.filled += len;
                    if self.filled == BLOCK_LEN {
                        self.filled = 0;
                        self.header(sink)?;
                    }
                    len
                }
                State::File { left: 0, fill } | State::Record { left: 0, fill, .. } => {
                    self.state = State::Skip { left: fill };
                    0
                }
                State::File { left, fill } => {
                    let len = bytes.len().min(left);
                    sink.data(&bytes[..len])?;
                    self.state = State::File { left: left - len, fill };
                    if left == len {
                        sink.end()?;
                    }
                    len
                }
                State::Record { of, left, fill } => {
                    let len = bytes.len().min(left);
                    append(&mut self.record, &bytes[..len], IMAGE_RECORDS_LEN_MAX)?;
                    self.state = State::Record { of, left: left - len, fill };
                    if left == len {
                        self.record(of)?;
                    }
                    len
                }
                State::Skip { left } => {
                    let len = bytes.len().min(left);
                    self.state = State::Skip { left: left - len };
                    if left == len {
                        self.state = State::Header;
                    }
                    len
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Whether the archive may end here.
    pub fn is_complete(&self) -> bool {
        match self.state {
            State::Over => true,
            // Some packers leave the empty blocks out.
            State::Header => self.filled == 0,
            State::File { left, .. } | State::Skip { left } => left == 0,
            State::Record { .. } => false,
        }
    }

    fn header(&mut self, sink: &mut impl Sink) -> Result<(), LayerReject> {
        if self.block.iter().all(|byte| *byte == 0) {
            self.state = State::Over;
            return Ok(());
        }
        if number(&self.block[148..156]) != Some(sum(&self.block)) {
            return Err(LayerReject::Tar);
        }
        let len = number(&self.block[124..136]).ok_or(LayerReject::Tar)?;
        let len = usize::try_from(len).map_err(|_| LayerReject::Tar)?;
        let fill = |len: usize| len.next_multiple_of(BLOCK_LEN) - len;
        let kind = self.block[156];
        if len > IMAGE_RECORDS_LEN_MAX && matches!(kind, b'x' | b'L' | b'K') {
            return Err(LayerReject::Path);
        }
        match kind {
            b'x' | b'L' | b'K' => {
                self.record.clear();
                self.state = State::Record { of: kind, left: len, fill: fill(len) };
                if len == 0 {
                    self.record(kind)?;
                }
                return Ok(());
            }
            // Of all entries, or labels of volumes: nothing of it is of use here.
            b'g' | b'V' => {
                self.state = State::Skip { left: padded(len)? };
                return Ok(());
            }
            _ => {}
        }
        let len = self.len.take().unwrap_or(len);
        let padded_len = padded(len)?;
        if self.path.is_empty() {
            let prefix = if self.block[257..262] == *b"ustar" && self.block[263] == b'0' {
                text(&self.block[345..500])
            } else {
                &[]
            };
            append(&mut self.path, prefix, IMAGE_PATH_LEN_MAX)?;
            if !prefix.is_empty() {
                append(&mut self.path, b"/", IMAGE_PATH_LEN_MAX)?;
            }
            append(&mut self.path, text(&self.block[..100]), IMAGE_PATH_LEN_MAX)?;
        }
        if self.target.is_empty() {
            append(&mut self.target, text(&self.block[157..257]), IMAGE_PATH_LEN_MAX)?;
        }
        let kind = match kind {
            0 | b'0' | b'7' if self.path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::SymbolicLink,
            b'5' => EntryKind::Directory,
            b'3' | b'4' | b'6' => EntryKind::Special,
            _ => return Err(LayerReject::Tar),
        };
        let mode = number(&self.block[100..108]).unwrap_or(0) as u32 & 0o7777;
        let len = if kind == EntryKind::File { len } else { 0 };
        sink.begin(&Entry { kind, path: &self.path, target: &self.target, mode, len })?;
        self.path.clear();
        self.target.clear();
        self.state = match kind {
            EntryKind::File => State::File { left: len, fill: padded_len - len },
            _ => State::Header,
        };
        if kind == EntryKind::File && len == 0 {
            sink.end()?;
            self.state = State::Header;
        }
        Ok(())
    }

    /// What was read says more of the next entry.
    fn record(&mut self, of: u8) -> Result<(), LayerReject> {
        let record = core::mem::take(&mut self.record);
        match of {
            b'L' => set(&mut self.path, text(&record))?,
            b'K' => set(&mut self.target, text(&record))?,
            _ => {
                let mut rest = &record[..];
                while !rest.is_empty() {
                    rest = self.pair(rest).ok_or(LayerReject::Tar)??;
                }
            }
        }
        self.record = record;
        Ok(())
    }

    /// Takes a `LENGTH NAME=VALUE` and a line's end; returns what follows.
    fn pair<'a>(&mut self, rest: &'a [u8]) -> Option<Result<&'a [u8], LayerReject>> {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let len: usize = core::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let pair = rest.get(space + 1..len)?.strip_suffix(b"\n")?;
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        let taken = match name {
            b"path" => set(&mut self.path, value),
            b"linkpath" => set(&mut self.target, value),
            b"size" => {
                self.len = Some(core::str::from_utf8(value).ok()?.parse().ok()?);
                Ok(())
            }
            _ => Ok(()),
        };
        Some(taken.map(|()| &rest[len..]))
    }
}

/// The length of data with what fills its last block.
fn padded(len: usize) -> Result<usize, LayerReject> {
    len.checked_next_multiple_of(BLOCK_LEN).ok_or(LayerReject::Tar)
}

fn set(into: &mut Vec<u8>, bytes: &[u8]) -> Result<(), LayerReject> {
    into.clear();
    append(into, bytes, IMAGE_PATH_LEN_MAX)
}

fn append(into: &mut Vec<u8>, bytes: &[u8], len_max: usize) -> Result<(), LayerReject> {
    if into.len() + bytes.len() > len_max {
        return Err(LayerReject::Path);
    }
    into.try_reserve(bytes.len()).map_err(|_| LayerReject::NoMemory)?;
    into.extend_from_slice(bytes);
    Ok(())
}

/// A field up to its first zero byte.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in binary where the first bit says so, as GNU writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        let is_small = *first == 0x80 && high.iter().all(|byte| *byte == 0);
        return is_small.then(|| low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The sum of a header's bytes, with spaces where it stands itself.
fn sum(block: &[u8; BLOCK_LEN]) -> u64 {
    let all: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
    all - own + 8 * u64::from(b' ')
}
