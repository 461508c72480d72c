//! Reading, writing and executing what is not the action's, or not in that way.

use std::fs;

use serde_json::{Value, json};
use system_tests::{TestNode, sample};
use xtask::workspace;

use super::{BREAKPOINT, GENERAL_PROTECTION, Line, cases as lines};
use crate::attack::{Case, FAULTS};
use crate::elf;

const PAGE_LEN: u64 = 4096;
/// The guard page below the stack, and everything under it down to the image.
const BELOW_STACK: std::ops::Range<u64> = 0x80_0000_0000..0x80_0000_1000;

/// The three operations: kind, word in the reason, flag of an ELF segment that allows it.
const OPERATIONS: [(&str, &str, u32); 3] = [
    ("read", "reading", elf::READ),
    ("write", "writing", elf::WRITE),
    ("execute", "executing", elf::EXECUTE),
];

/// Where nothing is that ring 3 may touch. The addresses are those of `docs/architecture.md`.
const ADDRESSES: &[(&str, u64)] = &[
    ("end of the first page", 0xfff),
    ("below the image", 0xffff),
    ("end of the image's range", 0x7f_ffff_ffff),
    ("below the stack", BELOW_STACK.start),
    ("no mapping yet", 0x80_8000_0000),
    ("last address of actions", 0xff_ffff_ffff),
    ("end of actions", 0x100_0000_0000),
    ("last of the lower half", 0x7fff_ffff_ffff),
    ("direct map", 0xffff_8000_0000_0000),
    ("direct map, kernel image", 0xffff_8000_0020_0000),
    ("direct map, memory", 0xffff_8000_0800_0000),
    ("kernel's level-4 slot", 0xffff_ff80_0000_0000),
    ("kernel text", 0xffff_ffff_8020_0000),
    ("entry space", 0xffff_ffff_c000_0000),
    ("entry stack", 0xffff_ffff_c000_1000),
    ("entry area", 0xffff_ffff_c000_3000),
    ("interrupt table", 0xffff_ffff_c000_4000),
    ("stack for NMI", 0xffff_ffff_c000_6000),
    ("stack for double faults", 0xffff_ffff_c000_9000),
    ("core's private page", 0xffff_ffff_c020_0000),
    ("kernel stack", 0xffff_ffff_c020_2000),
    ("last address", u64::MAX),
];

/// In neither half: the processor refuses before it looks at any table.
const NON_CANONICAL: &[u64] =
    &[0x0000_8000_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_7fff_ffff_ffff];

