//! Zip archives of source code: which language it is, and making one of a folder.

use std::fs;
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::language::Language;

/// What is no part of a function, by the name of its file or folder.
const LEFT_OUT: [&str; 4] = [".git", ".gitignore", "__pycache__", ".DS_Store"];
/// Files that say which language an archive is of, by their name in its root.
const MARKS: [(&str, Language); 3] = [
    ("__main__.py", Language::Python),
    ("package.json", Language::JavaScript),
    ("index.js", Language::JavaScript),
];

/// Why a folder is not packed.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be packed: {cause}", .path.display())]
pub struct PackError {
    /// The file or folder.
    path: PathBuf,
    /// What the system or the library says.
    cause: ZipError,
}

impl PackError {
    fn at(path: &Path) -> impl Fn(ZipError) -> Self {
        move |cause| Self { path: path.to_path_buf(), cause }
    }
}

/// The language of an archive; none if it is of a program, or of something else.
pub fn language(bytes: &[u8]) -> Option<Language> {
    let archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let has = |name: &str| archive.index_for_name(name).is_some();
    let is_program = ["exec", "bin/exec", "bootstrap"].into_iter().any(has);
    let mark = MARKS.into_iter().find(|(name, _)| has(name))?;
    (!is_program).then_some(mark.1)
}

/// The language of a folder with source code.
pub fn language_of_folder(folder: &Path) -> Option<Language> {
    MARKS.into_iter().find(|(name, _)| folder.join(name).is_file()).map(|(_, language)| language)
}

/// Makes an archive of a folder: the same files give the same bytes.
///
/// # Errors
/// [`PackError`]
pub fn pack(folder: &Path) -> Result<Vec<u8>, PackError> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy();
        add(&mut zip, &name, &file).map_err(PackError::at(&file))?;
    }
    Ok(zip.finish().map_err(PackError::at(folder))?.into_inner())
}

fn add(zip: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, file: &Path) -> Result<(), ZipError> {
    let (bytes, mode) = (fs::read(file)?, fs::metadata(file)?.permissions().mode());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(mode & 0o777);
    zip.start_file(name, options)?;
    Ok(zip.write_all(&bytes)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), PackError> {
    let io_error = |cause: io::Error| PackError::at(folder)(cause.into());
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let (path, name) = (entry.path(), entry.file_name());
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        match path.is_dir() {
            true => collect(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_of_the_language_its_files_say() {
        let of = |names: &[&str]| {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for name in names {
                zip.start_file(*name, SimpleFileOptions::default()).expect("a good name");
            }
            language(&zip.finish().expect("memory has room").into_inner())
        };
        assert_eq!(of(&["a.py", "__main__.py"]), Some(Language::Python));
        assert_eq!(of(&["package.json", "lib/x.js"]), Some(Language::JavaScript));
        assert_eq!(of(&["index.js"]), Some(Language::JavaScript));
        assert_eq!(of(&["exec", "index.js"]), None);
        assert_eq!(of(&["sub/__main__.py"]), None);
        assert_eq!(language(b"PK\x03\x04"), None);
    }
}
