//! One errand to the registry, step by step: each is a request, and what its answer means.
//!
//! ```text
//! fetch    manifest ─304▶ unchanged        put      hash the code
//!             │ 404▶ absent                           │
//!             ▼ 200                                 each blob: there? ─no▶ begin ▶ upload
//!          config ▶ code ▶ fetched                    │
//!                                                   name it ▶ put
//! delete   which manifest? ▶ remove it
//! ```
//!
//! What arrives is believed by its digest alone: the manifest's is what the registry calls it by,
//! the blobs' are in the manifest.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::item::{Item, Parcel};
use super::manifest::{self, Blob, Manifest, read_digest};
use super::reject::{Place, StoreReject};
use crate::client::answer::Head;
use crate::client::url::Url;
use crate::client::{Answer, Request, Upload};
use crate::http::Method;
use crate::registry::Digest;
use limits::{CALL_SLICE_LEN, MANIFEST_LEN_MAX};
use memory::PageBuffer;

/// What an answer has that nobody reads: an error with a text, for people.
const REST_LEN_MAX: usize = 64 * 1024;

/// What is to be done.
pub enum Task {
    /// It is to be had, unless it still is the one with this manifest.
    Fetch(Option<Digest>),
    /// This is to be kept of it.
    Put(Parcel),
    /// It is to go.
    Delete,
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The registry has what the node has.
    Unchanged,
    /// It has another one.
    Fetched(Fetched),
    /// It has none.
    Absent,
    /// It has what was to be kept, by this manifest.
    Kept(Digest),
    /// It has none any more.
    Gone,
}

/// What came from the registry.
#[derive(Debug)]
pub struct Fetched {
    /// Its manifest.
    pub etag: Digest,
    /// What it is, in JSON.
    pub document: PageBuffer,
    /// Its code.
    pub code: PageBuffer,
    /// SHA-256 of the code.
    pub code_digest: Digest,
}

/// The way from one answer to the next request.
pub enum Next {
    /// There is another request.
    Ask,
    /// There is work here first.
    Work,
    /// That was all.
    Done(Outcome),
}

/// See the head of this file.
pub struct Errand {
    item: Item,
    repository: String,
    tag: String,
    step: Step,
}

enum Step {
    Manifest {
        known: Option<Digest>,
    },
    Config {
        etag: Digest,
        manifest: Manifest,
    },
    Code {
        etag: Digest,
        manifest: Manifest,
        document: PageBuffer,
    },
    Hash {
        put: Put,
        state: Sha256,
        at: usize,
    },
    /// Whether the registry has the blob; the first is the config.
    Look {
        put: Put,
        blob: usize,
    },
    Begin {
        put: Put,
        blob: usize,
    },
    Upload {
        put: Put,
        blob: usize,
        to: Url,
    },
    Name {
        put: Put,
    },
    Find,
    Remove {
        etag: Digest,
    },
    Over,
}

/// What is to be kept.
struct Put {
    code: Arc<PageBuffer>,
    config: Arc<[u8]>,
    blobs: [Blob; 2],
}

impl Errand {
    /// # Errors
    /// [`StoreReject::Name`] if the registry cannot have one of this name.
    pub fn new(prefix: &str, item: Item, task: Task) -> Result<Self, StoreReject> {
        let tag = item.tag().ok_or(StoreReject::Name)?;
        let repository = item.repository(prefix);
        let step = match task {
            Task::Fetch(known) => Step::Manifest { known },
            Task::Delete => Step::Find,
            Task::Put(Parcel { config, code }) => {
                let config_digest = Digest(Sha256::digest(&config).into());
                let blobs = [
                    Blob { digest: config_digest, len: config.len() },
                    Blob { digest: Digest([0; 32]), len: code.len() },
                ];
                let put = Put { code, config, blobs };
                Step::Hash { put, state: Sha256::new(), at: 0 }
            }
        };
        Ok(Self { item, repository, tag, step })
    }