const KINDS: &[Line] = &[
    ("read-null", &["page fault reading 0x0 at 0x4*"]),
    ("write-null", &["page fault writing 0x0 at 0x4*"]),
    ("execute-null", &["page fault executing 0x0 at 0x0"]),
    ("read-kernel", &["page fault reading 0xffffffff80000000 at 0x4*"]),
    ("write-kernel", &["page fault writing 0xffffffff80000000 at 0x4*"]),
    ("execute-kernel", &["page fault executing 0xffffffff80000000 at 0xffffffff80000000"]),
    ("non-canonical", &[GENERAL_PROTECTION]),
    ("non-canonical-stack", &[super::STACK_SEGMENT, GENERAL_PROTECTION]),
    ("write-text", &["page fault writing 0x4* at 0x4*"]),
    ("write-read-only", &["page fault writing 0x4* at 0x4*"]),
    ("execute-data", &["page fault executing 0x4* at 0x4*"]),
    ("execute-read-only", &["page fault executing 0x4* at 0x4*"]),
    ("execute-stack", &["page fault executing 0x80000f* at 0x80000f*"]),
    ("execute-heap", &["page fault executing 0x801000* at 0x801000*"]),
    ("execute-mapping", &["page fault executing 0xc000000000 at 0xc000000000"]),
    ("past-mapping", &["page fault writing 0xc000002000 at 0x4*"]),
    ("execute-past-mapping", &["page fault executing 0xc000002000 at 0xc000002000"]),
    ("below-mapping", &["page fault reading 0xbfffffffff at 0x4*"]),
    ("write-protected", &["page fault writing 0xc000000000 at 0x4*"]),
    ("use-after-unmap", &["page fault reading 0xc000000000 at 0x4*"]),
    ("call-at-the-end", &["page fault executing 0xc000001000 at 0xc000001000"]),
    ("stack-overflow", &["stack overflow touching 0x8000000* at 0x4*"]),
    ("recursion", &["stack overflow touching 0x8000000* at 0x4*"]),
    ("deep-recursion", &[r#"{"depth":10000}"#]),
];

pub fn cases(node: &TestNode) -> Vec<Case> {
    let kernel = fs::read(workspace::kernel()).expect("the kernel was built");
    let entry = elf::section(&kernel, ".entry").expect("its entry code has a section");
    let mut cases = Vec::new();
    for (kind, _, _) in OPERATIONS {
        for &(place, address) in ADDRESSES.iter().chain(&[("entry code", entry)]) {
            cases.push(refused(kind, place, address));
        }
        for &address in NON_CANONICAL {
            let name = format!("{kind} non-canonical {address:#x}");
            cases.push(Case::new(name, access(kind, address), &[GENERAL_PROTECTION]));
        }
    }
    cases.extend(edges(&windows(node)));
    // Text may be executed, at a place where that shows.
    cases.push(Case::new(
        "execute own text",
        json!({ "kind": "code", "code": "cc" }),
        &[BREAKPOINT],
    ));
    cases.extend(lines(KINDS));
    cases
}

fn access(kind: &str, address: u64) -> Value {
    json!({ "kind": kind, "address": address })
}

/// An operation that ends in a page fault at just that address.
fn refused(kind: &str, place: &str, address: u64) -> Case {
    let word = OPERATIONS.iter().find(|(name, _, _)| *name == kind).map_or("", |found| found.1);
    let way = match kind {
        _ if BELOW_STACK.contains(&address) => {
            format!("stack overflow touching {address:#x} at 0x*")
        }
        "execute" => format!("page fault executing {address:#x} at {address:#x}"),
        _ => format!("page fault {word} {address:#x} at 0x4*"),
    };
    Case::new(format!("{kind} {place}"), access(kind, address), &[&way])
}

/// A range of pages, and what may be done there.
struct Window {
    name: String,
    start: u64,
    end: u64,
    rights: u32,
}

/// The segments of the image, and what the context tells the action of.
fn windows(node: &TestNode) -> Vec<Window> {
    let page_range = |name: String, start: u64, len: u64, rights| Window {
        name,
        start: start / PAGE_LEN * PAGE_LEN,
        end: (start + len).next_multiple_of(PAGE_LEN),
        rights,
    };
    let image = elf::segments(&sample(FAULTS));
    let segments = image.into_iter().enumerate().map(|(number, segment)| {
        page_range(format!("segment {number}"), segment.address, segment.len, segment.rights)
    });
    let told = node.activation(FAULTS, &json!({ "kind": "windows" }));
    let told = told["response"]["result"].as_object().expect("an object of windows").clone();
    let told = told.into_iter().map(|(name, range)| {
        let number = |index: usize| range[index].as_u64().expect("an address or a length");
        let rights = match name.as_str() {
            "context" | "input" => elf::READ,
            _ => elf::READ | elf::WRITE,
        };
        page_range(name, number(0), number(1), rights)
    });
    segments.chain(told).collect()
}

/// First and last byte of each window, and the bytes before and behind.
fn edges(windows: &[Window]) -> Vec<Case> {
    let is_free =
        |address: u64| !windows.iter().any(|other| (other.start..other.end).contains(&address));
    let mut cases = Vec::new();
    for Window { name, start, end, rights } in windows {
        for (kind, _, right) in OPERATIONS {
            for (place, address) in [("first byte of", *start), ("last byte of", end - 1)] {
                let place = format!("{place} {name}");
                if rights & right == 0 {
                    cases.push(refused(kind, &place, address));
                } else if kind == "read" {
                    let name = format!("{kind} {place}");
                    cases.push(Case::new(name, access(kind, address), &[r#"{"read":*}"#]));
                }
            }
            for (place, address) in [("before", start - 1), ("behind", *end)] {
                if is_free(address) {
                    cases.push(refused(kind, &format!("{place} {name}"), address));
                }
            }
        }
    }
    cases
}
