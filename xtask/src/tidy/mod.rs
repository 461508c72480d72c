//! The rules a compiler does not check: sizes, unsafe zones, and words that do not belong in a
//! finished tree.
//!
//! Everything here is a function from text to findings; only [`check`] touches the file system.
//! The lists that say what is allowed where stand at the top of `rules.rs`, once.

mod imports;
mod layers;
mod promises;
mod rules;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders without sources of ours.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the workspace.
    pub file: PathBuf,
    /// The line, counted from 1; 0 when the finding is about the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// All findings in a tree.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// What must be changed.
    pub violations: Vec<Finding>,
    /// What should be thought about.
    pub warnings: Vec<Finding>,
}

impl Findings {
    fn violation(&mut self, file: &Path, line: usize, message: impl Into<String>) {
        let message = message.into();
        self.violations.push(Finding { file: file.to_path_buf(), line, message });
    }

    fn warning(&mut self, file: &Path, message: impl Into<String>) {
        let message = message.into();
        self.warnings.push(Finding { file: file.to_path_buf(), line: 0, message });
    }
}

/// Reads the whole workspace and applies every rule.
///
/// # Errors
/// When a file or folder cannot be read.
pub fn check(root: &Path) -> io::Result<Findings> {
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    let mut texts = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(root.join(&file))?;
        texts.insert(file, text);
    }
    let mut findings = Findings::default();
    for (file, text) in &texts {
        rules::file(file, text, &mut findings);
    }
    layers::check(&sources(texts.keys()), &texts, &mut findings);
    promises::check(&texts, &mut findings);
    let kernel = texts.iter().map(|(file, text)| (file.as_path(), text.as_str()));
    rules::expectations(kernel, &mut findings);
    rules::safe_roots(|file| fs::read_to_string(root.join(file)).ok(), &mut findings);
    Ok(findings)
}

/// The `src` folders of all crates.
fn sources<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let is_root = |file: &&PathBuf| {
        let is_program = file.ends_with("main.rs") && file.iter().any(|part| part == "bin");
        file.ends_with("src/lib.rs") || file.ends_with("src/main.rs") || is_program
    };
    let mut roots: Vec<PathBuf> =
        files.filter(is_root).filter_map(|file| file.parent().map(Path::to_path_buf)).collect();
    roots.dedup();
    roots
}

/// The files with rules, relative to the root.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                collect(root, &path, files)?;
            }
        } else if rules::has_rules(&path) {
            files.push(path.strip_prefix(root).unwrap_or(&path).to_path_buf());
        }
    }
    Ok(())
}
