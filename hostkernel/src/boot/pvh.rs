//! The start info of the x86/HVM direct boot protocol, version 0 and 1 (Xen `start_info.h`).

use core::ptr::read_unaligned;

use boot_layout::{Module, PLATFORM_NAME, Platform};

use crate::handover::BootInfo;
use limits::{BOOT_MODULES_MAX, COMMAND_LINE_LEN_MAX, MEMORY_ENTRIES_MAX};
use memory::map::{Entry, MemoryMap};
use memory::physical::{PhysicalAddress, direct_pointer};

const MAGIC: u32 = 0x336e_c578;
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
    info.memory_entries = start.memory_map_len as usize;
    let indices = 0..info.memory_entries.min(MEMORY_ENTRIES_MAX);
    info.memory = MemoryMap::of(indices.map(|index| {
        // SAFETY: the loader says that this many entries are there.
        let entry = unsafe { read_unaligned(map.add(index)) };
        Entry { address: entry.address, len: entry.len, is_usable: entry.kind == USABLE }
    }));
    let modules = direct_pointer(PhysicalAddress(start.modules)).cast::<Module>();
    for index in 0..(start.modules_len as usize).min(BOOT_MODULES_MAX) {
        // SAFETY: the loader says that this many modules are described there.
        let module: Module = unsafe { read_unaligned(modules.add(index)) };
        // SAFETY: the loader says that the module and its command line are there.
        if let Some(platform) = unsafe { platform(&module) } {
            info.platform = Some(platform);
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

/// What our own loaders found out about the machine, if that is what the module holds.
///
/// # Safety
/// The module is one that the loader described, and lies below 4 GiB with its command line.
unsafe fn platform(module: &Module) -> Option<Platform> {
    if module.command_line == 0 || module.len != size_of::<Platform>() as u64 {
        return None;
    }
    let name = direct_pointer(PhysicalAddress(module.command_line));
    // SAFETY: a module's command line ends with a NUL byte, at which the comparison ends, too.
    let is_ours = (0..).zip(PLATFORM_NAME).all(|(at, byte)| unsafe { *name.add(at) } == *byte);
    let address = direct_pointer(PhysicalAddress(module.address)).cast();
    // SAFETY: a module of this name is that structure, whose length was compared.
    is_ours.then(|| unsafe { read_unaligned(address) })
}
