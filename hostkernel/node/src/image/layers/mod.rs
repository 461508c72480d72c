//! The layers of a container image, on their way to the archive that a deploy takes.
//!
//! ```text
//! layers, the last first ─▶ gzip ─▶ tar ─▶ tree ─▶ zip archive ┬▶ code
//! entrypoint, environment, working directory ─▶ .process ──────┘
//! ```
//!
//! Nothing is unpacked for good: data goes from a layer straight to its place in the archive, where
//! it is mapped from later. Layers are read from the last to the first, so that what a later one
//! replaces or takes away is passed over. An image of one program that says no more about it
//! becomes that program alone.

mod entrypoint;
mod gzip;
mod pack;
mod tar;
#[cfg(test)]
mod tests;
mod tree;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use self::gzip::Reader;
use self::pack::Packing;
use self::tar::Tar;
use self::tree::Tree;
use crate::slice::Slice;
use limits::{CODE_LEN_MAX, IMAGE_ENTRIES_MAX, IMAGE_READ_LEN_MAX};
use memory::{OutOfFrames, PageBuffer};

/// How an image wants its program to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Empty if it is the root.
    pub directory: String,
}

/// Why an image cannot become an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerReject {
    /// A layer is neither tar nor tar in gzip.
    Tar,
    /// A layer's compressed data makes no sense.
    Compression,
    /// A path in it, or the text of a link, is longer than there can be, or too deep.
    Path,
    /// A path leads out of the image.
    Outside,
    /// More than [`IMAGE_ENTRIES_MAX`].
    TooManyEntries,
    /// Its paths and links are too long together.
    TooManyNames,
    /// Its files are longer than [`CODE_LEN_MAX`].
    TooLong,
    /// Its layers are, with what is passed over.
    TooMuchToRead,
    /// It has no entrypoint.
    NoEntrypoint,
    /// The entrypoint is no file of the image.
    Entrypoint(Box<str>),
    /// It has a file `/exec` that is not its entrypoint.
    TwoExecutables,
    /// There is no memory for it now.
    NoMemory,
}

impl From<OutOfFrames> for LayerReject {
    fn from(_: OutOfFrames) -> Self {
        Self::NoMemory
    }
}

/// An image on its way to an archive.
pub struct Packer {
    /// Layers that were not read, the first first.
    layers: Vec<PageBuffer>,
    process: Process,
    tree: Tree,
    read_len: usize,
    stage: Stage,
}

enum Stage {
    Next,
    Layer(Reader, Box<Tar>),
    Pack(Packing),
}

impl Packer {
    /// Begins with the layers of an image, the first first.
    #[must_use]
    pub fn new(layers: Vec<PageBuffer>, process: Process) -> Self {
        Self { layers, process, tree: Tree::default(), read_len: 0, stage: Stage::Next }
    }

    /// Goes on; returns the code when it is there.
    ///
    /// # Errors
    /// See [`LayerReject`].
    pub fn step(&mut self, slice: &mut Slice) -> Result<Option<PageBuffer>, LayerReject> {
        while !slice.is_over() {
            match &mut self.stage {
                Stage::Next => self.stage = self.next()?,
                Stage::Layer(reader, tar) => {
                    let (tree, read_len) = (&mut self.tree, &mut self.read_len);
                    let is_over = reader.step(slice, &mut |bytes| {
                        *read_len += bytes.len();
                        if *read_len > IMAGE_READ_LEN_MAX {
                            return Err(LayerReject::TooMuchToRead);
                        }
                        tar.push(bytes, tree)
                    })?;
                    if is_over {
                        if !tar.is_complete() {
                            return Err(LayerReject::Tar);
                        }
                        self.tree.end_layer();
                        self.stage = Stage::Next;
                    }
                }
                Stage::Pack(packing) => {
                    if packing.step(&mut self.tree, slice)? {
                        return Ok(Some(packing.take(&mut self.tree)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Stage, LayerReject> {
        match self.layers.pop() {
            Some(layer) => Ok(Stage::Layer(Reader::new(layer)?, Box::new(Tar::new()))),
            None => Ok(Stage::Pack(Packing::new(&mut self.tree, &self.process)?)),
        }
    }

    /// How much memory it takes beside the layers.
    #[must_use]
    pub fn held_len(&self) -> usize {
        let bare = if let Stage::Pack(packing) = &self.stage { packing.held_len() } else { 0 };
        bare + self.tree.held_len()
    }
}

impl fmt::Display for LayerReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tar => "a layer is neither tar nor tar+gzip, or is not whole",
            Self::Compression => "the compressed data of a layer makes no sense",
            Self::Path => "a path or a link in a layer is too long or too deep",
            Self::Outside => "a path in a layer leads out of the image",
            Self::TooManyEntries => {
                return write!(f, "it has more than {IMAGE_ENTRIES_MAX} files and directories");
            }
            Self::TooManyNames => "its paths and links are too long together",
            Self::TooLong => {
                return write!(f, "its files exceed the limit of {CODE_LEN_MAX} bytes");
            }
            Self::TooMuchToRead => {
                return write!(f, "its layers have more than {IMAGE_READ_LEN_MAX} bytes unpacked");
            }
            Self::NoEntrypoint => "it has neither an entrypoint nor a command",
            Self::Entrypoint(path) => {
                return write!(f, "its entrypoint {path} is no file of the image");
            }
            Self::TwoExecutables => "it has a file /exec that is not its entrypoint",
            Self::NoMemory => "there is no memory for it now",
        })
    }
}
