//! Which processors have which leak where no bit says so: the vendors' lists, as data.
//!
//! Intel: "Affected Processors: Guidance for Security Issues on Intel Processors", the consolidated
//! list by family, model and stepping. AMD: the bulletins SB-1037 (branch type confusion), SB-7005
//! (return stacks), SB-7007 (division), SB-7008 (Zenbleed) and SB-7029 (scheduler). A later model
//! than those here says by bits of its own what it is free of.

use super::processor::{Vendor, Words};

/// A set of leaks.
pub(super) type Leaks = u16;
pub(super) const MMIO: Leaks = 1 << 0;
pub(super) const SRBDS: Leaks = 1 << 1;
pub(super) const GDS: Leaks = 1 << 2;
pub(super) const RFDS: Leaks = 1 << 3;
pub(super) const ITS: Leaks = 1 << 4;
/// Returns are predicted as indirect branches are.
pub(super) const RETBLEED: Leaks = 1 << 5;
pub(super) const SRSO: Leaks = 1 << 6;
pub(super) const TSA: Leaks = 1 << 7;
pub(super) const ZENBLEED: Leaks = 1 << 8;
/// A division by zero shows the quotient of an older division.
pub(super) const DIVISION: Leaks = 1 << 9;
/// Free of MDS and L1TF, without a bit that says so.
pub(super) const NO_MDS: Leaks = 1 << 10;
/// Free of everything: executes in order.
pub(super) const IN_ORDER: Leaks = 1 << 11;

/// First and last model, first and last stepping, and the leaks they have.
type Row = (u32, u32, u32, u32, Leaks);

const fn model(model: u32, leaks: Leaks) -> Row {
    (model, model, 0, 0xf, leaks)
}

const fn models(first: u32, last: u32, leaks: Leaks) -> Row {
    (first, last, 0, 0xf, leaks)
}

const fn steppings(model: u32, first: u32, last: u32, leaks: Leaks) -> Row {
    (model, model, first, last, leaks)
}

const SKYLAKE: Leaks = MMIO | SRBDS | GDS | RETBLEED;

/// Intel, family 6.
static INTEL: &[Row] = &[
    models(0x1c, 0x1c, IN_ORDER), // Bonnell
    models(0x26, 0x27, IN_ORDER),
    models(0x35, 0x36, IN_ORDER), // Saltwell
    model(0x3a, SRBDS),           // Ivy Bridge
    model(0x3c, SRBDS),           // Haswell
    models(0x45, 0x46, SRBDS),
    model(0x3f, MMIO),  // Haswell-EP
    model(0x3d, SRBDS), // Broadwell
    model(0x47, SRBDS),
    model(0x4f, MMIO), // Broadwell-EP
    model(0x56, MMIO),
    model(0x4e, SKYLAKE),
    model(0x5e, SKYLAKE),
    steppings(0x55, 0, 5, MMIO | GDS | RETBLEED), // Skylake-SP
    steppings(0x55, 6, 0xf, MMIO | GDS | RETBLEED | ITS), // Cascade Lake, Cooper Lake
    steppings(0x8e, 0, 0xb, SKYLAKE),             // Kaby Lake and its successors
    steppings(0x8e, 0xc, 0xf, SKYLAKE | ITS),
    steppings(0x9e, 0, 0xc, SKYLAKE),
    steppings(0x9e, 0xd, 0xf, SKYLAKE | ITS),
    model(0x66, RETBLEED),                    // Cannon Lake
    model(0x6a, MMIO | GDS | ITS),            // Ice Lake-SP
    model(0x6c, MMIO | GDS | ITS),            // Ice Lake-D
    model(0x7e, MMIO | GDS | RETBLEED | ITS), // Ice Lake
    model(0xa5, MMIO | GDS | RETBLEED | ITS), // Comet Lake
    steppings(0xa6, 0, 0, MMIO | RETBLEED | ITS),
    steppings(0xa6, 1, 0xf, MMIO | GDS | RETBLEED | ITS),
    models(0x8c, 0x8d, GDS | ITS),            // Tiger Lake
    model(0x8a, MMIO | RETBLEED),             // Lakefield
    model(0xa7, MMIO | GDS | RETBLEED | ITS), // Rocket Lake
    // Of hybrid ones the efficient cores have it, and every core works for every tenant.
    model(0x97, RFDS), // Alder Lake
    model(0x9a, RFDS),
    model(0xb7, RFDS), // Raptor Lake
    model(0xba, RFDS),
    model(0xbf, RFDS),
    model(0xbe, RFDS),          // Gracemont alone
    model(0x5c, RFDS | NO_MDS), // Goldmont
    model(0x5f, RFDS | NO_MDS),
    model(0x7a, RFDS | NO_MDS),
    model(0x86, MMIO | RFDS), // Tremont
    model(0x96, MMIO | RFDS),
    model(0x9c, MMIO | RFDS),
    model(0x75, NO_MDS), // Airmont of network processors
];

/// AMD, family 17h.
static ZEN: &[Row] = &[
    models(0x00, 0x2f, RETBLEED | SRSO | DIVISION), // Zen, Zen+
    models(0x50, 0x5f, RETBLEED | SRSO | DIVISION),
    models(0x30, 0x4f, RETBLEED | SRSO | ZENBLEED), // Zen 2
    models(0x60, 0xff, RETBLEED | SRSO | ZENBLEED),
];

/// Microcode from which on `verw` clears what TSA reads, by the revision without its last byte,
/// which names the processor. From AMD's "Technical Guidance for Mitigating Transient Scheduler
/// Attacks"; bare processors have no bit for it.
static TSA_MICROCODE: [u32; 16] = [
    0x0a00_11d7,
    0x0a00_123b,
    0x0a00_820d,
    0x0a10_114c,
    0x0a10_124c,
    0x0a10_8109,
    0x0a20_102e,
    0x0a20_1211,
    0x0a40_4108,
    0x0a50_0012,
    0x0a60_120a,
    0x0a70_4108,
    0x0a70_5208,
    0x0a70_8008,
    0x0a70_c008,
    0x0aa0_0216,
];

/// What the lists say of a processor.
pub(super) fn leaks(words: &Words) -> Leaks {
    let (model, stepping) = (words.model(), words.stepping());
    let listed = |rows: &[Row]| {
        let row = rows
            .iter()
            .find(|row| (row.0..=row.1).contains(&model) && (row.2..=row.3).contains(&stepping));
        row.map_or(0, |row| row.4)
    };
    match (words.vendor(), words.family()) {
        (Vendor::Intel, 6) => listed(INTEL),
        (Vendor::Amd, 0x15 | 0x16) => RETBLEED,
        (Vendor::Amd, 0x17) => listed(ZEN),
        // Hygon's.
        (Vendor::Amd, 0x18) => RETBLEED | SRSO | DIVISION,
        (Vendor::Amd, 0x19) => SRSO | TSA,
        (Vendor::Amd, 0x1a) => SRSO,
        _ => 0,
    }
}

/// Whether the microcode is one with which `verw` clears what TSA reads.
pub(super) fn has_tsa_microcode(words: &Words) -> bool {
    let is_of_this_processor = |first: &u32| *first >> 8 == words.microcode >> 8;
    TSA_MICROCODE
        .iter()
        .find(|first| is_of_this_processor(first))
        .is_some_and(|first| words.microcode >= *first)
}
