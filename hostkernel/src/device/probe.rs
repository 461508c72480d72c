//! Finding the devices this machine has.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::intel::{self, Model};
use super::pci::{self, Function};
use super::virtio;
pub use super::virtio::Entropy;
use crate::platform::Platform;
use node::net::nic::Nic;

/// There is no network card that can be used, but these, and why they cannot where that is not just
/// that there is no driver. Displayed it is a sentence for people.
#[derive(Debug)]
pub struct NoCard(Vec<String>);

impl fmt::Display for NoCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no network card that is supported; ")?;
        match &self.0[..] {
            [] => f.write_str("none was seen on PCI"),
            cards => write!(f, "seen: {}", cards.join(", ")),
        }
    }
}

/// Opens the first network card that can be used, in the order of the bus, then of the firmware's
/// table; its interrupts go to the calling core. Lists what it saw.
///
/// # Errors
/// [`NoCard`] if there is none.
pub fn network_card(functions: &[Function], platform: &Platform) -> Result<Box<dyn Nic>, NoCard> {
    let cards = functions.iter().filter(|(_, info)| info.class == pci::CLASS_NETWORK);
    let (mut found, mut others) = (None, Vec::new());
    for card @ (function, info) in cards {
        let what = format!("{:04x}:{:04x} at {function}", info.vendor_id, info.device_id);
        if found.is_some() {
            log::info!("network card {what}: not used, one is enough");
            continue;
        }
        match open(card, platform) {
            Some((name, Ok(nic))) => {
                log::info!("network card {what}: {name}");
                found = Some(nic);
            }
            Some((name, Err(error))) => {
                log::warn!("network card {what}: {name}: {error}");
                others.push(format!("{what} ({name}: {error})"));
            }
            None => {
                log::warn!("network card {what}: not supported");
                others.push(what);
            }
        }
    }
    for &(address, line) in &platform.virtio {
        if found.is_some() {
            break;
        }
        match virtio::open_mmio(address, line, platform) {
            Some(Ok(nic)) => {
                log::info!("network card at {address:#x}: virtio, interrupt line {}", line.number);
                found = Some(nic);
            }
            Some(Err(error)) => {
                log::warn!("network card at {address:#x}: virtio: {error}");
                others.push(format!("{address:#x} (virtio: {error})"));
            }
            None => {}
        }
    }
    found.ok_or(NoCard(others))
}

type Opened = Result<Box<dyn Nic>, Box<dyn fmt::Display>>;

/// What kind of card it is, and the open card. `None` if there is no driver for it.
fn open((function, info): &Function, platform: &Platform) -> Option<(&'static str, Opened)> {
    let root = &mut pci::root();
    if let Some(model) = Model::of(info.vendor_id, info.device_id) {
        let card = intel::open(root, *function, model, platform);
        return Some((model.name, card.map_err(|error| Box::new(error) as _)));
    }
    let card = virtio::open_pci(root, *function, info, platform)?;
    Some(("virtio", card.map_err(|error| Box::new(error) as _)))
}

/// Random bytes from the first device that gives them.
#[must_use]
pub fn entropy(functions: &[Function], platform: &Platform) -> Option<Entropy> {
    let on_pci = || functions.iter().find_map(virtio::entropy_pci);
    let in_memory = || platform.virtio.iter().find_map(|place| virtio::entropy_mmio(place.0));
    on_pci().or_else(in_memory)
}
