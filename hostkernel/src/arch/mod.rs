//! x86-64: the only assembly and the only model-specific registers, `boot` apart.
//!
//! The order of a core's set-up is [`area`] (its tables, stacks and descriptor tables), [`cpu`]
//! (control registers and features), [`apic`] and [`clock`]. From then on [`user`] is the only way
//! into ring 3, and [`trap`] the only way back.

pub mod apic;
pub mod area;
pub mod backtrace;
pub mod clock;
mod copy;
pub mod cpu;
pub mod cpuid;
pub mod descriptor;
pub mod essentials;
pub mod inspect;
pub mod interrupt;
pub mod ioapic;
pub mod kvm_clock;
pub mod machine_check;
pub mod mitigation;
pub mod port;
#[cfg(feature = "selftest")]
pub mod programs;
pub mod registers;
mod segments;
pub mod trap;
pub mod user;
pub mod vector;

use cpu::Features;

use memory::core_area;
use memory::kernel_map::CoreTables;

/// Loads the calling core's descriptor tables and sets its registers. Interrupts are off, as always
/// in the kernel. A second call would write the same values again.
pub fn initialise_core(features: &Features) {
    // SAFETY: the core runs on its own tables, which map the areas these write, and nothing that
    // runs depends on what was there before; features were read from this processor.
    unsafe {
        descriptor::load();
        machine_check::enable(features);
        cpu::enable(features, trap::syscall_entry());
    }
    mitigation::enable_split_lock_detection();
}

/// Switches the calling core's interrupt controller on; core 0 first.
pub fn initialise_interrupts(features: &Features) {
    // SAFETY: the descriptor tables are loaded, and interrupts are off until the core halts.
    unsafe { apic::enable(features) };
}

/// Leaves the first page tables and the boot stack for the core's own, and goes on with `next`.
pub fn switch_to_own_tables(tables: CoreTables, next: extern "C" fn() -> !) -> ! {
    // SAFETY: whoever has the tables made them with `new_core`: they map this kernel, where the
    // code that runs here is, and a core's area and stack, which nobody uses yet, since they are
    // given up here. `next` does not return, and takes nothing from the stack it leaves.
    unsafe {
        core::arch::asm!(
            "mov cr3, {root}",
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "call {next}",
            "ud2",
            root = in(reg) tables.root(),
            stack = in(reg) core_area::KERNEL_STACK_END,
            next = in(reg) next,
            options(noreturn),
        );
    }
}
