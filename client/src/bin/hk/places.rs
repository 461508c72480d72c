//! Where in the author's source an action failed: functions and lines for the address that a node
//! names.
//!
//! A record says which file ran by its SHA-256. What was deployed from this computer is kept, with
//! its symbols, under that name in the user's cache; another file is asked for at the node, which
//! gives back what it was sent.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use hk::programs::{self, Programs};
use hk::symbols::{Place, Symbols};
use hk::{Activation, Client, Code, Receipt, Status};

/// Stands before a digest in a record.
const SHA256: &str = "sha256:";
/// Stands before the address of an instruction at the end of a reason of the kernel.
const AT: &str = " at 0x";
/// Begins the reason of a Linux program's end by a signal; the log says where, …
const KILLED: &str = "killed by ";
/// … behind these words, …
const INSTRUCTION: &str = ", instruction at 0x";
/// … and before where it was loaded, if not where its file says.
const LOADED: &str = ", loaded at 0x";

/// What is known of the programs of one node.
pub struct Places {
    kept: Programs,
    /// By digest. `None` for those without symbols.
    programs: RefCell<HashMap<String, Option<Rc<Symbols>>>>,
}

impl Places {
    /// With the programs in the user's cache.
    pub fn new() -> Self {
        Self { kept: Programs::of_user(), programs: RefCell::default() }
    }

    /// Keeps what explains the addresses of a program that was deployed.
    pub fn keep(&self, code: &Code) {
        self.kept.keep(code);
    }

    /// Why an activation failed, with the place in the author's source if it is known. Without a
    /// node only what is kept here says so.
    pub fn reason(&self, record: &Activation, node: Option<&Client>) -> Option<String> {
        Some(with_place(record.reason()?, &self.of(record, node)))
    }

    /// Where the instruction is that ended an activation: the innermost function first, then those
    /// that it was inlined into.
    pub fn of(&self, record: &Activation, node: Option<&Client>) -> Vec<Place> {
        let Some(address) = address(record) else { return Vec::new() };
        let image = Receipt::read(&record.annotations).image;
        let Some(digest) = image.as_deref().and_then(|image| image.strip_prefix(SHA256)) else {
            return Vec::new();
        };
        let known = self.programs.borrow().get(digest).cloned();
        let symbols = known.unwrap_or_else(|| {
            let symbols = self.find(digest, &record.name, node).map(Rc::new);
            self.programs.borrow_mut().insert(digest.to_owned(), symbols.clone());
            symbols
        });
        symbols.map(|symbols| symbols.places(address)).unwrap_or_default()
    }

    fn find(&self, digest: &str, action: &str, node: Option<&Client>) -> Option<Symbols> {
        if let Some(file) = self.kept.get(digest) {
            return symbols(&file);
        }
        let code = node?.code(action).ok()?;
        // The action may be another one by now.
        if programs::digest(&code) != digest {
            return None;
        }
        // Also that it explains nothing, so that it is not asked for again.
        let found = symbols(&code);
        self.kept.put(digest, if found.is_some() { &code } else { &[] });
        found
    }
}

/// A reason, and the place in the author's source if it is known.
pub fn with_place(reason: String, places: &[Place]) -> String {
    match author(places) {
        Some(place) => format!("{reason}, in {place}"),
        None => reason,
    }
}

/// The place that says most: the innermost one of the author's own.
pub fn author(places: &[Place]) -> Option<&Place> {
    places.iter().find(|place| !place.is_of_library).or(places.last())
}

/// The address, as the file counts, of the instruction that ended an activation.
fn address(record: &Activation) -> Option<u64> {
    if record.response.status != Status::DeveloperError {
        return None;
    }
    let reason = record.reason()?;
    match reason.starts_with(KILLED) {
        true => record.logs.iter().rev().find_map(|line| of_linux(line, &reason)),
        false => of_kernel(&reason),
    }
}

/// `page fault reading 0x0 at 0x401234`.
fn of_kernel(reason: &str) -> Option<u64> {
    let (_, digits) = reason.rsplit_once(AT)?;
    u64::from_str_radix(digits, 16).ok()
}

/// `killed by SIGSEGV at 0x0, instruction at 0x55554136, loaded at 0x55550000 (main+0x10)`.
fn of_linux(line: &str, reason: &str) -> Option<u64> {
    let (_, rest) = line.split_once(reason)?;
    let number = |rest: &str| {
        let len = rest.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(rest.len());
        u64::from_str_radix(&rest[..len], 16).ok()
    };
    let instruction = number(rest.strip_prefix(INSTRUCTION)?)?;
    let base = rest.split_once(LOADED).and_then(|(_, rest)| number(rest)).unwrap_or_default();
    instruction.checked_sub(base)
}

fn symbols(bytes: &[u8]) -> Option<Symbols> {
    Symbols::read(bytes).ok().filter(|symbols| !symbols.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_where_kernel_and_library_os_put_it() {
        assert_eq!(of_kernel("page fault reading 0x0 at 0x401234"), Some(0x40_1234));
        assert_eq!(of_kernel("divide error at 0x401000"), Some(0x40_1000));
        assert_eq!(of_kernel("deadline of 100 ms exceeded at 0x401000"), Some(0x40_1000));
        assert_eq!(of_kernel("deadline of 100 ms exceeded"), None);
        let reason = "killed by SIGSEGV at 0x0 (null pointer)";
        let line = |rest: &str| format!("2026 stderr: {reason}{rest}");
        assert_eq!(of_linux(&line(", instruction at 0x401136 (f+0x4)"), reason), Some(0x40_1136));
        let moved = line(", instruction at 0x7fff1136, loaded at 0x7fff0000 (f+0x4)");
        assert_eq!(of_linux(&moved, reason), Some(0x1136));
        assert_eq!(of_linux("2026 stderr: killed by SIGSEGV, instruction at 0x1", reason), None);
    }

    #[test]
    fn the_authors_place_goes_before_that_of_a_library() {
        let place = |function: &str, is_of_library| Place {
            function: function.to_owned(),
            line: None,
            is_of_library,
        };
        let both = [place("read", true), place("mine", false), place("main", false)];
        assert_eq!(author(&both).map(|place| &*place.function), Some("mine"));
        assert_eq!(author(&both[..1]).map(|place| &*place.function), Some("read"));
        assert_eq!(author(&[]), None);
    }
}
