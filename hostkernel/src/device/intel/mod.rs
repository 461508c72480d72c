//! Intel's gigabit network cards with the registers and descriptors of the 8254x, which every
//! desktop and server of two decades has, and every hypervisor: one queue each way, in the formats
//! that all of them share.
//!
//! Section numbers are those of the PCI/PCI-X Family of Gigabit Ethernet Controllers Software
//! Developer's Manual (317453, "SDM") and of the 82574 GbE Controller Family Datasheet ("82574").
//!
//! The crates there are bring memory and driver frameworks of their own and a buffer from the heap
//! for each frame; the driver is shorter than an adapter to one of them would be.

#[cfg(target_os = "none")]
mod card;
pub mod link;
pub mod ring;

#[cfg(target_os = "none")]
use alloc::boxed::Box;
use core::fmt;

#[cfg(target_os = "none")]
use super::pci::Function;
#[cfg(target_os = "none")]
use crate::platform::Platform;
#[cfg(target_os = "none")]
use node::net::nic::Nic;

const VENDOR: u16 = 0x8086;

/// What cards have in common besides registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// PCI and PCI-X. On machines of today always a hypervisor's.
    Conventional,
    /// A PCI Express card.
    Express,
    /// A part of the chipset of the fourth and fifth generation, beside a PHY that firmware looks
    /// after.
    LynxPoint,
    /// The same from the sixth generation on.
    SunrisePoint,
}

impl Family {
    /// Whether the card is part of a chipset.
    #[must_use]
    pub fn is_chipset(self) -> bool {
        matches!(self, Self::LynxPoint | Self::SunrisePoint)
    }
}

/// A kind of card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// What people call it.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
}

/// Device numbers, by kind. QEMU has 100e, 100f and 10d3; the others were never tried.
const MODELS: [(&str, Family, &[u16]); 7] = [
    ("82540EM", Family::Conventional, &[0x100e, 0x1015]),
    ("82545EM", Family::Conventional, &[0x100f]),
    ("82574L", Family::Express, &[0x10d3, 0x10f6]),
    ("82583V", Family::Express, &[0x150c]),
    ("I217", Family::LynxPoint, &[0x153a, 0x153b]),
    ("I218", Family::LynxPoint, &[0x155a, 0x1559, 0x15a0, 0x15a1, 0x15a2, 0x15a3]),
    (
        "I219",
        Family::SunrisePoint,
        &[
            // Chipsets of the 100 to 300, then of the 400 to 600 series.
            0x156f, 0x1570, 0x15b7, 0x15b8, 0x15b9, 0x15d6, 0x15d7, 0x15d8, 0x15e3, 0x15bb, 0x15bc,
            0x15bd, 0x15be, //
            0x15df, 0x15e0, 0x15e1, 0x15e2, 0x0d4c, 0x0d4d, 0x0d4e, 0x0d4f, 0x0d53, 0x0d55, 0x15f4,
            0x15f5, 0x15f9, 0x15fa, 0x15fb, 0x15fc, 0x1a1c, 0x1a1d, 0x1a1e, 0x1a1f,
        ],
    ),
];

impl Model {
    /// The kind of card with these numbers, if it is one of them.
    #[must_use]
    pub fn of(vendor: u16, device: u16) -> Option<Self> {
        let known = |(_, _, devices): &&(_, _, &[u16])| devices.contains(&device);
        let &(name, family, _) = MODELS.iter().find(known).filter(|_| vendor == VENDOR)?;
        Some(Self { name, family })
    }
}

/// Why a card cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Firmware gave its registers no address.
    NoRegisters,
    /// It does not finish its reset, or is not there any more.
    NoReset,
    /// It has no hardware address.
    NoAddress,
    /// Its interrupt cannot be routed.
    NoInterrupt,
    /// There is no memory for its buffers.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRegisters => "its registers have no address",
            Self::NoReset => "does not come out of its reset",
            Self::NoAddress => "has no hardware address",
            Self::NoInterrupt => "cannot route its interrupt",
            Self::NoMemory => "no memory for its buffers",
        })
    }
}

/// Opens a card of this kind; its interrupts go to the calling core.
#[cfg(target_os = "none")]
pub fn open(
    function: &Function<'_>,
    model: Model,
    platform: &Platform,
) -> Result<Box<dyn Nic>, Error> {
    let card = card::Card::open(function, model.family, platform)?;
    Ok(Box::new(card))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_number_is_one_model_of_this_vendor() {
        let numbers = || MODELS.iter().flat_map(|(_, _, devices)| devices.iter().copied());
        for number in numbers() {
            assert_eq!(numbers().filter(|other| *other == number).count(), 1, "{number:04x}");
            assert!(Model::of(VENDOR, number).is_some());
            assert_eq!(Model::of(0x1af4, number), None);
        }
        let desktop = Model { name: "I219", family: Family::SunrisePoint };
        assert_eq!(Model::of(VENDOR, 0x15b8), Some(desktop));
        assert_eq!(Model::of(VENDOR, 0x1000), None);
    }
}
