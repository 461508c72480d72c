//! The paths of the distribution protocol, and why a request there is refused.
//!
//! ```text
//! NAMESPACE/ACTION:TAG    the action, whatever the tag
//! NAMESPACE:TAG           the action whose name the tag spells, as in a store
//! ```

use alloc::boxed::Box;
use alloc::format;
use core::fmt;

use super::image::ImageReject;
use crate::image::layers::LayerReject;
use crate::registry::{Digest, Name};
use crate::store::names;
use limits::{CODE_LEN_MAX, MANIFEST_LEN_MAX, TAG_LEN_MAX, UPLOAD_PIECES_MAX};

/// What a path below `/v2/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/v2/`: that the protocol is spoken.
    Base,
    /// `/v2/REPOSITORY/blobs/DIGEST`.
    Blob { repository: &'a str, digest: &'a str },
    /// `/v2/REPOSITORY/blobs/uploads/`.
    Uploads { repository: &'a str },
    /// `/v2/REPOSITORY/blobs/uploads/ID`.
    Upload { repository: &'a str, id: &'a str },
    /// `/v2/REPOSITORY/manifests/REFERENCE`.
    Manifest { repository: &'a str, reference: &'a str },
    /// `/v2/REPOSITORY/tags/list`.
    Tags { repository: &'a str },
}

impl<'a> Target<'a> {
    /// What follows `/v2/`.
    #[must_use]
    pub fn of(rest: &'a str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Base);
        }
        let part = |between| {
            let (repository, last) = rest.rsplit_once(between)?;
            let is_good = !repository.is_empty() && !last.contains('/');
            is_good.then_some((repository, last))
        };
        if let Some(repository) = rest.strip_suffix("/blobs/uploads") {
            return Some(Self::Uploads { repository });
        }
        if let Some((repository, id)) = part("/blobs/uploads/") {
            return Some(match id {
                "" => Self::Uploads { repository },
                id => Self::Upload { repository, id },
            });
        }
        if let Some((repository, digest)) = part("/blobs/") {
            return Some(Self::Blob { repository, digest });
        }
        if let Some((repository, reference)) = part("/manifests/") {
            return Some(Self::Manifest { repository, reference });
        }
        rest.strip_suffix("/tags/list").map(|repository| Self::Tags { repository })
    }

    /// The repository, unless it is about none.
    #[must_use]
    pub const fn repository(self) -> Option<&'a str> {
        match self {
            Self::Base => None,
            Self::Blob { repository, .. }
            | Self::Uploads { repository }
            | Self::Upload { repository, .. }
            | Self::Manifest { repository, .. }
            | Self::Tags { repository } => Some(repository),
        }
    }

    /// The methods it has.
    #[must_use]
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Base | Self::Tags { .. } => "GET, HEAD, OPTIONS",
            Self::Blob { .. } => "HEAD, OPTIONS",
            Self::Uploads { .. } => "POST, OPTIONS",
            Self::Upload { .. } => "GET, HEAD, PATCH, PUT, DELETE, OPTIONS",
            Self::Manifest { .. } => "GET, HEAD, PUT, OPTIONS",
        }
    }
}

/// Why a push is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushReject {
    /// The repository is not the namespace's, or names no action. 403, 400.
    Foreign,
    /// See [`Self::Foreign`].
    Name,
    /// What should be a tag is none, or none that spells an action. 400.
    Tag,
    /// What should be a digest is not SHA-256. 400.
    NoDigest,
    /// The bytes have another digest than was said. 400.
    Digest,
    /// There is no upload of this id. 404.
    NoUpload,
    /// There is no blob of this digest. 404.
    NoBlob,
    /// There is no manifest of this name. 404.
    NoManifest,
    /// A piece is not the next one. 416.
    OutOfOrder,
    /// It comes in more than [`UPLOAD_PIECES_MAX`] pieces. 400.
    TooManyPieces,
    /// It is longer than [`CODE_LEN_MAX`]. 413.
    TooLong,
    /// As many uploads as there can be wait for their manifests. 429.
    TooMany,
    /// The manifest names a blob that was not uploaded. 400.
    BlobUnknown(Digest),
    /// A blob has another length than the manifest says. 400.
    BlobLen(Digest),
    /// The manifest, or what it names, cannot become an action. 400.
    Image(ImageReject),
    /// Likewise, its layers; 413 if they are too long, 503 if there is no memory for them.
    Layers(LayerReject),
}

impl PushReject {
    /// The status of an answer that says so.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Foreign => 403,
            Self::NoUpload | Self::NoBlob | Self::NoManifest => 404,
            Self::TooLong | Self::Layers(LayerReject::TooLong) => 413,
            Self::OutOfOrder => 416,
            Self::TooMany => 429,
            Self::Layers(LayerReject::NoMemory) => 503,
            _ => 400,
        }
    }

    /// The code that the protocol has for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign => "DENIED",
            Self::Name => "NAME_INVALID",
            Self::Tag => "TAG_INVALID",
            Self::NoDigest | Self::Digest => "DIGEST_INVALID",
            Self::NoUpload => "BLOB_UPLOAD_UNKNOWN",
            Self::NoBlob => "BLOB_UNKNOWN",
            Self::NoManifest => "MANIFEST_UNKNOWN",
            Self::OutOfOrder | Self::TooManyPieces => "BLOB_UPLOAD_INVALID",
            Self::TooLong => "SIZE_INVALID",
            Self::TooMany => "TOOMANYREQUESTS",
            Self::BlobUnknown(_) => "MANIFEST_BLOB_UNKNOWN",
            Self::BlobLen(_) | Self::Image(_) | Self::Layers(_) => "MANIFEST_INVALID",
        }
    }
}

