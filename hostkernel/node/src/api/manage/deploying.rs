//! A deploy under way: from the body of its request to what can be decided at once, in slices.
//!
//! A body can be 64 MiB. To take the code out of its document, to unpack and to hash it takes some
//! fractions of a second, in which nobody else would be served; so it is done bit by bit between
//! what others want. Nothing has changed until it has ended, and if the client leaves, it ends.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::changes::{Changes, CodeIs};
use super::document::DocumentReader;
use super::inspect::{Inspected, Inspection, KIND_NATIVE};
use crate::api::answer::error::Reject;
use crate::api::request::code::{self, CodeReject};
use crate::api::request::push::PushReject;
use crate::http::RequestText;
use crate::image::layers::Packer;
use crate::json::JsonReject;
use crate::json::base64::Base64Reject;
use crate::json::decode::{DecodeReject, Decoding, Stands};
use crate::json::split::{SplitReject, Splitter};
use crate::registry::{Digest, Holding, Name, Namespace, Registry};
use crate::slice::Slice;
use crate::state::uploads::Joining;
use limits::CODE_LEN_MAX;
use memory::PageBuffer;

/// See the head of this file.
pub struct Deploying {
    /// Of the request, without its body.
    pub text: RequestText,
    /// The number it was given.
    pub id: u128,
    /// Whose action it will be.
    pub namespace: Namespace,
    /// What it is to be.
    pub aim: Aim,
    stage: Stage,
}

/// What a deploy is to be when its body was read.
#[derive(Clone, Debug)]
pub enum Aim {
    /// An action.
    Action {
        /// What it will be called.
        name: Name,
        /// The answer tells the code, too.
        with_code: bool,
    },
    /// An action that was pushed.
    Push {
        /// What it will be called.
        name: Name,
        /// What its manifest is called by.
        manifest: Digest,
    },
    /// A blob, which a manifest will name.
    Blob,
}

/// The code of an action that was pushed.
pub enum PushedCode {
    /// It came as one blob.
    Blob(PageBuffer),
    /// So did it, with the document that a node put into a registry.
    Stored {
        /// What it is, in JSON.
        document: PageBuffer,
        /// The bytes.
        code: PageBuffer,
    },
    /// It is to be made of the layers of an image, which are held by this.
    Layers(Box<Packer>, Vec<Holding>),
}

enum Stage {
    /// OpenWhisk's document.
    Split(PageBuffer, Box<Splitter>),
    /// What the document says besides the code, which waits.
    Read(Box<DocumentReader>, Code),
    /// A blob.
    Join(Box<Joining>),
    /// Layers of an image, and what is wanted besides.
    Pack(Box<Packer>, Vec<Holding>, Changes),
    /// What of it is the code, as it was sent, and what is wanted besides.
    Decode(PageBuffer, Box<Decoding>, Changes),
    /// The code, and what is wanted besides.
    Inspect(Box<Inspection>, Changes),
    Ready(Changes, Option<Box<Inspected>>),
    Joined(Box<Joining>),
    Over,
}

/// Code that waits for its document to be read.
enum Code {
    /// The inside of a string, if the document has one.
    Inside(Option<PageBuffer>),
    /// The bytes.
    Bytes(PageBuffer),
}

