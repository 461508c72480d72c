//! The boot bundle of an image: settings and actions, each checked as a node would check it.

use std::fs;
use std::path::Path;

use hostkernel::config::CODE_LEN_MAX;
use hostkernel::image::elf;
use hostkernel::registry::Name;
use hostkernel::settings::{Loader, Source};

use super::ImageError;
use crate::lab::cpio::Archive;

/// The namespace that `/function/NAME` serves.
const NAMESPACE: &str = "guest";

/// What a node is to have when it starts.
#[derive(Debug, Default)]
pub struct Bundle {
    files: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Adds a file of settings: lines `key=value`, and comments behind `#`.
    ///
    /// # Errors
    /// [`ImageError`] that names the line a node would not understand.
    pub fn settings(&mut self, file: &Path) -> Result<(), ImageError> {
        let content = read(file)?;
        let origin = file.display();
        let text = String::from_utf8(content).map_err(|_| ImageError::Settings {
            origin: origin.to_string(),
            reason: "not UTF-8".to_owned(),
        })?;
        let mut loader = Loader::default();
        loader.lines(Source::BootBundle, text.as_bytes());
        first_problem(&loader, &origin.to_string())?;
        self.files.push(("config".to_owned(), text.into_bytes()));
        Ok(())
    }

    /// Adds an action, under the name of its file.
    ///
    /// # Errors
    /// [`ImageError`] that says what a node would say.
    pub fn action(&mut self, file: &Path) -> Result<(), ImageError> {
        let wrong = |reason: String| ImageError::NoAction { path: file.to_path_buf(), reason };
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Name::check(&name).map_err(|reject| wrong(reject.to_string()))?;
        let program = read(file)?;
        if program.len() > CODE_LEN_MAX {
            let (len, max) = (program.len(), CODE_LEN_MAX);
            return Err(wrong(format!("it has {len} bytes, and may have {max}")));
        }
        elf::plan(&program).map_err(|reject| wrong(reject.to_string()))?;
        let path = format!("actions/{NAMESPACE}/{name}.elf");
        if self.files.iter().any(|(other, _)| *other == path) {
            return Err(wrong(format!("another one is called {name} too")));
        }
        self.files.push((path, program));
        Ok(())
    }

    /// The archive; nothing, if there is nothing in it.
    ///
    /// # Panics
    /// Not: memory takes everything, and no file is too long for the format.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let mut archive = Archive::new(Vec::new());
        for (path, content) in &self.files {
            archive.file(path, content).expect("memory takes everything");
        }
        archive.finish().expect("memory takes everything")
    }
}

/// Checks words of a command line.
///
/// # Errors
/// [`ImageError::Settings`] with the first word that a node would not understand.
pub fn check_words(words: &str, origin: &str) -> Result<(), ImageError> {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, words);
    first_problem(&loader, origin)
}

fn first_problem(loader: &Loader, origin: &str) -> Result<(), ImageError> {
    loader.problems().first().map_or(Ok(()), |problem| {
        let (origin, reason) = (origin.to_owned(), problem.to_string());
        Err(ImageError::Settings { origin, reason })
    })
}

fn read(file: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(file).map_err(|cause| ImageError::File { path: file.to_path_buf(), cause })
}
