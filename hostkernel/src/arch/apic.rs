//! The local APIC of each core: its timer, and interrupts between cores (Intel SDM vol. 3A, ch.
//! 11).
//!
//! x2APIC where the processor has it, else the memory-mapped form.

use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{Features, read_msr, write_msr};
use super::port;
use super::vector::{SPURIOUS, TIMER};
use memory::core_id;
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const MSR_APIC_BASE: u32 = 0x1b;
const BASE_X2APIC: u64 = 1 << 10;
const BASE_ENABLED: u64 = 1 << 11;
const BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const MSR_X2APIC: u32 = 0x800;
const MSR_TSC_DEADLINE: u32 = 0x6e0;

// Register numbers; times 16 is the offset in the memory-mapped form.
const REGISTER_ID: u32 = 0x02;
const REGISTER_PRIORITY: u32 = 0x08;
const REGISTER_EOI: u32 = 0x0b;
const REGISTER_SPURIOUS: u32 = 0x0f;
const REGISTER_COMMAND: u32 = 0x30;
const REGISTER_COMMAND_HIGH: u32 = 0x31;
const REGISTER_TIMER: u32 = 0x32;
const REGISTER_LINT0: u32 = 0x35;
const REGISTER_LINT1: u32 = 0x36;
const REGISTER_ERROR: u32 = 0x37;
const REGISTER_TIMER_COUNT: u32 = 0x38;
const REGISTER_TIMER_CURRENT: u32 = 0x39;
const REGISTER_TIMER_DIVIDE: u32 = 0x3e;

/// Interrupt masks of the two 8259 controllers.
const PIC_MASK: u16 = 0x21;
const SECOND_PIC_MASK: u16 = 0xa1;
const MASKED: u32 = 1 << 16;
const TIMER_TSC_DEADLINE: u32 = 2 << 17;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_16: u32 = 0b0011;
/// What the timer's rate is divided by.
pub(super) const TIMER_DIVISOR: u64 = 16;
const COMMAND_PENDING: u32 = 1 << 12;
const COMMAND_NMI: u32 = 4 << 8;
const COMMAND_INIT: u32 = 5 << 8;
const COMMAND_STARTUP: u32 = 6 << 8;
const COMMAND_ASSERT: u32 = 1 << 14;
const LVT_NMI: u32 = 4 << 8;

/// Tells that registers are model-specific ones, not memory.
const X2APIC: u64 = u64::MAX;
/// Address of the registers in the kernel's tables, or [`X2APIC`]. Set once on core 0.
static REGISTERS: AtomicU64 = AtomicU64::new(0);
/// Timer ticks per second after division, or 0 if the timer takes a time stamp.
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);

fn read(register: u32) -> u32 {
    let base = REGISTERS.load(Ordering::Relaxed);
    // SAFETY: `enable` made one of the two forms available on this core; the register exists.
    unsafe {
        if base == X2APIC {
            read_msr(MSR_X2APIC + register) as u32
        } else {
            let address = base + u64::from(register) * 16;
            core::ptr::with_exposed_provenance::<u32>(address as usize).read_volatile()
        }
    }
}

fn write(register: u32, value: u32) {
    let base = REGISTERS.load(Ordering::Relaxed);
    // SAFETY: as in `read`; values written concern interrupts, not memory.
    unsafe {
        if base == X2APIC {
            write_msr(MSR_X2APIC + register, u64::from(value));
        } else {
            let address = base + u64::from(register) * 16;
            core::ptr::with_exposed_provenance_mut::<u32>(address as usize).write_volatile(value);
        }
    }
}

/// Switches the calling core's APIC on, everything masked.
///
/// # Safety
/// Called once per core with interrupts off; on core 0 first.
pub(super) unsafe fn enable(features: &Features) {
    // SAFETY: every 64-bit processor has this register.
    let base = unsafe { read_msr(MSR_APIC_BASE) };
    if features.x2apic {
        // SAFETY: the processor has x2APIC; nothing used the memory-mapped form yet.
        unsafe { write_msr(MSR_APIC_BASE, base | BASE_ENABLED | BASE_X2APIC) };
        REGISTERS.store(X2APIC, Ordering::Relaxed);
    } else {
        // SAFETY: switches on what is there.
        unsafe { write_msr(MSR_APIC_BASE, base | BASE_ENABLED) };
        if core_id() == 0 {
            let registers = kernel_map::device(PhysicalAddress(base & BASE_ADDRESS), 4096);
            REGISTERS.store(registers.expose_provenance() as u64, Ordering::Relaxed);
        }
    }
    if core_id() == 0 {
        // Firmware leaves the timer of the original PC running, on vector 8. Not every machine lets
        // it through our masked pin, and no machine minds the writes.
        // SAFETY: the ports are those controllers' masks, or nothing.
        unsafe {
            port::write_u8(PIC_MASK, 0xff);
            port::write_u8(SECOND_PIC_MASK, 0xff);
        }
    }
    write(REGISTER_PRIORITY, 0);
    write(REGISTER_LINT0, MASKED);
    write(REGISTER_LINT1, LVT_NMI);
    write(REGISTER_ERROR, MASKED);
    write(REGISTER_TIMER, MASKED | u32::from(TIMER));
    write(REGISTER_TIMER_DIVIDE, DIVIDE_BY_16);
    write(REGISTER_SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS));
    if features.tsc_deadline {
        write(REGISTER_TIMER, TIMER_TSC_DEADLINE | u32::from(TIMER));
    } else {
        write(REGISTER_TIMER, u32::from(TIMER));
    }
}

