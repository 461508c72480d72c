//! What makes the image a disk: partition tables, and the file system of the EFI system partition
//! (UEFI 2.10, chapter 5 and 13.3).

use std::io::{self, Cursor, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};
use sha2::{Digest, Sha256};

use super::{SECTOR_LEN, STAGE, SYSTEM_PARTITION, put};

const ENTRIES: usize = 128;
const ENTRY_LEN: usize = 128;
const HEADER_LEN: usize = 92;
const TABLE_LEN: usize = ENTRIES * ENTRY_LEN;
/// The backup of the partition table.
pub const BACKUP_LEN: usize = TABLE_LEN + SECTOR_LEN;

/// Types of partitions, as they are stored.
const BIOS_BOOT: &[u8; 16] = b"Hah!IdontNeedEFI";
const EFI_SYSTEM: u128 = 0x3bc9_3ec9_a000_4bba_11d2_f81f_c12a_7328;

/// Room in the file system beside the program.
const FILE_SYSTEM_SLACK: usize = 256 << 10;

/// A FAT file system with the program where firmware looks for one.
pub fn file_system(program: &[u8]) -> io::Result<Vec<u8>> {
    // A 64th of it is enough for the allocation tables.
    let len = (program.len() / 64 * 65 + FILE_SYSTEM_SLACK).next_multiple_of(super::BLOCK_LEN);
    let mut volume = Cursor::new(vec![0; len]);
    let options = FormatVolumeOptions::new().volume_label(*b"HOSTKERNEL ").volume_id(1);
    format_volume(&mut volume, options)?;
    let files = FileSystem::new(&mut volume, FsOptions::new())?;
    let folder = files.root_dir().create_dir("EFI")?.create_dir("BOOT")?;
    folder.create_file("BOOTX64.EFI")?.write_all(program)?;
    drop(folder);
    files.unmount()?;
    Ok(volume.into_inner())
}

/// Writes the partition tables, for a system partition of this length. Identifiers are made of
/// what the image contains, so they are different for different images only.
pub fn describe(image: &mut [u8], partition_len: usize) {
    let digest = Sha256::digest(&*image);
    let identifier = |which: u8| {
        let digest = Sha256::digest([&digest[..], &[which]].concat());
        let mut identifier: [u8; 16] = *digest.first_chunk().expect("a digest has 32 bytes");
        // Version 4, variant 1 (RFC 9562), in the order of bytes of these tables.
        identifier[7] = identifier[7] & 0x0f | 0x40;
        identifier[8] = identifier[8] & 0x3f | 0x80;
        identifier
    };
    let sectors = (image.len() / SECTOR_LEN) as u64;
    let mut table = vec![0; TABLE_LEN];
    let partitions = [
        (BIOS_BOOT, STAGE, SYSTEM_PARTITION, "BIOS stage"),
        (&EFI_SYSTEM.to_le_bytes(), SYSTEM_PARTITION, SYSTEM_PARTITION + partition_len, "EFI"),
    ];
    for (entry, (kind, start, end, name)) in table.chunks_mut(ENTRY_LEN).zip(partitions) {
        put(entry, 0, kind);
        put(entry, 16, &identifier(kind[0]));
        put(entry, 32, &((start / SECTOR_LEN) as u64).to_le_bytes());
        put(entry, 40, &((end / SECTOR_LEN - 1) as u64).to_le_bytes());
        for (unit, place) in name.encode_utf16().zip(entry[56..].chunks_mut(2)) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
    }
    let table_sectors = (TABLE_LEN / SECTOR_LEN) as u64;
    let (last, backup_table) = (sectors - 1, sectors - 1 - table_sectors);
    let header = |own: u64, other: u64, table_at: u64| {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, b"EFI PART");
        put(&mut bytes, 8, &[0, 0, 1, 0]);
        put(&mut bytes, 12, &(HEADER_LEN as u32).to_le_bytes());
        let first_usable = 2 + table_sectors;
        let addresses = [own, other, first_usable, backup_table - 1];
        put(&mut bytes, 24, &addresses.map(u64::to_le_bytes).concat());
        put(&mut bytes, 56, &identifier(0));
        put(&mut bytes, 72, &table_at.to_le_bytes());
        let numbers = [ENTRIES as u32, ENTRY_LEN as u32, crc32fast::hash(&table)];
        put(&mut bytes, 80, &numbers.map(u32::to_le_bytes).concat());
        let checksum = crc32fast::hash(&bytes);
        put(&mut bytes, 16, &checksum.to_le_bytes());
        bytes
    };
    let (first_header, last_header) = (header(1, last, 2), header(last, 1, backup_table));
    let mut at = |sector: u64, bytes: &[u8]| put(image, sector as usize * SECTOR_LEN, bytes);
    at(1, &first_header);
    at(2, &table);
    at(backup_table, &table);
    at(last, &last_header);
    protect(image, sectors);
}

/// The partition table of the master boot record: one entry for everything, so that old programs
/// keep away. Some BIOSes start only disks with an active partition; a second entry of no kind is
/// that, because UEFI forbids it for the first.
fn protect(image: &mut [u8], sectors: u64) {
    let others = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    put(image, 446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    put(image, 458, &others.to_le_bytes());
    put(image, 462, &[0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    put(image, 510, &[0x55, 0xaa]);
}
