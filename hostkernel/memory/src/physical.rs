//! How the kernel reaches physical memory: one linear window, the direct map.
//!
//! On bare metal it is the upper-half mapping that `kernel_map` builds; on the host it is
//! an arena the tests install, so that everything above this file runs and is tested there too.

use super::frame_number::FrameNumber;
use limits::PAGE_LEN;

/// A physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysicalAddress(pub u64);

/// Where the direct map begins on bare metal: the first address of the upper half.
pub const DIRECT_MAP_START: u64 = 0xffff_8000_0000_0000;

/// Lets nothing behind it begin before every check in front of it was really decided: a processor
/// that guesses wrongly must not touch, through the direct map, what an action may not read.
pub fn speculation_barrier() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction changes nothing.
    unsafe {
        core::arch::asm!("lfence", options(nostack, preserves_flags));
    }
}

/// The address at which the kernel sees `frame`. Valid for reads and writes of one page while the
/// caller owns the frame or knows who does.
pub(super) fn frame_pointer(frame: FrameNumber) -> *mut u8 {
    crate::platform::window_start().wrapping_add(frame.get() as usize * PAGE_LEN)
}

/// Fills a frame with zeros: one instruction and not a call, for it is done to each page.
///
/// # Safety
/// The caller owns the frame, and nothing refers to its bytes.
pub(super) unsafe fn zero_frame(frame: FrameNumber) {
    // SAFETY: a frame is one page in the direct map, and the caller's.
    unsafe { zero_words(frame_pointer(frame).cast(), PAGE_LEN / size_of::<u64>()) };
}

/// Fills words with zeros, likewise.
///
/// # Safety
/// The caller may write `count` words from `start` on, and nothing refers to them.
pub(super) unsafe fn zero_words(start: *mut u64, count: usize) {
    #[cfg(not(miri))]
    // SAFETY: the caller's promise; the direction flag is clear in all compiled code.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") count => _,
            inout("rdi") start => _,
            in("rax") 0_u64,
            options(nostack, preserves_flags),
        );
    }
    #[cfg(miri)]
    // SAFETY: as above.
    unsafe {
        start.write_bytes(0, count);
    }
}

/// The address at which the kernel sees physical memory or a mapped device register.
#[must_use]
pub fn direct_pointer(address: PhysicalAddress) -> *mut u8 {
    crate::platform::window_start().wrapping_add(address.0 as usize)
}
