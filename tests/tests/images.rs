//! Images with a flaw: refused with the reason, and nothing changes.

use system_tests::openwhisk::{deploy_json, deploy_raw, document, error, registry};
use system_tests::{boot, machine, sample};

/// Offsets in an ELF file and its program headers (System V gABI, chapters 4 and 5).
mod elf {
    pub const CLASS: usize = 4;
    pub const DATA: usize = 5;
    pub const TYPE: usize = 16;
    pub const MACHINE: usize = 18;
    pub const ENTRY: usize = 24;
    pub const PROGRAM_HEADERS: usize = 32;
    pub const PROGRAM_HEADER_LEN: usize = 54;
    pub const PROGRAM_HEADER_COUNT: usize = 56;
    pub const SEGMENT_FLAGS: usize = 4;
    pub const SEGMENT_OFFSET: usize = 8;
    pub const SEGMENT_ADDRESS: usize = 16;
    pub const SEGMENT_FILE_LEN: usize = 32;
    pub const SEGMENT_MEMORY_LEN: usize = 40;
}

/// Where the program headers of loadable segments are in a file, in order.
fn segments(file: &[u8]) -> Vec<usize> {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let count = usize::from(file[elf::PROGRAM_HEADER_COUNT]);
    let first = word(elf::PROGRAM_HEADERS) as usize;
    let headers = (0..count).map(|index| first + 56 * index);
    headers.filter(|at| file[*at..*at + 4] == [1, 0, 0, 0]).collect()
}

/// Images with one flaw each, and what the node must say about it.
fn bad_images() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = sample("hello");
    let segments = segments(&good);
    let (first, last) = (segments[0], *segments.last().expect("segments"));
    let patched = |patches: &[(usize, &[u8])]| {
        let mut file = good.clone();
        for (at, bytes) in patches {
            file[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        file
    };
    let word = u64::to_le_bytes;
    let huge = word(1 << 40);
    vec![
        ("text", b"fn main() {}".to_vec(), "not an ELF executable but text"),
        ("a script", b"#!/bin/sh\n".to_vec(), "not an ELF executable but a script"),
        ("a zip file", b"PK\x03\x04rest".to_vec(), "zip"),
        ("WebAssembly", b"\0asm\x01\0\0\0".to_vec(), "wasm"),
        ("magic only", good[..4].to_vec(), "no complete ELF executable"),
        ("half a header", good[..40].to_vec(), "no complete ELF executable"),
        ("header only", good[..64].to_vec(), "no complete ELF executable"),
        ("half of it", good[..good.len() / 2].to_vec(), "ends before"),
        ("32 bits", patched(&[(elf::CLASS, &[1])]), "not 64-bit"),
        ("big-endian", patched(&[(elf::DATA, &[2])]), "not 64-bit little-endian"),
        ("ARM", patched(&[(elf::MACHINE, &[183, 0])]), "for machine 183, not for x86-64"),
        ("position-independent", patched(&[(elf::TYPE, &[3, 0])]), "position-independent"),
        ("an object file", patched(&[(elf::TYPE, &[1, 0])]), "of type 1"),
        (
            "no program headers",
            patched(&[(elf::PROGRAM_HEADER_COUNT, &[0, 0])]),
            "headers make no sense",
        ),
        (
            "65,535 program headers",
            patched(&[(elf::PROGRAM_HEADER_COUNT, &[255, 255])]),
            "headers make no sense",
        ),
        (
            "odd program headers",
            patched(&[(elf::PROGRAM_HEADER_LEN, &[57, 0])]),
            "no complete ELF executable",
        ),
        (
            "program headers outside",
            patched(&[(elf::PROGRAM_HEADERS, &word(u64::MAX - 8))]),
            "no complete ELF executable",
        ),
        ("entry at 0", patched(&[(elf::ENTRY, &word(0))]), "entry point 0x0"),
        (
            "entry in the kernel",
            patched(&[(elf::ENTRY, &word(0xffff_ffff_8000_0000))]),
            "entry point 0xffffffff80000000",
        ),
        (
            "writable and executable",
            patched(&[(first + elf::SEGMENT_FLAGS, &[7])]),
            "writable and executable",
        ),
        ("no permissions", patched(&[(first + elf::SEGMENT_FLAGS, &[0])]), "no permissions"),
        (
            "a segment in the kernel",
            patched(&[(last + elf::SEGMENT_ADDRESS, &word(0xffff_ffff_8000_0000))]),
            "not inside",
        ),
        ("a segment at 0", patched(&[(first + elf::SEGMENT_ADDRESS, &word(0))]), "not inside"),
        (
            "a segment that wraps",
            patched(&[(last + elf::SEGMENT_MEMORY_LEN, &word(u64::MAX))]),
            "not inside",
        ),
        ("a terabyte of memory", patched(&[(last + elf::SEGMENT_MEMORY_LEN, &huge)]), ""),
        (
            "a gigabyte of memory",
            patched(&[(last + elf::SEGMENT_MEMORY_LEN, &word(1 << 30))]),
            "more than 512 MB",
        ),
        (
            "more in the file than in memory",
            patched(&[(first + elf::SEGMENT_MEMORY_LEN, &word(1))]),
            "longer in the file than in memory",
        ),
        ("a segment outside", patched(&[(first + elf::SEGMENT_FILE_LEN, &huge)]), "ends before"),
        (
            "an offset that wraps",
            patched(&[(first + elf::SEGMENT_OFFSET, &word(u64::MAX - 4095))]),
            "ends before",
        ),
        ("misaligned", patched(&[(first + elf::SEGMENT_OFFSET, &word(1))]), "differ modulo 4096"),
    ]
}

#[test]
fn bad_images_are_refused_with_the_reason_and_change_nothing() {
    let node = boot(machine());
    node.deploy("hello");
    let before = registry(&node);
    for (name, file, reason) in bad_images() {
        for answer in [
            deploy_raw(&node, "fresh", &file),
            deploy_raw(&node, "hello?overwrite=true", &file),
            deploy_json(&node, "fresh", &document(&file)),
            deploy_json(&node, "hello?overwrite=true", &document(&file)),
        ] {
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
            assert!(error(&answer).contains(reason), "{name}: {}", error(&answer));
        }
        assert_eq!(registry(&node), before, "{name}");
    }
    node.greets("the one from before");
}

#[test]
fn an_image_that_takes_more_memory_than_the_node_has_is_refused() {
    let node = boot(machine().memory_mib(64));
    node.deploy("hello");
    let mut file = sample("hello");
    let last = *segments(&file).last().expect("segments");
    // 256 MiB of zeroed memory: within the limits of an image, but not of this node.
    file[last + elf::SEGMENT_MEMORY_LEN..][..8].copy_from_slice(&(256_u64 << 20).to_le_bytes());
    let answer = deploy_raw(&node, "large", &file);
    if answer.status == 200 {
        // Zeroed memory is not taken before it is touched; then the limit speaks.
        node.greets("large is there");
    } else {
        assert!(matches!(answer.status, 400 | 503), "{}: {}", answer.status, answer.text());
    }
    node.greets("still here");
}