/// Lets the timer count down from its maximum, for calibration; returns how far it came.
pub(super) fn measure_timer(wait: impl FnOnce()) -> u32 {
    let mode = read(REGISTER_TIMER);
    write(REGISTER_TIMER, MASKED | u32::from(TIMER));
    write(REGISTER_TIMER_COUNT, u32::MAX);
    wait();
    let ticks = timer_ticks();
    write(REGISTER_TIMER_COUNT, 0);
    write(REGISTER_TIMER, mode);
    ticks
}

/// How far the timer has come, inside of [`measure_timer`].
pub(super) fn timer_ticks() -> u32 {
    u32::MAX - read(REGISTER_TIMER_CURRENT)
}

/// Sets the rate that [`measure_timer`] found.
pub(super) fn set_timer_rate(hz: u64) {
    TIMER_HZ.store(hz, Ordering::Relaxed);
}

/// Makes the core's timer interrupt `delay_ns` from now, when the time stamp counter reads
/// `deadline_cycles`. A delay longer than the counter can hold is cut; the core's loop sets it
/// again.
pub(super) fn set_timer(delay_ns: u64, deadline_cycles: u64) {
    match TIMER_HZ.load(Ordering::Relaxed) {
        // SAFETY: TIMER_HZ stays 0 only if the processor has TSC-deadline mode.
        0 => unsafe { write_msr(MSR_TSC_DEADLINE, deadline_cycles.max(1)) },
        hz => {
            let ticks = u128::from(delay_ns) * u128::from(hz) / 1_000_000_000;
            let ticks = u32::try_from(ticks).unwrap_or(u32::MAX).max(1);
            write(REGISTER_TIMER_COUNT, ticks);
        }
    }
}

/// Switches the core's timer off. An interrupt already on its way still arrives.
pub(super) fn clear_timer() {
    match TIMER_HZ.load(Ordering::Relaxed) {
        // SAFETY: as in `set_timer`.
        0 => unsafe { write_msr(MSR_TSC_DEADLINE, 0) },
        _ => write(REGISTER_TIMER_COUNT, 0),
    }
}

/// Tells the APIC that the interrupt in service was handled.
pub(super) fn end_of_interrupt() {
    write(REGISTER_EOI, 0);
}

/// The calling core's APIC id.
#[must_use]
pub fn id() -> u32 {
    let id = read(REGISTER_ID);
    if REGISTERS.load(Ordering::Relaxed) == X2APIC { id } else { id >> 24 }
}

/// The highest id that [`send`] and its like can reach; the one behind it means everybody.
#[must_use]
pub fn id_max() -> u32 {
    if REGISTERS.load(Ordering::Relaxed) == X2APIC { u32::MAX - 1 } else { 0xfe }
}

fn command(target: u32, value: u32) {
    if REGISTERS.load(Ordering::Relaxed) == X2APIC {
        let value = u64::from(target) << 32 | u64::from(value);
        // SAFETY: the register exists in x2APIC mode. Earlier stores, say to a queue, must be
        // visible before the interrupt: unlike the memory-mapped form this write orders nothing by
        // itself.
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            write_msr(MSR_X2APIC + REGISTER_COMMAND, value);
        }
        return;
    }
    write(REGISTER_COMMAND_HIGH, target << 24);
    write(REGISTER_COMMAND, value);
    while read(REGISTER_COMMAND) & COMMAND_PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Interrupts another core with `vector`.
pub fn send(target: u32, vector: u8) {
    command(target, COMMAND_ASSERT | u32::from(vector));
}

/// Interrupts another core even if it has interrupts off.
pub fn send_nmi(target: u32) {
    command(target, COMMAND_ASSERT | COMMAND_NMI);
}

/// Puts another core into its wait-for-startup state.
pub(crate) fn send_init(target: u32) {
    command(target, COMMAND_ASSERT | COMMAND_INIT);
}

/// Starts a core that waits for it at physical page `page`, in real mode.
pub(crate) fn send_startup(target: u32, page: u8) {
    command(target, COMMAND_ASSERT | COMMAND_STARTUP | u32::from(page));
}
