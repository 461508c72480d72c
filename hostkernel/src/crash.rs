//! The crash record: everything a bug of the kernel leaves behind, then restart or halt.
//!
//! A bug is never survived: whatever invariant broke may be the one that kept tenants apart. The
//! record is text on the serial port, and as much as has room on the screen:
//!
//! ```text
//! === crash: hostkernel 0.1.0, build 1f5e..., core 1 of 2, 5021 ms after boot
//! panic: ...                                  what happened, and where if it was a panic
//! registers of the action:                    or of the kernel, if that raised an exception
//! rax ... rbx ...
//! control registers:
//! cr0 ... cr2 ... cr3 ... cr4 ...
//! machine check on core 1: bank 9, status ...  if that was the reason, of each core that has one
//! running on core 1: invocation 62c1...       this core first, then the others
//! backtrace: 0xffffffff80012345 ...           `cargo xtask symbolise` names functions and lines
//! last events of core 1:
//!       5020968 us  Call 0xdead
//! === restarting
//! ```
//!
//! Nothing of an action's memory is in it.
#![forbid(unsafe_code)]

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::arch::inspect::{self, ControlRegisters};
use crate::arch::registers::Registers;
use crate::arch::{apic, backtrace, clock, interrupt, machine_check};
use crate::boot::smp;
use crate::device::{power, screen, serial};
use limits::CORES_MAX;
use memory::core_area;
use node::dispatch::Exception;
use node::trace;

/// The core whose crash is reported, plus one; 0 if none has crashed.
static CRASHED: AtomicUsize = AtomicUsize::new(0);
/// That core crashed again while reporting.
static CRASHED_AGAIN: AtomicBool = AtomicBool::new(false);
static HALT: AtomicBool = AtomicBool::new(false);
/// Non-maskable interrupts are counted instead of recorded, and so many came.
static SURVIVES_NMI: AtomicBool = AtomicBool::new(false);
static NMIS: AtomicU64 = AtomicU64::new(0);

/// Id of the invocation each core runs, 0 for none; high and low half.
static RUNNING: [[AtomicU64; 2]; CORES_MAX] =
    [const { [const { AtomicU64::new(0) }; 2] }; CORES_MAX];

/// Keeps the machine for a debugger after a crash instead of restarting it.
pub fn halt_after_crash(halt: bool) {
    HALT.store(halt, Ordering::Relaxed);
}

/// Goes on after non-maskable interrupts, which are only counted.
pub fn survive_nmi(survive: bool) {
    SURVIVES_NMI.store(survive, Ordering::Relaxed);
}

/// Non-maskable interrupts that were survived, on all cores.
pub fn nmis() -> u64 {
    NMIS.load(Ordering::Relaxed)
}

/// A non-maskable interrupt. Returns whether the core goes on with what it did: it takes no lock,
/// since it may have come while this core holds any of them.
pub fn is_survived(registers: &Registers) -> bool {
    stop_if_told(registers);
    let is_survived = registers.vector == NMI && SURVIVES_NMI.load(Ordering::Relaxed);
    NMIS.fetch_add(u64::from(is_survived), Ordering::Relaxed);
    is_survived
}

/// Notes which invocation the calling core runs, for the record; 0 for none.
pub fn set_running(id: u128) {
    let [high, low] = &RUNNING[core_area::core_id()];
    high.store((id >> 64) as u64, Ordering::Relaxed);
    low.store(id as u64, Ordering::Relaxed);
}

fn running(core: usize) -> Option<(u64, u64)> {
    let [high, low] = RUNNING[core].each_ref().map(|half| half.load(Ordering::Relaxed));
    (high != 0 || low != 0).then_some((high, low))
}

/// A panic: one of our own invariants broke.
pub fn panic(info: &PanicInfo) -> ! {
    record(format_args!("{info}"), None, backtrace::here())
}

/// An exception in ring 0.
pub fn exception(registers: &Registers, fault_address: u64) -> ! {
    stop_if_told(registers);
    note(registers);
    let cause =
        if core_area::is_stack_guard(fault_address) { ": the kernel stack is full" } else { "" };
    record(
        format_args!(
            "{} in the kernel, error code {:#x}, address {fault_address:#x}{cause}",
            name(registers.vector),
            registers.error
        ),
        Some(registers),
        backtrace::from(registers.rip, registers.rbp),
    )
}

