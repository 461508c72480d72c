//! A core's own memory, at the same virtual addresses on every core.
//!
//! Every core has its own level-4 table, so "this core's area" is a constant address and neither
//! `swapgs` nor a GS-relative access exists in this kernel: FS and GS belong to the action alone.
//!
//! ```text
//! 0xffff_ffff_c000_0000  (not mapped)              guard
//! 0xffff_ffff_c000_1000  entry stack, 8 KiB        spill room for a fault in the exit path
//! 0xffff_ffff_c000_3000  entry area                registers of the action, GDT, TSS; 1 page
//! 0xffff_ffff_c000_4000  IDT                       1 page
//! 0xffff_ffff_c000_6000  NMI stack        8 KiB    between guard pages, as the next three
//! 0xffff_ffff_c000_9000  double fault     8 KiB
//! 0xffff_ffff_c000_c000  machine check    8 KiB
//! 0xffff_ffff_c000_f000  debug            8 KiB
//! ----------------------------------------------- above: mapped always; below: only for the kernel
//! 0xffff_ffff_c020_0000  CorePage                  core number; 1 page
//! 0xffff_ffff_c020_2000  kernel stack, 64 KiB      behind a guard page
//! ```

use crate::space::KernelEntry;
use limits::{EMERGENCY_STACK_LEN, KERNEL_STACK_LEN, PAGE_LEN};

/// Start of what stays mapped while an action runs.
pub const ENTRY_SPACE: u64 = 0xffff_ffff_c000_0000;
/// Start of what only the kernel maps.
pub const PRIVATE_SPACE: u64 = 0xffff_ffff_c020_0000;

const PAGE: u64 = PAGE_LEN as u64;
/// Entry stack, in pages from [`ENTRY_SPACE`]: first and one past the last.
pub const ENTRY_STACK_PAGES: (u64, u64) = (1, 3);
/// The entry area follows its stack.
pub const ENTRY_AREA: u64 = ENTRY_SPACE + 3 * PAGE;
/// The interrupt descriptor table.
pub const IDT: u64 = ENTRY_SPACE + 4 * PAGE;
/// First page of each emergency stack, from [`ENTRY_SPACE`].
pub const EMERGENCY_STACK_PAGES: [u64; 4] = [6, 9, 12, 15];
/// The core page.
pub const CORE_PAGE: u64 = PRIVATE_SPACE;
/// First page of the kernel stack, from [`PRIVATE_SPACE`].
pub const KERNEL_STACK_PAGE: u64 = 2;
const KERNEL_STACK_START: u64 = PRIVATE_SPACE + KERNEL_STACK_PAGE * PAGE;
/// Address after the kernel stack.
pub const KERNEL_STACK_END: u64 = KERNEL_STACK_START + KERNEL_STACK_LEN as u64;

const _: () = assert!(EMERGENCY_STACK_LEN == 2 * PAGE_LEN, "the map above has room for two pages");

/// What only the kernel of this core sees.
#[repr(C)]
pub struct CorePage {
    /// Index of this core. Zero on the first page tables, which map a zeroed page here.
    pub id: u64,
    /// Entry for level-4 slot 511 of actions that run on this core.
    pub action_entry: u64,
}

/// Pages of the entry space that are mapped.
#[must_use]
pub fn entry_pages() -> u64 {
    let stack = ENTRY_STACK_PAGES.1 - ENTRY_STACK_PAGES.0;
    // The area and the IDT, and two pages for each emergency stack.
    stack + 2 + 2 * EMERGENCY_STACK_PAGES.len() as u64
}

/// Index of the calling core.
#[must_use]
pub fn core_id() -> usize {
    core_page().id as usize
}

/// Whether the calling core has its own tables, which map its area.
#[must_use]
pub fn is_mapped() -> bool {
    core_page().action_entry != 0
}

/// Whether `address` lies on one of the calling core's stacks.
#[must_use]
pub fn is_stack(address: u64) -> bool {
    let in_pages = |space: u64, first: u64, end: u64| {
        (space + first * PAGE..space + end * PAGE).contains(&address)
    };
    (KERNEL_STACK_START..KERNEL_STACK_END).contains(&address)
        || in_pages(ENTRY_SPACE, ENTRY_STACK_PAGES.0, ENTRY_STACK_PAGES.1)
        || EMERGENCY_STACK_PAGES.iter().any(|first| in_pages(ENTRY_SPACE, *first, first + 2))
}

/// Whether `address` lies on the guard page of the kernel stack: who touches it ran off the stack.
#[must_use]
pub fn is_stack_guard(address: u64) -> bool {
    (KERNEL_STACK_START - PAGE..KERNEL_STACK_START).contains(&address)
}

/// What actions that run on the calling core must have in their kernel slot.
#[must_use]
pub fn kernel_entry() -> KernelEntry {
    // SAFETY: `new_core` wrote the entry of this core there.
    unsafe { KernelEntry::from_raw(core_page().action_entry) }
}

fn core_page() -> &'static CorePage {
    // SAFETY: every set of kernel tables maps this page, the first ones included; it is written
    // before the core that owns it runs on these tables.
    unsafe { &*core::ptr::with_exposed_provenance(CORE_PAGE as usize) }
}
