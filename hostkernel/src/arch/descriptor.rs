//! Segment and interrupt descriptors (Intel SDM vol. 3A, chapters 3, 6 and 7).

use core::arch::asm;

use super::area::{self, EntryArea};
use super::trap;
use limits::PAGE_LEN;
use memory::core_area;

/// Kernel code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel data segment.
pub const KERNEL_DATA: u16 = 0x10;
/// Data segment of actions, with requested privilege level 3.
pub const USER_DATA: u16 = 0x18 | 3;
/// Code segment of actions. There is no 32-bit one: a far jump to it is a general protection fault.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK_STATE: u16 = 0x28;

/// Entries of the GDT: null, four segments, and the task state in two.
pub const GDT_LEN: usize = 7;

// Present, accessed, 64-bit; privilege levels 0 and 3.
const GDT_SEGMENTS: [u64; 5] =
    [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff];

/// 64-bit task state segment: which stacks the processor switches to.
#[repr(C, packed(4))]
pub struct TaskState {
    reserved: u32,
    privilege_stacks: [u64; 3],
    reserved_2: u64,
    interrupt_stacks: [u64; 7],
    reserved_3: u64,
    reserved_4: u16,
    // Past the segment's limit: no I/O permission bitmap, so ring 3 may use no port.
    io_map_base: u16,
}

/// Interrupt stack numbers, counted from 1 as the processor does.
const STACK_NMI: u8 = 1;
const STACK_DOUBLE_FAULT: u8 = 2;
const STACK_MACHINE_CHECK: u8 = 3;
const STACK_DEBUG: u8 = 4;

/// A 64-bit interrupt gate.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Gate {
    low: u64,
    high: u64,
}

/// The interrupt descriptor table.
#[repr(C, align(4096))]
pub struct Idt([Gate; 256]);

impl Gate {
    fn new(handler: u64, stack: u8, privilege: u64) -> Self {
        const INTERRUPT_GATE: u64 = 0x8e00;
        let kind = INTERRUPT_GATE | privilege << 13 | u64::from(stack);
        let low = (handler & 0xffff)
            | u64::from(KERNEL_CODE) << 16
            | kind << 32
            | (handler >> 16 & 0xffff) << 48;
        Self { low, high: handler >> 32 }
    }
}

/// Loads GDT, TSS and IDT of the calling core.
///
/// # Safety
/// Called once per core, on its own tables, with interrupts off.
pub(super) unsafe fn load() {
    let area = area::entry_area();
    let stack_end = |page: u64| core_area::ENTRY_SPACE + (page + 2) * PAGE_LEN as u64;
    let [nmi, double_fault, machine_check, debug] = core_area::EMERGENCY_STACK_PAGES.map(stack_end);
    // SAFETY: the core's own entry area, which nothing else refers to yet.
    let task_state = unsafe { &raw mut (*area).task_state };
    let base = task_state.expose_provenance() as u64;
    let limit = size_of::<TaskState>() as u64 - 1;
    let low = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
    let mut gdt = [0; GDT_LEN];
    gdt[..5].copy_from_slice(&GDT_SEGMENTS);
    gdt[5] = low;
    gdt[6] = base >> 32;
    let registers_end = core_area::ENTRY_AREA + size_of::<super::user::Registers>() as u64;
    let state = TaskState {
        reserved: 0,
        privilege_stacks: [registers_end, 0, 0],
        reserved_2: 0,
        interrupt_stacks: [nmi, double_fault, machine_check, debug, 0, 0, 0],
        reserved_3: 0,
        reserved_4: 0,
        io_map_base: size_of::<TaskState>() as u16,
    };
    // SAFETY: as above; both fields lie inside the area.
    unsafe {
        (&raw mut (*area).gdt).write(gdt);
        task_state.write(state);
        load_gdt(area);
        load_idt();
    }
}

unsafe fn load_gdt(area: *const EntryArea) {
    #[repr(C, packed(2))]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    // SAFETY: only the address is taken.
    let base = unsafe { &raw const (*area).gdt }.expose_provenance() as u64;
    let pointer = Pointer { limit: (GDT_LEN * 8 - 1) as u16, base };
    // SAFETY: the table is complete and stays where it is; the selectors name its segments.
    unsafe {
        asm!(
            "lgdt [{pointer}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {null:x}",
            "mov es, {null:x}",
            "mov fs, {null:x}",
            "mov gs, {null:x}",
            "mov ss, {data:x}",
            "ltr {task:x}",
            "lldt {null:x}",
            pointer = in(reg) &raw const pointer,
            code = const KERNEL_CODE,
            scratch = out(reg) _,
            null = in(reg) 0_u32,
            data = in(reg) u32::from(KERNEL_DATA),
            task = in(reg) u32::from(TASK_STATE),
        );
    }
}

unsafe fn load_idt() {
    #[repr(C, packed(2))]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let idt: *mut Idt = core::ptr::with_exposed_provenance_mut(core_area::IDT as usize);
    let gate = |vector: usize| {
        let stack = match vector {
            1 => STACK_DEBUG,
            2 => STACK_NMI,
            8 => STACK_DOUBLE_FAULT,
            18 => STACK_MACHINE_CHECK,
            _ => 0,
        };
        // `int3` and `into` are instructions of ring 3; every other `int n` is refused.
        let privilege = if matches!(vector, 3 | 4) { 3 } else { 0 };
        Gate::new(trap::stub(vector), stack, privilege)
    };
    let pointer = Pointer { limit: (PAGE_LEN - 1) as u16, base: core_area::IDT };
    // SAFETY: the page belongs to this core; every gate leads to a stub for its vector.
    unsafe {
        idt.write(Idt(core::array::from_fn(gate)));
        asm!("lidt [{}]", in(reg) &raw const pointer);
    }
}
