//! The files of all layers: which there are, and their data, in the archive that is being written.
//!
//! A local header goes in front of a file's data before that has come, so its checksum stands
//! behind it (APPNOTE.TXT, 4.3.9). Files of a page or more begin at a page, to be mapped.

use alloc::vec::Vec;
use core::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

use super::LayerReject;
use super::tar::{Entry, EntryKind, Sink};
use limits::{CODE_LEN_MAX, IMAGE_DEPTH_MAX, IMAGE_ENTRIES_MAX, IMAGE_NAMES_LEN_MAX, PAGE_LEN};
use memory::PageBuffer;

pub const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
/// What takes a file of earlier layers away, and everything below a directory.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What the library OS has itself, or the archive for it.
const FURNISHED: [&[u8]; 4] = [b"dev", b"proc", b"sys", b".process"];
/// Bytes of a local file header (4.3.7), without name and extra field.
pub const LOCAL_LEN: usize = 30;

/// Where a file's data is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placed {
    /// The local header.
    pub header_at: usize,
    pub data_at: usize,
    pub len: usize,
    pub crc: u32,
}

/// What there is at a path.
#[derive(Clone, Debug)]
pub enum Node {
    File(Placed),
    /// A symbolic link with this text, once it was written.
    Link {
        target: Range<usize>,
        placed: Placed,
    },
    /// Another name of the file at that path.
    HardLink {
        target: Range<usize>,
        placed: Placed,
    },
    Directory {
        is_opaque: bool,
        placed: Placed,
    },
    /// Nothing, and nothing below in earlier layers.
    Gone,
}

/// A path, and what is there.
#[derive(Clone, Debug)]
pub struct Item {
    pub path: Range<usize>,
    pub mode: u32,
    /// Of the layers as they were read, from 0.
    layer: usize,
    pub node: Node,
}

/// See the head of this file.
#[derive(Default)]
pub struct Tree {
    /// Paths without a slash at either end, and texts of links.
    names: Vec<u8>,
    /// Sorted by path.
    pub items: Vec<Item>,
    /// The archive as far as it was written.
    pub archive: PageBuffer,
    layer: usize,
    /// The file whose data comes, and its checksum so far.
    open: Option<(usize, Digest<'static, u32, Table<16>>)>,
}

impl Tree {
    pub fn name(&self, range: &Range<usize>) -> &[u8] {
        self.names.get(range.clone()).unwrap_or_default()
    }

    /// Where the path is, or would be.
    fn position(&self, path: &[u8]) -> Result<usize, usize> {
        self.items.binary_search_by(|item| self.name(&item.path).cmp(path))
    }

    /// What is at a path.
    pub fn get(&self, path: &[u8]) -> Option<&Item> {
        self.items.get(self.position(path).ok()?)
    }

    /// What comes next is of the layer before.
    pub fn end_layer(&mut self) {
        self.layer += 1;
        self.open = None;
    }

    /// What it takes of memory.
    pub fn held_len(&self) -> usize {
        self.archive.len() + self.names.len() + self.items.len() * size_of::<Item>()
    }

    fn push_name(&mut self, name: &[u8]) -> Result<Range<usize>, LayerReject> {
        let start = self.names.len();
        if start + name.len() > IMAGE_NAMES_LEN_MAX {
            return Err(LayerReject::TooManyNames);
        }
        self.names.try_reserve(name.len()).map_err(|_| LayerReject::NoMemory)?;
        self.names.extend_from_slice(name);
        Ok(start..self.names.len())
    }

    /// Puts something at a path; returns where it stands.
    fn insert(&mut self, path: &[u8], mode: u32, node: Node) -> Result<usize, LayerReject> {
        let Err(at) = self.position(path) else { return Err(LayerReject::Tar) };
        if self.items.len() == IMAGE_ENTRIES_MAX {
            return Err(LayerReject::TooManyEntries);
        }
        let path = self.push_name(path)?;
        self.items.try_reserve(1).map_err(|_| LayerReject::NoMemory)?;
        self.items.insert(at, Item { path, mode, layer: self.layer, node });
        Ok(at)
    }

    /// Whether a later layer has replaced what is at a path, or taken it away.
    fn is_hidden(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        self.position(path).is_ok()
            || ends.map(|end| &path[..end]).any(|above| {
                self.get(above).is_some_and(|item| {
                    let stays = matches!(item.node, Node::Directory { is_opaque: false, .. });
                    item.layer < self.layer && !stays
                })
            })
    }

    /// Takes something of the layers before away.
    fn white_out(&mut self, directory: &[u8], name: &[u8]) -> Result<(), LayerReject> {
        let (mut path, is_opaque) = (Vec::new(), name == OPAQUE);
        let rest = if is_opaque { &[][..] } else { &name[WHITEOUT.len()..] };
        path.try_reserve_exact(directory.len() + rest.len()).map_err(|_| LayerReject::NoMemory)?;
        path.extend_from_slice(directory);
        path.extend_from_slice(rest);
        let path = path.strip_suffix(b"/").unwrap_or(&path);
        match (self.position(path), is_opaque) {
            (Ok(at), true) => {
                if let Node::Directory { is_opaque, .. } = &mut self.items[at].node {
                    *is_opaque = true;
                }
            }
            (Err(_), true) if path.is_empty() || self.is_hidden(path) => {}
            (Err(_), true) => {
                let placed = Placed::default();
                self.insert(path, 0o755, Node::Directory { is_opaque: true, placed })?;
            }
            (Err(_), false) if !path.is_empty() => {
                self.insert(path, 0, Node::Gone)?;
            }
            (_, false) => {}
        }
        Ok(())
    }

