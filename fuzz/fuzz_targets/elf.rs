//! Images: any bytes as an ELF file, and what is accepted mapped and read back.
//!
//! The input is the first part of the file; what follows it is a pattern, so that a small input
//! makes a file of many pages and every byte of a segment is known.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use memory::Access;
use memory::{AddressSpace, PageBuffer, Refusal, Reservation, Template, frames, install_for_test};
use memory::{LoadPlan, Protection, Segment};
use node::image::elf;

const PAGE: u64 = 4096;
/// Longest file.
const FILE_LEN_MAX: usize = 64 * 1024;
/// Frames of an instance: fewer than the largest image has pages, so that running out is tried.
const FRAMES: usize = 64;
/// Pages looked at in one segment, from each end.
const PAGES_CHECKED: u64 = 20;

fuzz_target!(|input: (u16, &[u8])| {
    install_for_test();
    let (len, start) = input;
    let mut file = start[..start.len().min(FILE_LEN_MAX)].to_vec();
    file.extend((file.len()..usize::from(len)).map(|at| (at % 251) as u8));
    let Ok(plan) = elf::plan(&file) else { return };
    check_plan(&plan, &file);
    let before = frames::available();
    map_and_read(&plan, &file);
    assert_eq!(frames::available(), before, "every frame came back");
});

/// What [`LoadPlan`] promises.
fn check_plan(plan: &LoadPlan, file: &[u8]) {
    let mut end = action_abi::IMAGE_START;
    for segment in &plan.segments {
        assert!(segment.address / PAGE * PAGE >= end, "ascending, no page shared");
        assert!(segment.memory_len >= segment.file_len);
        assert!(segment.file_offset + segment.file_len <= file.len() as u64);
        assert_eq!(segment.address % PAGE, segment.file_offset % PAGE);
        end = (segment.address + segment.memory_len).next_multiple_of(PAGE);
    }
    assert!(end <= action_abi::IMAGE_END);
    let starts_in = |segment: &Segment| {
        (segment.address..segment.address + segment.memory_len).contains(&plan.entry)
            && segment.protection == Protection::ReadExecute
    };
    assert!(plan.segments.iter().any(starts_in));
}

fn map_and_read(plan: &LoadPlan, file: &[u8]) {
    let code = PageBuffer::from_bytes(file).expect("the arena is large");
    let Ok(template) = Template::build(plan, code) else { return };
    let reservation = Reservation::new(FRAMES).expect("the arena is large");
    let space = AddressSpace::new(Arc::new(template), PageBuffer::new(), PAGE, reservation);
    let mut space = space.expect("an image and its windows fit");
    for segment in &plan.segments {
        let end = segment.address + segment.memory_len;
        let first = segment.address / PAGE * PAGE;
        let last = (end - 1) / PAGE * PAGE;
        let count = (last - first) / PAGE + 1;
        for page in (0..count).filter(|page| *page < PAGES_CHECKED || count - page <= PAGES_CHECKED)
        {
            check_page(&mut space, segment, first + page * PAGE, file);
        }
    }
}

/// Access by access: what the protection allows is provided, nothing else, with the right bytes.
fn check_page(space: &mut AddressSpace, segment: &Segment, page: u64, file: &[u8]) {
    let allowed = |access| match access {
        Access::Read => true,
        Access::Write => segment.protection == Protection::ReadWrite,
        Access::Execute => segment.protection == Protection::ReadExecute,
    };
    for access in [Access::Execute, Access::Read, Access::Write] {
        match space.resolve(page, access) {
            Ok(()) => assert!(allowed(access)),
            Err(Refusal::OutOfMemory) => return,
            Err(refusal) => {
                assert_eq!((refusal, allowed(access)), (Refusal::NotAllowed, false));
            }
        }
    }
    let mut bytes = Vec::new();
    let keep = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    space.read(page, PAGE, keep).expect("a resolved page can be read");
    let file_end = segment.address + segment.file_len;
    for (address, byte) in (page..).zip(bytes) {
        if (segment.address..segment.address + segment.memory_len).contains(&address) {
            let in_file = address < file_end;
            let at = (segment.file_offset + (address - segment.address)) as usize;
            let expected = if in_file { file[at] } else { 0 };
            assert_eq!(byte, expected, "{address:#x}");
        }
    }
}
