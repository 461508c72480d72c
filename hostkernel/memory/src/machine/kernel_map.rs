//! The kernel's own page tables, W^X, and each core's two views of them.
//!
//! ```text
//! 0xffff_8000_0000_0000 + p   physical address p: memory (read-write), devices (uncached)  shared
//! 0xffff_ffff_8000_0000       kernel image: text, constants, data with their own rights  shared
//! 0xffff_ffff_c000_0000       this core's entry space and private space               per core
//! ```
//!
//! The image's frames are left out of the direct map, so that text has no writable alias. What
//! stays mapped while an action runs is a second, tiny tree per core: the pages of the `.entry`
//! section and the core's entry space.

use spin::{Mutex, Once};
use x86_64::registers::control::Cr3;

use super::core_area::{self, CorePage};
use crate::frames::{self, Frame, FrameNumber, OutOfFrames, POOL};
use crate::holes::{self, Range};
use crate::layout::MemoryLayout;
use crate::physical::{DIRECT_MAP_START, PhysicalAddress, direct_pointer};
use crate::space::KernelEntry;
use crate::table::{Entry, Table, index};
use limits::{KERNEL_STACK_LEN, PAGE_LEN};

const PAGE: u64 = PAGE_LEN as u64;
const LARGE: u64 = 2 << 20;
const HUGE: u64 = 1 << 30;
/// Memory the first page tables reach.
const BOOT_MAP_END: u64 = 4 << 30;
/// Below this lie firmware data, boot information and the start code of further cores.
const LOW_MEMORY_END: u64 = 1 << 20;
const KERNEL_OFFSET: u64 = 0xffff_ffff_8000_0000;
const DIRECT_MAP_SLOT: usize = 256;
const KERNEL_SLOT: usize = 511;
const IMAGE_SLOT: usize = 510;
const CORE_SLOT: usize = 511;
/// Physical addresses the direct map can show: four level-4 slots, made in advance so that all
/// cores share what is mapped later. Devices of 64-bit machines lie below this.
const DIRECT_MAP_SLOTS: usize = 64;
/// End of what the direct map can show.
pub const DEVICES_END: u64 = (DIRECT_MAP_SLOTS as u64) << 39;

const WRITABLE: u64 = 1 << 1;
const UNCACHED: u64 = 1 << 3 | 1 << 4;
/// In an entry of the lowest level: number 4 of what `arch::cpu` sets.
const WRITE_COMBINING: u64 = 1 << 7;
const LARGE_PAGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const DATA: u64 = WRITABLE | NO_EXECUTE;
const PRESENT_SET: u64 = 1 << 0 | 1 << 5 | 1 << 6;

unsafe extern "C" {
    static __kernel_start: u8;
    static __entry_start: u8;
    static __entry_end: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
}

