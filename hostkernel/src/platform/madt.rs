//! The table of interrupt controllers (ACPI 6.5, 5.2.12): processors, I/O APICs, odd lines.

use super::Platform;
use super::table::Table;
use limits::{CORES_MAX, IOAPICS_MAX, LINE_OVERRIDES_MAX};

/// Its signature.
pub const SIGNATURE: &[u8; 4] = b"APIC";

const ENTRIES: usize = 44;
const LOCAL_APIC: u8 = 0;
const IO_APIC: u8 = 1;
const OVERRIDE: u8 = 2;
const LOCAL_X2APIC: u8 = 9;
const ENABLED: u32 = 1 << 0;
/// Ids that mean all processors, so no single one.
const EVERY_APIC: u8 = 0xff;
const EVERY_X2APIC: u32 = u32::MAX;

/// A line that is not what its number on the old PC's bus says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its number there.
    pub irq: u8,
    /// Global system interrupt number.
    pub line: u32,
    /// Active low or high; `None` if as usual for its bus.
    pub low: Option<bool>,
    /// Level- or edge-triggered, likewise.
    pub level: Option<bool>,
}

/// Takes over what the table says.
pub fn read(table: Table, platform: &mut Platform) {
    table.entries(ENTRIES).for_each(|entry| {
        // What an entry is too short for, it does not say.
        let _said = entry_of(entry, platform);
    });
}

fn entry_of(entry: Table, platform: &mut Platform) -> Option<()> {
    match entry.byte(0)? {
        LOCAL_APIC => {
            let (id, flags) = (entry.byte(3)?, entry.double(4)?);
            push_processor(platform, id.into(), flags & ENABLED != 0 && id != EVERY_APIC);
        }
        LOCAL_X2APIC => {
            let (id, flags) = (entry.double(4)?, entry.double(8)?);
            push_processor(platform, id, flags & ENABLED != 0 && id != EVERY_X2APIC);
        }
        IO_APIC if platform.ioapics.len() < IOAPICS_MAX => {
            platform.ioapics.push((entry.double(4)?, entry.double(8)?));
        }
        OVERRIDE if platform.overrides.len() < LINE_OVERRIDES_MAX => {
            let flags = entry.word(8)?;
            platform.overrides.push(Override {
                irq: entry.byte(3)?,
                line: entry.double(4)?,
                low: signal(flags),
                level: signal(flags >> 2),
            });
        }
        _ => {}
    }
    Some(())
}

/// A processor may be listed by both kinds of entries.
fn push_processor(platform: &mut Platform, id: u32, is_usable: bool) {
    let known = &mut platform.processors;
    if is_usable && known.len() < CORES_MAX && !known.contains(&id) {
        known.push(id);
    }
}

/// MPS INTI flags (ACPI 6.5, table 5.26): 1 is high or edge, 3 is low or level, 0 as the bus has it
/// as a rule; 2 means nothing.
fn signal(flags: u16) -> Option<bool> {
    match flags & 3 {
        1 => Some(false),
        3 => Some(true),
        _ => None,
    }
}
