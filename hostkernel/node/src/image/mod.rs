//! Images: from the bytes of an ELF file, of a zip archive with one in it, or of the layers of a
//! container image, to a
//! [`LoadPlan`](memory::LoadPlan), every field checked.
//!
//! Nothing here maps memory; [`memory::Template`] turns a plan into page tables.

pub mod elf;
mod excerpt;
mod inflate;
pub mod layers;
mod reject;
pub mod text;
pub mod zip;

pub use reject::{ImageReject, SegmentProblem};
pub use zip::ZipReject;