impl Deploying {
    /// Begins with the bare file.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn of_file(
        registry: &Registry,
        (namespace, name): (Namespace, Name),
        file: PageBuffer,
        changes: Changes,
    ) -> Result<Self, Reject> {
        let stage = inspect(registry, file, changes)?;
        Ok(Self::new(namespace, Aim::Action { name, with_code: false }, stage))
    }

    /// Begins with a blob whose bytes are all there.
    #[must_use]
    pub fn of_blob(namespace: Namespace, joining: Joining) -> Self {
        Self::new(namespace, Aim::Blob, Stage::Join(Box::new(joining)))
    }

    /// Begins with what was pushed.
    ///
    /// # Errors
    /// It cannot be code.
    pub fn of_push(
        registry: &Registry,
        namespace: Namespace,
        aim: Aim,
        code: PushedCode,
        changes: Changes,
    ) -> Result<Self, Reject> {
        let stage = match code {
            PushedCode::Blob(code) => inspect(registry, code, changes)?,
            PushedCode::Stored { document, code } => stored(document, code),
            PushedCode::Layers(packer, holdings) => Stage::Pack(packer, holdings, changes),
        };
        Ok(Self::new(namespace, aim, stage))
    }

    /// Begins with a document.
    #[must_use]
    pub fn of_document(
        namespace: Namespace,
        name: Name,
        document: PageBuffer,
        with_code: bool,
    ) -> Self {
        let stage = Stage::Split(document, Box::default());
        Self::new(namespace, Aim::Action { name, with_code }, stage)
    }

    fn new(namespace: Namespace, aim: Aim, stage: Stage) -> Self {
        Self { text: RequestText::default(), id: 0, namespace, aim, stage }
    }

    /// Goes on. Returns whether it is ready to be decided.
    ///
    /// # Errors
    /// Why it cannot be deployed.
    pub fn step(&mut self, registry: &Registry, slice: &mut Slice) -> Result<bool, Reject> {
        while !slice.is_over() {
            match &mut self.stage {
                Stage::Split(document, splitter) => {
                    if splitter.step(document, slice).map_err(not_split)? {
                        self.end_split();
                    }
                }
                Stage::Read(reader, _) => {
                    if reader.step(slice)? {
                        self.end_read(registry)?;
                    }
                }
                Stage::Decode(raw, decoding, changes) => {
                    if let Some(code) = decoding.step(raw, slice).map_err(not_decoded)? {
                        core::mem::take(raw).give_back();
                        let changes = core::mem::take(changes);
                        self.stage = inspect(registry, code, changes)?;
                    }
                }
                Stage::Inspect(inspection, changes) => {
                    if let Some(inspected) = inspection.step(slice)? {
                        let changes = core::mem::take(changes);
                        self.stage = Stage::Ready(changes, Some(Box::new(inspected)));
                    }
                }
                Stage::Join(joining) => {
                    if joining.step(slice)? {
                        self.end_join();
                    }
                }
                Stage::Pack(packer, layers, changes) => {
                    if let Some(code) = packer.step(slice).map_err(PushReject::Layers)? {
                        layers.clear();
                        let changes = core::mem::take(changes);
                        self.stage = inspect(registry, code, changes)?;
                    }
                }
                Stage::Ready(..) | Stage::Joined(_) | Stage::Over => return Ok(true),
            }
        }
        Ok(matches!(self.stage, Stage::Ready(..) | Stage::Joined(_)))
    }

    fn end_join(&mut self) {
        if let Stage::Join(joining) = core::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Joined(joining);
        }
    }

    /// The blob that was joined, once.
    #[must_use]
    pub fn take_joined(&mut self) -> Option<Box<Joining>> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Joined(joining) => Some(joining),
            _ => None,
        }
    }

    fn end_split(&mut self) {
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        if let Stage::Split(document, splitter) = stage {
            document.give_back();
            let (rest, inside) = splitter.into_parts();
            let reader = Box::new(DocumentReader::new(rest, CodeIs::Inside));
            self.stage = Stage::Read(reader, Code::Inside(inside));
        }
    }

    fn end_read(&mut self, registry: &Registry) -> Result<(), Reject> {
        let stage = core::mem::replace(&mut self.stage, Stage::Over);
        let Stage::Read(reader, code) = stage else { return Ok(()) };
        let (changes, _) = reader.into_parts();
        let inside = match code {
            Code::Bytes(code) => {
                self.stage = inspect(registry, code, changes)?;
                return Ok(());
            }
            Code::Inside(inside) => inside,
        };
        let Some(exec) = &changes.exec else {
            self.stage = Stage::Ready(changes, None);
            return Ok(());
        };
        let raw = inside.filter(|raw| !raw.is_empty()).ok_or(CodeReject::Missing)?;
        let start = raw.chunk_at(0);
        if code::is_mangled(start) {
            return Err(CodeReject::Mangled.into());
        }
        let is_base64 = code::is_base64(exec.kind.as_deref(), start);
        let stands = if is_base64 { Stands::Base64 } else { Stands::Text };
        let decoding = Decoding::new(0..raw.len(), stands, CODE_LEN_MAX);
        self.stage = Stage::Decode(raw, Box::new(decoding), changes);
        Ok(())
    }

    /// What is wanted, and the code if there is some; once.
    #[must_use]
    pub fn take(&mut self) -> Option<(Changes, Option<Inspected>)> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Ready(changes, inspected) => Some((changes, inspected.map(|it| *it))),
            _ => None,
        }
    }

    /// How much memory it takes by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.stage {
            Stage::Split(document, splitter) => document.len() + splitter.held_len(),
            Stage::Read(reader, Code::Inside(code)) => {
                reader.held_len() + code.as_ref().map_or(0, PageBuffer::len)
            }
            Stage::Read(reader, Code::Bytes(code)) => reader.held_len() + code.len(),
            Stage::Decode(raw, decoding, _) => raw.len() + decoding.made_len(),
            Stage::Join(joining) | Stage::Joined(joining) => joining.held_len(),
            // Its layers are in the books already.
            Stage::Pack(packer, ..) => packer.held_len(),
            Stage::Inspect(inspection, _) => inspection.held_len(),
            Stage::Ready(_, inspected) => {
                inspected.as_ref().map_or(0, |inspected| inspected.executable.held_len())
            }
            Stage::Over => 0,
        }
    }
}

