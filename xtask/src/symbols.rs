//! Functions and lines of source for the addresses of a crash record.
//!
//! A record names the build it comes from; [`Symbols`] reads the line tables of a kernel file, and
//! [`Symboliser`] puts what they say behind the record's `backtrace:` line, wherever in a log that
//! is. The lines of another build would mislead, so they are not shown.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use addr2line::Context;
use gimli::{EndianRcSlice, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::workspace;

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
    /// It is not an ELF file.
    #[error("{} is not an ELF file: {cause}", .file.display())]
    NotElf {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: object::Error,
    },
    /// Its line tables are missing or damaged.
    #[error("{} has no usable line tables: {cause}", .file.display())]
    NoLines {
        /// The file.
        file: PathBuf,
        /// What is wrong with them.
        cause: gimli::Error,
    },
}

/// The line tables of one kernel file.
pub struct Symbols {
    context: Context<EndianRcSlice<LittleEndian>>,
    /// Functions by address, under their full names: line tables name them without their module, or
    /// not at all.
    functions: BTreeMap<u64, Function>,
    build: Option<String>,
}

/// Where an instruction comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// File and line, if they are known; the sources of this workspace by their path in it.
    pub line: Option<(String, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match &self.line {
            Some((file, line)) => write!(f, " at {file}:{line}"),
            None => Ok(()),
        }
    }
}

struct Function {
    len: u64,
    name: String,
}

impl Symbols {
    /// Reads the tables of a kernel file.
    ///
    /// # Errors
    /// [`SymbolsError`]
    pub fn load(file: &Path) -> Result<Self, SymbolsError> {
        let bytes = fs::read(file)
            .map_err(|cause| SymbolsError::Unreadable { file: file.to_path_buf(), cause })?;
        let not_elf = |cause| SymbolsError::NotElf { file: file.to_path_buf(), cause };
        let no_lines = |cause| SymbolsError::NoLines { file: file.to_path_buf(), cause };
        let elf = object::File::parse(&*bytes).map_err(not_elf)?;
        let build = elf.build_id().map_err(not_elf)?.map(hexadecimal);
        // A section that is missing is an empty one.
        let section = |id: gimli::SectionId| {
            let data = elf.section_by_name(id.name()).and_then(|section| section.data().ok());
            Ok(EndianRcSlice::new(data.unwrap_or_default().into(), LittleEndian))
        };
        let dwarf = gimli::Dwarf::load(section).map_err(no_lines)?;
        let context = Context::from_dwarf(dwarf).map_err(no_lines)?;
        Ok(Self { context, functions: functions(&elf), build })
    }

    /// Where the instruction at an address comes from, as text: the innermost function first, then
    /// those it was inlined into. Empty if nothing is known.
    #[must_use]
    pub fn describe(&self, address: u64) -> Vec<String> {
        self.places(address).iter().map(Place::to_string).collect()
    }

    /// The same as values.
    #[must_use]
    pub fn places(&self, address: u64) -> Vec<Place> {
        let mut places = Vec::new();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return places;
        };
        // An error in the middle of the tables ends the list; what was found before is true.
        let mut next = frames.next();
        while let Ok(Some(frame)) = next {
            next = frames.next();
            // Only the last one, into which the others were inlined, is a function of the file.
            let full_name = if let Ok(Some(_)) = next { None } else { self.function(address) };
            let function = match (full_name, &frame.function) {
                (Some(name), _) => name.to_owned(),
                (None, Some(name)) => demangled(&name.raw_name().unwrap_or_default()),
                (None, None) => "(unknown function)".to_owned(),
            };
            let line = frame
                .location
                .and_then(|location| Some((short(location.file?).to_owned(), location.line?)));
            places.push(Place { function, line });
        }
        if places.is_empty() {
            let function = self.function(address).map(str::to_owned);
            places.extend(function.map(|function| Place { function, line: None }));
        }
        places
    }

    /// The function an instruction was compiled into.
    fn function(&self, address: u64) -> Option<&str> {
        let (start, function) = self.functions.range(..=address).next_back()?;
        (address - start < function.len).then_some(&*function.name)
    }
}

