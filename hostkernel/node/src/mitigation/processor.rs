//! A processor as its own words describe it: CPUID, the capabilities register, the microcode.
//!
//! Bits are those of the Intel SDM vol. 2A (CPUID) and vol. 4 (`IA32_ARCH_CAPABILITIES`), of
//! Intel's "CPUID Enumeration and Architectural MSRs", and of the AMD APM vol. 3, appendix E, with
//! AMD's papers on return stacks (SRSO) and on the scheduler (TSA) for leaf 8000_0021.

/// What a processor says of itself. Words it does not have are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Leaf 0: the vendor's name, as EBX, EDX, ECX.
    pub vendor: [u32; 3],
    /// Leaf 1, EAX: family, model and stepping.
    pub signature: u32,
    /// Leaf 1, ECX; of it bit 31, which only a virtual machine sets.
    pub basic_ecx: u32,
    /// Leaf 7, EBX.
    pub structured_ebx: u32,
    /// Leaf 7, EDX.
    pub structured_edx: u32,
    /// Leaf 7, part 2, EDX.
    pub structured_2_edx: u32,
    /// Leaf 8000_0008, EBX.
    pub amd_8_ebx: u32,
    /// Leaf 8000_0021, EAX.
    pub amd_21_eax: u32,
    /// Leaf 8000_0021, ECX.
    pub amd_21_ecx: u32,
    /// `IA32_ARCH_CAPABILITIES`.
    pub capabilities: u64,
    /// Revision of the microcode, if it was read.
    pub microcode: u32,
}

/// Who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Intel.
    Intel,
    /// AMD, and Hygon, whose first family is AMD's first Zen.
    Amd,
    /// Somebody else, of whom no table is kept.
    Other,
}

/// The bits of [`Words`] that decide something, each by its vendor's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the vendors' names")]
pub enum Bit {
    // Leaf 7, EBX.
    Rtm,
    // Leaf 7, EDX.
    SrbdsCtrl,
    MdClear,
    IbrsIbpb,
    Stibp,
    L1dFlush,
    Ssbd,
    // Leaf 7, part 2, EDX.
    RrsbaCtrl,
    BhiCtrl,
    // `IA32_ARCH_CAPABILITIES`.
    RdclNo,
    IbrsAll,
    SsbNo,
    MdsNo,
    TsxCtrl,
    TaaNo,
    SbdrSsdpNo,
    FbsdpNo,
    PsdpNo,
    FbClear,
    BhiNo,
    GdsCtrl,
    GdsNo,
    RfdsNo,
    RfdsClear,
    ItsNo,
    // Leaf 8000_0008, EBX.
    AmdIbpb,
    AmdStibp,
    AmdSsbd,
    AmdSsbNo,
    BtcNo,
    // Leaf 8000_0021, EAX.
    LfenceSerialises,
    VerwClear,
    AutomaticIbrs,
    IbpbBrtype,
    SrsoNo,
    SrsoUserKernelNo,
    // Leaf 8000_0021, ECX.
    TsaSqNo,
    TsaL1No,
}