/// The stage in which what a registry has is looked at.
fn stored(document: PageBuffer, code: PageBuffer) -> Stage {
    let reader = DocumentReader::new(document, CodeIs::Stored);
    Stage::Read(Box::new(reader), Code::Bytes(code))
}

/// The stage in which code is looked at.
fn inspect(registry: &Registry, code: PageBuffer, changes: Changes) -> Result<Stage, Reject> {
    if code.is_empty() {
        return Err(CodeReject::Missing.into());
    }
    if code.len() > CODE_LEN_MAX {
        return Err(CodeReject::TooLong.into());
    }
    let kind = changes.exec.as_ref().and_then(|exec| exec.kind.as_deref());
    Ok(Stage::Inspect(Box::new(inspection(registry, kind, code)?), changes))
}

/// Begins to look at code of this kind.
///
/// # Errors
/// It cannot be code.
pub fn inspection(
    registry: &Registry,
    kind: Option<&str>,
    code: PageBuffer,
) -> Result<Inspection, CodeReject> {
    match is_source(registry, kind, &code) {
        true => Ok(Inspection::of_source(code)),
        false => Inspection::new(code, kind.unwrap_or(KIND_NATIVE)),
    }
}

/// Whether it is code for a runtime. Bytes that are a program need none.
fn is_source(registry: &Registry, kind: Option<&str>, code: &PageBuffer) -> bool {
    let has_runtime = kind.is_some_and(|kind| registry.runtimes().find(kind).is_some());
    has_runtime && !code::is_program(code.chunk_at(0))
}

fn not_split(reject: SplitReject) -> Reject {
    match reject {
        SplitReject::RestTooLong => {
            Reject::ParametersTooLong { name: "parameters and annotations" }
        }
        SplitReject::OutOfMemory => Reject::NoMemory,
    }
}

fn not_decoded(reject: DecodeReject) -> Reject {
    match reject {
        DecodeReject::NotUtf8 => Reject::Json(JsonReject::NotUtf8),
        DecodeReject::Base64(Base64Reject::OutOfFrames) => Reject::NoMemory,
        DecodeReject::Base64(reject) => CodeReject::from(reject).into(),
    }
}
