//! Where a PCI virtio device has its structures (virtio 1.2, 4.1.4).
//!
//! A device may offer several of a kind, in order of its preference, some of them in port space or
//! in ranges that firmware did not place. Every one is looked at, and the first that can be used is
//! taken.
#![forbid(unsafe_code)]

use crate::device::pci::Function;

const CAPABILITY_VENDOR: u8 = 0x09;
/// Length of a capability, and of one of notifications, which has a multiplier behind.
const LEN_MIN: u8 = 16;
const NOTIFY_LEN_MIN: u8 = 20;

/// What a structure is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructureKind {
    /// Status, features, queues.
    Common = 1,
    /// What tells the device of a queue.
    Notify = 2,
    /// Why there was an interrupt.
    Interrupt = 3,
    /// What is particular to a kind of device.
    Device = 4,
}

/// Where a structure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub len: u32,
    /// Of the notification structure: bytes from one queue's register to the next one's.
    pub multiplier: u32,
}

/// Lengths of memory ranges, asked for once.
#[derive(Debug, Default)]
pub struct BarLens([Option<u64>; 8]);

impl BarLens {
    fn of(&mut self, function: &Function<'_>, bar: u8) -> u64 {
        *self.0[usize::from(bar & 7)].get_or_insert_with(|| function.bar_len(bar))
    }
}

/// The first structure of this kind that can be used: at least `len_min` bytes, in memory, inside
/// its range, and aligned.
pub fn find(
    function: &Function<'_>,
    kind: StructureKind,
    len_min: u32,
    lens: &mut BarLens,
) -> Option<Structure> {
    let mut capabilities = function.capabilities(CAPABILITY_VENDOR);
    capabilities.find_map(|start| {
        let word = |at: u8| function.read(start.wrapping_add(at));
        let [_, _, own_len, found] = word(0).to_le_bytes();
        let own_len_min = if kind == StructureKind::Notify { NOTIFY_LEN_MIN } else { LEN_MIN };
        if found != kind as u8 || own_len < own_len_min {
            return None;
        }
        let (bar, offset, len) = (word(4) as u8, word(8), word(12));
        let alignment = match kind {
            StructureKind::Common | StructureKind::Device => 4,
            StructureKind::Notify => 2,
            StructureKind::Interrupt => 1,
        };
        if len < len_min || !offset.is_multiple_of(alignment) {
            return None;
        }
        let address = function.bar_address(bar)?.checked_add(u64::from(offset))?;
        if u64::from(offset) + u64::from(len) > lens.of(function, bar) {
            return None;
        }
        let multiplier = if kind == StructureKind::Notify { word(16) } else { 0 };
        Some(Structure { address, len, multiplier })
    })
}

