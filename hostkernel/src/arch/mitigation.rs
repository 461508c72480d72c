//! What the kernel does about processors that leak through their caches and predictors.
//!
//! The first line of defence needs no instruction: while an action runs, no memory of anybody else
//! is mapped, not even for the kernel, so what Meltdown and its kin read is not there. What remains
//! is state inside the processor: branch predictors trained by the tenant before, and internal
//! buffers with the bytes it moved last. Both are cleared when a core goes from one tenant to
//! another, where the processor says that it can be done.
//!
//! | leak | measure | paid for by |
//! |---|---|---|
//! | Spectre v2 between tenants | IBPB, a write to `IA32_PRED_CMD` | every change of tenant |
//! | Spectre v2 against the kernel | enhanced IBRS, switched on once | every indirect branch |
//! | MDS, TAA, MMIO stale data | `verw` | every change of tenant, every interrupt |
//! | leaks between hyperthreads | one thread of each core is used | the other threads |
//!
//! Left: bounds-check bypass inside the kernel, which maps all memory while it works; speculative
//! store bypass; indirect branches on processors without enhanced IBRS, for the compiler has no
//! retpolines. `docs/soundness.md` weighs them.

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{read_msr, write_msr};
use super::descriptor::KERNEL_DATA;

const MSR_SPEC_CTRL: u32 = 0x48;
const MSR_PRED_CMD: u32 = 0x49;
const MSR_ARCH_CAPABILITIES: u32 = 0x10a;
const SPEC_CTRL_IBRS: u64 = 1 << 0;
const PRED_CMD_IBPB: u64 = 1 << 0;
const CAPABILITY_IBRS_ALL: u64 = 1 << 1;

/// What this processor offers, as bits of [`MEASURES`].
const IBPB: u64 = 1 << 0;
const BUFFER_CLEARING: u64 = 1 << 1;
const ENHANCED_IBRS: u64 = 1 << 2;

static MEASURES: AtomicU64 = AtomicU64::new(0);

/// The measures this processor allows, for the boot log.
#[derive(Clone, Copy, Debug)]
pub struct Measures(u64);

impl Measures {
    /// Asks the processor (Intel SDM vol. 2A, CPUID leaf 7; AMD APM vol. 3, leaf 8000_0008).
    #[must_use]
    pub fn detect() -> Self {
        let highest = __cpuid(0).eax;
        let extended = if highest >= 7 { __cpuid_count(7, 0).edx } else { 0 };
        let amd =
            if __cpuid(0x8000_0000).eax >= 0x8000_0008 { __cpuid(0x8000_0008).ebx } else { 0 };
        let mut measures = 0;
        if extended & 1 << 26 != 0 || amd & 1 << 12 != 0 {
            measures |= IBPB;
        }
        if extended & 1 << 10 != 0 {
            measures |= BUFFER_CLEARING;
        }
        let has_capabilities = extended & 1 << 29 != 0;
        // SAFETY: the processor says that it has this register.
        let intel = has_capabilities
            && unsafe { read_msr(MSR_ARCH_CAPABILITIES) } & CAPABILITY_IBRS_ALL != 0;
        if intel || amd & 1 << 14 != 0 && amd & 1 << 16 != 0 {
            measures |= ENHANCED_IBRS;
        }
        Self(measures)
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [(IBPB, "ibpb"), (BUFFER_CLEARING, "verw"), (ENHANCED_IBRS, "enhanced-ibrs")];
        for (bit, name) in named {
            if self.0 & bit == 0 {
                f.write_str("no-")?;
            }
            write!(f, "{name} ")?;
        }
        f.write_str("unmapped-kernel no-swapgs")
    }
}

/// Switches on what is switched on once.
///
/// # Safety
/// Called once per core; `measures` describes this processor.
pub(super) unsafe fn enable(measures: Measures) {
    MEASURES.store(measures.0, Ordering::Relaxed);
    if measures.0 & ENHANCED_IBRS != 0 {
        // SAFETY: the processor has the register and the bit.
        unsafe { write_msr(MSR_SPEC_CTRL, SPEC_CTRL_IBRS) };
    }
}

/// Clears what a tenant left inside the processor. To be called between two tenants on one core.
pub fn change_tenant() {
    let measures = MEASURES.load(Ordering::Relaxed);
    if measures & IBPB != 0 {
        // SAFETY: the processor has the register; the write affects predictions only.
        unsafe { write_msr(MSR_PRED_CMD, PRED_CMD_IBPB) };
    }
    clear_buffers();
}

/// Clears the processor's internal buffers of what the kernel moved last. To be called before an
/// action goes on after the kernel worked for others.
pub fn clear_buffers() {
    if MEASURES.load(Ordering::Relaxed) & BUFFER_CLEARING != 0 {
        let selector = KERNEL_DATA;
        // SAFETY: `verw` with a writable segment sets a flag, and on these processors clears
        // buffers.
        unsafe { asm!("verw word ptr [{}]", in(reg) &raw const selector, options(nostack)) };
    }
}

/// How far to shift an APIC id to get the number of its physical core: its low bits name the
/// threads of one core. 0 if the processor does not say, which means one thread per core.
#[must_use]
pub fn thread_bits() -> u32 {
    const LEVEL_THREAD: u32 = 1;
    let highest = __cpuid(0).eax;
    for leaf in [0x1f, 0xb] {
        if highest < leaf {
            continue;
        }
        let topology = __cpuid_count(leaf, 0);
        if topology.ebx != 0 && topology.ecx >> 8 & 0xff == LEVEL_THREAD {
            return topology.eax & 0x1f;
        }
    }
    0
}
