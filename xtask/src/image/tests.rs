//! Images of a small kernel, looked at from outside.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use boot_layout::{COMMAND_LINE_LEN, KERNEL_ADDRESS, LOAD_ADDRESS, PRELUDE_LEN};
use fatfs::{FileSystem, FsOptions};

use super::*;

const BUNDLE: &[u8] = b"070701 a bundle";

/// An ELF file of one segment of 8 bytes, which takes 16 in memory.
fn kernel() -> Vec<u8> {
    let mut elf = vec![0; 120];
    put(&mut elf, 0, b"\x7fELF\x02\x01\x01");
    put(&mut elf, 16, &[2, 0, 62, 0, 1, 0, 0, 0]);
    put(&mut elf, 24, &u64::from(KERNEL_ADDRESS + 4).to_le_bytes());
    put(&mut elf, 32, &64_u64.to_le_bytes());
    put(&mut elf, 52, &[64, 0, 56, 0, 1, 0]);
    put(&mut elf, 64, &[1, 0, 0, 0, 5, 0, 0, 0]);
    let fields = [120, u64::from(KERNEL_ADDRESS), u64::from(KERNEL_ADDRESS), 8, 16, 4096];
    put(&mut elf, 72, &fields.map(u64::to_le_bytes).concat());
    elf.extend_from_slice(b"a kernel");
    elf
}

/// A PE file with room for one section.
fn loader() -> Vec<u8> {
    let mut pe = vec![0; 1024];
    put(&mut pe, 0x3c, &64_u32.to_le_bytes());
    put(&mut pe, 64, b"PE\0\0");
    put(&mut pe, 64 + 20, &240_u16.to_le_bytes());
    put(&mut pe, 64 + 24 + 56, &[0x2000_u32.to_le_bytes(), 512_u32.to_le_bytes()].concat());
    pe
}

fn with(kernel: &[u8], command_line: &str) -> Result<Vec<u8>, ImageError> {
    let (stage, loader) = (vec![0x90; STAGE_LEN], loader());
    build(&Parts { kernel, stage: &stage, loader: &loader, command_line, bundle: BUNDLE })
}

static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| with(&kernel(), "ip=dhcp").expect("an image"));

fn number<const LEN: usize>(at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes[..LEN].copy_from_slice(&IMAGE[at..at + LEN]);
    u64::from_le_bytes(bytes)
}

/// What the BIOS stage finds, by what it is told at `stage`.
fn payload(stage: usize, block_len: usize) -> &'static [u8] {
    let parameters = stage + STAGE_PARAMETERS;
    let start = number::<4>(parameters + 16) as usize * block_len;
    let len = number::<4>(parameters + 20) as usize * CHUNK_LEN;
    assert_eq!(number::<2>(parameters + 24) as usize * block_len, CHUNK_LEN);
    &IMAGE[start..start + len]
}

#[test]
fn the_stage_finds_the_same_payload_on_disk_and_cd() {
    let on_disk = payload(STAGE, SECTOR_LEN);
    assert_eq!(on_disk, payload(STAGE_CD, BLOCK_LEN));
    assert_eq!(on_disk, payload(0, SECTOR_LEN));
    assert_eq!(payload::sum(on_disk), 0);
    assert_eq!(&on_disk[PRELUDE_LEN..PRELUDE_LEN + 16], b"a kernel\0\0\0\0\0\0\0\0");
    assert!(on_disk[2 * PRELUDE_LEN..].starts_with(BUNDLE));
    let text = String::from_utf8_lossy(&on_disk[..PRELUDE_LEN]);
    assert!(text.contains("ip=dhcp\0") && text.contains("hostkernel.platform\0"));
    let start = u64::from(LOAD_ADDRESS);
    let modules = u64::from_le_bytes(*on_disk[16..].first_chunk().expect("8 bytes"));
    let module = &on_disk[(modules - start) as usize..];
    let bundle = u64::from_le_bytes(*module.first_chunk().expect("8 bytes"));
    assert_eq!(bundle, start + 2 * PRELUDE_LEN as u64);
}