/// An exception that concerns the machine, not the action that happened to run.
pub fn machine(registers: &Registers) -> ! {
    stop_if_told(registers);
    note(registers);
    let what = name(registers.vector);
    record(format_args!("{what} while an action ran"), Some(registers), backtrace::here())
}

/// A machine check arrives on many cores at once. Each keeps what it found for the one that
/// reports, which waits a moment for the others.
fn note(registers: &Registers) {
    if registers.vector == MACHINE_CHECK {
        machine_check::note_fatal();
        clock::spin_us(OTHERS_NOTE_US);
    }
}

const NMI: u64 = 2;
const MACHINE_CHECK: u64 = 18;
const OTHERS_NOTE_US: u64 = 1_000;

fn name(vector: u64) -> &'static str {
    match vector {
        NMI => "non-maskable interrupt",
        8 => "double fault (#DF)",
        14 => "page fault (#PF)",
        MACHINE_CHECK => "machine check (#MC)",
        _ => match Exception::from_vector(vector as u8) {
            Some(exception) => exception.name(),
            None => "unknown exception",
        },
    }
}

/// Another core crashed and stops us this way.
fn stop_if_told(registers: &Registers) {
    let crashed = CRASHED.load(Ordering::Relaxed);
    if registers.vector == NMI && crashed != 0 && crashed != core_area::core_id() + 1 {
        interrupt::halt_forever();
    }
}

fn record(
    reason: fmt::Arguments,
    registers: Option<&Registers>,
    frames: impl Iterator<Item = u64>,
) -> ! {
    let own = core_area::core_id();
    match CRASHED.compare_exchange(0, own + 1, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {}
        Err(crashed) if crashed == own + 1 && !CRASHED_AGAIN.swap(true, Ordering::Relaxed) => {
            // What is printed by now must do; the node still has to come back.
            print(format_args!("\n=== crashed again while reporting: {reason}\n"));
            end();
        }
        // Another core reports, and the first report counts; or not even the end works.
        Err(_) => interrupt::halt_forever(),
    }
    for core in (0..smp::running()).filter(|core| *core != own) {
        apic::send_nmi(smp::apic_id(core));
    }
    print(format_args!(
        "\n=== crash: hostkernel {}, build {}, core {own} of {}, {} ms after boot\n{reason}\n",
        env!("CARGO_PKG_VERSION"),
        inspect::build_id(),
        smp::running(),
        clock::now_ns() / 1_000_000,
    ));
    print_registers(registers, running(own).is_some());
    for (core, error) in machine_check::fatal() {
        print(format_args!("machine check on core {core}: {error}\n"));
    }
    print_running(own);
    print(format_args!("backtrace:"));
    for address in frames {
        print(format_args!(" {address:#x}"));
    }
    print(format_args!("\nlast events of core {own}:\n"));
    for event in trace::events(own) {
        print(format_args!("  {:>12} us  {event}\n", clock::to_ns(event.cycles) / 1000));
    }
    end()
}

fn print(text: fmt::Arguments) {
    serial::print_regardless(text);
    screen::print_regardless(text);
}

fn print_registers(registers: Option<&Registers>, running: bool) {
    if let Some(registers) = registers {
        let whose = if registers.of_action() { "action" } else { "kernel" };
        print(format_args!("registers of the {whose}:\n{registers}\n"));
    }
    let is_kernel = registers.is_none_or(|registers| !registers.of_action());
    if running
        && is_kernel
        && let Some(registers) = inspect::action_registers()
    {
        print(format_args!("registers of the action:\n{registers}\n"));
    }
    print(format_args!("control registers:\n{}\n", ControlRegisters::read()));
}

fn print_running(own: usize) {
    if running(own).is_none() {
        print(format_args!("running on core {own}: nothing\n"));
    }
    let others = (0..CORES_MAX).filter(|core| *core != own);
    for core in core::iter::once(own).chain(others) {
        if let Some((high, low)) = running(core) {
            print(format_args!("running on core {core}: invocation {high:016x}{low:016x}\n"));
        }
    }
}

fn end() -> ! {
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