    /// What it is about.
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Where that is.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Does a slice of what is to be done before the next request. Returns whether there is one
    /// now.
    pub fn work(&mut self) -> bool {
        let Step::Hash { put, state, at } = &mut self.step else { return true };
        let end = put.code.len().min(*at + CALL_SLICE_LEN);
        while *at < end {
            let piece = put.code.chunk_at(*at);
            state.update(piece);
            *at += piece.len();
        }
        if *at < put.code.len() {
            return false;
        }
        let digest = Digest(state.clone().finalize().into());
        let Step::Hash { mut put, .. } = core::mem::replace(&mut self.step, Step::Over) else {
            return true;
        };
        put.blobs[1].digest = digest;
        self.step = Step::Look { put, blob: 0 };
        true
    }

    /// The next request. `base` is the registry.
    pub fn request(&self, base: &Url) -> Request {
        let Self { repository, tag, .. } = self;
        let url = |rest: &str| Url { target: format!("/v2/{repository}/{rest}"), ..base.clone() };
        let read = |method, rest: &str, len_max, is_hashed| Request {
            method,
            url: url(rest),
            fields: Vec::new(),
            authorization: None,
            upload: Upload::None,
            len_max,
            is_hashed,
        };
        let blob = |blob: &Blob| format!("blobs/sha256:{}", blob.digest);
        let accept = || format!("Accept: {}\r\n", manifest::MANIFEST).into_bytes();
        match &self.step {
            Step::Manifest { known } => {
                let rest = format!("manifests/{tag}");
                let mut request = read(Method::Get, &rest, MANIFEST_LEN_MAX, true);
                request.fields = accept();
                if let Some(known) = known {
                    let line = format!("If-None-Match: \"sha256:{known}\"\r\n");
                    request.fields.extend_from_slice(line.as_bytes());
                }
                request
            }
            Step::Config { manifest, .. } => {
                read(Method::Get, &blob(&manifest.config), manifest.config.len, true)
            }
            Step::Code { manifest, .. } => {
                read(Method::Get, &blob(&manifest.code), manifest.code.len, true)
            }
            Step::Look { put, blob: at } => {
                read(Method::Head, &blob(&put.blobs[*at]), REST_LEN_MAX, false)
            }
            Step::Begin { .. } => read(Method::Post, "blobs/uploads/", REST_LEN_MAX, false),
            Step::Upload { put, blob, to } => {
                let separator = if to.target.contains('?') { '&' } else { '?' };
                let digest = put.blobs[*blob].digest;
                let target = format!("{}{separator}digest=sha256:{digest}", to.target);
                Request {
                    url: Url { target, ..to.clone() },
                    fields: b"Content-Type: application/octet-stream\r\n".to_vec(),
                    upload: put.upload(*blob),
                    ..read(Method::Put, "", REST_LEN_MAX, false)
                }
            }
            Step::Name { put } => {
                let kind = format!("Content-Type: {}\r\n", manifest::MANIFEST);
                let rest = format!("manifests/{tag}");
                Request {
                    fields: kind.into_bytes(),
                    upload: Upload::Bytes(put.manifest(&self.item).into_bytes().into()),
                    ..read(Method::Put, &rest, REST_LEN_MAX, false)
                }
            }
            Step::Find => {
                let rest = format!("manifests/{tag}");
                Request { fields: accept(), ..read(Method::Head, &rest, REST_LEN_MAX, false) }
            }
            Step::Remove { etag } => {
                read(Method::Delete, &format!("manifests/sha256:{etag}"), REST_LEN_MAX, false)
            }
            // Nobody asks then.
            Step::Hash { .. } | Step::Over => read(Method::Head, "", 0, false),
        }
    }

