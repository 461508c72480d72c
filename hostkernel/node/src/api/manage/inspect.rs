//! Code on its way from the bytes that were sent to what can be judged at once: unpacked, hashed
//! and looked at, in slices.

use crate::api::request::code::{CodeReject, Executable, Opening};
use crate::image::elf;
use crate::image::text::{Text, TextCheck};
use crate::registry::{Digest, Digester};
use crate::slice::Slice;
use memory::PageBuffer;

/// Kind of an image for the native calls that comes without one.
pub const KIND_NATIVE: &str = "native:1";

/// What was found out of code.
#[derive(Debug)]
pub struct Inspected {
    pub executable: Executable,
    /// Digest of the executable file.
    pub of_file: Digest,
    /// Digest of what was sent.
    pub of_sent: Digest,
    /// Whether the file is text.
    pub text: Text,
    /// Whether it says that it was built for this node.
    pub has_note: bool,
}

/// Code that is being looked at.
pub struct Inspection {
    stage: Stage,
    /// Digest of what was sent, if somebody has made it.
    known: Option<Digest>,
}

enum Stage {
    Open(Opening),
    File { executable: Executable, at: usize, digester: Digester, text: TextCheck },
    Archive { executable: Executable, of_file: Digest, text: Text, at: usize, digester: Digester },
    Over,
}

impl Inspection {
    /// Begins with code of this kind.
    ///
    /// # Errors
    /// It cannot be code.
    pub fn new(code: PageBuffer, kind: &str) -> Result<Self, CodeReject> {
        Ok(Self { stage: Stage::Open(Opening::new(code, kind)?), known: None })
    }

    /// Begins with code that a runtime takes as it is.
    #[must_use]
    pub fn of_source(code: PageBuffer) -> Self {
        let executable = Executable { file: code, archive: None };
        let (digester, text) = (Digester::default(), TextCheck::default());
        Self { stage: Stage::File { executable, at: 0, digester, text }, known: None }
    }

    /// The same when the digest of the code is known: it is not made again.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { known: Some(digest), ..self }
    }

    /// Goes on; returns all there is to know when there is.
    ///
    /// # Errors
    /// See [`CodeReject`].
    pub fn step(&mut self, slice: &mut Slice) -> Result<Option<Inspected>, CodeReject> {
        while !slice.is_over() {
            let known = self.known;
            match &mut self.stage {
                Stage::Open(opening) => {
                    let Some(executable) = opening.step(slice)? else { continue };
                    let (digester, text) = (Digester::default(), TextCheck::default());
                    self.stage = Stage::File { executable, at: 0, digester, text };
                }
                Stage::File { executable, at, digester, text } => {
                    let chunk = executable.file.chunk_at(*at);
                    if known.is_none() || executable.archive.is_some() {
                        digester.push(chunk);
                    }
                    text.push(chunk);
                    slice.take(chunk.len());
                    *at += chunk.len();
                    if chunk.is_empty()
                        && let Some(inspected) = self.end_file()
                    {
                        return Ok(Some(inspected));
                    }
                }
                Stage::Archive { executable, at, digester, .. } => {
                    let archive = executable.archive.as_ref();
                    let chunk = archive.map_or(&[][..], |archive| archive.chunk_at(*at));
                    digester.push(chunk);
                    slice.take(chunk.len());
                    *at += chunk.len();
                    if chunk.is_empty() {
                        return Ok(self.end_archive());
                    }
                }
                Stage::Over => return Err(CodeReject::Missing),
            }
        }
        Ok(None)
    }

    /// The file was read. What was sent is that file, or is still to be read.
    fn end_file(&mut self) -> Option<Inspected> {
        let Stage::File { executable, digester, text, .. } =
            core::mem::replace(&mut self.stage, Stage::Over)
        else {
            return None;
        };
        let text = text.end();
        match (executable.archive.is_some(), self.known) {
            (true, Some(of_sent)) => {
                Some(Inspected::new(executable, digester.finish(), of_sent, text))
            }
            (true, None) => {
                let (of_file, digester) = (digester.finish(), Digester::default());
                self.stage = Stage::Archive { executable, of_file, text, at: 0, digester };
                None
            }
            (false, known) => {
                let digest = known.unwrap_or_else(|| digester.finish());
                Some(Inspected::new(executable, digest, digest, text))
            }
        }
    }

    fn end_archive(&mut self) -> Option<Inspected> {
        let Stage::Archive { executable, of_file, text, digester, .. } =
            core::mem::replace(&mut self.stage, Stage::Over)
        else {
            return None;
        };
        Some(Inspected::new(executable, of_file, digester.finish(), text))
    }

    /// How much memory code and file take by now.
    #[must_use]
    pub fn held_len(&self) -> usize {
        match &self.stage {
            Stage::Open(opening) => opening.held_len(),
            Stage::File { executable, .. } | Stage::Archive { executable, .. } => {
                executable.held_len()
            }
            Stage::Over => 0,
        }
    }
}

impl Inspected {
    fn new(executable: Executable, of_file: Digest, of_sent: Digest, text: Text) -> Self {
        let has_note = executable.can_be_hosted() && elf::has_note(&executable.file);
        Self { executable, of_file, of_sent, text, has_note }
    }
}
