//! What the entry and exit code works on, in the page that `memory::core_area` has for it.

use core::mem::offset_of;

use super::registers::Registers;
use super::segments::{Idt, TaskState};
use limits::PAGE_LEN;
use memory::OutOfFrames;
use memory::core_area::ENTRY_AREA;
use memory::kernel_map::{self, CoreTables};

const _: () = assert!(size_of::<EntryArea>() <= PAGE_LEN);
const _: () = assert!(size_of::<Idt>() == PAGE_LEN);
// The processor aligns its stack before it pushes; the registers must end where it then starts.
const _: () = assert!(offset_of!(EntryArea, registers) == 0);
const _: () = assert!(size_of::<Registers>().is_multiple_of(16));

/// What the entry and exit code works on. Mapped while an action runs, but not for ring 3; it holds
/// nothing of any other invocation.
#[repr(C, align(16))]
pub struct EntryArea {
    /// The action's registers: pushed here by the processor and the entry code.
    pub registers: Registers,
    /// Root of the kernel's tables of this core.
    pub kernel_root: u64,
    /// Root of the tables of the action that runs.
    pub action_root: u64,
    /// The kernel's stack pointer while an action runs.
    pub kernel_stack: u64,
    /// What `syscall` does outside an action's own code.
    pub reflection: EntryReflection,
    /// Segment descriptors.
    pub gdt: [u64; super::segments::GDT_LEN],
    /// Stacks for entries from ring 3 and for emergencies.
    pub task_state: TaskState,
    /// What is cleared on the way in and out.
    pub guard: Guard,
}

/// What the entry and exit code clears, all zero for nothing. `mitigation.rs` sets it.
#[repr(C)]
pub struct Guard {
    /// On the way in: [`Guard::FILL_HISTORY`] or [`Guard::BARRIER`].
    pub on_entry: u8,
    /// Whether `verw` is to be executed on the way out.
    pub clears_buffers: u8,
    /// What `verw` looks at: a segment that may be written.
    pub selector: u16,
}

impl Guard {
    /// The history of branches is filled with the kernel's.
    pub const FILL_HISTORY: u8 = 1 << 0;
    /// All predictions are forgotten.
    pub const BARRIER: u8 = 1 << 1;
}

/// Which code makes native calls, and where that of others continues.
#[repr(C)]
pub struct EntryReflection {
    /// An address behind a `syscall` that is native is above this ...
    pub code_start: u64,
    /// ... and not above this.
    pub code_end: u64,
    /// What `iretq` takes to continue at the handler; the entry code fills in the stack pointer.
    pub rip: u64,
    /// See [`Self::rip`].
    pub cs: u64,
    /// See [`Self::rip`].
    pub rflags: u64,
    /// See [`Self::rip`].
    pub rsp: u64,
    /// See [`Self::rip`].
    pub ss: u64,
}

/// Builds the calling or a further core's tables, areas and stacks.
///
/// # Errors
/// [`OutOfFrames`] if memory runs out; the core is then not started.
pub fn new_core(id: usize) -> Result<CoreTables, OutOfFrames> {
    let tables = kernel_map::new_core(id)?;
    let area = tables.entry_area().cast::<EntryArea>();
    // SAFETY: a zeroed page of its own, which no core runs on yet; an entry area fits into it.
    unsafe { (&raw mut (*area).kernel_root).write(tables.root()) };
    Ok(tables)
}

/// The calling core's entry area.
pub(super) fn entry_area() -> *mut EntryArea {
    core::ptr::with_exposed_provenance_mut(ENTRY_AREA as usize)
}
