//! The crash record: everything a bug of the kernel leaves behind, then restart or halt.
//!
//! A bug is never survived: whatever invariant broke may be the one that kept tenants apart.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::trace;
use crate::arch::user::Registers;
use crate::arch::{apic, area, backtrace, clock, interrupt};
use crate::boot::smp;
use crate::config::CORES_MAX;
use crate::device::{power, serial};

static CRASHED: AtomicBool = AtomicBool::new(false);
static HALT: AtomicBool = AtomicBool::new(false);

/// Id of the invocation each core runs, 0 for none; high and low half.
static RUNNING: [[AtomicU64; 2]; CORES_MAX] =
    [const { [const { AtomicU64::new(0) }; 2] }; CORES_MAX];

/// Keeps the machine for a debugger after a crash instead of restarting it.
pub fn halt_after_crash(halt: bool) {
    HALT.store(halt, Ordering::Relaxed);
}

/// Notes which invocation the calling core runs, for the record; 0 for none.
pub fn set_running(id: u128) {
    let [high, low] = &RUNNING[area::core_id()];
    high.store((id >> 64) as u64, Ordering::Relaxed);
    low.store(id as u64, Ordering::Relaxed);
}

/// A panic: one of our own invariants broke.
pub fn panic(info: &PanicInfo) -> ! {
    record(format_args!("panic: {info}"), None, backtrace::here())
}

/// An exception in ring 0.
pub fn exception(registers: &Registers, fault_address: u64) -> ! {
    if registers.vector == NMI {
        stop_if_told();
    }
    record(
        format_args!(
            "exception {} in the kernel, error code {:#x}, address {fault_address:#x}",
            registers.vector, registers.error
        ),
        Some(registers),
        backtrace::from(registers.rip, registers.rbp),
    )
}

/// An exception that concerns the machine, not the action that happened to run.
pub fn machine(vector: u8, registers: &Registers) -> ! {
    if u64::from(vector) == NMI {
        stop_if_told();
    }
    let what = match vector {
        2 => "non-maskable interrupt",
        8 => "double fault",
        _ => "machine check",
    };
    record(format_args!("{what} while an action ran"), Some(registers), backtrace::here())
}

const NMI: u64 = 2;

/// Another core crashed and stops us this way.
fn stop_if_told() {
    if CRASHED.load(Ordering::Relaxed) {
        interrupt::halt_forever();
    }
}

fn record(
    reason: fmt::Arguments,
    registers: Option<&Registers>,
    frames: impl Iterator<Item = u64>,
) -> ! {
    if CRASHED.swap(true, Ordering::Relaxed) {
        // Two cores at once, or a crash while reporting one: the first report counts.
        interrupt::halt_forever();
    }
    let own = area::core_id();
    for core in (0..smp::running()).filter(|core| *core != own) {
        apic::send_nmi(smp::apic_id(core));
    }
    let print = serial::print_regardless;
    print(format_args!(
        "\n=== crash: hostkernel {}, core {own} of {}, {} ms after boot\n{reason}\n",
        env!("CARGO_PKG_VERSION"),
        smp::running(),
        clock::now_ns() / 1_000_000,
    ));
    if let Some(registers) = registers {
        print(format_args!("{registers}\n"));
    }
    let [high, low] = &RUNNING[own];
    match (high.load(Ordering::Relaxed), low.load(Ordering::Relaxed)) {
        (0, 0) => print(format_args!("running: nothing\n")),
        (high, low) => print(format_args!("running: invocation {high:016x}{low:016x}\n")),
    }
    print(format_args!("backtrace:"));
    for address in frames {
        print(format_args!(" {address:#x}"));
    }
    print(format_args!("\nlast events of this core:\n"));
    for event in trace::events(own) {
        print(format_args!("  {:>12} us  {event}\n", clock::to_ns(event.cycles) / 1000));
    }
    if HALT.load(Ordering::Relaxed) {
        print(format_args!("=== halted\n"));
        interrupt::halt_forever();
    }
    print(format_args!("=== restarting\n"));
    power::debug_exit(DEBUG_EXIT_CRASHED);
    power::reset()
}

/// What QEMU's debug-exit device gets; QEMU then ends with status 7.
const DEBUG_EXIT_CRASHED: u32 = 3;
