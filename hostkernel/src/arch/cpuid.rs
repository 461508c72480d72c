//! What the processor says of itself. The only place that executes `cpuid`: a leaf that the
//! processor, or firmware that limits it, does not have is `None`, where the instruction would give
//! the values of another leaf.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};

/// First leaf of each range; it states the range's last one (Intel SDM vol. 2A, CPUID; the
/// hypervisors' range by convention).
const BASIC: u32 = 0;
const HYPERVISOR: u32 = 0x4000_0000;
const EXTENDED: u32 = 0x8000_0000;
/// Leaves of a range: one that states more states nonsense.
const RANGE_LEN_MAX: u32 = 0x1000;
/// In ECX of leaf 1.
const IS_VIRTUAL: u32 = 1 << 31;

/// All that a leaf without subleaves says.
#[must_use]
pub fn leaf(number: u32) -> Option<CpuidResult> {
    has(number).then(|| __cpuid(number))
}

/// One subleaf. Whether it exists is said by the leaf, each in its own way.
#[must_use]
pub fn subleaf(number: u32, sub: u32) -> Option<CpuidResult> {
    has(number).then(|| __cpuid_count(number, sub))
}

/// Feature bits, all missing where the leaf is.
#[must_use]
pub fn features(number: u32, sub: u32) -> CpuidResult {
    subleaf(number, sub).unwrap_or(CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 })
}

/// Whether the machine is a virtual one that says so.
#[must_use]
pub fn has_hypervisor() -> bool {
    features(1, 0).ecx & IS_VIRTUAL != 0
}

fn has(number: u32) -> bool {
    let first = match number {
        EXTENDED.. => EXTENDED,
        // On a real processor this range does not exist, and the answer is that of another.
        HYPERVISOR.. if has_hypervisor() => HYPERVISOR,
        HYPERVISOR.. => return false,
        _ => BASIC,
    };
    let highest = match (first, __cpuid(first).eax) {
        // KVM of old says 0 and means its second leaf.
        (HYPERVISOR, 0) => HYPERVISOR + 1,
        (_, highest) => highest,
    };
    (first..first + RANGE_LEN_MAX).contains(&number) && (first..=highest).contains(&number)
}