#[test]
fn firmware_finds_the_loader_in_the_partition_that_both_tables_name() {
    // The second entry of the GPT, and the second one that El Torito's catalogue has.
    let entry = 2 * SECTOR_LEN + 128;
    let (start, end) = (number::<8>(entry + 32), number::<8>(entry + 40) + 1);
    let (start, end) = (start as usize * SECTOR_LEN, end as usize * SECTOR_LEN);
    let catalogue = number::<4>(17 * BLOCK_LEN + 71) as usize * BLOCK_LEN;
    assert_eq!(number::<4>(catalogue + 96 + 8) as usize * BLOCK_LEN, start);
    let sum = (0..16).map(|at| number::<2>(catalogue + 2 * at) as u16).fold(0, u16::wrapping_add);
    assert_eq!(sum, 0);

    let files = FileSystem::new(Cursor::new(IMAGE[start..end].to_vec()), FsOptions::new());
    let files = files.expect("a file system");
    let mut program = Vec::new();
    let mut file = files.root_dir().open_file("EFI/BOOT/BOOTX64.EFI").expect("the loader");
    file.read_to_end(&mut program).expect("all of it");
    let section = 64 + 24 + 240;
    let word = |at: usize| u32::from_le_bytes(*program[at..].first_chunk().expect("a word"));
    let (len, offset) = (word(section + 8) as usize, word(section + 20) as usize);
    assert_eq!(&program[section..section + 8], b".payload");
    assert_eq!(&program[offset..offset + len], payload(STAGE, SECTOR_LEN));
}

#[test]
fn both_partition_tables_are_whole() {
    let last = IMAGE.len() / SECTOR_LEN - 1;
    for (own, other) in [(1, last), (last, 1)] {
        let header = own * SECTOR_LEN;
        assert_eq!(&IMAGE[header..header + 8], b"EFI PART");
        assert_eq!(
            (number::<8>(header + 24), number::<8>(header + 32)),
            (own as u64, other as u64)
        );
        let mut bytes = IMAGE[header..header + 92].to_vec();
        put(&mut bytes, 16, &[0; 4]);
        assert_eq!(number::<4>(header + 16), u64::from(crc32fast::hash(&bytes)));
        let table = number::<8>(header + 72) as usize * SECTOR_LEN;
        let table = &IMAGE[table..table + 128 * 128];
        assert_eq!(number::<4>(header + 88), u64::from(crc32fast::hash(table)));
    }
}

#[test]
fn the_same_parts_give_the_same_bytes_and_others_another_identity() {
    assert_eq!(*IMAGE, with(&kernel(), "ip=dhcp").expect("an image"));
    let other = with(&kernel(), "ip=dhcp loglevel=debug").expect("an image");
    let identity = SECTOR_LEN + 56..SECTOR_LEN + 72;
    assert_ne!(IMAGE[identity.clone()], other[identity]);
}

#[test]
fn what_cannot_be_loaded_is_refused() {
    let refused = |kernel: &[u8]| with(kernel, "").expect_err("no kernel").to_string();
    refused(b"not an ELF file");
    let mut low = kernel();
    put(&mut low, 64 + 24, &0x10_0000_u64.to_le_bytes());
    assert!(refused(&low).contains("below 2 MiB"));
    let mut cut = kernel();
    cut.truncate(124);
    assert!(refused(&cut).contains("cut off"));
    let mut outside = kernel();
    put(&mut outside, 24, &u64::from(KERNEL_ADDRESS + 16).to_le_bytes());
    assert!(refused(&outside).contains("entry"));

    with(&kernel(), &"x".repeat(COMMAND_LINE_LEN - 1)).expect("it just fits");
    let error = with(&kernel(), &"x".repeat(COMMAND_LINE_LEN)).expect_err("too long");
    assert!(error.to_string().starts_with("the command line takes"), "{error}");
}
