//! Functions and lines of source for the addresses in a program, by the tables in its ELF file.
//!
//! A file may have names of functions and lines, names alone, or neither: what is missing is left
//! out. The tables are read with suspicion, since the file may come from a node.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use addr2line::Context;
use gimli::{EndianRcSlice, LittleEndian, Reader as _};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

/// How names of functions begin whose place says less than that of whoever called them.
const OF_LIBRARIES: [&str; 5] =
    ["action_abi::", "alloc::", "compiler_builtins::", "core::", "std::"];

/// Why a file explains nothing.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// It is not an ELF file.
    #[error("not an ELF file: {0}")]
    NotElf(#[from] object::Error),
    /// Its line tables are damaged.
    #[error("no usable line tables: {0}")]
    NoLines(#[from] gimli::Error),
}

/// What one file knows of its addresses.
pub struct Symbols {
    context: Context<EndianRcSlice<LittleEndian>>,
    /// Functions by address, under their full names: line tables name them without their module, or
    /// not at all.
    functions: BTreeMap<u64, Function>,
    build: Option<Vec<u8>>,
}

/// Where an instruction comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// File and line, if they are known. Sources of the program by their path in its folder,
    /// others by the path in their package.
    pub line: Option<(String, u32)>,
    /// Whether the source is that of a library, as far as its path and its name say.
    pub is_of_library: bool,
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
    /// Reads the tables of an ELF file.
    ///
    /// # Errors
    /// [`SymbolsError`]
    pub fn read(file: &[u8]) -> Result<Self, SymbolsError> {
        let elf = object::File::parse(file)?;
        let build = elf.build_id()?.map(<[u8]>::to_vec);
        // A section that is missing is an empty one.
        let section = |id: gimli::SectionId| {
            let data = elf.section_by_name(id.name()).and_then(|section| section.data().ok());
            Ok::<_, gimli::Error>(EndianRcSlice::new(data.unwrap_or_default().into(), LittleEndian))
        };
        let context = Context::from_dwarf(gimli::Dwarf::load(section)?)?;
        Ok(Self { context, functions: functions(&elf), build })
    }

    /// The build id, if the linker gave one.
    #[must_use]
    pub fn build(&self) -> Option<&[u8]> {
        self.build.as_deref()
    }

    /// Whether it knows no function at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Where the instruction at an address comes from: the innermost function first, then those it
    /// was inlined into. Empty if nothing is known.
    #[must_use]
    pub fn places(&self, address: u64) -> Vec<Place> {
        let mut places = Vec::new();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return places;
        };
        let folder = self.folder(address);
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
            let line = frame.location.and_then(|location| Some((location.file?, location.line?)));
            places.push(Place::new(function, line, folder.as_deref()));
        }
        if places.is_empty() {
            let function = self.function(address).map(str::to_owned);
            places.extend(function.map(|function| Place::new(function, None, None)));
        }
        places
    }

    /// The function an instruction was compiled into.
    fn function(&self, address: u64) -> Option<&str> {
        let (start, function) = self.functions.range(..=address).next_back()?;
        (address - start < function.len).then_some(&*function.name)
    }

    /// The folder in which the compiler ran that made an instruction.
    fn folder(&self, address: u64) -> Option<String> {
        let unit = self.context.find_dwarf_and_unit(address).skip_all_loads()?;
        Some(unit.comp_dir.as_ref()?.to_string().ok()?.into_owned())
    }

    /// Where a function begins, if the file has its name.
    #[must_use]
    pub fn start_of(&self, name: &str) -> Option<u64> {
        let mut functions = self.functions.iter();
        functions.find(|(_, function)| function.name == name).map(|(start, _)| *start)
    }
}

impl Place {
    fn new(function: String, line: Option<(&str, u32)>, folder: Option<&str>) -> Self {
        let name = function.trim_start_matches('<');
        let is_of_library = OF_LIBRARIES.iter().any(|start| name.starts_with(start))
            || line.is_some_and(|(file, _)| in_package(file).is_some());
        let line = line.map(|(file, line)| (short(file, folder).to_owned(), line));
        Self { function, line, is_of_library }
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
            let len =
                (section.address().saturating_add(section.size())).saturating_sub(symbol.address());
            entry.or_insert(Function { len, name });
        }
    }
    functions
}

