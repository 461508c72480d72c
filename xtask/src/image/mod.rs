//! One image that starts a node under BIOS and UEFI, from a disk, a USB stick or a CD.
//!
//! ```text
//! 0        master boot record: the first 440 bytes of the BIOS stage     disk
//! 512      partition table (GPT)                                         disk
//! 18 KiB   BIOS stage as a disk continues it, then as a CD boots it      disk, CD
//! 32 KiB   ISO 9660 and El Torito descriptors                            CD
//! 64 KiB   EFI system partition: FAT with \EFI\BOOT\BOOTX64.EFI          disk, CD
//!            └ UEFI loader, its last section is the payload
//! end      backup of the partition table                                 disk
//! ```
//!
//! Kernel, command line and bundle are in the image once, as the payload of [`boot_layout`]. The
//! BIOS stage is told where in the UEFI loader's file it lies. The same parts give the same bytes.

mod cd;
mod disk;
mod loader;
mod payload;

use std::io;
use std::path::PathBuf;

use boot_layout::{CHUNK_LEN, STAGE_LEN, STAGE_MBR_LEN, STAGE_PARAMETERS, StageParameters};
use zerocopy::IntoBytes;

use crate::workspace;

/// Sector of disks, and unit of the layout.
const SECTOR_LEN: usize = 512;
/// Block of CDs.
const BLOCK_LEN: usize = 2048;
/// The BIOS stage on disks, whose first sector is in the master boot record; and on CDs.
const STAGE: usize = 18 << 10;
const STAGE_CD: usize = STAGE + STAGE_LEN;
/// The EFI system partition.
const SYSTEM_PARTITION: usize = 64 << 10;
/// An image is a multiple of this, as clouds demand.
const IMAGE_UNIT: usize = 1 << 20;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file could not be read.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// The kernel is not one that boot code can load.
    #[error("the kernel cannot be put into an image: {0}")]
    Kernel(String),
    /// The UEFI loader is not a program as expected.
    #[error("the UEFI loader is not a program that a section can be appended to")]
    Loader,
    /// Something is too large.
    #[error("{what} takes {len} bytes; an image has room for {max}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// The file system could not be made.
    #[error("making the file system: {0}")]
    FileSystem(io::Error),
}

/// What an image is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The kernel, an ELF file.
    pub kernel: &'a [u8],
    /// The BIOS stage.
    pub stage: &'a [u8],
    /// The UEFI loader, a PE file.
    pub loader: &'a [u8],
    /// The kernel's command line.
    pub command_line: &'a str,
    /// The boot bundle.
    pub bundle: &'a [u8],
}

/// Makes an image of the kernel and boot programs that were built.
///
/// # Errors
/// [`ImageError`]
pub fn of_workspace(command_line: &str, bundle: &[u8]) -> Result<Vec<u8>, ImageError> {
    let read =
        |path: PathBuf| std::fs::read(&path).map_err(|cause| ImageError::File { path, cause });
    build(&Parts {
        kernel: &read(workspace::kernel())?,
        stage: &read(workspace::bios_stage())?,
        loader: &read(workspace::uefi_loader())?,
        command_line,
        bundle,
    })
}

/// Makes an image.
///
/// # Errors
/// [`ImageError`]
///
/// # Panics
/// If the BIOS stage has not the length it is linked with.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>, ImageError> {
    let payload = payload::build(parts)?;
    let (partition, payload_at) = system_partition(parts.loader, &payload)?;
    let end = SYSTEM_PARTITION + partition.len();
    let mut image = vec![0; (end + disk::BACKUP_LEN).next_multiple_of(IMAGE_UNIT)];
    image[SYSTEM_PARTITION..end].copy_from_slice(&partition);

    let chunks = (payload.len() / CHUNK_LEN) as u32;
    let on_disk = StageParameters {
        packet_len: 16,
        rest_count: (STAGE_LEN / SECTOR_LEN - 1) as u16,
        rest_offset: 0x7e00,
        rest_segment: 0,
        rest_block: (STAGE / SECTOR_LEN + 1) as u64,
        payload_block: (payload_at / SECTOR_LEN) as u32,
        chunks,
        chunk_blocks: (CHUNK_LEN / SECTOR_LEN) as u16,
        reserved: [0; 6],
    };
    let on_cd = StageParameters {
        rest_count: 0,
        payload_block: (payload_at / BLOCK_LEN) as u32,
        chunk_blocks: (CHUNK_LEN / BLOCK_LEN) as u16,
        ..on_disk
    };
    for (at, parameters) in [(STAGE, &on_disk), (STAGE_CD, &on_cd)] {
        let stage = &mut image[at..at + STAGE_LEN];
        stage.copy_from_slice(parts.stage);
        stage[STAGE_PARAMETERS..STAGE_MBR_LEN].copy_from_slice(parameters.as_bytes());
    }
    image.copy_within(STAGE..STAGE + STAGE_MBR_LEN, 0);
    cd::describe(&mut image, partition.len());
    disk::describe(&mut image, partition.len());
    Ok(image)
}

/// The EFI system partition, and where in the image the payload lies: at the start of a CD's block.
fn system_partition(loader: &[u8], payload: &[u8]) -> Result<(Vec<u8>, usize), ImageError> {
    // The file system decides where the file begins, so padding in front of the payload is tried.
    for padding in (0..BLOCK_LEN).step_by(SECTOR_LEN) {
        let program = loader::append(loader, payload, padding).ok_or(ImageError::Loader)?;
        let partition = disk::file_system(&program).map_err(ImageError::FileSystem)?;
        let mut sectors = (0..partition.len()).step_by(SECTOR_LEN);
        let found = sectors.find(|at| partition[*at..].starts_with(payload));
        let at = found.ok_or_else(|| {
            ImageError::FileSystem(io::Error::other("the only file is in several pieces"))
        })?;
        if (SYSTEM_PARTITION + at).is_multiple_of(BLOCK_LEN) {
            return Ok((partition, SYSTEM_PARTITION + at));
        }
    }
    Err(ImageError::FileSystem(io::Error::other("the only file does not begin at a sector")))
}

/// Puts bytes at a place.
fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests;
