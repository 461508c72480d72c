//! The start info of the x86/HVM direct boot protocol, version 0 and 1 (Xen `start_info.h`).

use core::ptr::read_unaligned;

use super::{BootInfo, MemoryRange};
use crate::config::{COMMAND_LINE_LEN_MAX, MEMORY_RANGES_MAX};
use crate::memory::physical::{PhysicalAddress, direct_pointer};

const MAGIC: u32 = 0x336e_c578;
/// Modules that are looked at.
const MODULES_MAX: usize = 8;
/// Command line of the module with what UEFI knows, see `boot/layout`.
const PLATFORM_NAME: &[u8] = b"hostkernel.platform\0";
/// Memory map type of ordinary memory, as in E820.
const USABLE: u32 = 1;

#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    modules_len: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    // From version 1 on.
    memory_map: u64,
    memory_map_len: u32,
    reserved: u32,
}

#[repr(C)]
struct Module {
    address: u64,
    len: u64,
    command_line: u64,
    reserved: u64,
}

impl Module {
    /// The first word of the module in which our own boot programs say what UEFI knows.
    ///
    /// # Safety
    /// The module is one that the loader described.
    unsafe fn smbios(&self) -> Option<u64> {
        let command_line = direct_pointer(PhysicalAddress(self.command_line));
        let is_it = self.command_line != 0
            && self.len >= size_of::<u64>() as u64
            // SAFETY: a command line ends with a NUL byte, at which the comparison ends, too.
            && (0..).zip(PLATFORM_NAME).all(|(at, byte)| unsafe { *command_line.add(at) } == *byte);
        let word = direct_pointer(PhysicalAddress(self.address)).cast();
        // SAFETY: the module is at least that long.
        is_it.then(|| unsafe { read_unaligned(word) })
    }
}

#[repr(C)]
struct MemoryMapEntry {
    address: u64,
    len: u64,
    kind: u32,
    reserved: u32,
}

/// Copies what the loader left behind.
///
/// # Safety
/// `start_info` is the physical address of a PVH start info below 4 GiB, and the direct map reaches
/// it.
pub(super) unsafe fn read(start_info: u64, info: &mut BootInfo) {
    // SAFETY: the caller vouches for the address; the loader may leave any alignment.
    let start: StartInfo =
        unsafe { read_unaligned(direct_pointer(PhysicalAddress(start_info)).cast()) };
    assert!(start.magic == MAGIC, "not started by the PVH boot protocol");
    assert!(start.version >= 1, "the boot loader gave no memory map");
    info.rsdp = (start.rsdp != 0).then_some(start.rsdp);
    let map = direct_pointer(PhysicalAddress(start.memory_map)).cast::<MemoryMapEntry>();
    for index in 0..(start.memory_map_len as usize).min(MEMORY_RANGES_MAX) {
        // SAFETY: the loader says that this many entries are there.
        let entry = unsafe { read_unaligned(map.add(index)) };
        info.push_memory(MemoryRange {
            start: entry.address,
            end: entry.address.saturating_add(entry.len),
            usable: entry.kind == USABLE,
        });
    }
    let modules = direct_pointer(PhysicalAddress(start.modules)).cast::<Module>();
    for index in 0..(start.modules_len as usize).min(MODULES_MAX) {
        // SAFETY: the loader says that this many modules are described there.
        let module = unsafe { read_unaligned(modules.add(index)) };
        // SAFETY: the loader says that the module and its command line are there.
        if let Some(smbios) = unsafe { module.smbios() } {
            info.smbios = Some(smbios).filter(|address| *address != 0);
        } else if info.module.is_none() && module.len > 0 {
            let end = module.address.checked_add(module.len);
            info.module = end.map(|end| (module.address, end));
        }
    }
    if start.command_line == 0 {
        return;
    }
    let text = direct_pointer(PhysicalAddress(start.command_line));
    loop {
        // SAFETY: the command line ends with a NUL byte, and we stop there.
        let byte = unsafe { text.add(info.command_line_len).read() };
        if byte == 0 {
            return;
        }
        if info.command_line_len == COMMAND_LINE_LEN_MAX {
            info.is_command_line_whole = false;
            return;
        }
        info.command_line[info.command_line_len] = byte;
        info.command_line_len += 1;
    }
}