/// The action that a manifest is to be, pushed to a repository of a namespace under a reference.
///
/// # Errors
/// [`PushReject::Foreign`], [`PushReject::Name`], [`PushReject::Tag`].
pub fn action(namespace: &str, repository: &str, reference: &str) -> Result<Name, PushReject> {
    let name = within(namespace, repository)?;
    if !is_tag(reference) {
        return Err(PushReject::Tag);
    }
    match name {
        Some(name) => Name::new(name).map_err(|_| PushReject::Name),
        None => names::name_of(reference).ok_or(PushReject::Tag),
    }
}

/// What follows the namespace in the name of a repository of its.
///
/// # Errors
/// [`PushReject::Foreign`]
pub fn within<'a>(namespace: &str, repository: &'a str) -> Result<Option<&'a str>, PushReject> {
    let (owner, name) = match repository.split_once('/') {
        Some((owner, name)) => (owner, Some(name)),
        None => (repository, None),
    };
    if owner == namespace || owner == names::component(namespace) {
        Ok(name)
    } else {
        Err(PushReject::Foreign)
    }
}

/// Whether a reference is a tag, and no digest (OCI distribution 1.1, "Pulling manifests").
fn is_tag(reference: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_inner = |byte: u8| is_word(byte) || byte == b'.' || byte == b'-';
    reference.len() <= TAG_LEN_MAX
        && reference.bytes().next().is_some_and(is_word)
        && reference.bytes().all(is_inner)
}

impl From<LayerReject> for PushReject {
    fn from(reject: LayerReject) -> Self {
        Self::Layers(reject)
    }
}

impl From<ImageReject> for PushReject {
    fn from(reject: ImageReject) -> Self {
        Self::Image(reject)
    }
}

impl fmt::Display for PushReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Box<str> = match self {
            Self::Foreign => "The repository is not one of the key's namespace.".into(),
            Self::Name => "The repository names no action: NAMESPACE/ACTION, or NAMESPACE with \
                           the action as tag."
                .into(),
            Self::Tag => {
                "The reference is no tag, or none that spells the name of an action.".into()
            }
            Self::NoDigest => "A digest is sha256: and 64 hexadecimal digits.".into(),
            Self::Digest => "The bytes have another digest than was said.".into(),
            Self::NoUpload => {
                "There is no such upload, or nothing was heard of it for too long.".into()
            }
            Self::NoBlob => "There is no such blob. A node keeps those of a push until its \
                             manifest has come."
                .into(),
            Self::NoManifest => "There is no such manifest.".into(),
            Self::OutOfOrder => "The piece does not begin where the last one ended.".into(),
            Self::TooManyPieces => {
                format!("An upload comes in at most {UPLOAD_PIECES_MAX} pieces.").into()
            }
            Self::TooLong => {
                format!("A blob has at most {CODE_LEN_MAX} bytes, a manifest {MANIFEST_LEN_MAX}.")
                    .into()
            }
            Self::TooMany => "Too many uploads wait for their manifests; try again.".into(),
            Self::BlobUnknown(digest) => {
                format!("The manifest names sha256:{digest}, which was not uploaded.").into()
            }
            Self::BlobLen(digest) => {
                format!("sha256:{digest} has another length than the manifest says.").into()
            }
            Self::Image(reject) => return reject.fmt(f),
            Self::Layers(reject) => format!("The image cannot be run: {reject}.").into(),
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_taken_apart_from_their_ends() {
        let repository = "guest/blobs";
        for (rest, target) in [
            ("", Some(Target::Base)),
            ("guest/blobs/blobs/uploads/", Some(Target::Uploads { repository })),
            ("guest/blobs/blobs/uploads", Some(Target::Uploads { repository })),
            ("guest/blobs/blobs/uploads/7", Some(Target::Upload { repository, id: "7" })),
            ("guest/blobs/blobs/a:b", Some(Target::Blob { repository, digest: "a:b" })),
            ("guest/blobs/manifests/x", Some(Target::Manifest { repository, reference: "x" })),
            ("guest/blobs/tags/list", Some(Target::Tags { repository })),
            ("guest", None),
            ("/blobs/a", None),
            ("guest/manifests/a/b", None),
        ] {
            assert_eq!(Target::of(rest), target, "{rest}");
        }
    }

    #[test]
    fn a_repository_or_its_tag_names_the_action() {
        let named = |repository, reference| {
            action("guest", repository, reference).map(|name| name.as_str().into())
        };
        let is = |name: &str| Ok::<Box<str>, PushReject>(name.into());
        assert_eq!(named("guest/hello", "latest"), is("hello"));
        assert_eq!(named("guest/a.b-c", "v1.2"), is("a.b-c"));
        assert_eq!(named("guest", "a.20b"), is("a b"));
        assert_eq!(named("guest", "v1.2"), Err(PushReject::Tag));
        assert_eq!(named("other/hello", "latest"), Err(PushReject::Foreign));
        assert_eq!(named("guest/a/b", "latest"), Err(PushReject::Name));
        assert_eq!(named("guest/", "latest"), Err(PushReject::Name));
        for reference in ["", ".a", "a:b", "a b", &"a".repeat(TAG_LEN_MAX + 1)] {
            assert_eq!(named("guest/hello", reference), Err(PushReject::Tag), "{reference}");
        }
        assert!(action("A b", "0--0.41.20b/x", "y").is_ok());
    }

    proptest! {
        #[test]
        fn nothing_panics(rest in "(/|a|blobs|uploads|manifests|tags|list|:){0,12}") {
            let _ = Target::of(&rest);
        }
    }
}
