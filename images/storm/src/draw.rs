//! What to call, and with what: numbers near those that mean something.

use action_abi::{Call, IMAGE_END, IMAGE_START, PAGE_LEN, Range};

use crate::model::Model;

const PAGE: u64 = PAGE_LEN as u64;
/// Addresses at which something begins or ends, for every action.
const LANDMARKS: [u64; 12] = [
    0,
    IMAGE_START,
    IMAGE_END,
    // The end of what can be mapped, of the lower half, and the begin of the upper half.
    action_abi::host::USER_END,
    1 << 47,
    0xFFFF_8000_0000_0000,
    // The kernel: its image, its entry code, the private space of its cores.
    0xFFFF_FF80_0000_0000,
    0xFFFF_FFFF_8000_0000,
    0xFFFF_FFFF_C000_0000,
    0xFFFF_FFFF_C020_0000,
    1 << 63,
    u64::MAX - (PAGE - 1),
];
/// Most pages of an ordinary mapping.
const PAGES_MAX: u64 = 16;
/// Most pages of a large one.
const LARGE_PAGES_MAX: u64 = 4096;
/// One mapping of so many is large.
const LARGE_ONE_IN: u64 = 500;
/// With more areas than this, half of the calls that might make more become `unmap` ...
const AREAS_COMFORTABLE: usize = 44;
/// ... and with more than this, all of them do, of whole areas.
const AREAS_CROWDED: usize = 200;

/// The source of all choices: SplitMix64 (Steele, Lea, Flood 2014).
pub struct Draw(u64);

impl Draw {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is small enough for a remainder to be fair.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A call that comes back, whatever its arguments.
    pub fn call(&mut self, model: &Model) -> (u64, [u64; 3]) {
        if model.areas().len() > AREAS_CROWDED {
            let pages = &model.areas()[self.below(AREAS_CROWDED as u64) as usize].pages;
            return (Call::Unmap as u64, [pages.start, pages.end - pages.start, self.next()]);
        }
        let number = match self.below(32) {
            0 => loop {
                let number = self.next() >> self.below(64);
                if number != Call::Exit as u64 {
                    break number;
                }
            },
            1..=3 => Call::Log as u64,
            4 => Call::Flush as u64,
            5..=6 => Call::Write as u64,
            7..=13 => Call::Map as u64,
            14..=18 => Call::Protect as u64,
            19..=25 if model.areas().len() <= AREAS_COMFORTABLE => self.below(2) + Call::Map as u64,
            _ => Call::Unmap as u64,
        };
        let arguments = match Call::from_number(number) {
            _ if self.below(16) == 0 => self.arguments(model),
            Some(Call::Log) => [self.address(model), self.short_len(), self.below(4)],
            Some(Call::Write) => [self.address(model), self.short_len(), self.next()],
            Some(Call::Flush) => [self.len(), self.next(), self.next()],
            Some(Call::Map) => [self.map_len(), self.protection(), self.next()],
            Some(Call::Unmap) => {
                let Range { address, len } = self.pages(model);
                [address, len, self.next()]
            }
            Some(Call::Protect) => {
                let Range { address, len } = self.pages(model);
                [address, len, self.protection()]
            }
            _ => self.arguments(model),
        };
        (number, arguments)
    }

    /// Three arguments for any call.
    pub fn arguments(&mut self, model: &Model) -> [u64; 3] {
        core::array::from_fn(|_| match self.below(4) {
            0 => self.address(model),
            1 => self.len(),
            2 => self.protection(),
            _ => self.next() >> self.below(64),
        })
    }

    /// An address in or beside something: a window, a mapping, the image, a landmark.
    fn address(&mut self, model: &Model) -> u64 {
        let windows = model.windows();
        let base = match self.below(8) {
            0 => LANDMARKS[self.below(LANDMARKS.len() as u64) as usize],
            1 => self.next() >> self.below(64),
            2 => self.next() % (1 << 41) / PAGE * PAGE,
            3 => self.image_address(),
            4 | 5 => {
                let Range { address, len } = windows[self.below(windows.len() as u64) as usize];
                if self.below(2) == 0 { address } else { address.wrapping_add(len) }
            }
            _ => self.pages(model).address,
        };
        match self.below(4) {
            0 => base,
            1 => base.wrapping_add(self.below(2 * PAGE)),
            2 => base.wrapping_sub(self.below(2 * PAGE)),
            _ => base.wrapping_sub(self.below(16)),
        }
    }

    /// In the image: text, constants, data.
    fn image_address(&mut self) -> u64 {
        match self.below(2) {
            0 => crate::storm as *const () as u64,
            _ => LANDMARKS.as_ptr() as u64,
        }
    }

    /// A range of pages that are mapped, or nearly so.
    fn pages(&mut self, model: &Model) -> Range {
        let areas = model.areas();
        if areas.is_empty() || self.below(32) == 0 {
            return Range { address: self.next() % (1 << 41) / PAGE * PAGE, len: self.len() };
        }
        let area = &areas[self.below(areas.len() as u64) as usize];
        let (address, len) = (area.pages.start, area.pages.end - area.pages.start);
        let at = self.below(len / PAGE) * PAGE;
        match self.below(8) {
            // All of it; it and what is behind it; a part; a part and more.
            0..=2 => Range { address, len },
            3 => Range { address, len: len + self.below(3) * PAGE },
            4 | 5 => Range { address: address + at, len: self.below(len - at) + 1 },
            6 => Range { address: address + at, len: self.len() },
            _ => Range { address: address + self.below(PAGE), len },
        }
    }

    fn map_len(&mut self) -> u64 {
        if self.below(LARGE_ONE_IN) == 0 {
            return self.below(LARGE_PAGES_MAX) * PAGE;
        }
        match self.below(16) {
            0 => self.len(),
            _ => self.below(PAGES_MAX * PAGE) + 1,
        }
    }

    fn short_len(&mut self) -> u64 {
        match self.below(8) {
            0 => self.len(),
            1 => self.below(3 * PAGE),
            _ => self.below(256),
        }
    }

    /// A length at a boundary, or none at all.
    fn len(&mut self) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => self.below(PAGES_MAX) * PAGE,
            2 => self.below(PAGES_MAX) * PAGE + self.below(3),
            3 => u64::MAX - self.below(2 * PAGE),
            4 => (1 << 63) + self.below(PAGE),
            5 => 1 << self.below(64),
            6 => (1 << 20) + self.below(3) - 1,
            _ => self.next() >> self.below(64),
        }
    }

    fn protection(&mut self) -> u64 {
        match self.below(32) {
            0 => self.next(),
            1..=4 => self.below(16),
            _ => [1, 2, 3, 3, 4, 5][self.below(6) as usize],
        }
    }
}
