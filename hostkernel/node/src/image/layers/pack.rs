//! What of an archive comes behind the files' data: links and directories, what says how the
//! program is started, the directory.

use alloc::string::String;
use alloc::vec::Vec;

use super::tree::{CRC, Node, Placed, Tree};
use super::{LayerReject, Process, entrypoint};
use crate::slice::Slice;
use memory::PageBuffer;

/// Bits of a mode that say what it is the mode of.
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
/// The executable of an archive.
const EXEC: &[u8] = b"exec";
/// Central directory header (APPNOTE.TXT, 4.3.12), without what follows it.
const HEADER_LEN: usize = 46;
const END_LEN: usize = 22;

/// What is left to be written.
pub struct Packing {
    stage: Stage,
    /// The program's path.
    program: Vec<u8>,
    /// Files that say how it is started.
    process: Vec<Said>,
    /// Those that were written.
    written: Vec<Placed>,
    directory_at: usize,
    entries: u16,
    /// The program alone, if it is all there is.
    bare: Option<PageBuffer>,
}

/// A file that says how the program is started.
struct Said {
    path: &'static [u8],
    mode: u32,
    text: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The data of this file is copied from here on.
    Bare {
        at: usize,
        end: usize,
    },
    /// The local entry of this item.
    Local(usize),
    Process(usize),
    /// The entry of this item in the directory.
    Directory(usize),
    ProcessDirectory(usize),
    End,
}

impl Packing {
    /// Begins when the tree has everything.
    ///
    /// # Errors
    /// The program is not there.
    pub fn new(tree: &mut Tree, process: &Process) -> Result<Self, LayerReject> {
        let program = entrypoint::find(tree, process)?;
        if tree.get(EXEC).is_some_and(|item| !matches!(item.node, Node::Gone)) && program != EXEC {
            return Err(LayerReject::TwoExecutables);
        }
        let placed = match tree.get(&program).map(|item| &item.node) {
            Some(Node::File(placed)) => *placed,
            _ => return Err(LayerReject::NoEntrypoint),
        };
        let bare = is_bare(tree, process).then(PageBuffer::new);
        let stage = match bare {
            Some(_) => Stage::Bare { at: placed.data_at, end: placed.data_at + placed.len },
            None => Stage::Local(0),
        };
        let process = describe(&program, process)?;
        let (written, directory_at, entries) = (Vec::new(), 0, 0);
        Ok(Self { stage, program, process, written, directory_at, entries, bare })
    }

    /// Goes on; returns whether that was all.
    ///
    /// # Errors
    /// [`LayerReject::TooLong`], [`LayerReject::NoMemory`]
    pub fn step(&mut self, tree: &mut Tree, slice: &mut Slice) -> Result<bool, LayerReject> {
        while !slice.is_over() {
            let before = tree.archive.len();
            self.stage = match self.stage {
                Stage::Bare { at, end } if at < end => {
                    let chunk = tree.archive.chunk_at(at);
                    let chunk = &chunk[..chunk.len().min(end - at)];
                    self.bare.get_or_insert_default().append(chunk)?;
                    slice.take(chunk.len());
                    Stage::Bare { at: at + chunk.len(), end }
                }
                Stage::Bare { .. } | Stage::End => return Ok(true),
                Stage::Local(at) if at < tree.items.len() => {
                    self.local(tree, at)?;
                    Stage::Local(at + 1)
                }
                Stage::Local(_) => Stage::Process(0),
                Stage::Process(at) => match self.process.get(at) {
                    Some(Said { path, text, .. }) => {
                        let placed =
                            tree.write_local(path, text.len(), Some(CRC.checksum(text)))?;
                        tree.archive.append(text)?;
                        self.written.push(placed);
                        Stage::Process(at + 1)
                    }
                    None => {
                        self.directory_at = tree.archive.len();
                        Stage::Directory(0)
                    }
                },
                Stage::Directory(at) if at < tree.items.len() => {
                    self.entry(tree, at)?;
                    Stage::Directory(at + 1)
                }
                Stage::Directory(_) => Stage::ProcessDirectory(0),
                Stage::ProcessDirectory(at) => match (self.process.get(at), self.written.get(at)) {
                    (Some(Said { path, mode, .. }), Some(placed)) => {
                        write_header(&mut tree.archive, (path, b""), *mode, placed)?;
                        self.entries += 1;
                        Stage::ProcessDirectory(at + 1)
                    }
                    _ => {
                        self.end(&mut tree.archive)?;
                        Stage::End
                    }
                },
            };
            // Looking at an item counts, too.
            slice.take(tree.archive.len() - before + 1);
        }
        Ok(false)
    }

    /// Takes the archive, or the program that is all there is.
    pub fn take(&mut self, tree: &mut Tree) -> PageBuffer {
        self.bare.take().unwrap_or_else(|| core::mem::take(&mut tree.archive))
    }

    /// What it takes besides the tree.
    pub fn held_len(&self) -> usize {
        self.bare.as_ref().map_or(0, PageBuffer::len)
    }

