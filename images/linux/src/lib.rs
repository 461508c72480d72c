//! The Linux library OS: what unmodified Linux programs call, served in ring 3 beside the program.
//!
//! An image like any other hosts the program: it loads it, asks the kernel to be frozen before the
//! program's first instruction, and from then on answers what the kernel reflects to it, `syscall`
//! instructions and exceptions. The kernel knows nothing of Linux; a bug in here can hurt only the
//! action that uses it.
//!
//! ```text
//!            program (0x40_0000, 0xc0_0000_0000, 0x7f…)        library OS (0x3000_0000)
//!   syscall ──▶ kernel's entry ──▶ entry code ──▶ Os::system_call ──▶ call ──▶ memory, thread,
//!   fault   ──▶ kernel         ──▶ entry code ──▶ Os::exception   ──▶ signal   signal, file, time
//! ```
//!
//! This library is portable: native calls are behind [`native::Native`], the program's memory is
//! touched in [`memory::access`] only, and everything is tested on the host. The binary beside it
//! has the entry code, the native calls and the allocator, and exists for bare metal only.
//!
//! One invocation has one core, so nothing here is ever entered twice, and threads are switched
//! where one waits, or where an alarm interrupts one that does not.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod call;
pub mod ending;
pub mod file;
pub mod frame;
pub mod freeze;
pub mod identity;
pub mod limits;
pub mod load;
pub mod memory;
pub mod native;
pub mod os;
pub mod outcome;
pub mod random;
pub mod report;
pub mod signal;
pub mod socket;
pub mod strings;
pub mod thread;
pub mod time;
pub mod timers;

pub use linux_files::Errno;
pub use os::Os;