fn functions(elf: &object::File) -> BTreeMap<u64, Function> {
    let mut functions = BTreeMap::new();
    for symbol in elf.symbols() {
        let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
        let Some(section) = section.filter(|section| section.kind() == SectionKind::Text) else {
            continue;
        };
        let name = demangled(symbol.name().unwrap_or_default());
        let entry = functions.entry(symbol.address());
        if symbol.size() > 0 {
            entry.insert_entry(Function { len: symbol.size(), name });
        } else {
            // A label in assembly, which ends where the next function starts or the section ends.
            let len = (section.address() + section.size()).saturating_sub(symbol.address());
            entry.or_insert(Function { len, name });
        }
    }
    functions
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A path without the part that only says where on this computer sources lie.
fn short(file: &str) -> &str {
    if let Ok(own) = Path::new(file).strip_prefix(workspace::root()) {
        return own.to_str().unwrap_or(file);
    }
    // The kernel's own paths and those of its dependencies are made so by `build::kernel`.
    let file = file.strip_prefix("./").unwrap_or(file);
    let behind = |start: &str| file.split_once(start).map(|(_, rest)| rest);
    let of_package = behind("/registry/src/").or_else(|| file.strip_prefix("registry/"));
    of_package
        .and_then(|path| path.split_once('/'))
        .map(|(_, path)| path)
        .or_else(|| behind("/rustlib/src/rust/"))
        .or_else(|| behind("/rustc/").and_then(|path| path.split_once('/')).map(|(_, path)| path))
        .unwrap_or(file)
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
        let symbols = self.symbols.get_or_insert_with(|| Symbols::load(&self.file));
        let symbols = match symbols {
            Ok(symbols) => symbols,
            Err(error) => {
                text.push_str(&format!("  (not explained: {error})\n"));
                return;
            }
        };
        if let (Some(record), Some(file)) = (&self.build, &symbols.build)
            && record != file
        {
            let file = self.file.display();
            text.push_str(&format!("  (not explained: {file} is another build than the record)\n"));
            return;
        }
        for word in addresses.split_whitespace() {
            let digits = word.strip_prefix("0x").unwrap_or(word);
            let Ok(address) = u64::from_str_radix(digits, 16) else { continue };
            match &symbols.describe(address)[..] {
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
    fn an_address_is_explained_by_function_and_line() {
        let symbols = Symbols::load(&own()).expect("tests are built with line tables");
        let bytes = fs::read(own()).expect("it was just read");
        let elf = object::File::parse(&*bytes).expect("an ELF file");
        let symbol = elf
            .symbol_map()
            .symbols()
            .iter()
            .find(|symbol| symbol.name().contains("hexadecimal"))
            .map(|symbol| symbol.address())
            .expect("the function is in the program");
        let places = symbols.describe(symbol);
        assert!(places.iter().any(|place| place.contains("symbols::hexadecimal")), "{places:?}");
        assert!(places.iter().any(|place| place.contains("src/symbols.rs:")), "{places:?}");
        assert!(symbols.describe(NOWHERE).is_empty());
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
        if Symbols::load(&own()).expect("as above").build.is_some() {
            assert!(explained.contains("another build"), "{explained}");
        }
    }

    #[test]
    fn without_a_kernel_the_reason_is_given() {
        let explained = Symboliser::new("/no/kernel.elf").pass("backtrace: 0x1\n");
        assert!(explained.contains("/no/kernel.elf cannot be read"), "{explained}");
    }

    #[test]
    fn paths_start_at_the_crate() {
        assert_eq!(short("hostkernel/src/lib.rs"), "hostkernel/src/lib.rs");
        assert_eq!(short("./hostkernel/src/lib.rs"), "hostkernel/src/lib.rs");
        assert_eq!(short("/h/registry/src/index-1/spin-0.12/src/a.rs"), "spin-0.12/src/a.rs");
        assert_eq!(short("./registry/index-1/spin-0.12/src/a.rs"), "spin-0.12/src/a.rs");
        assert_eq!(short("/rustc/0123/library/core/src/a.rs"), "library/core/src/a.rs");
    }
}
