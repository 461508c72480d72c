//! Languages of source code.

use std::path::Path;

/// A language of source code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `.py`, or `__main__.py` in an archive.
    Python,
    /// `.js`, or `package.json` or `index.js` in an archive.
    JavaScript,
}

impl Language {
    /// The language of a file with this name.
    pub(crate) fn of_file(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "py" => Some(Self::Python),
            "js" | "cjs" | "mjs" => Some(Self::JavaScript),
            _ => None,
        }
    }
}
