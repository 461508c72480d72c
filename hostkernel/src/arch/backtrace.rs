//! Who called whom on the calling core's stacks, by frame pointers.
//!
//! All addresses lie inside the instruction that was executed: of a return address the byte before
//! it, the last one of the call. So a tool that looks them up finds the line of the call.

use core::arch::asm;

use memory::core_area;

/// Addresses printed at most.
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
        let readable = core_area::is_mapped()
            && frame.is_multiple_of(8)
            && core_area::is_stack(frame)
            && core_area::is_stack(frame + 8);
        if !readable || frame <= previous {
            return None;
        }
        previous = frame;
        // SAFETY: the address is aligned, and two words from there lie on a mapped stack.
        let (next, address) = unsafe {
            let pointer: *const u64 = core::ptr::with_exposed_provenance(frame as usize);
            (pointer.read(), pointer.add(1).read())
        };
        frame = next;
        address.checked_sub(1)
    })
    .take(FRAMES_MAX)
}
