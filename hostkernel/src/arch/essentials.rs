//! What a processor must have. Everything else is optional, see [`super::cpu::Features`].

use core::fmt;

use super::cpuid;

#[derive(Clone, Copy)]
enum Leaf {
    Basic,
    Extended,
}

/// Where the processor tells, the bit of EDX there, and the name people know. All but the first two
/// are part of every 64-bit processor; virtual machines can be told to lack them.
const ESSENTIALS: [(Leaf, u32, &str); 7] = [
    (Leaf::Extended, 20, "no-execute pages (NX)"),
    (Leaf::Basic, 9, "local APIC"),
    (Leaf::Basic, 4, "time stamp counter (TSC)"),
    (Leaf::Basic, 5, "model-specific registers (MSR)"),
    (Leaf::Basic, 24, "FXSAVE"),
    (Leaf::Basic, 26, "SSE2"),
    (Leaf::Extended, 11, "SYSCALL"),
];

/// What the calling core's processor lacks, as the end of a sentence.
pub struct Missing {
    basic: u32,
    extended: u32,
}

impl Missing {
    /// Asks the processor.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let missing = Self {
            basic: cpuid::features(1, 0).edx,
            extended: cpuid::features(0x8000_0001, 0).edx,
        };
        let lacks_any = missing.names().next().is_some();
        lacks_any.then_some(missing)
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        ESSENTIALS.into_iter().filter_map(|(leaf, bit, name)| {
            let register = match leaf {
                Leaf::Basic => self.basic,
                Leaf::Extended => self.extended,
            };
            (register & 1 << bit == 0).then_some(name)
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the processor ({Brand}) lacks: ")?;
        for (index, name) in self.names().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("; it may be switched off in the firmware's setup")
    }
}

/// The processor's name.
struct Brand;

impl fmt::Display for Brand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LEAVES: core::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
        if cpuid::leaf(*LEAVES.end()).is_none() {
            return write!(f, "signature {:#x}", cpuid::features(1, 0).eax);
        }
        let mut name = [0; 48];
        let words = LEAVES
            .filter_map(cpuid::leaf)
            .flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]);
        for (bytes, word) in name.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        f.write_str(core::str::from_utf8(name).unwrap_or("of unknown name").trim())
    }
}
