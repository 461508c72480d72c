//! x86-64: the only assembly and the only model-specific registers, `boot` apart.
//!
//! The order of a core's set-up is [`area`] (its tables, stacks and descriptor tables), [`cpu`]
//! (control registers and features), [`apic`] and [`clock`]. From then on [`user`] is the only way
//! into ring 3, and [`trap`] the only way back.

pub mod apic;
pub mod area;
pub mod backtrace;
pub mod clock;
pub mod cpu;
pub mod descriptor;
pub mod inspect;
pub mod interrupt;
pub mod ioapic;
pub mod mitigation;
pub mod port;
#[cfg(feature = "selftest")]
pub mod programs;
pub mod trap;
pub mod user;

pub use area::core_id;

use cpu::Features;
use mitigation::Measures;

/// Loads the calling core's descriptor tables and sets its registers.
///
/// # Safety
/// Called once per core, on its own tables and stack, with interrupts off.
pub unsafe fn initialise_core(features: &Features, measures: Measures) {
    // SAFETY: the caller's contract; in the order that each step needs.
    unsafe {
        descriptor::load();
        cpu::enable(features);
        mitigation::enable(measures);
    }
}

/// Switches the calling core's interrupt controller on.
///
/// # Safety
/// Called once per core after [`initialise_core`]; on core 0 first.
pub unsafe fn initialise_interrupts(features: &Features) {
    // SAFETY: the caller's contract.
    unsafe { apic::enable(features) };
}

/// Leaves the first page tables and the boot stack for the core's own, and goes on with `next`.
///
/// # Safety
/// `root` is the physical address of tables that map this kernel and this core's area. Nothing on
/// the current stack is needed any more.
pub unsafe fn switch_to_own_tables(root: u64, next: extern "C" fn() -> !) -> ! {
    // SAFETY: the caller vouches for the tables; both sets map the code that runs here.
    unsafe {
        core::arch::asm!(
            "mov cr3, {root}",
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            root = in(reg) root,
            stack = in(reg) area::KERNEL_STACK_END,
            next = in(reg) next,
            options(noreturn),
        );
    }
}
