//! Runtimes: what a node needs so that people can deploy source code.
//!
//! A runtime is a zip archive with a Linux program (`exec`), its libraries and its files, and a
//! launcher in the language itself. The interpreters are the distribution's or come from crates;
//! the project has the launchers, in `runtimes/`, and the recipes, here.

mod archive;
mod error;
mod javascript;
mod libraries;
mod nodejs;
mod python;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

pub use error::RuntimeError;
use error::file_error;

use crate::workspace;

/// Extension of the file beside an archive that says of which kind it is.
const KIND_NOTE: &str = "kind";

/// A language that there is a recipe for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `CPython` of the distribution, with its library and all of its extensions.
    Python,
    /// `QuickJS` from a crate.
    JavaScript,
    /// Node.js as it is installed.
    NodeJs,
}

/// A runtime that was built.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The archive.
    pub file: PathBuf,
    /// Its length in bytes.
    pub len: u64,
    /// SHA-256 of it, 64 hexadecimal digits.
    pub digest: String,
    /// What is in it, for people: `CPython 3.11.2`.
    pub what: String,
}

impl Language {
    /// The kind of functions that a node runs with it. Node's has its major version, which is known
    /// when the archive was built.
    #[must_use]
    pub fn kind(self) -> String {
        match self {
            Self::Python => "python:3".to_owned(),
            Self::JavaScript => "javascript".to_owned(),
            Self::NodeJs => {
                let noted = fs::read_to_string(self.file().with_extension(KIND_NOTE));
                noted.unwrap_or_else(|_| "nodejs".to_owned())
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::NodeJs => "nodejs",
        }
    }

    /// Where the archive is put.
    #[must_use]
    pub fn file(self) -> PathBuf {
        workspace::target().join("runtimes").join(self.name()).with_extension("zip")
    }

    /// The runtime's interpreter with the names of its functions, if it was built with any.
    #[must_use]
    pub fn interpreter_with_symbols(self) -> PathBuf {
        self.file().with_extension("symbols")
    }

    /// The archive, which is built unless it was since the project's part of it has changed.
    ///
    /// # Errors
    /// [`RuntimeError`]
    pub fn ready(self, say: impl Fn(&str)) -> Result<PathBuf, RuntimeError> {
        /// Threads of one process wait for each other here.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file();
        let built = fs::metadata(&file).and_then(|found| found.modified()).ok();
        let recipes = workspace::root().join("xtask/src/runtime");
        let changed = changed(&sources(self))?.max(changed(&recipes)?);
        if built.is_none_or(|built| built < changed) {
            self.build(say)?;
        }
        Ok(file)
    }

    /// Builds the archive. `say` hears what is about to be done.
    ///
    /// # Errors
    /// [`RuntimeError`]
    pub fn build(self, say: impl Fn(&str)) -> Result<Runtime, RuntimeError> {
        let stage = workspace::target().join("runtimes").join(self.name());
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(file_error(&stage))?;
        }
        fs::create_dir_all(&stage).map_err(file_error(&stage))?;
        let what = match self {
            Self::Python => python::stage(&stage, say)?,
            Self::JavaScript => javascript::stage(&stage, say)?,
            Self::NodeJs => {
                let (what, major) = nodejs::stage(&stage, say)?;
                let note = self.file().with_extension(KIND_NOTE);
                fs::write(&note, format!("nodejs:{major}")).map_err(file_error(&note))?;
                what
            }
        };
        let file = self.file();
        archive::pack(&stage, &file)?;
        let bytes = fs::read(&file).map_err(file_error(&file))?;
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Runtime { file, len: bytes.len() as u64, digest, what })
    }
}

/// When something in a folder was changed last.
fn changed(folder: &Path) -> Result<SystemTime, RuntimeError> {
    let mut last = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder).map_err(file_error(folder))? {
        let path = entry.map_err(file_error(folder))?.path();
        let found = fs::metadata(&path).map_err(file_error(&path))?;
        last = last.max(match found.is_dir() {
            true => changed(&path)?,
            false => found.modified().map_err(file_error(&path))?,
        });
    }
    Ok(last)
}

/// The folder with what the project has of a runtime.
fn sources(language: Language) -> PathBuf {
    workspace::root().join("runtimes").join(language.name())
}

fn copy(from: &Path, to: &Path) -> Result<(), RuntimeError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(file_error(folder))?;
    }
    fs::copy(from, to).map(drop).map_err(file_error(from))
}