impl Words {
    /// Whether a bit is set.
    #[must_use]
    pub const fn has(&self, bit: Bit) -> bool {
        let (word, number) = match bit {
            Bit::Rtm => (self.structured_ebx as u64, 11),
            Bit::SrbdsCtrl => (self.structured_edx as u64, 9),
            Bit::MdClear => (self.structured_edx as u64, 10),
            Bit::IbrsIbpb => (self.structured_edx as u64, 26),
            Bit::Stibp => (self.structured_edx as u64, 27),
            Bit::L1dFlush => (self.structured_edx as u64, 28),
            Bit::Ssbd => (self.structured_edx as u64, 31),
            Bit::RrsbaCtrl => (self.structured_2_edx as u64, 2),
            Bit::BhiCtrl => (self.structured_2_edx as u64, 4),
            Bit::RdclNo => (self.capabilities, 0),
            Bit::IbrsAll => (self.capabilities, 1),
            Bit::SsbNo => (self.capabilities, 4),
            Bit::MdsNo => (self.capabilities, 5),
            Bit::TsxCtrl => (self.capabilities, 7),
            Bit::TaaNo => (self.capabilities, 8),
            Bit::SbdrSsdpNo => (self.capabilities, 13),
            Bit::FbsdpNo => (self.capabilities, 14),
            Bit::PsdpNo => (self.capabilities, 15),
            Bit::FbClear => (self.capabilities, 17),
            Bit::BhiNo => (self.capabilities, 20),
            Bit::GdsCtrl => (self.capabilities, 25),
            Bit::GdsNo => (self.capabilities, 26),
            Bit::RfdsNo => (self.capabilities, 27),
            Bit::RfdsClear => (self.capabilities, 28),
            Bit::ItsNo => (self.capabilities, 62),
            Bit::AmdIbpb => (self.amd_8_ebx as u64, 12),
            Bit::AmdStibp => (self.amd_8_ebx as u64, 15),
            Bit::AmdSsbd => (self.amd_8_ebx as u64, 24),
            Bit::AmdSsbNo => (self.amd_8_ebx as u64, 26),
            Bit::BtcNo => (self.amd_8_ebx as u64, 29),
            Bit::LfenceSerialises => (self.amd_21_eax as u64, 2),
            Bit::VerwClear => (self.amd_21_eax as u64, 5),
            Bit::AutomaticIbrs => (self.amd_21_eax as u64, 8),
            Bit::IbpbBrtype => (self.amd_21_eax as u64, 28),
            Bit::SrsoNo => (self.amd_21_eax as u64, 29),
            Bit::SrsoUserKernelNo => (self.amd_21_eax as u64, 30),
            Bit::TsaSqNo => (self.amd_21_ecx as u64, 1),
            Bit::TsaL1No => (self.amd_21_ecx as u64, 2),
        };
        word >> number & 1 != 0
    }

    /// Whether this is a virtual machine that says so. What the processor below it needs is then
    /// its host's business, and registers that CPUID does not name may not be there.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        self.basic_ecx >> 31 != 0
    }

    /// Who made it.
    #[must_use]
    pub fn vendor(&self) -> Vendor {
        let mut name = [0; 12];
        for (part, word) in name.chunks_exact_mut(4).zip(self.vendor) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        match &name {
            b"GenuineIntel" => Vendor::Intel,
            b"AuthenticAMD" | b"HygonGenuine" => Vendor::Amd,
            _ => Vendor::Other,
        }
    }

    /// The family, extended part included.
    #[must_use]
    pub const fn family(&self) -> u32 {
        let family = self.signature >> 8 & 0xf;
        if family == 0xf { family + (self.signature >> 20 & 0xff) } else { family }
    }

    /// The model, extended part included.
    #[must_use]
    pub const fn model(&self) -> u32 {
        let model = self.signature >> 4 & 0xf;
        let is_extended = matches!(self.signature >> 8 & 0xf, 6 | 0xf);
        if is_extended { model | self.signature >> 12 & 0xf0 } else { model }
    }

    /// The stepping.
    #[must_use]
    pub const fn stepping(&self) -> u32 {
        self.signature & 0xf
    }

    /// Whether branch predictions can be made to forget.
    #[must_use]
    pub const fn has_ibpb(&self) -> bool {
        self.has(Bit::IbrsIbpb) || self.has(Bit::AmdIbpb)
    }

    /// Whether a thread can be kept from its neighbour's predictions.
    #[must_use]
    pub const fn has_stibp(&self) -> bool {
        self.has(Bit::Stibp) || self.has(Bit::AmdStibp)
    }

    /// Whether loads can be made to wait for older stores.
    #[must_use]
    pub const fn has_ssbd(&self) -> bool {
        self.has(Bit::Ssbd) || self.has(Bit::AmdSsbd)
    }
}
