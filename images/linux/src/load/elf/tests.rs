//! What is taken and what is refused, on files made here byte by byte.

use super::*;

const HEADER_LEN: usize = 64;
const PROGRAM_LEN: usize = 56;

/// An executable of one segment with everything in it.
fn smallest() -> Vec<u8> {
    let mut file = vec![0; HEADER_LEN + 2 * PROGRAM_LEN + 16];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, 2, 2);
    put(&mut file, 18, 62, 2);
    put(&mut file, 20, 1, 4);
    put(&mut file, 24, 0x40_0100, 8);
    put(&mut file, 32, HEADER_LEN as u64, 8);
    put(&mut file, 52, HEADER_LEN as u64, 2);
    put(&mut file, 54, PROGRAM_LEN as u64, 2);
    put(&mut file, 56, 1, 2);
    let len = file.len() as u64;
    program(&mut file, 0, [1, 5, 0, 0x40_0000, len, 0x200, 0x1000]);
    file
}

/// Type, flags, offset, address, bytes in the file and in memory, alignment.
fn program(file: &mut [u8], number: usize, fields: [u64; 7]) {
    let at = HEADER_LEN + number * PROGRAM_LEN;
    let [kind, flags, offset, address, file_len, memory_len, align] = fields;
    put(file, at, kind, 4);
    put(file, at + 4, flags, 4);
    put(file, at + 8, offset, 8);
    put(file, at + 16, address, 8);
    put(file, at + 32, file_len, 8);
    put(file, at + 40, memory_len, 8);
    put(file, at + 48, align, 8);
}

fn put(file: &mut [u8], at: usize, value: u64, len: usize) {
    file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

#[test]
fn the_smallest_is_taken() {
    let file = smallest();
    let executable = parse(&file).expect("it is whole");
    assert_eq!(executable.entry, 0x40_0100);
    assert_eq!(executable.headers, 0x40_0040);
    assert_eq!(executable.movable_by, None);
    assert_eq!(executable.segments.len(), 1);
    assert_eq!(executable.segments[0].protection, Protection::EXECUTE);
}

#[test]
fn a_position_independent_one_says_its_alignment() {
    let mut file = smallest();
    put(&mut file, 16, 3, 2);
    put(&mut file, HEADER_LEN + 48, 0x20_0000, 8);
    assert_eq!(parse(&file).expect("it is whole").movable_by, Some(0x20_0000));
    put(&mut file, HEADER_LEN + 48, 0x20_0001, 8);
    assert_eq!(parse(&file), Err(Reject::Malformed));
}

#[test]
fn truncated_at_every_byte_it_is_refused() {
    let file = smallest();
    for len in 0..file.len() {
        assert!(parse(&file[..len]).is_err(), "{len}");
    }
}

#[test]
fn every_field_at_its_ends_is_taken_or_refused_without_a_panic() {
    for at in 0..HEADER_LEN + PROGRAM_LEN {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut file = smallest();
            file[at] = value;
            // Either will do; that it returns is what matters.
            let _ = parse(&file);
            put(&mut file, at & !7, u64::MAX, 8);
            let _ = parse(&file);
        }
    }
}

#[test]
fn an_interpreter_is_named() {
    let mut file = smallest();
    put(&mut file, 56, 2, 2);
    let name = file.len() as u64;
    file.extend(b"/lib/ld-musl-x86_64.so.1\0");
    program(&mut file, 1, [3, 4, name, 0, 25, 25, 1]);
    let interpreter = parse(&file).expect("it is whole").interpreter;
    assert_eq!(interpreter, Some(&b"/lib/ld-musl-x86_64.so.1"[..]));
    let nameless = file.len() as u64 - 1;
    program(&mut file, 1, [3, 4, nameless, 0, 1, 1, 1]);
    assert_eq!(parse(&file), Err(Reject::Malformed));
}

#[test]
fn what_no_program_may_be_is_refused_by_name() {
    let with = |fields: [u64; 7]| {
        let mut file = smallest();
        program(&mut file, 0, fields);
        parse(&file).map(|executable| executable.entry)
    };
    let len = smallest().len() as u64;
    assert_eq!(with([1, 7, 0, 0x40_0000, len, 0x200, 0x1000]), Err(Reject::WritableAndExecutable));
    assert_eq!(with([1, 5, 0, 0x40_0010, len, 0x200, 0x1000]), Err(Reject::Malformed));
    assert_eq!(with([1, 5, 0, 0x40_0000, len, 1, 0x1000]), Err(Reject::Malformed));
    assert_eq!(with([1, 5, 0, 0x40_0000, 0x1000, 0x1000, 0x1000]), Err(Reject::NotExecutable));
    assert_eq!(with([1, 5, 0, ADDRESS_END, len, 0x200, 0x1000]), Err(Reject::BadAddress));
    assert_eq!(with([1, 4, 0, 0x40_0000, len, 0x200, 0x1000]), Err(Reject::Malformed));
    assert_eq!(with([1, 5, 0, u64::MAX << 12, len, 0x2000, 0x1000]), Err(Reject::Malformed));
    let mut other = smallest();
    put(&mut other, 18, 183, 2);
    assert_eq!(parse(&other), Err(Reject::NotExecutable));
}
