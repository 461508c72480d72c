//! Images that must be accepted, and every way to be refused.

extern crate std;

use std::format;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_GNU_STACK: u32 = 0x6474_e551;
/// Behind all program headers a test makes, inside the first segment.
const NOTE_AT: usize = 0x700;

/// A program header in file order.
#[derive(Clone, Copy)]
struct Ph {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_len: u64,
    memory_len: u64,
    align: u64,
}

fn load(flags: u32, offset: u64, address: u64, file_len: u64, memory_len: u64) -> Ph {
    Ph { kind: PT_LOAD, flags, offset, address, file_len, memory_len, align: 4096 }
}

/// A note as assemblers write it: lengths, type, name with NUL, both parts padded to 4 bytes.
fn note(name: &str, kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [name.len() as u32 + 1, descriptor.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(name.bytes().chain([0]));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(descriptor);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// What [`build`] turns into a file.
struct Elf {
    entry: u64,
    headers: Vec<Ph>,
    notes: Vec<u8>,
}

/// Text, read-only data with the note, and data with a zeroed tail, as `ld` lays them out.
fn valid() -> Elf {
    let notes = note(NOTE_NAME, NOTE_TYPE, &ABI_VERSION.to_le_bytes());
    let note_len = notes.len() as u64;
    let note_header = Ph { kind: PT_NOTE, align: 4, ..load(4, NOTE_AT as u64, 0, note_len, 0) };
    Elf {
        entry: 0x40_1010,
        headers: [
            load(4, 0, 0x40_0000, 0x800, 0x800),
            load(5, 0x1000, 0x40_1000, 0x234, 0x234),
            load(6, 0x1234, 0x40_2234, 0x100, 0x5000),
            note_header,
            Ph { kind: PT_GNU_STACK, ..load(6, 0, 0, 0, 0) },
        ]
        .into(),
        notes,
    }
}

fn build(elf: &Elf) -> Vec<u8> {
    let mut file = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0");
    for word in [elf.entry, HEADER_LEN as u64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 4]);
    for half in [HEADER_LEN, PROGRAM_HEADER_LEN, elf.headers.len(), 64, 0, 0] {
        file.extend((half as u16).to_le_bytes());
    }
    for header in &elf.headers {
        file.extend(header.kind.to_le_bytes());
        file.extend(header.flags.to_le_bytes());
        let Ph { offset, address, file_len, memory_len, align, .. } = *header;
        for word in [offset, address, address, file_len, memory_len, align] {
            file.extend(word.to_le_bytes());
        }
    }
    file.resize(NOTE_AT.max(file.len()), 0);
    file.extend(&elf.notes);
    file.resize(0x1334.max(file.len()), 0xcc);
    file
}

fn planned(change: impl FnOnce(&mut Elf)) -> Result<LoadPlan, ImageReject> {
    let mut elf = valid();
    change(&mut elf);
    plan(&build(&elf))
}

fn patched(offset: usize, bytes: &[u8]) -> Result<LoadPlan, ImageReject> {
    let mut file = build(&valid());
    file[offset..offset + bytes.len()].copy_from_slice(bytes);
    plan(&file)
}

/// What [`LoadPlan`] promises.
fn assert_sound(plan: &LoadPlan, file_len: usize) {
    assert!((1..=SEGMENTS_MAX).contains(&plan.segments.len()));
    let mut free = IMAGE_START;
    let mut memory_len = 0;
    for segment in &plan.segments {
        assert!(segment.memory_len > 0 && segment.file_len <= segment.memory_len);
        assert!(segment.file_offset + segment.file_len <= file_len as u64);
        assert_eq!(segment.address % PAGE, segment.file_offset % PAGE);
        let page = segment.address / PAGE * PAGE;
        assert!(page >= free, "pages ascend and are disjoint");
        free = pages_end(segment);
        memory_len += free - page;
    }
    assert!(free <= IMAGE_END && memory_len <= IMAGE_MEMORY_LEN_MAX);
    assert!(plan.segments.iter().any(|segment| {
        segment.protection == Protection::ReadExecute
            && (segment.address..segment.address + segment.memory_len).contains(&plan.entry)
    }));
}

#[test]
fn a_static_executable_is_planned_as_its_headers_say() {
    let plan = planned(|_| ()).expect("valid");
    let segment = |address, memory_len, file_offset, file_len, protection| Segment {
        address,
        memory_len,
        file_offset,
        file_len,
        protection,
    };
    assert_eq!(plan.entry, 0x40_1010);
    assert_eq!(
        plan.segments,
        [
            segment(0x40_0000, 0x800, 0, 0x800, Protection::Read),
            segment(0x40_1000, 0x234, 0x1000, 0x234, Protection::ReadExecute),
            segment(0x40_2234, 0x5000, 0x1234, 0x100, Protection::ReadWrite),
        ]
    );
}

#[test]
fn the_file_may_lie_at_any_alignment() {
    let file = build(&valid());
    for shift in 0..8 {
        let mut shifted = std::vec![0; shift];
        shifted.extend(&file);
        assert!(plan(&shifted[shift..]).is_ok());
    }
}

#[test]
fn header_fields() {
    use ImageReject::*;
    let cases: &[(usize, &[u8], ImageReject)] = &[
        (4, &[1], WrongClass),
        (4, &[0], WrongClass),
        (5, &[2], WrongClass),
        (6, &[0], WrongVersion),
        (20, &[2], WrongVersion),
        (52, &[63], WrongVersion),
        (16, &[3], PositionIndependent),
        (16, &[1], NotExecutable(1)),
        (16, &[0xff, 0xff], NotExecutable(0xffff)),
        (18, &[0xb7], WrongMachine(0xb7)),
        (32, &[0xff; 8], Truncated),
        (32, &[0x00, 0x13], Truncated),
        (54, &[55], WrongVersion),
        (54, &[0], WrongVersion),
        (56, &[0], NoSegment),
        (56, &[0xff, 0xff], TooManyHeaders),
        (56, &[PROGRAM_HEADERS_MAX as u8 + 1], TooManyHeaders),
        (24, &[0x00, 0x00], BadEntry(0x40_0000)),
        (24, &[0x34, 0x12], BadEntry(0x40_1234)),
        (24, &[0xff; 8], BadEntry(u64::MAX)),
        (24, &[0; 8], BadEntry(0)),
    ];
    for (offset, bytes, expected) in cases {
        assert_eq!(patched(*offset, bytes), Err(*expected), "{bytes:x?} at {offset}");
    }
    assert!(patched(24, &[0x33, 0x12]).is_ok(), "the last byte of the text");
    assert!(patched(7, &[3]).is_ok(), "the OS ABI says nothing");
}

#[test]
fn segment_fields() {
    use SegmentProblem::*;
    type Change = fn(&mut Vec<Ph>);
    let cases: &[(Change, usize, SegmentProblem)] = &[
        (|ph| ph[1].memory_len = 0x233, 1, FileLongerThanMemory),
        (|ph| ph[1].memory_len = 0, 1, FileLongerThanMemory),
        (|ph| ph[0].address = 0, 0, OutOfRange),
        (|ph| ph[0].address = IMAGE_START - 4096, 0, OutOfRange),
        (|ph| ph[2].address = IMAGE_END + 0x234, 2, OutOfRange),
        (|ph| ph[2].address = IMAGE_END - 4096 + 0x234, 2, OutOfRange),
        (|ph| ph[2].address = 0xffff_8000_0000_0234, 2, OutOfRange),
        (|ph| ph[2].address = u64::MAX - 4095 + 0x234, 2, OutOfRange),
        (|ph| ph[2].memory_len = u64::MAX, 2, OutOfRange),
        (|ph| ph[2].memory_len = u64::MAX - 0x40_2234, 2, OutOfRange),
        (|ph| ph[1].address += 1, 1, Misaligned),
        (|ph| ph[1].offset += 8, 1, Misaligned),
        (|ph| ph[1].align = 4095, 1, Misaligned),
        (|ph| ph[1].align = u64::MAX, 1, Misaligned),
        (|ph| ph[1].flags = 7, 1, WritableAndExecutable),
        (|ph| ph[1].flags = 3, 1, WritableAndExecutable),
        (|ph| ph[1].flags = u32::MAX, 1, WritableAndExecutable),
        (|ph| ph[0].flags = 0, 0, Inaccessible),
        (|ph| ph.swap(0, 1), 1, NotAscending),
        (|ph| ph[1].address = 0x40_0000, 1, SharedPage),
        (|ph| ph[0].memory_len = 0x1001, 1, SharedPage),
        (|ph| ph[2].address = 0x40_1234, 2, SharedPage),
    ];
    for (case, (change, index, problem)) in cases.iter().enumerate() {
        let expected = ImageReject::BadSegment { index: *index, problem: *problem };
        assert_eq!(planned(|elf| change(&mut elf.headers)), Err(expected), "case {case}");
    }
}

#[test]
fn segments_as_a_whole() {
    use ImageReject::*;
    type Change = fn(&mut Elf);
    let refused: &[(Change, ImageReject)] = &[
        (|elf| elf.headers[1].offset = 0x2000, Truncated),
        (|elf| elf.headers[1].offset = u64::MAX - 0xfff, Truncated),
        (|elf| elf.headers[1].file_len = u64::MAX, Truncated),
        (|elf| elf.headers[2].file_len = 0x101, Truncated),
        (|elf| elf.headers[3].offset = 0x2000, Truncated),
        (|elf| elf.headers[3].kind = 3, Dynamic),
        (|elf| elf.headers[3].kind = 2, Dynamic),
        (|elf| elf.headers[4].flags = 7, ExecutableStack),
        (|elf| elf.headers[2].memory_len = IMAGE_MEMORY_LEN_MAX, TooLarge),
        (|elf| elf.headers[1].flags = 4, BadEntry(0x40_1010)),
        (|elf| elf.headers.retain(|header| header.kind != PT_LOAD), NoSegment),
        (
            |elf| {
                let more = |n| load(6, 0, 0x100_0000 + n * 4096, 0, 1);
                elf.headers.extend((0..SEGMENTS_MAX as u64 - 2).map(more));
            },
            TooManySegments,
        ),
    ];
    for (case, (change, expected)) in refused.iter().enumerate() {
        assert_eq!(planned(change), Err(*expected), "case {case}");
    }
    let accepted: &[Change] = &[
        |elf| elf.headers[2].memory_len = IMAGE_MEMORY_LEN_MAX - 0x3000,
        |elf| elf.headers[2].address = IMAGE_END - 0x6000 + 0x234,
        |elf| elf.headers[0].address = IMAGE_START,
        |elf| elf.headers[1].align = 1 << 21,
        |elf| elf.headers[1].flags = 1,
        |elf| elf.headers[2].flags = 2,
        // Linkers keep empty segments, wherever they are.
        |elf| elf.headers.insert(2, load(6, 0, 0, 0, 0)),
        |elf| {
            let more = |n| load(6, 0, 0x100_0000 + n * 4096, 0, 1);
            elf.headers.extend((0..SEGMENTS_MAX as u64 - 3).map(more));
        },
    ];
    for (case, change) in accepted.iter().enumerate() {
        let plan = planned(change);
        assert_sound(plan.as_ref().unwrap_or_else(|reject| panic!("{case}: {reject}")), 0x1334);
    }
}

#[test]
fn the_abi_note() {
    use ImageReject::*;
    let with = |notes: &[Vec<u8>]| {
        planned(|elf| {
            elf.notes = notes.concat();
            elf.headers[3].file_len = elf.notes.len() as u64;
        })
    };
    let version = |version: u32| note(NOTE_NAME, NOTE_TYPE, &version.to_le_bytes());
    let other = note("GNU", 3, b"a build id of some length");
    let known = version(ABI_VERSION);
    assert!(with(&[other.clone(), known.clone(), other.clone()]).is_ok());
    assert!(with(&[known.clone(), known.clone()]).is_ok());
    assert_eq!(with(&[]), Err(NoAbiNote));
    assert_eq!(with(core::slice::from_ref(&other)), Err(NoAbiNote));
    assert_eq!(with(&[note(NOTE_NAME, NOTE_TYPE + 1, &[1, 0, 0, 0])]), Err(NoAbiNote));
    assert_eq!(with(&[note("hostkerne", NOTE_TYPE, &[1, 0, 0, 0])]), Err(NoAbiNote));
    assert_eq!(with(&[known.clone(), version(7)]), Err(UnknownAbi(7)));
    assert_eq!(with(&[version(0)]), Err(UnknownAbi(0)));
    assert_eq!(with(&[note(NOTE_NAME, NOTE_TYPE, b"")]), Err(BadNotes));
    assert_eq!(with(&[note(NOTE_NAME, NOTE_TYPE, &[1, 0, 0, 0, 0])]), Err(BadNotes));
    assert_eq!(with(&[known[..known.len() - 1].into()]), Err(BadNotes));
    assert_eq!(with(&[[0xff; 12].into()]), Err(BadNotes));
    let filler = note("x", 1, &[0; NOTES_LEN_MAX]);
    assert_eq!(with(&[known, filler]), Err(BadNotes));
    assert_eq!(planned(|elf| elf.headers[3].align = 16), Err(BadNotes));
    assert!(planned(|elf| elf.headers[3].align = 0).is_ok());
}

#[test]
fn what_is_not_elf_is_named() {
    let said = |bytes: &[u8]| plan(bytes).expect_err("not ELF").to_string();
    let cases: &[(&[u8], &str)] = &[
        (b"", "but empty"),
        (b"\x7fEL", "but text"),
        (b"\0asm\x01\0\0\0", "but a WebAssembly module"),
        (b"PK\x03\x04\x14\0", "but a zip file"),
        (b"#!/bin/sh\n", "but a script"),
        (b"function main(args) { return args }", "but text, perhaps source code"),
        (b"\xff\xfe", "but something else"),
    ];
    for (bytes, expected) in cases {
        assert!(said(bytes).contains(expected), "{}", said(bytes));
    }
    let mangled = std::string::String::from_utf8_lossy(&build(&valid())).into_owned();
    assert_eq!(plan(mangled.as_bytes()), Err(ImageReject::SentAsText));
    assert_eq!(plan("\x7fELF\u{2}\u{fffd}".as_bytes()), Err(ImageReject::SentAsText));
}

#[test]
fn a_refusal_says_what_to_do() {
    for (reject, words) in [
        (ImageReject::PositionIndependent, "position-independent; link it with -no-pie"),
        (ImageReject::PositionIndependent, "relocation-model=static"),
        (ImageReject::NoAbiNote, "lacks the hostkernel ABI note, so it is perhaps a Linux program"),
        (
            ImageReject::UnknownAbi(7),
            "version 7 of the hostkernel ABI; this node knows versions 1 and 2",
        ),
        (ImageReject::SentAsText, "sent as text"),
        (ImageReject::BadEntry(0x1234), "0x1234"),
        (ImageReject::TooLarge, "512 MB"),
        (
            ImageReject::BadSegment { index: 2, problem: SegmentProblem::WritableAndExecutable },
            "Program header 2 of the image: the segment is writable and executable.",
        ),
    ] {
        let said = format!("{reject}");
        assert!(said.contains(words) && said.ends_with('.') && !said.contains('\n'), "{said}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let file = build(&valid());
    for len in 0..file.len() {
        assert!(plan(&file[..len]).is_err(), "{len} bytes");
    }
}

/// Every field of both headers, at every width, with values that wrap, overlap or point outside.
#[test]
fn extreme_fields_never_break_the_promise() {
    let file = build(&valid());
    let headers_len = HEADER_LEN + valid().headers.len() * PROGRAM_HEADER_LEN;
    let values = [0, 1, 0xfff, 0x1000, 0x7fff_ffff, 1 << 39, 1 << 47, 1 << 63, u64::MAX - 0xfff];
    for offset in (0..headers_len).step_by(2) {
        for value in values.into_iter().chain([u64::MAX]) {
            for width in [2, 4, 8] {
                let mut file = file.clone();
                file[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
                if let Ok(plan) = plan(&file) {
                    assert_sound(&plan, file.len());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = plan(&bytes);
        let mut elf = build(&valid());
        let len = bytes.len().min(elf.len() - 24);
        elf[24..24 + len].copy_from_slice(&bytes[..len]);
        if let Ok(plan) = plan(&elf) {
            assert_sound(&plan, elf.len());
        }
    }

    #[test]
    fn mutations_never_break_the_promise(
        changes in proptest::collection::vec(
            (prop_oneof![0_usize..0x160, NOTE_AT..NOTE_AT + 32], any::<u8>()), 1..4),
        len in NOTE_AT..=0x1334,
    ) {
        let mut elf = build(&valid());
        for (offset, byte) in changes {
            elf[offset] = byte;
        }
        for file in [&elf[..], &elf[..len]] {
            if let Ok(plan) = plan(file) {
                assert_sound(&plan, file.len());
            }
        }
    }
}
