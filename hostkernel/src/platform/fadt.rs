//! The fixed description table (ACPI 6.5, 5.2.9): power control, the timer, the clock's century.

use super::table::Table;
use super::{Platform, Register, Signal};

/// Its signature.
pub const SIGNATURE: &[u8; 4] = b"FACP";

// Offsets. From `RESET_REGISTER` on there is nothing in a table of ACPI 1.0.
const DSDT: usize = 40;
const SCI: usize = 46;
const SMI_COMMAND: usize = 48;
const ACPI_ENABLE: usize = 52;
const EVENTS: [(usize, usize); 2] = [(56, 148), (60, 160)];
const CONTROLS: [(usize, usize); 2] = [(64, 172), (68, 184)];
const TIMER: (usize, usize) = (76, 208);
const GENERAL_EVENTS: [(usize, usize, usize); 2] = [(80, 220, 92), (84, 232, 93)];
const EVENT_LEN: usize = 88;
const TIMER_LEN: usize = 91;
const CENTURY: usize = 108;
const FLAGS: usize = 112;
const RESET_REGISTER: usize = 116;
const RESET_VALUE: usize = 128;
const DSDT_64: usize = 140;
const SLEEP_CONTROL: usize = 244;

const FLAG_RESET: u32 = 1 << 10;
const FLAG_REDUCED: u32 = 1 << 20;
/// What [`TIMER_LEN`] says if there is a timer.
const TIMER_LEN_USUAL: u8 = 4;

/// Physical address of the table with the byte code that describes the machine.
#[must_use]
pub fn byte_code(table: Table) -> Option<u64> {
    let wide = table.quad(DSDT_64).filter(|address| *address != 0);
    wide.or_else(|| table.double(DSDT).map(u64::from)).filter(|address| *address != 0)
}

/// Takes over what the table says. The overrides of interrupt lines are known by now.
pub fn read(table: Table, platform: &mut Platform) {
    let flags = table.double(FLAGS).unwrap_or_default();
    if flags & FLAG_RESET != 0 {
        platform.power.reset = table.register(RESET_REGISTER).zip(table.byte(RESET_VALUE));
    }
    platform.power.sleep_control = table.register(SLEEP_CONTROL);
    platform.century = table.byte(CENTURY).filter(|register| *register != 0);
    if flags & FLAG_REDUCED != 0 {
        return;
    }
    let line = table.word(SCI).map(|source| platform.line(source.into(), Signal::SHARED));
    let power = &mut platform.power;
    power.line = line;
    power.events = EVENTS.map(|places| block(table, places));
    power.event_len = table.byte(EVENT_LEN).unwrap_or_default().into();
    power.controls = CONTROLS.map(|places| block(table, places));
    power.general_events = GENERAL_EVENTS.map(|(port, address, len)| {
        let len = table.byte(len).filter(|len| *len >= 2)?;
        Some((block(table, (port, address))?, len.into()))
    });
    let command = table.double(SMI_COMMAND).and_then(|port| u16::try_from(port).ok());
    let value = table.byte(ACPI_ENABLE).filter(|value| *value != 0);
    power.handover = command.filter(|port| *port != 0).zip(value);
    if table.byte(TIMER_LEN) == Some(TIMER_LEN_USUAL)
        && let Some(Register::Port(port)) = block(table, TIMER)
    {
        platform.timer_port = Some(port);
    }
}

/// A block of registers: by its address if the table has one, else by its port.
fn block(table: Table, (port, address): (usize, usize)) -> Option<Register> {
    let by_port = || {
        let port = u16::try_from(table.double(port)?).ok()?;
        (port != 0).then_some(Register::Port(port))
    };
    table.register(address).or_else(by_port)
}
