//! What makes the image a CD: an empty ISO 9660 file system, and El Torito's catalogue of what can
//! be started (ECMA-119; El Torito 1.0; UEFI 2.10, 13.3.2.1).

use boot_layout::STAGE_LEN;

use super::{BLOCK_LEN, SECTOR_LEN, STAGE_CD, SYSTEM_PARTITION, put};

/// Blocks, from the first one that ISO 9660 does not leave to others.
const VOLUME: usize = 16;
const BOOT_RECORD: usize = 17;
const TERMINATOR: usize = 18;
const PATHS_LITTLE: usize = 19;
const PATHS_BIG: usize = 20;
const ROOT: usize = 21;
const CATALOGUE: usize = 22;

const PATH_LEN: u32 = 10;
const DIRECTORY_RECORD_LEN: usize = 34;
const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";
const BIOS: u8 = 0;
const UEFI: u8 = 0xef;

/// Writes the descriptors, for a system partition of this length.
pub fn describe(image: &mut [u8], partition_len: usize) {
    let blocks = (image.len() / BLOCK_LEN) as u32;
    let mut block = |number: usize, bytes: &[u8]| put(image, number * BLOCK_LEN, bytes);
    block(VOLUME, &volume(blocks));
    block(BOOT_RECORD, &boot_record());
    block(TERMINATOR, b"\xffCD001\x01");
    block(PATHS_LITTLE, &[&[1, 0][..], &(ROOT as u32).to_le_bytes(), &[1, 0, 0, 0]].concat());
    block(PATHS_BIG, &[&[1, 0][..], &(ROOT as u32).to_be_bytes(), &[0, 1, 0, 0]].concat());
    block(ROOT, &[directory(0), directory(1)].concat());
    block(CATALOGUE, &catalogue(partition_len));
}

/// The primary volume descriptor.
fn volume(blocks: u32) -> [u8; BLOCK_LEN] {
    let mut bytes = [0; BLOCK_LEN];
    put(&mut bytes, 0, b"\x01CD001\x01");
    // Names, of systems and people, are padded with spaces; times are digits.
    bytes[8..72].fill(b' ');
    put(&mut bytes, 40, b"HOSTKERNEL");
    put(&mut bytes, 80, &both_32(blocks));
    put(&mut bytes, 120, &both_16(1));
    put(&mut bytes, 124, &both_16(1));
    put(&mut bytes, 128, &both_16(BLOCK_LEN as u16));
    put(&mut bytes, 132, &both_32(PATH_LEN));
    put(&mut bytes, 140, &(PATHS_LITTLE as u32).to_le_bytes());
    put(&mut bytes, 148, &(PATHS_BIG as u32).to_be_bytes());
    put(&mut bytes, 156, &directory(0));
    bytes[190..813].fill(b' ');
    for time in 0..4 {
        bytes[813 + 17 * time..][..16].fill(b'0');
    }
    bytes[881] = 1;
    bytes
}

fn boot_record() -> [u8; 75] {
    let mut bytes = [0; 75];
    put(&mut bytes, 0, b"\0CD001\x01");
    put(&mut bytes, 7, EL_TORITO);
    put(&mut bytes, 71, &(CATALOGUE as u32).to_le_bytes());
    bytes
}

/// The root directory's record under one of its two names in itself, 0 and 1.
fn directory(name: u8) -> [u8; DIRECTORY_RECORD_LEN] {
    const DIRECTORY: u8 = 2;
    let mut bytes = [0; DIRECTORY_RECORD_LEN];
    bytes[0] = DIRECTORY_RECORD_LEN as u8;
    put(&mut bytes, 2, &both_32(ROOT as u32));
    put(&mut bytes, 10, &both_32(BLOCK_LEN as u32));
    // The first day FAT knows, for the same reason: there must be one.
    put(&mut bytes, 18, &[80, 1, 1]);
    bytes[25] = DIRECTORY;
    put(&mut bytes, 28, &both_16(1));
    bytes[32] = 1;
    bytes[33] = name;
    bytes
}

fn catalogue(partition_len: usize) -> [u8; 128] {
    let mut bytes = [0; 128];
    // Validation entry; all its 16-bit words add up to 0.
    put(&mut bytes, 0, &[1, BIOS]);
    put(&mut bytes, 28, &0xaa55_u16.wrapping_add(1).wrapping_neg().to_le_bytes());
    put(&mut bytes, 30, &[0x55, 0xaa]);
    put(&mut bytes, 32, &entry(STAGE_CD, STAGE_LEN));
    // The last section, of one entry.
    put(&mut bytes, 64, &[0x91, UEFI, 1, 0]);
    put(&mut bytes, 96, &entry(SYSTEM_PARTITION, partition_len));
    bytes
}

/// A bootable entry without emulation of a disk.
fn entry(at: usize, len: usize) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = 0x88;
    // A length that cannot be said means: up to the end of the CD.
    let sectors = u16::try_from(len / SECTOR_LEN).unwrap_or(0);
    put(&mut bytes, 6, &sectors.to_le_bytes());
    put(&mut bytes, 8, &((at / BLOCK_LEN) as u32).to_le_bytes());
    bytes
}

fn both_32(value: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    put(&mut bytes, 0, &value.to_le_bytes());
    put(&mut bytes, 4, &value.to_be_bytes());
    bytes
}

fn both_16(value: u16) -> [u8; 4] {
    let mut bytes = [0; 4];
    put(&mut bytes, 0, &value.to_le_bytes());
    put(&mut bytes, 2, &value.to_be_bytes());
    bytes
}
