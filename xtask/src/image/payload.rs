//! The payload: memory as it is to be when the kernel starts, see [`boot_layout`].

use std::mem::offset_of;

use boot_layout::{
    CHUNK_LEN, COMMAND_LINE_LEN, KERNEL_ADDRESS, LOAD_ADDRESS, Module, PLATFORM_NAME, PRELUDE_LEN,
    Prelude, START_INFO_MAGIC, StartInfo,
};
use object::LittleEndian as LE;
use object::elf::{EM_X86_64, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use zerocopy::{FromZeros, IntoBytes};

use super::{ImageError, Parts};

/// Memory a kernel may take. Its own is a few MiB; the bound is one against nonsense.
const KERNEL_LEN_MAX: u64 = 64 << 20;
/// Longest payload. A PC may have no more memory in one piece above 1 MiB: firmware of UEFI puts
/// its own below 4 GiB wherever it likes.
const PAYLOAD_LEN_MAX: usize = 512 << 20;
const PAGE_LEN: usize = 4096;

/// Makes the payload of an image.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>, ImageError> {
    let (kernel, entry) = flat(parts.kernel)?;
    let mut payload = vec![0; PRELUDE_LEN];
    payload.extend_from_slice(&kernel);
    payload.resize(payload.len().next_multiple_of(PAGE_LEN), 0);
    let bundle_at = payload.len();
    payload.extend_from_slice(parts.bundle);
    payload.resize(payload.len().next_multiple_of(CHUNK_LEN), 0);
    let max = PAYLOAD_LEN_MAX;
    if payload.len() > max {
        return Err(ImageError::TooLarge { what: "the bundle", len: parts.bundle.len(), max });
    }

    let mut prelude = Prelude::new_zeroed();
    let words = parts.command_line.as_bytes();
    let room = prelude.command_line[..COMMAND_LINE_LEN - 1].get_mut(..words.len());
    let too_large = ImageError::TooLarge {
        what: "the command line",
        len: words.len(),
        max: COMMAND_LINE_LEN - 1,
    };
    room.ok_or(too_large)?.copy_from_slice(words);
    let own = |offset: usize| u64::from(LOAD_ADDRESS) + offset as u64;
    prelude.start = StartInfo {
        magic: START_INFO_MAGIC,
        version: 1,
        modules_len: prelude.modules.len() as u32,
        modules: own(offset_of!(Prelude, modules)),
        command_line: own(offset_of!(Prelude, command_line)),
        ..StartInfo::new_zeroed()
    };
    prelude.entry = entry;
    prelude.len = payload.len() as u32;
    prelude.fixed_len = bundle_at as u32;
    prelude.modules = [
        Module {
            address: own(bundle_at),
            len: parts.bundle.len() as u64,
            command_line: 0,
            reserved: 0,
        },
        Module {
            address: own(offset_of!(Prelude, platform)),
            len: size_of_val(&prelude.platform) as u64,
            command_line: own(offset_of!(Prelude, platform_name)),
            reserved: 0,
        },
    ];
    prelude.platform_name[..PLATFORM_NAME.len()].copy_from_slice(PLATFORM_NAME);
    payload[..PRELUDE_LEN].copy_from_slice(prelude.as_bytes());
    prelude.balance = sum(&payload).wrapping_neg();
    payload[..PRELUDE_LEN].copy_from_slice(prelude.as_bytes());
    Ok(payload)
}

/// The sum of all 32-bit words.
pub fn sum(payload: &[u8]) -> u32 {
    let words = payload.as_chunks().0.iter();
    words.fold(0, |sum, word| sum.wrapping_add(u32::from_le_bytes(*word)))
}

/// The kernel as it is in memory, from [`KERNEL_ADDRESS`] on, and its entry.
fn flat(kernel: &[u8]) -> Result<(Vec<u8>, u32), ImageError> {
    let wrong = |what: &str| ImageError::Kernel(what.to_owned());
    let unreadable = |error: object::Error| ImageError::Kernel(error.to_string());
    let header = FileHeader64::<LE>::parse(kernel).map_err(unreadable)?;
    if header.e_machine(LE) != EM_X86_64 {
        return Err(wrong("it is not for x86-64"));
    }
    let mut memory = Vec::new();
    for segment in header.program_headers(LE, kernel).map_err(unreadable)? {
        if segment.p_type(LE) != PT_LOAD {
            continue;
        }
        let start = segment.p_paddr(LE).checked_sub(u64::from(KERNEL_ADDRESS));
        let start = start.ok_or_else(|| wrong("a segment lies below 2 MiB"))?;
        let end = start.saturating_add(segment.p_memsz(LE));
        if end > KERNEL_LEN_MAX {
            return Err(wrong("a segment lies above 64 MiB"));
        }
        let bytes = segment.data(LE, kernel).map_err(|()| wrong("a segment is cut off"))?;
        if bytes.len() as u64 > segment.p_memsz(LE) {
            return Err(wrong("a segment is longer than its memory"));
        }
        memory.resize(memory.len().max(end as usize), 0);
        memory[start as usize..][..bytes.len()].copy_from_slice(bytes);
    }
    let entry = u32::try_from(header.e_entry(LE)).ok().filter(|entry| {
        entry.checked_sub(KERNEL_ADDRESS).is_some_and(|entry| (entry as usize) < memory.len())
    });
    Ok((memory, entry.ok_or_else(|| wrong("its entry is outside of its segments"))?))
}
