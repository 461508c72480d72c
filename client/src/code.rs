//! What can be deployed: a file, or a crate that becomes one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::build::{self, BuildError};

/// Code for a node, read into memory.
#[derive(Clone, Debug)]
pub struct Code {
    /// A name for the action: that of the program.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The file cannot be read.
    #[error("{} cannot be read: {cause}; name an ELF file or a crate folder", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The folder holds no crate.
    #[error("{} has no Cargo.toml; name an ELF file or a crate folder", .0.display())]
    NoCrate(PathBuf),
    /// The crate does not become a program.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Code {
    /// Reads a file; builds the crate first if `source` is a folder. Cargo's messages go to
    /// stderr. Whether a node takes the code is for the node to say.
    ///
    /// # Errors
    /// [`CodeError`]
    pub fn open(source: &Path) -> Result<Self, CodeError> {
        if !source.is_dir() {
            let stem = source.file_stem().unwrap_or_default();
            return Self::read(stem.to_string_lossy().into_owned(), source);
        }
        if !source.join("Cargo.toml").is_file() {
            return Err(CodeError::NoCrate(source.to_path_buf()));
        }
        let program = build::action_crate(source, None)?;
        Self::read(program.name, &program.file)
    }

    fn read(name: String, file: &Path) -> Result<Self, CodeError> {
        let path = file.to_path_buf();
        match fs::read(file) {
            Ok(bytes) => Ok(Self { name, file: path, bytes }),
            Err(cause) => Err(CodeError::File { path, cause }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_named() {
        let error = Code::open(Path::new("no/such/file")).expect_err("it does not exist");
        assert!(error.to_string().contains("no/such/file cannot be read"), "{error}");
        let error = Code::open(Path::new("src")).expect_err("no crate");
        assert!(matches!(error, CodeError::NoCrate(_)), "{error}");
    }
}
