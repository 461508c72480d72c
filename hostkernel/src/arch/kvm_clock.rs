//! The wall-clock time as KVM tells it, to the nanosecond (Linux,
//! `Documentation/virt/kvm/x86/msr.rst`).
//!
//! KVM writes two structures into memory when asked by model-specific registers: when the machine's
//! own time began, and what it is. One frame holds both, and is KVM's only for a moment.

use super::{clock, cpu, cpuid};
use memory::Frame;
use node::wall::paravirtual_ns;

/// CPUID leaves of a hypervisor.
const SIGNATURE_LEAF: u32 = 0x4000_0000;
const FEATURES_LEAF: u32 = 0x4000_0001;
/// `KVMKVMKVM` and three NULs, in registers B, C and D.
const SIGNATURE: [u32; 3] = [0x4b4d_564b, 0x564b_4d56, 0x0000_004d];
/// The registers below are there.
const CLOCK: u32 = 1 << 3;
const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;
const ENABLED: u64 = 1;
/// Where in the frame the second structure is.
const TIME_AT: usize = 64;

/// Wall-clock time now in nanoseconds since 1970-01-01 UTC; `None` if this is not KVM, or it does
/// not tell.
#[must_use]
pub fn wall_ns() -> Option<u64> {
    let leaf = cpuid::leaf(SIGNATURE_LEAF)?;
    let is_kvm = [leaf.ebx, leaf.ecx, leaf.edx] == SIGNATURE;
    if !is_kvm || cpuid::features(FEATURES_LEAF, 0).eax & CLOCK == 0 {
        return None;
    }
    let frame = Frame::allocate().ok()?;
    let address = frame.physical();
    // SAFETY: KVM has both registers, as it says. It writes less than 64 bytes to each address.
    // Both are in a frame that is ours and that nobody looks at meanwhile: to the first it writes
    // at once, to the second until it is told to stop, which is before the frame is looked at.
    unsafe {
        cpu::write_msr(WALL_CLOCK, address);
        cpu::write_msr(SYSTEM_TIME, address + TIME_AT as u64 | ENABLED);
        cpu::write_msr(SYSTEM_TIME, 0);
    }
    let bytes = core::hint::black_box(&frame).bytes();
    let (wall, time) = bytes.split_at(TIME_AT);
    paravirtual_ns(wall.first_chunk()?, time.first_chunk()?, clock::cycles())
}