/// A function's name as its author wrote it, in Rust or in C++.
fn demangled(name: &str) -> String {
    let of_cpp = || cpp_demangle::Symbol::new(name).ok()?.demangle().ok();
    match rustc_demangle::try_demangle(name) {
        Ok(name) => format!("{name:#}"),
        Err(_) => of_cpp().unwrap_or_else(|| name.to_owned()),
    }
}

/// A path without the part that only says where on some computer sources lie.
fn short<'a>(file: &'a str, folder: Option<&str>) -> &'a str {
    if let Some(path) = in_package(file) {
        return path;
    }
    let inside = folder.and_then(|folder| Path::new(file).strip_prefix(folder).ok());
    let inside = inside.and_then(Path::to_str).filter(|path| !path.is_empty());
    inside.unwrap_or_else(|| file.strip_prefix("./").unwrap_or(file))
}

/// The path in its package of a source that is one of a package, or of Rust itself. The short
/// spellings are those of `--remap-path-prefix`, by which paths are kept out of builds.
fn in_package(file: &str) -> Option<&str> {
    let file = file.strip_prefix("./").unwrap_or(file);
    let behind = |start: &str| file.split_once(start).map(|(_, rest)| rest);
    let of_package = behind("/registry/src/").or_else(|| file.strip_prefix("registry/"));
    of_package
        .and_then(|path| path.split_once('/'))
        .map(|(_, path)| path)
        .or_else(|| behind("/rustlib/src/rust/"))
        .or_else(|| behind("/rustc/").and_then(|path| path.split_once('/')).map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No program has code there.
    const NOWHERE: u64 = 0xffff_0000_0000;

    /// The tables of this very test program.
    fn own() -> Symbols {
        let file = std::env::current_exe().expect("a test program is a file");
        let bytes = std::fs::read(file).expect("it can be read");
        Symbols::read(&bytes).expect("tests are built with line tables")
    }

    #[test]
    fn an_address_is_explained_by_function_and_line() {
        let symbols = own();
        let (address, _) = symbols
            .functions
            .iter()
            .find(|(_, function)| function.name.ends_with("symbols::in_package"))
            .expect("the function is in the program");
        let places = symbols.places(*address);
        let place = places.iter().find(|place| place.function.contains("in_package"));
        let place = place.unwrap_or_else(|| panic!("{places:?}"));
        let (file, _) = place.line.as_ref().expect("a line");
        assert!(file.ends_with("src/symbols.rs") && !place.is_of_library, "{place}");
        assert!(symbols.places(NOWHERE).is_empty());
        assert!(!symbols.is_empty());
    }

    #[test]
    fn names_are_as_their_authors_wrote_them() {
        assert_eq!(demangled("_ZN4mine4look17h0123456789abcdefE"), "mine::look");
        assert_eq!(demangled("_Z4lookPKi"), "look(int const*)");
        assert_eq!(demangled("main"), "main");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(matches!(Symbols::read(b"text"), Err(SymbolsError::NotElf(_))));
    }

    #[test]
    fn paths_start_at_the_crate() {
        let short = |file| short(file, Some("/home/me/mine"));
        assert_eq!(short("/home/me/mine/src/main.rs"), "src/main.rs");
        assert_eq!(short("./hostkernel/src/lib.rs"), "hostkernel/src/lib.rs");
        assert_eq!(short("/h/registry/src/index-1/spin-0.12/src/a.rs"), "spin-0.12/src/a.rs");
        assert_eq!(short("./registry/index-1/spin-0.12/src/a.rs"), "spin-0.12/src/a.rs");
        assert_eq!(short("/rustc/0123/library/core/src/a.rs"), "library/core/src/a.rs");
        assert_eq!(short("/elsewhere/a.c"), "/elsewhere/a.c");
    }

    #[test]
    fn libraries_are_told_from_programs() {
        let is_of_library = |function: &str, file| {
            Place::new(function.to_owned(), Some((file, 1)), None).is_of_library
        };
        assert!(is_of_library("core::ptr::read", "/rustc/0123/library/core/src/ptr/mod.rs"));
        assert!(is_of_library("run", "/h/registry/src/index-1/serde-1/src/lib.rs"));
        assert!(is_of_library("<action_abi::runtime::Output>::put", "/w/src/output.rs"));
        assert!(!is_of_library("mine::handler", "/home/me/mine/src/main.rs"));
        assert!(!is_of_library("<mine::Out as core::fmt::Display>::fmt", "/home/me/src/main.rs"));
    }
}
