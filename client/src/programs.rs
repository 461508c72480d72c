//! Programs that were deployed from this computer, kept with their symbols: what a node has of a
//! crate explains no address.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::Code;
use crate::symbols::Symbols;

/// Programs that are kept, and their bytes together.
const KEPT_MAX: usize = 64;
const KEPT_BYTES_MAX: u64 = 256 << 20;

/// The folder of one user.
#[derive(Clone, Debug)]
pub struct Programs {
    /// None for who has no home.
    folder: Option<PathBuf>,
}

impl Programs {
    /// Those of the user: `~/.cache/hk/programs`, or below `XDG_CACHE_HOME`.
    #[must_use]
    pub fn of_user() -> Self {
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
        Self { folder: cache.map(|cache| cache.join("hk/programs")) }
    }

    /// Keeps what explains the addresses of code that was deployed, if something does. That it
    /// could not be kept is no reason to complain: the node may have it too.
    pub fn keep(&self, code: &Code) {
        let is_explained = |file: &[u8]| Symbols::read(file).is_ok_and(|it| !it.is_empty());
        if code.language.is_none()
            && let Some(file) = fs::read(&code.file).ok().filter(|file| is_explained(file))
        {
            self.put(&digest(&code.bytes), &file);
        }
    }

    /// The file that explains code with this SHA-256. It is empty if it is known that none does.
    #[must_use]
    pub fn get(&self, digest: &str) -> Option<Vec<u8>> {
        let file = self.folder.as_ref().filter(|_| is_digest(digest))?.join(digest);
        fs::read(file).ok()
    }

    /// Keeps what explains code with this SHA-256: nothing, if nothing does.
    pub fn put(&self, digest: &str, file: &[u8]) {
        if let Some(folder) = self.folder.as_ref().filter(|_| is_digest(digest)) {
            let _ = put(folder, digest, file);
        }
    }
}

/// SHA-256, in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Puts a program into the folder, and takes the oldest out while there are too many.
fn put(folder: &Path, digest: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let half = folder.join(format!("{digest}.{}.tmp", std::process::id()));
    fs::write(&half, bytes)?;
    fs::rename(&half, folder.join(digest))?;
    let mut kept: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        kept.push((metadata.modified()?, metadata.len(), entry.path()));
    }
    // Newest first.
    kept.sort_by(|one, other| other.cmp(one));
    let mut total = 0;
    for (index, (_, len, file)) in kept.iter().enumerate() {
        total += len;
        if index >= KEPT_MAX || (index > 0 && total > KEPT_BYTES_MAX) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_programs_are_kept() {
        let folder = env::temp_dir().join(format!("hk-programs-{}", std::process::id()));
        for number in 0..KEPT_MAX + 3 {
            put(&folder, &digest(&number.to_le_bytes()), b"program").expect("there is room");
        }
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), KEPT_MAX);
        assert!(folder.join(digest(&(KEPT_MAX + 2).to_le_bytes())).is_file());
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
