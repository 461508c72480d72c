//! Device and inter-processor interrupts: they only leave a mark for the core's loop to find.
//!
//! The kernel runs with interrupts off. They are on in ring 3, and here while a core halts.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use super::apic;
use super::vector::{ACPI, SPURIOUS, TIMER};
use limits::CORES_MAX;
use memory::core_id;

#[repr(align(64))]
struct Marks(AtomicU32);

static ARRIVED: [Marks; CORES_MAX] = [const { Marks(AtomicU32::new(0)) }; CORES_MAX];

/// Marks that are left together, since their devices share a line: 0, or those of all of them.
static SHARED: AtomicU32 = AtomicU32::new(0);

/// Has the devices of both vectors looked after when either arrives.
pub(super) fn share(one: u8, other: u8) {
    SHARED.fetch_or(mark(one) | mark(other), Ordering::Relaxed);
}

/// Whether any devices do.
#[must_use]
pub fn are_shared() -> bool {
    SHARED.load(Ordering::Relaxed) != 0
}

const fn mark(vector: u8) -> u32 {
    1 << (vector - TIMER)
}

/// Notes an interrupt of the calling core.
pub(super) fn arrived(vector: u8) {
    if vector == SPURIOUS {
        return;
    }
    if (TIMER..=ACPI).contains(&vector) {
        ARRIVED[core_id()].0.fetch_or(mark(vector), Ordering::Relaxed);
    }
    apic::end_of_interrupt();
}

/// Which interrupts arrived on the calling core since the last call.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(u32);

impl Arrived {
    /// Takes the marks.
    #[must_use]
    pub fn take() -> Self {
        let arrived = ARRIVED[core_id()].0.swap(0, Ordering::Relaxed);
        let shared = SHARED.load(Ordering::Relaxed);
        Self(if arrived & shared == 0 { arrived } else { arrived | shared })
    }

    /// Whether none did.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this vector is among them.
    #[must_use]
    pub fn contains(self, vector: u8) -> bool {
        self.0 & mark(vector) != 0
    }
}

/// Halts the core until an interrupt arrives; one that is already pending ends the halt at once.
///
/// Interrupts are off before and after. Callers check for work first, with interrupts off: whoever
/// makes work afterwards sends an interrupt, which then waits for the halt.
pub fn halt() {
    // SAFETY: `sti` takes effect after the next instruction, so no interrupt falls between the two;
    // handlers touch nothing but the marks above, and return with interrupts off.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Halts forever.
pub fn halt_forever() -> ! {
    loop {
        // SAFETY: interrupts are off, so only an NMI or machine check ends the halt.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