    /// What an answer leads to.
    ///
    /// # Errors
    /// [`StoreReject`]; then the errand has failed.
    pub fn answer(&mut self, answer: Answer) -> Result<Next, StoreReject> {
        let status = answer.head.status;
        match core::mem::replace(&mut self.step, Step::Over) {
            Step::Manifest { known } => match status {
                304 if known.is_some() => Ok(Next::Done(Outcome::Unchanged)),
                404 => Ok(Next::Done(Outcome::Absent)),
                200 => self.read_manifest(&answer),
                _ => Err(StoreReject::Status(Place::Manifest, status)),
            },
            Step::Config { etag, manifest } => {
                let document = checked(answer, manifest.config, Place::Config)?;
                self.step = Step::Code { etag, manifest, document };
                Ok(Next::Ask)
            }
            Step::Code { etag, manifest, document } => {
                let code = checked(answer, manifest.code, Place::Code)?;
                let code_digest = manifest.code.digest;
                Ok(Next::Done(Outcome::Fetched(Fetched { etag, document, code, code_digest })))
            }
            Step::Look { put, blob } => match status {
                200 => Ok(self.next_blob(put, blob)),
                404 => {
                    self.step = Step::Begin { put, blob };
                    Ok(Next::Ask)
                }
                _ => Err(StoreReject::Status(Place::Upload, status)),
            },
            Step::Begin { put, blob } => {
                let to = location(&answer).filter(|_| status == 202);
                let to = to.ok_or(StoreReject::Status(Place::Upload, status))?;
                self.step = Step::Upload { put, blob, to };
                Ok(Next::Ask)
            }
            Step::Upload { put, blob, .. } => match status {
                201 | 204 => Ok(self.next_blob(put, blob)),
                _ => Err(StoreReject::Status(Place::Upload, status)),
            },
            Step::Name { put } => match status {
                200..=299 => {
                    let manifest = put.manifest(&self.item);
                    let etag = Digest(Sha256::digest(manifest.as_bytes()).into());
                    Ok(Next::Done(Outcome::Kept(etag)))
                }
                _ => Err(StoreReject::Status(Place::Manifest, status)),
            },
            Step::Find => match status {
                404 => Ok(Next::Done(Outcome::Absent)),
                200 => {
                    let etag = stated_digest(&answer.head).ok_or(StoreReject::Digest)?;
                    self.step = Step::Remove { etag };
                    Ok(Next::Ask)
                }
                _ => Err(StoreReject::Status(Place::Manifest, status)),
            },
            Step::Remove { .. } => match status {
                202 | 200 | 404 => Ok(Next::Done(Outcome::Gone)),
                405 | 501 => Err(StoreReject::NoDelete),
                _ => Err(StoreReject::Status(Place::Manifest, status)),
            },
            Step::Hash { .. } | Step::Over => Ok(Next::Work),
        }
    }

    fn read_manifest(&mut self, answer: &Answer) -> Result<Next, StoreReject> {
        let etag = answer.digest.ok_or(StoreReject::Digest)?;
        // What it is called by is the digest of what it is; who says otherwise is not believed.
        if stated_digest(&answer.head).is_some_and(|stated| stated != etag) {
            return Err(StoreReject::Digest);
        }
        let bytes = answer.body.to_vec().map_err(|_| StoreReject::NoMemory)?;
        let manifest = Manifest::read(self.item.types(), &bytes).map_err(StoreReject::Manifest)?;
        self.step = Step::Config { etag, manifest };
        Ok(Next::Ask)
    }

    fn next_blob(&mut self, put: Put, blob: usize) -> Next {
        self.step = match blob {
            0 => Step::Look { put, blob: 1 },
            _ => Step::Name { put },
        };
        Next::Ask
    }
}

impl Put {
    fn upload(&self, blob: usize) -> Upload {
        match blob {
            0 => Upload::Bytes(Arc::clone(&self.config)),
            _ => Upload::Pages(Arc::clone(&self.code)),
        }
    }

    fn manifest(&self, item: &Item) -> String {
        let [config, code] = self.blobs;
        Manifest { config, code }.compose(item.types(), item.name())
    }
}

/// A blob, if it is the one that the manifest names.
fn checked(answer: Answer, blob: Blob, place: Place) -> Result<PageBuffer, StoreReject> {
    if answer.head.status != 200 {
        return Err(StoreReject::Status(place, answer.head.status));
    }
    if answer.digest != Some(blob.digest) || answer.body.len() != blob.len {
        return Err(StoreReject::Digest);
    }
    Ok(answer.body)
}

fn stated_digest(head: &Head) -> Option<Digest> {
    read_digest(head.headers().get("docker-content-digest")?)
}

fn location(answer: &Answer) -> Option<Url> {
    answer.url.join(answer.head.headers().get("location")?).ok()
}
