//! Archives like a file system, of what this computer has installed: Debian's Python.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::prerequisites::ensure_programs;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Where Debian puts it.
pub const PYTHON: &str = "/usr/bin/python3.11";
/// Python's library.
pub const PYTHON_LIBRARY: &str = "/usr/lib/python3.11";

/// Bytes of a page: files at whole pages are mapped and not copied.
const PAGE: u16 = 4096;

/// An archive like a file system.
pub struct Tree(zip::ZipWriter<fs::File>);

impl Tree {
    pub fn new(path: &Path) -> Self {
        Self(zip::ZipWriter::new(fs::File::create(path).expect("a temporary file")))
    }

    pub fn add(&mut self, name: &str, bytes: &[u8], mode: u32) {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(PAGE)
            .unix_permissions(mode);
        self.0.start_file(name, options).expect("a file in the archive");
        self.0.write_all(bytes).expect("its bytes");
    }

    /// Adds a file under its own path, whatever it is a link to.
    pub fn take(&mut self, path: &Path) {
        let bytes = fs::read(path).expect("the file is there");
        let mode = fs::metadata(path).expect("the file is there").permissions().mode();
        self.add(path.to_str().expect("a name").trim_start_matches('/'), &bytes, mode & 0o777);
    }

    /// Adds a folder and what is in it, but for what is made of it.
    pub fn take_folder(&mut self, path: &Path) {
        /// Parts of Python's library that no function needs.
        const LEFT_OUT: [&str; 8] = [
            "__pycache__",
            "config-3.11-x86_64-linux-gnu",
            "dist-packages",
            "ensurepip",
            "idlelib",
            "lib2to3",
            "pydoc_data",
            "test",
        ];
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).expect("a folder").map(|entry| entry.expect("one").path()).collect();
        entries.sort();
        for entry in entries {
            match fs::metadata(&entry) {
                Ok(found) if found.is_dir() => {
                    let name = entry.file_name().and_then(OsStr::to_str).unwrap_or_default();
                    if !LEFT_OUT.contains(&name) {
                        self.take_folder(&entry);
                    }
                }
                Ok(_) => self.take(&entry),
                // A link that leads nowhere.
                Err(_) => {}
            }
        }
    }

    /// Adds the interpreter and the libraries that a program asks for.
    pub fn take_libraries(&mut self, programs: &[&Path]) {
        let output = Command::new("ldd").args(programs).output().expect("ldd is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut paths: Vec<&str> =
            text.split_whitespace().filter(|word| word.starts_with("/lib")).collect();
        paths.sort_unstable();
        paths.dedup();
        // The program's own name, with a colon, is none of them.
        for path in paths.iter().filter(|path| !path.ends_with(':')) {
            self.take(Path::new(path));
        }
    }

    pub fn finish(self) {
        self.0.finish().expect("a whole archive");
    }
}

/// An archive with Python, its whole library, and this script.
pub fn python(archive: &Path, script: &str) {
    let say = |text: &str| eprintln!("{text}");
    ensure_programs(&[(PYTHON, "python3.11")], say).expect("Python can be had");
    let library = Path::new(PYTHON_LIBRARY);
    let modules: Vec<PathBuf> = fs::read_dir(library.join("lib-dynload"))
        .expect("modules in C")
        .map(|entry| entry.expect("one").path())
        .collect();
    let python = Path::new(PYTHON);
    let mut tree = Tree::new(archive);
    tree.add("exec", script.as_bytes(), 0o755);
    tree.take(python);
    let programs: Vec<&Path> = modules.iter().map(PathBuf::as_path).chain([python]).collect();
    tree.take_libraries(&programs);
    tree.take_folder(library);
    tree.finish();
}
