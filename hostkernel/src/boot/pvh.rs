//! The start info of the x86/HVM direct boot protocol, version 0 and 1 (Xen `start_info.h`).

use core::ptr::read_unaligned;

use super::{BootInfo, MemoryRange};
use crate::config::{COMMAND_LINE_LEN_MAX, MEMORY_RANGES_MAX};
use crate::memory::physical::{PhysicalAddress, direct_pointer};

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
struct Module {
    address: u64,
    len: u64,
    command_line: u64,
    reserved: u64,
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
    if start.modules_len > 0 {
        let first = direct_pointer(PhysicalAddress(start.modules)).cast::<Module>();
        // SAFETY: the loader says that at least one module is described there.
        let module = unsafe { read_unaligned(first) };
        let end = module.address.checked_add(module.len);
        info.module = end.filter(|_| module.len > 0).map(|end| (module.address, end));
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
