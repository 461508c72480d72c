//! The zip archive of a runtime: the same tree gives the same bytes.
//!
//! All files are stored as they are, so that nobody has to unpack them and every function of a node
//! reads them in the one archive; programs and libraries at whole pages, to be mapped there.

use std::fs;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::error::{RuntimeError, file_error};

/// First bytes of what is mapped.
const ELF_MAGIC: &[u8] = b"\x7fELF";
const PAGE_LEN: u16 = 4096;

/// Packs all files of a folder.
pub(super) fn pack(folder: &Path, to: &Path) -> Result<(), RuntimeError> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut zip = ZipWriter::new(BufWriter::new(File::create(to).map_err(file_error(to))?));
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().into_owned();
        let content = fs::read(&file).map_err(file_error(&file))?;
        let mode = fs::metadata(&file).map_err(file_error(&file))?.permissions().mode();
        let archive_error = |cause| RuntimeError::Archive { path: name.clone().into(), cause };
        zip.start_file(&*name, options(&content, mode)).map_err(archive_error)?;
        zip.write_all(&content).map_err(file_error(to))?;
    }
    let finish = zip.finish();
    let mut file =
        finish.map_err(|cause| RuntimeError::Archive { path: to.to_path_buf(), cause })?;
    file.flush().map_err(file_error(to))
}

fn options(content: &[u8], mode: u32) -> SimpleFileOptions {
    // The time of no file is in it, nor who was allowed what beyond running it.
    let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(mode);
    match content.starts_with(ELF_MAGIC) {
        true => options.with_alignment(PAGE_LEN),
        false => options,
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), RuntimeError> {
    for entry in fs::read_dir(folder).map_err(file_error(folder))? {
        let path = entry.map_err(file_error(folder))?.path();
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
    use std::{env, io, process};

    use zip::ZipArchive;

    #[test]
    fn programs_are_at_whole_pages_and_the_same_tree_gives_the_same_bytes() {
        let folder = env::temp_dir().join(format!("runtime-archive-{}", process::id()));
        let tree = folder.join("tree");
        fs::create_dir_all(tree.join("lib/__pycache__")).expect("there is room");
        let source = "a = 1\n".repeat(1000);
        let files = [
            ("exec", &b"\x7fELF..."[..]),
            ("launcher.py", source.as_bytes()),
            ("lib/b.so", b"\x7fELF"),
            ("lib/module.py", source.as_bytes()),
            ("lib/__pycache__/module.pyc", b"compiled"),
        ];
        for (name, content) in files {
            fs::write(tree.join(name), content).expect("there is room");
        }
        let pack = |name: &str| {
            let to = folder.join(name);
            pack(&tree, &to).expect("it is packed");
            fs::read(to).expect("it is there")
        };
        let bytes = pack("one.zip");
        assert_eq!(bytes, pack("two.zip"));
        let mut archive = ZipArchive::new(io::Cursor::new(bytes)).expect("it is an archive");
        assert_eq!(archive.len(), files.len());
        for (name, content) in files {
            let file = archive.by_name(name).expect("it is in there");
            assert_eq!(file.compression(), CompressionMethod::Stored, "{name}");
            let start = file.data_start().expect("it was found");
            assert!(!content.starts_with(ELF_MAGIC) || start % u64::from(PAGE_LEN) == 0, "{name}");
        }
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
