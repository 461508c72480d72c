//! Virtio devices, on the transports and queues of the `virtio-drivers` crate.

mod entropy;
mod hal;
mod net;
mod open;
mod pci;

pub use self::entropy::Entropy;
pub use self::open::{entropy_mmio, entropy_pci, open_mmio, open_pci};
