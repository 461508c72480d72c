//! The state of a card's cable, as its status register has it (SDM 13.4.2, 82574 10.2.2.2).
#![forbid(unsafe_code)]

use core::fmt;

const FULL_DUPLEX: u32 = 1 << 0;
const UP: u32 = 1 << 1;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The card does not answer: nothing on the bus has all bits set in this register.
    Gone,
    /// No cable, nobody at its other end, or not agreed on a speed yet.
    Down,
    /// Frames get through.
    Up {
        /// Million bits a second.
        megabits: u16,
        /// Both directions at the same time.
        full_duplex: bool,
    },
}

impl Link {
    /// What the status register says.
    #[must_use]
    pub fn of(status: u32) -> Self {
        let megabits = match status >> 6 & 3 {
            0 => 10,
            1 => 100,
            _ => 1000,
        };
        match status {
            u32::MAX => Self::Gone,
            _ if status & UP == 0 => Self::Down,
            _ => Self::Up { megabits, full_duplex: status & FULL_DUPLEX != 0 },
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("gone, the card does not answer"),
            Self::Down => f.write_str("down"),
            Self::Up { megabits, full_duplex } => {
                let duplex = if *full_duplex { "full" } else { "half" };
                write!(f, "up, {megabits} Mb/s, {duplex} duplex")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_state_is_told_apart() {
        for (status, text) in [
            (0x8008_0783, "up, 1000 Mb/s, full duplex"),
            (0x0000_00c3, "up, 1000 Mb/s, full duplex"),
            (0x0000_0042, "up, 100 Mb/s, half duplex"),
            (0x0000_0003, "up, 10 Mb/s, full duplex"),
            (0x8008_0781, "down"),
            (0x0000_0000, "down"),
            (0xffff_ffff, "gone, the card does not answer"),
        ] {
            assert_eq!(Link::of(status).to_string(), text, "{status:#010x}");
        }
    }
}
