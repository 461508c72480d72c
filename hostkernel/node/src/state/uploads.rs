//! What was uploaded and has no name yet: blobs that come, and blobs that wait for the manifest
//! that names them.
//!
//! Each is held in the books of its namespace, as code on its way to be deployed is. What nobody
//! has been heard of for [`UPLOAD_KEPT_MS`] is dropped when somebody uploads or needs the room.

use alloc::vec::Vec;

use crate::registry::{Digest, Digester, Holding, Namespace};
use crate::slice::Slice;
use limits::{UPLOAD_KEPT_MS, UPLOADS_MAX, UPLOADS_SHARE_FACTOR};
use memory::{OutOfFrames, PageBuffer};

const NS_PER_MS: u64 = 1_000_000;

/// See the head of this file.
#[derive(Debug)]
pub struct Uploads {
    open: Vec<Upload>,
    blobs: Vec<Blob>,
    /// There is more than one tenant.
    is_shared: bool,
}

/// A blob that comes.
#[derive(Debug)]
pub struct Upload {
    /// Names it.
    pub id: u128,
    /// Whose it is.
    pub namespace: Namespace,
    /// What has come, in order.
    pub pieces: Vec<PageBuffer>,
    /// What that holds.
    pub holding: Holding,
    /// When it was heard of last.
    pub used_ns: u64,
}

/// A blob that is there.
#[derive(Debug)]
pub struct Blob {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called by.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: PageBuffer,
    /// What they hold.
    pub holding: Holding,
    /// When it was heard of last.
    pub used_ns: u64,
}

impl Uploads {
    /// None, of one tenant or several.
    #[must_use]
    pub const fn new(is_shared: bool) -> Self {
        Self { open: Vec::new(), blobs: Vec::new(), is_shared }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len() + self.blobs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a namespace may have one more.
    #[must_use]
    pub fn admits(&self, namespace: &Namespace) -> bool {
        let open = self.open.iter().map(|upload| &upload.namespace);
        let owners = open.chain(self.blobs.iter().map(|blob| &blob.namespace));
        let own = owners.filter(|owner| *owner == namespace).count();
        let left = UPLOADS_MAX.saturating_sub(self.len());
        left > 0 && (!self.is_shared || own < UPLOADS_SHARE_FACTOR * left)
    }

    /// Takes one that comes, and that [`admits`](Self::admits) was asked about.
    pub fn open(&mut self, upload: Upload) {
        self.open.push(upload);
    }

    /// Takes one out that comes.
    pub fn take(&mut self, namespace: &Namespace, id: u128) -> Option<Upload> {
        let is_it = |upload: &Upload| upload.id == id && upload.namespace == *namespace;
        let at = self.open.iter().position(is_it)?;
        Some(self.open.swap_remove(at))
    }

    /// Keeps one that is there, instead of the same that was there before.
    pub fn keep(&mut self, blob: Blob) {
        drop(self.take_blob(&blob.namespace, blob.digest));
        self.blobs.push(blob);
    }

    /// One that is there.
    #[must_use]
    pub fn blob(&self, namespace: &Namespace, digest: Digest) -> Option<&Blob> {
        self.blobs.iter().find(|blob| blob.digest == digest && blob.namespace == *namespace)
    }

    /// Takes one out that is there.
    pub fn take_blob(&mut self, namespace: &Namespace, digest: Digest) -> Option<Blob> {
        let is_it = |blob: &Blob| blob.digest == digest && blob.namespace == *namespace;
        let at = self.blobs.iter().position(is_it)?;
        Some(self.blobs.swap_remove(at))
    }

    /// Drops what nobody has been heard of for long. Returns whether there was something.
    pub fn expire(&mut self, now_ns: u64) -> bool {
        let before = self.len();
        let is_kept = |used_ns: u64| now_ns < used_ns + UPLOAD_KEPT_MS * NS_PER_MS;
        self.open.retain(|upload| is_kept(upload.used_ns));
        self.blobs.retain(|blob| is_kept(blob.used_ns));
        self.len() < before
    }
}

/// A blob whose bytes are all there, on its way to be one that is: its pieces become one, and its
/// digest is made.
pub struct Joining {
    upload: Upload,
    bytes: PageBuffer,
    /// What was read of the piece at the front.
    at: usize,
    is_first: bool,
    digester: Digester,
    digest: Digest,
}

impl Joining {
    /// Begins with all pieces, and what their digest is said to be.
    #[must_use]
    pub fn new(upload: Upload, digest: Digest) -> Self {
        let (bytes, digester) = (PageBuffer::new(), Digester::default());
        Self { upload, bytes, at: 0, is_first: true, digester, digest }
    }

    /// Goes on; returns whether that was all.
    ///
    /// # Errors
    /// [`OutOfFrames`]
    pub fn step(&mut self, slice: &mut Slice) -> Result<bool, OutOfFrames> {
        while !slice.is_over() {
            let Some(piece) = self.upload.pieces.first() else { return Ok(true) };
            let chunk = piece.chunk_at(self.at);
            if chunk.is_empty() {
                let piece = self.upload.pieces.remove(0);
                // One that comes whole is never copied.
                if core::mem::replace(&mut self.is_first, false) {
                    self.bytes = piece;
                }
                self.at = 0;
                continue;
            }
            self.digester.push(chunk);
            if !self.is_first {
                self.bytes.append(chunk)?;
            }
            self.at += chunk.len();
            slice.take(chunk.len());
        }
        Ok(false)
    }

    /// The blob, if it is what it was said to be.
    #[must_use]
    pub fn finish(self, now_ns: u64) -> Option<Blob> {
        let Self { upload: Upload { namespace, holding, .. }, bytes, digester, digest, .. } = self;
        let is_it = digester.finish() == digest;
        is_it.then_some(Blob { namespace, digest, bytes, holding, used_ns: now_ns })
    }

    /// What it takes beside what its upload holds already.
    #[must_use]
    pub fn held_len(&self) -> usize {
        // The piece that is being copied is there twice.
        if self.is_first { 0 } else { self.at }
    }
}