fn symbol(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// Physical range of the image and of the boot code in front of it.
fn image_physical() -> (u64, u64) {
    (LARGE, symbol(&raw const __kernel_end) - KERNEL_OFFSET)
}

/// The parts of the trees that all cores share.
struct Shared {
    root: FrameNumber,
    image: FrameNumber,
    entry_image: FrameNumber,
}

static SHARED: Once<Shared> = Once::new();
/// Serialises changes of the direct map.
static CHANGES: Mutex<()> = Mutex::new(());

/// The tables of a core that does not run on them yet.
pub struct CoreTables {
    root: u64,
    entry_area: FrameNumber,
}

impl CoreTables {
    /// Physical address of the root table.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Where the page for its entry area can be written before it runs. Zeroed.
    #[must_use]
    pub fn entry_area(&self) -> *mut u8 {
        direct_pointer(PhysicalAddress(physical(self.entry_area)))
    }
}

/// Takes over the memory map, and builds the tables all cores share. Core 0, once, on the first
/// page tables; ends with memory above 4 GiB not yet in use.
///
/// # Errors
/// [`OutOfFrames`] on a machine with next to no memory.
pub fn build(layout: MemoryLayout<'_>, huge_pages: bool) -> Result<(), OutOfFrames> {
    assert!(SHARED.get().is_none(), "memory is taken over once");
    add_memory(layout, LOW_MEMORY_END, BOOT_MAP_END);
    let root = new_table()?;
    for slot in DIRECT_MAP_SLOT..DIRECT_MAP_SLOT + DIRECT_MAP_SLOTS {
        set(root, slot, table_entry(new_table()?));
    }
    let (image_start, image_end) = image_physical();
    for &(start, end) in layout.ranges {
        map_direct(root, start, end.min(image_start), huge_pages)?;
        map_direct(root, start.max(image_end), end, huge_pages)?;
    }
    let image = new_table()?;
    let level_3 = new_table()?;
    set(level_3, IMAGE_SLOT, table_entry(image));
    set(root, KERNEL_SLOT, table_entry(level_3));
    let text_end = symbol(&raw const __text_end);
    let rodata_end = symbol(&raw const __rodata_end);
    map_image(root, symbol(&raw const __kernel_start), text_end, 0)?;
    map_image(root, text_end, rodata_end, NO_EXECUTE)?;
    map_image(root, rodata_end, symbol(&raw const __kernel_end), DATA)?;

    // The same tree shape again, with the entry pages alone; only its level-2 table is kept.
    let scratch_root = new_table()?;
    let scratch_level_3 = new_table()?;
    let entry_image = new_table()?;
    set(scratch_root, KERNEL_SLOT, table_entry(scratch_level_3));
    set(scratch_level_3, IMAGE_SLOT, table_entry(entry_image));
    let entry_end = symbol(&raw const __entry_end);
    map_image(scratch_root, symbol(&raw const __entry_start), entry_end, 0)?;
    SHARED.call_once(|| Shared { root, image, entry_image });
    Ok(())
}

/// Puts the memory above what the first page tables reach to use. After the switch to new tables.
pub fn add_high_memory(layout: MemoryLayout<'_>) {
    add_memory(layout, BOOT_MAP_END, u64::MAX);
}

/// Puts the memory of the boot loader's module to use.
///
/// # Safety
/// Nothing refers to the module any more, and this is called once.
pub unsafe fn add_module_memory(layout: MemoryLayout<'_>) {
    let (start, end) = module_pages(layout);
    for range in layout.ranges {
        let piece = (range.0.max(LOW_MEMORY_END).max(start), range.1.min(end));
        add_range(piece, &[image_physical()]);
    }
}

/// The pages in which the boot loader's module lies; none if there is no module.
fn module_pages(layout: MemoryLayout<'_>) -> (u64, u64) {
    layout.module.map_or((0, 0), |(start, end)| {
        (start / PAGE * PAGE, end.checked_next_multiple_of(PAGE).unwrap_or(end))
    })
}

fn add_memory(layout: MemoryLayout<'_>, from: u64, to: u64) {
    for range in layout.ranges {
        let piece = (range.0.max(from), range.1.min(to));
        add_range(piece, &[image_physical(), module_pages(layout)]);
    }
}

/// Hands the whole pages of a range, without those in holes, to the frame pool.
fn add_range((start, end): Range, holes: &[Range]) {
    let Some(start) = start.checked_next_multiple_of(PAGE) else { return };
    holes::without((start, end / PAGE * PAGE), holes, &mut |(start, end)| {
        let first = u32::try_from(start / PAGE).ok().and_then(FrameNumber::new);
        let last = u32::try_from(end / PAGE).ok().and_then(FrameNumber::new);
        if let (Some(first), Some(last)) = (first, last)
            && first < last
        {
            POOL.add_fresh(first, last);
        }
    });
}

/// Builds the calling or a further core's tables, area and stacks.
///
/// # Errors
/// [`OutOfFrames`] if memory runs out; the core is then not started.
pub fn new_core(id: usize) -> Result<CoreTables, OutOfFrames> {
    let shared = SHARED.get().expect("the shared tables are built first");
    let root = new_table()?;
    for slot in 256..KERNEL_SLOT {
        set(root, slot, get(shared.root, slot));
    }
    let level_3 = new_table()?;
    let action_level_3 = new_table()?;
    set(root, KERNEL_SLOT, table_entry(level_3));
    set(level_3, IMAGE_SLOT, table_entry(shared.image));
    set(action_level_3, IMAGE_SLOT, table_entry(shared.entry_image));

    let entry_space = new_table()?;
    let private_space = new_table()?;
    let kernel_half = new_table()?;
    let action_half = new_table()?;
    set(level_3, CORE_SLOT, table_entry(kernel_half));
    set(action_level_3, CORE_SLOT, table_entry(action_half));
    set(kernel_half, 0, table_entry(entry_space));
    set(action_half, 0, table_entry(entry_space));
    set(kernel_half, 1, table_entry(private_space));

    let page = |table: FrameNumber, slot: u64| -> Result<FrameNumber, OutOfFrames> {
        let frame = Frame::allocate()?.into_raw();
        set(table, slot as usize, page_entry(physical(frame), DATA));
        Ok(frame)
    };
    for slot in core_area::ENTRY_STACK_PAGES.0..core_area::ENTRY_STACK_PAGES.1 {
        page(entry_space, slot)?;
    }
    let entry_area = page(entry_space, (core_area::ENTRY_AREA - core_area::ENTRY_SPACE) / PAGE)?;
    page(entry_space, (core_area::IDT - core_area::ENTRY_SPACE) / PAGE)?;
    for slot in core_area::EMERGENCY_STACK_PAGES {
        page(entry_space, slot)?;
        page(entry_space, slot + 1)?;
    }
    let core_page = page(private_space, 0)?;
    for slot in 0..(KERNEL_STACK_LEN / PAGE_LEN) as u64 {
        page(private_space, core_area::KERNEL_STACK_PAGE + slot)?;
    }

    let core_page = direct_pointer(PhysicalAddress(physical(core_page))).cast::<CorePage>();
    let action_entry = KernelEntry::new(action_level_3).raw();
    // SAFETY: a fresh frame of this core, which does not run on these tables yet.
    unsafe { core_page.write(CorePage { id: id as u64, action_entry }) };
    Ok(CoreTables { root: physical(root), entry_area })
}

/// Shows the registers of a device at its place in the direct map, uncached.
///
/// # Panics
/// If memory for tables runs out or the address is beyond the direct map; both only while booting.
#[must_use]
pub fn device(address: PhysicalAddress, len: usize) -> *mut u8 {
    map_extra(address, len, DATA | UNCACHED).expect("there is memory for the tables of a device");
    direct_pointer(address)
}

/// Whether the direct map could show this memory.
#[must_use]
pub fn is_reachable(address: PhysicalAddress, len: usize) -> bool {
    address.0.checked_add(len as u64).is_some_and(|end| end <= DEVICES_END)
}

/// Shows tables of the firmware at their place in the direct map.
///
/// # Panics
/// As [`device`].
#[must_use]
pub fn firmware(address: PhysicalAddress, len: usize) -> *mut u8 {
    map_extra(address, len, NO_EXECUTE).expect("there is memory for the tables of firmware");
    direct_pointer(address)
}

/// Shows memory of a screen at its place in the direct map; writes are collected if the processor
/// can, which the caller knows.
///
/// # Errors
/// [`OutOfFrames`] if memory for tables runs out.
///
/// # Panics
/// If the address is beyond [`DEVICES_END`].
pub fn framebuffer(
    address: PhysicalAddress,
    len: usize,
    write_combining: bool,
) -> Result<(), OutOfFrames> {
    let kind = if write_combining { WRITE_COMBINING } else { UNCACHED };
    map_extra(address, len, DATA | kind)
}

/// Whether the tables in force, of whatever stage of the boot, show this range in the direct map.
/// Looks at both ends.
#[must_use]
pub fn reaches(address: PhysicalAddress, len: usize) -> bool {
    let root = (Cr3::read().0.start_address().as_u64() / PAGE) as u32;
    let is_shown = |address: u64| {
        FrameNumber::new(root).is_some_and(|root| is_mapped(root, DIRECT_MAP_START + address))
    };
    is_shown(address.0) && is_shown(address.0 + len as u64 - 1)
}

fn map_extra(address: PhysicalAddress, len: usize, flags: u64) -> Result<(), OutOfFrames> {
    let _changes = CHANGES.lock();
    let root = SHARED.get().expect("the shared tables are built first").root;
    let mut page = address.0 / PAGE * PAGE;
    let end = address.0.checked_add(len as u64).expect("devices do not wrap around");
    assert!(end <= DEVICES_END, "a device beyond the direct map");
    while page < end {
        if !is_mapped(root, DIRECT_MAP_START + page) {
            map(root, DIRECT_MAP_START + page, page, PAGE, flags)?;
        }
        page += PAGE;
    }
    Ok(())
}

fn map_image(root: FrameNumber, start: u64, end: u64, flags: u64) -> Result<(), OutOfFrames> {
    for page in (start..end).step_by(PAGE_LEN) {
        map(root, page, page - KERNEL_OFFSET, PAGE, flags)?;
    }
    Ok(())
}

fn map_direct(root: FrameNumber, start: u64, end: u64, huge: bool) -> Result<(), OutOfFrames> {
    let mut next = start;
    while next < end {
        let fits = |size: u64| next.is_multiple_of(size) && end - next >= size;
        let size = match () {
            () if huge && fits(HUGE) => HUGE,
            () if fits(LARGE) => LARGE,
            () => PAGE,
        };
        map(root, DIRECT_MAP_START + next, next, size, DATA)?;
        next += size;
    }
    Ok(())
}

/// Enters one page of `size` bytes, making tables on the way.
fn map(root: FrameNumber, at: u64, target: u64, size: u64, flags: u64) -> Result<(), OutOfFrames> {
    let leaf_level = match size {
        HUGE => 3,
        LARGE => 2,
        _ => 1,
    };
    let mut table = root;
    for level in (leaf_level + 1..=4).rev() {
        let slot = index(at, level);
        table = match get(table, slot).frame() {
            Some(next) => next,
            None => {
                let next = new_table()?;
                set(table, slot, table_entry(next));
                next
            }
        };
    }
    let large = if leaf_level > 1 { LARGE_PAGE } else { 0 };
    set(table, index(at, leaf_level), page_entry(target, flags | large));
    Ok(())
}

fn is_mapped(root: FrameNumber, at: u64) -> bool {
    let mut table = root;
    for level in (1..=4).rev() {
        let entry = get(table, index(at, level));
        // The first page tables map the page at address 0, which has no frame.
        if level == 1 || entry.0 & LARGE_PAGE != 0 {
            return entry.is_present();
        }
        let Some(next) = entry.frame() else { return false };
        table = next;
    }
    false
}

fn new_table() -> Result<FrameNumber, OutOfFrames> {
    Ok(Frame::allocate()?.into_raw())
}

fn physical(frame: FrameNumber) -> u64 {
    u64::from(frame.get()) * PAGE
}

fn table_entry(table: FrameNumber) -> Entry {
    Entry(physical(table) | PRESENT_SET | WRITABLE)
}

fn page_entry(target: u64, flags: u64) -> Entry {
    Entry(target | PRESENT_SET | flags)
}

fn get(table: FrameNumber, slot: usize) -> Entry {
    // SAFETY: tables of the kernel are made by `new_table` and never freed.
    unsafe { Table::at(table) }.get(slot)
}

fn set(table: FrameNumber, slot: usize, entry: Entry) {
    // SAFETY: as in `get`.
    unsafe { Table::at(table) }.set(slot, entry);
}

/// Takes `count` neighbouring frames for good and returns their address in the direct map. Their
/// content is undefined.
///
/// # Errors
/// [`OutOfFrames`] if there is no such run.
pub fn permanent(count: usize) -> Result<*mut u8, OutOfFrames> {
    let first = frames::allocate_contiguous(count)?;
    Ok(direct_pointer(PhysicalAddress(physical(first))))
}

/// The physical address behind a pointer into the direct map.
#[must_use]
pub fn physical_of(pointer: *const u8) -> u64 {
    let address = pointer.addr() as u64;
    assert!(
        (DIRECT_MAP_START..DIRECT_MAP_START + DEVICES_END).contains(&address),
        "only memory in the direct map can be shown to a device"
    );
    address - DIRECT_MAP_START
}

/// One mapping, as the processor sees it: permissions are those of all levels together.
#[cfg(feature = "selftest")]
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub len: u64,
    /// Whether ring 3 may use it.
    pub user: bool,
    /// Whether it can be written.
    pub writable: bool,
    /// Whether it can be executed.
    pub executable: bool,
}

