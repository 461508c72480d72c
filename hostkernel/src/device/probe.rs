//! Finding the network card this machine has.

use alloc::boxed::Box;

use super::nic::Nic;
use super::{pci, virtio};
use crate::boot::acpi::Platform;

/// Finds the first supported network card; its interrupts go to the calling core. Lists what it
/// saw.
#[must_use]
pub fn network_card(platform: &Platform) -> Option<Box<dyn Nic>> {
    let mut root = pci::root();
    let mut found = None;
    for (function, info) in pci::network_controllers(&root) {
        let (vendor, device) = (info.vendor_id, info.device_id);
        match virtio::open_pci(&mut root, function, &info, platform) {
            Some(Ok(nic)) if found.is_none() => {
                log::info!("network card {vendor:04x}:{device:04x} at {function}, virtio");
                found = Some(nic);
            }
            Some(Ok(_)) => {
                log::info!("network card {vendor:04x}:{device:04x} at {function}, unused")
            }
            Some(Err(error)) => {
                log::warn!("network card {vendor:04x}:{device:04x} at {function}: {error}");
            }
            None => {
                log::warn!("network card {vendor:04x}:{device:04x} at {function} not supported")
            }
        }
    }
    for &(address, line) in &platform.virtio {
        if found.is_some() {
            break;
        }
        match virtio::open_mmio(address, line, platform) {
            Some(Ok(nic)) => {
                log::info!("network card at {address:#x}, virtio, interrupt line {line}");
                found = Some(nic);
            }
            Some(Err(error)) => log::warn!("network card at {address:#x}: {error}"),
            None => {}
        }
    }
    found
}
