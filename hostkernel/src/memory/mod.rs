//! Memory: frames and who owns them, buffers made of frames, address spaces of actions.
//!
//! One of the modules that may contain `unsafe`; `docs/soundness.md` has the argument. What leaves
//! this module is safe: an owned [`Frame`], a [`PageBuffer`], a [`Template`] of a deployed image,
//! an [`AddressSpace`] of one invocation.

mod access;
pub mod buffer;
#[cfg(target_os = "none")]
pub mod core_area;
#[cfg(any(test, feature = "selftest"))]
pub mod failure;
pub mod frames;
#[cfg(target_os = "none")]
pub mod heap;
#[cfg(any(test, target_os = "none"))]
pub mod holes;
#[cfg(target_os = "none")]
pub mod kernel_map;
pub mod layout;
mod likely;
#[cfg(target_os = "none")]
pub mod module;
pub mod per_core;
pub mod physical;
mod plan;
mod regions;
pub mod space;
mod table;
mod template;
mod tree;

pub use access::Access;
pub use buffer::PageBuffer;
pub use frames::{Frame, OutOfFrames, Reservation};
pub use plan::{LoadPlan, Protection, Segment};
pub use space::{AddressSpace, KernelEntry, Refusal, Skeleton};
pub use template::Template;

/// Index of the calling core, below [`limits::CORES_MAX`].
#[cfg(target_os = "none")]
#[must_use]
pub fn core_id() -> usize {
    core_area::core_id()
}

/// Index of the calling core: on the host, every thread is one.
#[cfg(not(target_os = "none"))]
#[must_use]
pub fn core_id() -> usize {
    physical::host::core_id()
}

/// Bytes the kernel heap could still give.
#[cfg(target_os = "none")]
#[must_use]
pub fn heap_free() -> usize {
    heap::len().saturating_sub(heap::used())
}

/// Bytes the kernel heap could still give: on the host, as many as you like.
#[cfg(not(target_os = "none"))]
#[must_use]
pub fn heap_free() -> usize {
    usize::MAX
}

/// Gives host programs, tests and fuzz targets, their frames.
#[cfg(not(target_os = "none"))]
#[doc(hidden)]
pub fn install_for_test() {
    physical::host::install();
}