#[cfg(feature = "selftest")]
mod inspect {
    //! Looking at page tables from the outside, for the in-kernel tests.

    use super::{Entry, FrameNumber, LARGE_PAGE, Leaf, NO_EXECUTE, PAGE, WRITABLE, symbol};

    const USER: u64 = 1 << 2;

    /// Calls `each` for every mapping of the tables at this physical address.
    pub fn for_each_leaf(root: u64, each: &mut dyn FnMut(Leaf)) {
        let frame = FrameNumber::new((root / PAGE) as u32).expect("a table is not at address 0");
        walk(frame, 4, 0, Entry(USER | WRITABLE), each);
    }

    fn walk(table: FrameNumber, level: u32, base: u64, above: Entry, each: &mut dyn FnMut(Leaf)) {
        for slot in 0..512 {
            let entry = super::get(table, slot);
            let Some(frame) = entry.frame() else { continue };
            let len = PAGE << (9 * (level - 1));
            let address = base | slot as u64 * len;
            // Sign-extended from bit 47.
            let address = (address << 16).cast_signed() >> 16;
            let rights = above.0 & entry.0 & (USER | WRITABLE) | (above.0 | entry.0) & NO_EXECUTE;
            if level > 1 && entry.0 & LARGE_PAGE == 0 {
                walk(frame, level - 1, address.cast_unsigned(), Entry(rights), each);
                continue;
            }
            each(Leaf {
                address: address.cast_unsigned(),
                len,
                user: rights & USER != 0,
                writable: rights & WRITABLE != 0,
                executable: rights & NO_EXECUTE == 0,
            });
        }
    }

    /// Physical address of the tables the calling core runs on.
    #[must_use]
    pub fn own_root() -> u64 {
        use x86_64::registers::control::Cr3;
        Cr3::read().0.start_address().as_u64()
    }

    /// Whether the calling core's tables map an address.
    #[must_use]
    pub fn is_mapped_here(address: u64) -> bool {
        let root = FrameNumber::new((own_root() / PAGE) as u32).expect("not at address 0");
        super::is_mapped(root, address)
    }

    /// The entry code's addresses.
    #[must_use]
    pub fn entry_text() -> core::ops::Range<u64> {
        symbol(&raw const super::__entry_start)..symbol(&raw const super::__entry_end)
    }
}

#[cfg(feature = "selftest")]
pub use inspect::{entry_text, for_each_leaf, is_mapped_here, own_root};