impl Structure {
    /// How far into the notification structure the register of a queue is, which says that it is
    /// the `number`th. `None` if that is outside.
    #[must_use]
    pub fn notify_offset(&self, number: u16) -> Option<u64> {
        let offset = u64::from(number) * u64::from(self.multiplier);
        let end = offset + size_of::<u16>() as u64;
        (end <= u64::from(self.len) && offset.is_multiple_of(2)).then_some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::pci::function::Space;
    use crate::platform::pci::Address;
    use core::cell::RefCell;

    const AT: Address = Address { segment: 0, bus: 0, device: 1, function: 0 };
    /// Of a range: flags and, in its register, a place. Number 1 is in port space, 4 is wide, 3
    /// was not placed.
    const BAR_4_LEN: u32 = 0x4000;

    /// A function whose capabilities are the given ones.
    struct Card(RefCell<[u32; 64]>);

    impl Space for Card {
        fn read(&self, _: Address, register: u8) -> u32 {
            self.0.borrow()[usize::from(register / 4)]
        }

        fn write(&self, _: Address, register: u8, value: u32) {
            let mask = match register {
                0x20 => !(BAR_4_LEN - 1),
                0x24 => u32::MAX,
                _ => return,
            };
            let mut words = self.0.borrow_mut();
            let word = &mut words[usize::from(register / 4)];
            *word = value & mask | *word & !mask & 0xf;
        }
    }

    impl Card {
        /// Capabilities: their length, kind, range, and the structure's offset and length.
        fn new(capabilities: &[(u8, u8, u8, u32, u32)]) -> Self {
            let mut words = [0; 64];
            words[0] = 0x1041_1af4;
            words[1] = 1 << 20;
            words[0x14 / 4] = 0xc001;
            words[0x20 / 4] = 0x8000_000c;
            words[0x24 / 4] = 0x7;
            words[0x34 / 4] = 0x40;
            for (index, (own_len, kind, bar, offset, len)) in capabilities.iter().enumerate() {
                let start = 0x40 + 20 * index;
                let next = if index + 1 < capabilities.len() { start + 20 } else { 0 };
                let header = [CAPABILITY_VENDOR, next as u8, *own_len, *kind];
                let values = [u32::from_le_bytes(header), u32::from(*bar), *offset, *len, 0x1000];
                words[start / 4..start / 4 + 5].copy_from_slice(&values);
            }
            Self(RefCell::new(words))
        }

        fn find(&self, kind: StructureKind, len_min: u32) -> Option<(u64, u32, u32)> {
            let function = Function::find(self, AT).expect("it is there");
            let found = find(&function, kind, len_min, &mut BarLens::default())?;
            Some((found.address, found.len, found.multiplier))
        }
    }

    #[test]
    fn the_first_structure_that_can_be_used_is_taken() {
        let good = (20, 2, 4, 0x1000, 0x2000);
        let taken = Some((0x7_8000_1000, 0x2000, 0x1000));
        for bad in [
            (20, 2, 1, 0, 0x1000),
            (20, 2, 3, 0, 0x1000),
            (20, 2, 6, 0, 0x1000),
            (20, 2, 255, 0, 0x1000),
            (16, 2, 4, 0, 0x1000),
            (20, 3, 4, 0, 0x1000),
            (20, 2, 4, 0, 1),
            (20, 2, 4, 1, 0x1000),
            (20, 2, 4, 0x3000, 0x1001),
            (20, 2, 4, u32::MAX - 1, 0x1000),
        ] {
            assert_eq!(Card::new(&[bad, good]).find(StructureKind::Notify, 2), taken, "{bad:?}");
            assert_eq!(Card::new(&[bad]).find(StructureKind::Notify, 2), None, "{bad:?}");
        }
        let other = (20, 2, 4, 0, 0x1000);
        assert_eq!(
            Card::new(&[good, other]).find(StructureKind::Notify, 2),
            taken,
            "the first of two"
        );
        assert_eq!(Card::new(&[]).find(StructureKind::Notify, 2), None);
    }

    #[test]
    fn each_kind_has_its_own_alignment() {
        for (kind, offset, fits) in [
            (StructureKind::Common, 2, false),
            (StructureKind::Common, 4, true),
            (StructureKind::Interrupt, 1, true),
            (StructureKind::Device, 2, false),
        ] {
            let card = Card::new(&[(16, kind as u8, 4, offset, 0x38)]);
            assert_eq!(card.find(kind, 0x38).is_some(), fits, "{kind:?} {offset}");
        }
    }

    #[test]
    fn queues_are_told_of_where_the_multiplier_says() {
        let structure = |multiplier| Structure { address: 0, len: 0x2000, multiplier };
        assert_eq!(structure(0).notify_offset(9), Some(0));
        assert_eq!(structure(4).notify_offset(1), Some(4));
        assert_eq!(structure(0x1000).notify_offset(1), Some(0x1000));
        assert_eq!(structure(0x1000).notify_offset(2), None);
        assert_eq!(structure(3).notify_offset(1), None, "not aligned");
        assert_eq!(structure(u32::MAX).notify_offset(u16::MAX), None);
        assert_eq!(structure(0x1ffe).notify_offset(1), Some(0x1ffe));
        assert_eq!(structure(0x2000 - 1).notify_offset(1), None);
    }
}
