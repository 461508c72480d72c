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
//! | branch history injection | BHI_DIS_S, switched on once | indirect branches of the kernel |
//! | MDS, TAA, MMIO stale data, RFDS | `verw` | every change of tenant, every interrupt |
//! | Spectre v1 in calls | `lfence` between check and use, in `memory::space` | every claim |
//! | split locks, which stop all cores | #AC instead, switched on once | who makes them |
//! | leaks between hyperthreads | one thread of each core is used | the other threads |
//!
//! Left: indirect branches on processors without enhanced IBRS, for the compiler has no retpolines.
//! `docs/soundness.md` weighs what else there is.

use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::cpu::{read_msr, write_msr};
use super::cpuid;
use super::segments::KERNEL_DATA;

const MSR_SPEC_CTRL: u32 = 0x48;
const MSR_PRED_CMD: u32 = 0x49;
const MSR_ARCH_CAPABILITIES: u32 = 0x10a;
const MSR_CORE_CAPABILITIES: u32 = 0xcf;
const MSR_TEST_CONTROL: u32 = 0x33;
const TEST_CONTROL_SPLIT_LOCK: u64 = 1 << 29;
const CORE_CAPABILITY_SPLIT_LOCK: u64 = 1 << 5;
const SPEC_CTRL_IBRS: u64 = 1 << 0;
const SPEC_CTRL_BHI_DIS_S: u64 = 1 << 10;
const PRED_CMD_IBPB: u64 = 1 << 0;
const CAPABILITY_IBRS_ALL: u64 = 1 << 1;
/// `verw` clears fill buffers and register files also where CPUID's older bit does not say so.
const CAPABILITY_VERW_CLEARS: u64 = 1 << 17 | 1 << 28;

/// What this processor offers, as bits of [`MEASURES`].
const IBPB: u64 = 1 << 0;
const BUFFER_CLEARING: u64 = 1 << 1;
const ENHANCED_IBRS: u64 = 1 << 2;
const BHI_CONTROL: u64 = 1 << 3;
const SPLIT_LOCK: u64 = 1 << 4;

static MEASURES: AtomicU64 = AtomicU64::new(0);

/// The measures this processor allows, for the boot log.
#[derive(Clone, Copy, Debug)]
pub struct Measures(u64);

impl Measures {
    /// Asks the processor (Intel SDM vol. 2A, CPUID leaf 7; AMD APM vol. 3, leaf 8000_0008).
    #[must_use]
    pub fn detect() -> Self {
        let leaf_7 = |part| {
            let exists = cpuid::features(7, 0).eax >= part;
            if exists { cpuid::features(7, part).edx } else { 0 }
        };
        let (extended, second) = (leaf_7(0), leaf_7(2));
        let amd = cpuid::features(0x8000_0008, 0).ebx;
        let has_capabilities = extended & 1 << 29 != 0;
        let capabilities = match has_capabilities {
            // SAFETY: the processor says that it has this register.
            true => unsafe { read_msr(MSR_ARCH_CAPABILITIES) },
            false => 0,
        };
        let core_capabilities = match extended & 1 << 30 != 0 {
            // SAFETY: the processor says that it has this register.
            true => unsafe { read_msr(MSR_CORE_CAPABILITIES) },
            false => 0,
        };
        let ibrs_all = capabilities & CAPABILITY_IBRS_ALL != 0;
        let mut measures = 0;
        for (offered, measure) in [
            (extended & 1 << 26 != 0 || amd & 1 << 12 != 0, IBPB),
            (
                extended & 1 << 10 != 0 || capabilities & CAPABILITY_VERW_CLEARS != 0,
                BUFFER_CLEARING,
            ),
            (ibrs_all || amd & 1 << 14 != 0 && amd & 1 << 16 != 0, ENHANCED_IBRS),
            (ibrs_all && second & 1 << 4 != 0, BHI_CONTROL),
            (core_capabilities & CORE_CAPABILITY_SPLIT_LOCK != 0, SPLIT_LOCK),
        ] {
            if offered {
                measures |= measure;
            }
        }
        Self(measures)
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (IBPB, "ibpb"),
            (BUFFER_CLEARING, "verw"),
            (ENHANCED_IBRS, "enhanced-ibrs"),
            (BHI_CONTROL, "bhi-dis-s"),
            (SPLIT_LOCK, "split-lock-detection"),
        ];
        for (bit, name) in named {
            if self.0 & bit == 0 {
                f.write_str("no-")?;
            }
            write!(f, "{name} ")?;
        }
        f.write_str("unmapped-kernel no-swapgs lfence")
    }
}

/// Switches on what is switched on once.
///
/// # Safety
/// Called once per core; `measures` describes this processor.
pub(super) unsafe fn enable(measures: Measures) {
    MEASURES.store(measures.0, Ordering::Relaxed);
    let mut control = 0;
    if measures.0 & ENHANCED_IBRS != 0 {
        control |= SPEC_CTRL_IBRS;
    }
    if measures.0 & BHI_CONTROL != 0 {
        control |= SPEC_CTRL_BHI_DIS_S;
    }
    if control != 0 {
        // SAFETY: the processor has the register and these bits.
        unsafe { write_msr(MSR_SPEC_CTRL, control) };
    }
    if measures.0 & SPLIT_LOCK != 0 {
        // SAFETY: the processor has the register and the bit. The kernel's atomics are aligned.
        unsafe {
            write_msr(MSR_TEST_CONTROL, read_msr(MSR_TEST_CONTROL) | TEST_CONTROL_SPLIT_LOCK)
        };
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
    for leaf in [0x1f, 0xb] {
        let topology = cpuid::features(leaf, 0);
        if topology.ebx != 0 && topology.ecx >> 8 & 0xff == LEVEL_THREAD {
            return topology.eax & 0x1f;
        }
    }
    0
}
