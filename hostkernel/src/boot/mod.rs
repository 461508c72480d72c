//! From the boot loader to the node: the first instruction, the machine's tables, its other cores,
//! and where its settings and actions come from.

pub mod acpi;
pub mod actions;
mod entry;
pub mod host_image;
mod pvh;
pub mod smp;
pub mod sources;
