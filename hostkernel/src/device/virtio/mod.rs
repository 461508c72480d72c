//! Virtio devices, on the transports and queues of the `virtio-drivers` crate.

#[cfg(target_os = "none")]
mod entropy;
#[cfg(target_os = "none")]
mod hal;
mod header;
#[cfg(target_os = "none")]
mod net;
#[cfg(target_os = "none")]
mod open;
#[cfg(target_os = "none")]
mod pci;
#[cfg(target_os = "none")]
mod start;
mod structures;

#[cfg(target_os = "none")]
pub use self::entropy::Entropy;
#[cfg(target_os = "none")]
pub use self::open::{entropy_mmio, entropy_pci, open_mmio, open_pci};
