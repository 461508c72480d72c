//! Return addresses on the calling core's kernel stack, by frame pointers.

use core::arch::asm;

use super::area::{ENTRY_SPACE, KERNEL_STACK_END, PRIVATE_SPACE};

/// Frames printed at most.
const FRAMES_MAX: usize = 32;

/// The callers of the calling function.
pub fn here() -> impl Iterator<Item = u64> {
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    walk(frame)
}

/// An instruction and its callers, given the frame pointer there.
pub fn from(instruction: u64, frame: u64) -> impl Iterator<Item = u64> {
    core::iter::once(instruction).chain(walk(frame))
}

fn walk(mut frame: u64) -> impl Iterator<Item = u64> {
    let mut previous = 0;
    core::iter::from_fn(move || {
        // Only frames on this core's own stacks are read, each above the one before.
        let on_stack = (PRIVATE_SPACE..KERNEL_STACK_END - 16).contains(&frame)
            || (ENTRY_SPACE..ENTRY_SPACE + (17 << 12) - 16).contains(&frame);
        if !on_stack || !frame.is_multiple_of(8) || frame <= previous {
            return None;
        }
        previous = frame;
        // SAFETY: the address is aligned and lies in this core's mapped stack range; guard pages
        // are above what a frame chain can reach, because it only rises from a live frame.
        let (next, address) = unsafe {
            let pointer: *const u64 = core::ptr::with_exposed_provenance(frame as usize);
            (pointer.read(), pointer.add(1).read())
        };
        frame = next;
        (address != 0).then_some(address)
    })
    .take(FRAMES_MAX)
}
