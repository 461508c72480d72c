//! Finding the devices this machine has.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::intel::{self, Model};
use super::pci::{self, Function, Functions};
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

/// Opens the first network card that can be used, in the order of the buses, then of firmware's
/// table, then of the buses that nothing leads to; its interrupts go to the calling core. Lists
/// what it saw.
///
/// # Errors
/// [`NoCard`] if there is none.
pub fn network_card(
    functions: &mut Functions<'_>,
    platform: &Platform,
) -> Result<Box<dyn Nic>, NoCard> {
    let mut search = Search { platform, found: None, others: Vec::new() };
    search.on_pci(functions.all());
    search.in_memory();
    if search.found.is_none() {
        search.on_pci(functions.look_further());
    }
    search.found.ok_or(NoCard(search.others))
}

/// A search for a network card.
struct Search<'p> {
    platform: &'p Platform,
    found: Option<Box<dyn Nic>>,
    /// What was seen and cannot be used.
    others: Vec<String>,
}

impl Search<'_> {
    fn on_pci(&mut self, functions: &[Function<'_>]) {
        for card in functions.iter().filter(|function| function.class == pci::CLASS_NETWORK) {
            if self.found.is_some() {
                log::info!("network card {card}: not used, one is enough");
                continue;
            }
            match open(card, self.platform) {
                Some((name, Ok(nic))) => {
                    log::info!("network card {card}: {name}");
                    self.found = Some(nic);
                }
                Some((name, Err(error))) => {
                    log::warn!("network card {card}: {name}: {error}");
                    self.others.push(format!("{card} ({name}: {error})"));
                }
                None => {
                    log::warn!("network card {card}: not supported");
                    self.others.push(format!("{card}"));
                }
            }
        }
    }

    /// Looks at the devices of the firmware's table.
    fn in_memory(&mut self) {
        for &(address, line) in &self.platform.virtio {
            if self.found.is_some() {
                return;
            }
            match virtio::open_mmio(address, line, self.platform) {
                Some(Ok(nic)) => {
                    log::info!(
                        "network card at {address:#x}: virtio, interrupt line {}",
                        line.number
                    );
                    self.found = Some(nic);
                }
                Some(Err(error)) => {
                    log::warn!("network card at {address:#x}: virtio: {error}");
                    self.others.push(format!("{address:#x} (virtio: {error})"));
                }
                None => {}
            }
        }
    }
}

type Opened = Result<Box<dyn Nic>, Box<dyn fmt::Display>>;

/// What kind of card it is, and the open card. `None` if there is no driver for it.
fn open(function: &Function<'_>, platform: &Platform) -> Option<(&'static str, Opened)> {
    if let Some(model) = Model::of(function.vendor, function.device) {
        let card = intel::open(function, model, platform);
        return Some((model.name, card.map_err(|error| Box::new(error) as _)));
    }
    let card = virtio::open_pci(function, platform)?;
    Some(("virtio", card.map_err(|error| Box::new(error) as _)))
}

/// Random bytes from the first device that gives them. Without `need` they are worth no look at
/// buses that nothing leads to.
#[must_use]
pub fn entropy(functions: &mut Functions<'_>, platform: &Platform, need: bool) -> Option<Entropy> {
    let in_memory = || platform.virtio.iter().find_map(|place| virtio::entropy_mmio(place.0));
    let near = functions.all().iter().find_map(virtio::entropy_pci).or_else(in_memory);
    match near {
        None if need => functions.look_further().iter().find_map(virtio::entropy_pci),
        near => near,
    }
}
