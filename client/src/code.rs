//! What can be deployed: a file, a crate that becomes one, or a folder with source code.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::{self, PackError};
use crate::build::{self, BuildError};
use crate::language::Language;
use crate::loaded::loaded;

/// Code for a node, read into memory.
#[derive(Clone, Debug)]
pub struct Code {
    /// A name for the action: that of the program, or of the file.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// The language, if it is source code.
    pub language: Option<Language>,
    /// The file, or an archive of the folder. Of a crate's program only what is loaded: what
    /// explains its addresses stays in `file`.
    pub bytes: Vec<u8>,
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The file cannot be read.
    #[error("{} cannot be read: {cause}; name a file or a folder", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A folder cannot become an archive.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The folder holds nothing that could be deployed.
    #[error(
        "{} has no Cargo.toml, __main__.py, package.json or index.js; name a file, the folder of a \
         crate or one with source code",
        .0.display()
    )]
    NoCrate(PathBuf),
    /// The crate does not become a program.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Code {
    /// Reads a file; builds the crate first if `source` is the folder of one, packs it if it holds
    /// source code. Cargo's messages go to stderr. Whether a node takes the code is for the node
    /// to say.
    ///
    /// # Errors
    /// [`CodeError`]
    pub fn open(source: &Path) -> Result<Self, CodeError> {
        if !source.is_dir() {
            let stem = source.file_stem().unwrap_or_default();
            return Self::read(stem.to_string_lossy().into_owned(), source);
        }
        if source.join("Cargo.toml").is_file() {
            let program = build::action_crate(source, None)?;
            let code = Self::read(program.name, &program.file)?;
            return Ok(Self { bytes: loaded(code.bytes), ..code });
        }
        let language = archive::language_of_folder(source);
        let language = Some(language.ok_or_else(|| CodeError::NoCrate(source.to_path_buf()))?);
        // A folder may be given as `.`.
        let whole = source.canonicalize().unwrap_or_else(|_| source.to_path_buf());
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = archive::pack(source)?;
        Ok(Self { name, file: source.to_path_buf(), language, bytes })
    }

    fn read(name: String, file: &Path) -> Result<Self, CodeError> {
        let path = file.to_path_buf();
        let bytes =
            fs::read(file).map_err(|cause| CodeError::File { path: path.clone(), cause })?;
        let language = Language::of_file(file).or_else(|| archive::language(&bytes));
        Ok(Self { name, file: path, language, bytes })
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

    #[test]
    fn source_code_is_known_by_its_file_and_a_folder_is_packed() {
        let folder = std::env::temp_dir().join(format!("hk-code-{}", std::process::id()));
        let function = folder.join("greet");
        fs::create_dir_all(function.join("__pycache__")).expect("there is a place for files");
        for file in ["__main__.py", "__pycache__/x.pyc", "../one.js", "../two"] {
            fs::write(function.join(file), "text").expect("there is room");
        }
        let open = |path: PathBuf| Code::open(&path).expect("it is there");
        let packed = open(function.clone());
        assert_eq!((&*packed.name, packed.language), ("greet", Some(Language::Python)));
        assert_eq!(archive::language(&packed.bytes), Some(Language::Python));
        assert_eq!(packed.bytes, open(function).bytes);
        assert!(!packed.bytes.windows(3).any(|bytes| bytes == b"pyc"));
        assert_eq!(open(folder.join("one.js")).language, Some(Language::JavaScript));
        assert_eq!(open(folder.join("two")).language, None);
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
