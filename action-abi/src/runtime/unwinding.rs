//! Names that the precompiled `alloc` refers to because it could unwind, which an action never
//! does.
//!
//! A panic logs and exits (see [`panic`](super::panic)), so nothing looks up a personality or
//! resumes an unwinding; the linker only wants the names defined. Exported under the same condition
//! as the [`memory_routines`](super::memory_routines).

use core::arch::naked_asm;

/// Would decide what an unwinding does in a frame. Never called.
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(no_mangle))]
pub extern "C" fn rust_eh_personality() {
    naked_asm!("ud2")
}

/// Would go on unwinding after a clean-up. Never called.
#[unsafe(naked)]
#[cfg_attr(all(panic = "abort", not(test)), unsafe(export_name = "_Unwind_Resume"))]
pub extern "C" fn unwind_resume() -> ! {
    naked_asm!("ud2")
}
