//! Names of a program's functions, for the line in the log that says where it crashed.
#![forbid(unsafe_code)]

use object::endian::LittleEndian;
use object::read::elf::{FileHeader, Sym};
use object::{LittleEndian as LE, elf};

/// Symbols that are looked at.
const SYMBOLS_MAX: usize = 1 << 20;

/// The function whose bytes hold this address, and how far into it that is.
#[must_use]
pub fn function_at(file: &[u8], address: u64) -> Option<(&str, u64)> {
    let header = elf::FileHeader64::<LittleEndian>::parse(file).ok()?;
    let sections = header.sections(LE, file).ok()?;
    let symbols = sections.symbols(LE, file, elf::SHT_SYMTAB).ok()?;
    let found = symbols.iter().take(SYMBOLS_MAX).find(|symbol| {
        symbol.st_type() == elf::STT_FUNC
            && address
                .checked_sub(symbol.st_value(LE))
                .is_some_and(|offset| offset < symbol.st_size(LE))
    })?;
    let name = symbols.symbol_name(LE, found).ok()?;
    Some((core::str::from_utf8(name).ok()?, address - found.st_value(LE)))
}