    /// Writes what an item has of data, other than a file, whose data is there.
    fn local(&self, tree: &mut Tree, at: usize) -> Result<(), LayerReject> {
        let Some(item) = tree.items.get(at).cloned() else { return Ok(()) };
        let mut path = copy(tree.name(&item.path), 1)?;
        let text = match &item.node {
            Node::File(_) | Node::Gone => return Ok(()),
            Node::Directory { .. } => {
                path.push(b'/');
                Vec::new()
            }
            Node::Link { target, .. } => copy(tree.name(target), 0)?,
            Node::HardLink { target, .. } => {
                let mut text = copy(b"/", target.len())?;
                text.extend_from_slice(tree.name(target));
                text
            }
        };
        let written = tree.write_local(&path, text.len(), Some(CRC.checksum(&text)))?;
        tree.archive.append(&text)?;
        if let Some(item) = tree.items.get_mut(at)
            && let Node::Link { placed, .. }
            | Node::HardLink { placed, .. }
            | Node::Directory { placed, .. } = &mut item.node
        {
            *placed = written;
        }
        Ok(())
    }

    /// Writes an item's entry in the directory.
    fn entry(&mut self, tree: &mut Tree, at: usize) -> Result<(), LayerReject> {
        let Some(item) = tree.items.get(at).cloned() else { return Ok(()) };
        let (kind, placed, end) = match &item.node {
            Node::Gone => return Ok(()),
            Node::File(placed) => (FILE, placed, &b""[..]),
            Node::Link { placed, .. } | Node::HardLink { placed, .. } => (LINK, placed, &b""[..]),
            Node::Directory { placed, .. } => (DIRECTORY, placed, &b"/"[..]),
        };
        let path = copy(tree.name(&item.path), 0)?;
        let is_program = path == self.program;
        // Whoever starts an image may run its entrypoint, or nobody could.
        let mode = kind | item.mode | if is_program { 0o111 } else { 0 };
        write_header(&mut tree.archive, (&path, end), mode, placed)?;
        self.entries += 1;
        Ok(())
    }

    /// The record at the end (4.3.16).
    fn end(&self, archive: &mut PageBuffer) -> Result<(), LayerReject> {
        let len = archive.len() - self.directory_at;
        if archive.len() + END_LEN > limits::CODE_LEN_MAX {
            return Err(LayerReject::TooLong);
        }
        let mut end = [0; END_LEN];
        end[..4].copy_from_slice(b"PK\x05\x06");
        for at in [8, 10] {
            end[at..at + 2].copy_from_slice(&self.entries.to_le_bytes());
        }
        end[12..16].copy_from_slice(&(len as u32).to_le_bytes());
        end[16..20].copy_from_slice(&(self.directory_at as u32).to_le_bytes());
        Ok(archive.append(&end)?)
    }
}

/// Whether the program is the only file, and is started without anything.
fn is_bare(tree: &Tree, process: &Process) -> bool {
    let is_more = |node: &Node| !matches!(node, Node::Directory { .. } | Node::Gone);
    tree.items.iter().filter(|item| is_more(&item.node)).count() == 1
        && process.arguments.len() == 1
        && process.environment.iter().all(|entry| entry.starts_with("PATH="))
        && matches!(&*process.directory, "" | "/")
}

/// The files that say how a program is started.
fn describe(program: &[u8], process: &Process) -> Result<Vec<Said>, LayerReject> {
    let list = |strings: &[String]| {
        let mut text = Vec::new();
        let len = strings.iter().map(|string| string.len() + 1).sum();
        text.try_reserve_exact(len).map_err(|_| LayerReject::NoMemory)?;
        for string in strings {
            text.extend_from_slice(string.as_bytes());
            text.push(0);
        }
        Ok::<_, LayerReject>(text)
    };
    let link =
        |path, to| Ok::<_, LayerReject>(Said { path, mode: LINK | 0o777, text: copy(to, 0)? });
    let file = |path, text| Said { path, mode: FILE | 0o444, text };
    let mut files = Vec::new();
    if program != EXEC {
        files.push(link(EXEC, program)?);
    }
    files.push(file(b".process/cmdline", list(&process.arguments)?));
    files.push(file(b".process/environ", list(&process.environment)?));
    if !process.directory.is_empty() {
        files.push(link(b".process/cwd", process.directory.as_bytes())?);
    }
    Ok(files)
}

fn write_header(
    archive: &mut PageBuffer,
    (path, end): (&[u8], &[u8]),
    mode: u32,
    placed: &Placed,
) -> Result<(), LayerReject> {
    let mut header = [0; HEADER_LEN];
    // Made on Unix, by version 2.0 of the format.
    header[..8].copy_from_slice(b"PK\x01\x02\x14\x03\x14\0");
    // The first day there is: 1980-01-01.
    header[14..16].copy_from_slice(&0x21_u16.to_le_bytes());
    header[16..20].copy_from_slice(&placed.crc.to_le_bytes());
    for at in [20, 24] {
        header[at..at + 4].copy_from_slice(&(placed.len as u32).to_le_bytes());
    }
    header[28..30].copy_from_slice(&((path.len() + end.len()) as u16).to_le_bytes());
    header[38..42].copy_from_slice(&(mode << 16).to_le_bytes());
    header[42..46].copy_from_slice(&(placed.header_at as u32).to_le_bytes());
    for part in [&header[..], path, end] {
        archive.append(part)?;
    }
    Ok(())
}

/// A copy with room for `more` bytes.
fn copy(bytes: &[u8], more: usize) -> Result<Vec<u8>, LayerReject> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len() + more).map_err(|_| LayerReject::NoMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
