//! Devices: serial port, screen, power control, clock chip, PCI, network cards.

pub mod fw_cfg;
pub mod intel;
pub mod mmio;
#[cfg(any(test, target_os = "none"))]
pub mod pci;
#[cfg(target_os = "none")]
pub mod power;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(target_os = "none")]
pub mod rtc;
#[cfg(any(test, target_os = "none"))]
pub mod screen;
#[cfg(target_os = "none")]
pub mod serial;
pub mod smbios;
#[cfg(target_os = "none")]
pub mod time;
#[cfg(any(test, target_os = "none"))]
pub mod virtio;
#[cfg(target_os = "none")]
mod window;
