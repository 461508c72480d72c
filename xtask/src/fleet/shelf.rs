//! Many actions at once in the folder of a registry, as docker-registry has them there.
//!
//! ```text
//! docker/registry/v2/blobs/sha256/ab/abcd…/data
//! docker/registry/v2/repositories/NAME/_layers/sha256/abcd…/link
//!                                      _manifests/revisions/sha256/abcd…/link
//!                                      _manifests/tags/TAG/current/link
//! ```
//!
//! Sent through a node, or to the registry, each takes six requests.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use node::registry::Digest;
use node::store::manifest::{ACTION, Blob, Manifest};
use sha2::{Digest as _, Sha256};

/// What each of them is.
const CONFIG: &[u8] =
    br#"{"version":"0.0.1","kind":"native:1","updated":1,"limits":{"memory":16}}"#;

/// One repository in such a folder.
struct Shelf {
    blobs: PathBuf,
    repository: PathBuf,
}

/// Puts actions, each by its tag and with code of its own, into a repository. `data` is the folder.
///
/// # Errors
/// If a file cannot be written.
pub fn fill(
    data: &Path,
    repository: &str,
    actions: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> io::Result<()> {
    let root = data.join("docker/registry/v2");
    let repository = root.join("repositories").join(repository);
    let shelf = Shelf { blobs: root.join("blobs"), repository };
    let config = shelf.layer(CONFIG)?;
    for (tag, code) in actions {
        let code = shelf.layer(&code)?;
        let manifest = shelf.blob(Manifest { config, code }.compose(&ACTION, &tag).as_bytes())?;
        shelf.link("_manifests/revisions", &manifest)?;
        shelf.link(&format!("_manifests/tags/{tag}/index"), &manifest)?;
        let current = format!("_manifests/tags/{tag}/current");
        write(&shelf.repository.join(current), "link", name(&manifest).as_bytes())?;
    }
    Ok(())
}

impl Shelf {
    fn blob(&self, bytes: &[u8]) -> io::Result<Blob> {
        let blob = Blob { digest: Digest(Sha256::digest(bytes).into()), len: bytes.len() };
        let digits = blob.digest.to_string();
        let folder = self.blobs.join("sha256").join(&digits[..2]).join(&digits);
        write(&folder, "data", bytes)?;
        Ok(blob)
    }

    /// A blob that the repository has.
    fn layer(&self, bytes: &[u8]) -> io::Result<Blob> {
        let blob = self.blob(bytes)?;
        self.link("_layers", &blob)?;
        Ok(blob)
    }

    fn link(&self, place: &str, blob: &Blob) -> io::Result<()> {
        let folder = self.repository.join(place).join("sha256").join(blob.digest.to_string());
        write(&folder, "link", name(blob).as_bytes())
    }
}

fn name(blob: &Blob) -> String {
    format!("sha256:{}", blob.digest)
}

fn write(folder: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(file), bytes)
}
