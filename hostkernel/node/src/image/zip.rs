//! The executable in a zip archive: bounded, checked, and inflated straight into frames.
//!
//! Only what packers of actions write: stored or deflated entries, found by the central directory
//! at the archive's end. Everything else is refused by name. Numbers are those of PKWARE's
//! APPNOTE.TXT, 4.3; all offsets come from 16- and 32-bit fields, so sums of them fit `usize`.

mod directory;
mod link;
mod record;
mod reject;
mod unpack;

use alloc::string::String;

use self::directory::{END_LEN, Search, find_end};
use self::unpack::Unpacking;
use crate::slice::Slice;
use limits::ZIP_LINKS_MAX;
use memory::PageBuffer;

pub use self::reject::{Damage, Unread, ZipReject};

/// First bytes of an archive with files in it, and of an empty one.
pub const MAGICS: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// Where in an archive the executable may be: the first of these counts. `OpenWhisk`'s native
/// actions, its Go runtime and AWS Lambda have one each.
const EXECUTABLES: [&str; 3] = ["exec", "bin/exec", "bootstrap"];

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
                    if !unpacking.is_link() {
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
            Stage::Unpack(unpacking) => unpacking.held_len(),
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

#[cfg(test)]
mod tests;
