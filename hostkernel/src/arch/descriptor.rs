//! Loading segment and interrupt descriptors (Intel SDM vol. 3A, chapters 3, 6 and 7).

use core::arch::asm;

use super::area::{self, EntryArea};
use super::segments::{GDT_LEN, Gate, Idt, KERNEL_CODE, KERNEL_DATA, TaskState};
use super::trap;
use limits::PAGE_LEN;
use memory::core_area;

const TASK_STATE: u16 = 0x28;

// Present, accessed, 64-bit; privilege levels 0 and 3.
const GDT_SEGMENTS: [u64; 5] =
    [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff];

/// Interrupt stack numbers, counted from 1 as the processor does.
const STACK_NMI: u8 = 1;
const STACK_DOUBLE_FAULT: u8 = 2;
const STACK_MACHINE_CHECK: u8 = 3;
const STACK_DEBUG: u8 = 4;

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
    let registers_end = core_area::ENTRY_AREA + size_of::<super::registers::Registers>() as u64;
    let state = TaskState::new(registers_end, [nmi, double_fault, machine_check, debug]);
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
        idt.write(Idt::new(gate));
        asm!("lidt [{}]", in(reg) &raw const pointer);
    }
}
