//! Functions and lines of source for the addresses of a crash record.
//!
//! A record names the build it comes from; [`load`] reads the line tables of a kernel file, and
//! [`Symboliser`] puts what they say behind the record's `backtrace:` line, wherever in a log that
//! is. The lines of another build would mislead, so they are not shown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use hk::symbols::{self, Symbols};

/// Starts the first line of a record.
pub const RECORD: &str = "=== crash: ";
/// Stands before the build id in that line.
const BUILD: &str = ", build ";
/// Starts the line with the addresses.
const BACKTRACE: &str = "backtrace:";

/// Why a kernel file explains nothing.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// It cannot be read.
    #[error("{} cannot be read ({cause}); build it with `cargo xtask build`", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// It has no tables.
    #[error("{}: {cause}", .file.display())]
    Useless {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: symbols::SymbolsError,
    },
}

/// Reads the tables of a kernel file.
///
/// # Errors
/// [`SymbolsError`]
pub fn load(file: &Path) -> Result<Symbols, SymbolsError> {
    let bytes = fs::read(file)
        .map_err(|cause| SymbolsError::Unreadable { file: file.to_path_buf(), cause })?;
    Symbols::read(&bytes).map_err(|cause| SymbolsError::Useless { file: file.to_path_buf(), cause })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Explains the crash records in a log that passes by.
pub struct Symboliser {
    file: PathBuf,
    /// Read when the first record passes: most logs have none.
    symbols: Option<Result<Symbols, SymbolsError>>,
    /// What has come of the current line.
    line: String,
    /// Build of the record that passes.
    build: Option<String>,
}

impl Symboliser {
    /// Explains by the kernel in this file.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), symbols: None, line: String::new(), build: None }
    }

    /// The next piece of the log, and behind each `backtrace:` line what its addresses mean. Lines
    /// may be cut anywhere.
    #[must_use]
    pub fn pass(&mut self, piece: &str) -> String {
        let mut text = String::new();
        for part in piece.split_inclusive('\n') {
            text.push_str(part);
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.finished(line.trim_end(), &mut text);
            }
        }
        text
    }

    fn finished(&mut self, line: &str, text: &mut String) {
        if line.starts_with(RECORD) {
            let behind = line.split_once(BUILD).map(|(_, behind)| behind);
            self.build = behind.and_then(|behind| Some(behind.split_once(',')?.0.to_owned()));
        } else if let Some(addresses) = line.strip_prefix(BACKTRACE) {
            self.explain(addresses, text);
        }
    }

    fn explain(&mut self, addresses: &str, text: &mut String) {
        let symbols = self.symbols.get_or_insert_with(|| load(&self.file));
        let symbols = match symbols {
            Ok(symbols) => symbols,
            Err(error) => {
                text.push_str(&format!("  (not explained: {error})\n"));
                return;
            }
        };
        if let (Some(record), Some(file)) = (&self.build, symbols.build())
            && *record != hexadecimal(file)
        {
            let file = self.file.display();
            text.push_str(&format!("  (not explained: {file} is another build than the record)\n"));
            return;
        }
        for word in addresses.split_whitespace() {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            let Ok(address) = u64::from_str_radix(digits, 16) else { continue };
            match &symbols.places(address)[..] {
                [] => text.push_str(&format!("  {address:#x} (unknown)\n")),
                [innermost, outer @ ..] => {
                    text.push_str(&format!("  {address:#x} {innermost}\n"));
                    let indent = format!("{address:#x}").len();
                    for place in outer {
                        text.push_str(&format!("  {:indent$} inlined into {place}\n", ""));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No program has code there.
    const NOWHERE: u64 = 0xffff_0000_0000;

    /// The line tables of this very test program.
    fn own() -> PathBuf {
        std::env::current_exe().expect("a test program is a file")
    }

    #[test]
    fn a_log_passes_unchanged_but_for_records() {
        let mut symboliser = Symboliser::new(own());
        assert_eq!(symboliser.pass("ready\nback"), "ready\nback");
        assert_eq!(symboliser.pass("trace: 0xffff"), "trace: 0xffff");
        let explained = format!("00000000\r\n  {NOWHERE:#x} (unknown)\nlast");
        assert_eq!(symboliser.pass("00000000\r\nlast"), explained);
    }

    #[test]
    fn a_record_of_another_build_is_not_explained() {
        let mut symboliser = Symboliser::new(own());
        let record = "=== crash: hostkernel 0.1.0, build 00ff, core 1 of 2\nbacktrace: 0x1\n";
        let explained = symboliser.pass(record);
        // Only if the linker of this computer gives build ids by default can it be seen.
        if load(&own()).expect("tests have line tables").build().is_some() {
            assert!(explained.contains("another build"), "{explained}");
        }
    }

    #[test]
    fn without_a_kernel_the_reason_is_given() {
        let explained = Symboliser::new("/no/kernel.elf").pass("backtrace: 0x1\n");
        assert!(explained.contains("/no/kernel.elf cannot be read"), "{explained}");
    }
}