    /// Writes a local header for data of this length. With `is_later` its checksum follows it.
    pub fn write_local(
        &mut self,
        path: &[u8],
        len: usize,
        crc: Option<u32>,
    ) -> Result<Placed, LayerReject> {
        let header_at = self.archive.len();
        let plain_at = header_at + LOCAL_LEN + path.len();
        let pad = match len {
            0..PAGE_LEN => 0,
            _ => match plain_at.next_multiple_of(PAGE_LEN) - plain_at {
                // An extra field has four bytes of its own.
                short @ 1..4 => short + PAGE_LEN,
                pad => pad,
            },
        };
        if plain_at + pad + len > CODE_LEN_MAX {
            return Err(LayerReject::TooLong);
        }
        let flags: u16 = if crc.is_some() { 0 } else { 1 << 3 };
        let mut header = [0; LOCAL_LEN];
        header[..6].copy_from_slice(b"PK\x03\x04\x14\0");
        header[6..8].copy_from_slice(&flags.to_le_bytes());
        header[14..18].copy_from_slice(&crc.unwrap_or(0).to_le_bytes());
        header[18..22].copy_from_slice(&(len as u32).to_le_bytes());
        header[22..26].copy_from_slice(&(len as u32).to_le_bytes());
        header[26..28].copy_from_slice(&(path.len() as u16).to_le_bytes());
        header[28..30].copy_from_slice(&(pad as u16).to_le_bytes());
        self.archive.append(&header)?;
        self.archive.append(path)?;
        if pad > 0 {
            // That of Android's zipalign: nothing but room.
            self.archive.append(&0xd935_u16.to_le_bytes())?;
            self.archive.append(&((pad - 4) as u16).to_le_bytes())?;
            let mut left = pad - 4;
            while left > 0 {
                let piece = left.min(ZEROES.len());
                self.archive.append(&ZEROES[..piece])?;
                left -= piece;
            }
        }
        Ok(Placed { header_at, data_at: plain_at + pad, len, crc: crc.unwrap_or(0) })
    }
}

const ZEROES: [u8; 256] = [0; 256];

/// A path without what means nothing in it.
fn inside(path: &[u8]) -> Result<Vec<u8>, LayerReject> {
    let mut inside: Vec<u8> = Vec::new();
    inside.try_reserve_exact(path.len()).map_err(|_| LayerReject::NoMemory)?;
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(LayerReject::Outside),
            // Each is looked up for each entry below it.
            _ if depth == IMAGE_DEPTH_MAX => return Err(LayerReject::Path),
            part => {
                depth += 1;
                if !inside.is_empty() {
                    inside.push(b'/');
                }
                inside.extend_from_slice(part);
            }
        }
    }
    Ok(inside)
}

impl Sink for Tree {
    fn begin(&mut self, entry: &Entry<'_>) -> Result<(), LayerReject> {
        let path = inside(entry.path)?;
        let first = path.split(|byte| *byte == b'/').next().unwrap_or_default();
        let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (directory, name) = path.split_at(name_at);
        if name.starts_with(WHITEOUT) {
            return self.white_out(directory, name);
        }
        if path.is_empty() || FURNISHED.contains(&first) || self.is_hidden(&path) {
            return Ok(());
        }
        let placed = Placed::default();
        let node = match entry.kind {
            EntryKind::Special => return Ok(()),
            EntryKind::Directory => Node::Directory { is_opaque: false, placed },
            EntryKind::SymbolicLink => Node::Link { target: self.push_name(entry.target)?, placed },
            EntryKind::HardLink => {
                let target = inside(entry.target)?;
                Node::HardLink { target: self.push_name(&target)?, placed }
            }
            EntryKind::File => Node::File(self.write_local(&path, entry.len, None)?),
        };
        let is_file = entry.kind == EntryKind::File;
        let at = self.insert(&path, entry.mode, node)?;
        self.open = is_file.then(|| (at, CRC.digest()));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), LayerReject> {
        // That of what is hidden is passed over.
        if let Some((_, crc)) = &mut self.open {
            crc.update(bytes);
            self.archive.append(bytes)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LayerReject> {
        let Some((at, crc)) = self.open.take() else { return Ok(()) };
        let crc = crc.finalize();
        let Some(Item { node: Node::File(placed), .. }) = self.items.get_mut(at) else {
            return Ok(());
        };
        placed.crc = crc;
        let len = (placed.len as u32).to_le_bytes();
        for word in [*b"PK\x07\x08", crc.to_le_bytes(), len, len] {
            self.archive.append(&word)?;
        }
        Ok(())
    }
}
