//! Memory: frames and who owns them, buffers made of frames, address spaces of actions.
//!
//! One of the crates that may contain `unsafe`; `docs/soundness.md` has the argument. What leaves
//! it is safe: an owned [`Frame`], a [`PageBuffer`], a [`Template`] of a deployed image,
//! an [`AddressSpace`] of one invocation.

#![no_std]

extern crate alloc;

mod access;
pub mod buffer;
#[cfg(any(test, feature = "selftest"))]
pub mod effort;
#[cfg(any(test, feature = "selftest"))]
pub mod failure;
mod frame_number;
pub mod frames;
pub mod holes;
pub mod layout;
mod likely;
pub mod map;
pub mod per_core;
pub mod physical;
mod plan;
mod regions;
pub mod space;
mod table;
mod template;
mod tree;

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(target_os = "none")]
mod machine;

pub use access::Access;
pub use buffer::PageBuffer;
pub use frames::{Frame, OutOfFrames, Reservation};
pub use plan::{LoadPlan, Protection, Segment};
pub use space::{AddressSpace, KernelEntry, Refusal, Skeleton};
pub use template::{Frozen, Processor, Template};

#[cfg(not(target_os = "none"))]
use host as platform;
#[cfg(not(target_os = "none"))]
pub use host::install_for_test;
#[cfg(target_os = "none")]
use machine as platform;
#[cfg(target_os = "none")]
pub use machine::{core_area, heap, kernel_map, module};
pub use platform::{core_id, cycles, heap_free};
