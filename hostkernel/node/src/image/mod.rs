//! Images: from the bytes of an ELF file, or of a zip archive with one in it, to a
//! [`LoadPlan`](memory::LoadPlan), every field checked.
//!
//! Nothing here maps memory; [`memory::Template`] turns a plan into page tables.

pub mod elf;
mod excerpt;
mod inflate;
mod reject;
pub mod text;
pub mod zip;

pub use reject::{ImageReject, SegmentProblem};
pub use zip::ZipReject;
