//! Switching the machine off, resetting it, and the power button (ACPI 6.5, chapters 4 and 7).

use spin::Once;

use crate::arch::interrupt;
use crate::arch::vector::ACPI;
use crate::arch::{clock, port};
use crate::platform::{Platform, Power, Register};
use memory::kernel_map;
use memory::physical::PhysicalAddress;

const POWER_BUTTON: u16 = 1 << 8;
const SCI_ENABLED: u16 = 1 << 0;
const SLEEP_ENABLE: u16 = 1 << 13;
const SLEEP_TYPE_SHIFT: u32 = 10;
const REDUCED_SLEEP_ENABLE: u8 = 1 << 5;
const REDUCED_SLEEP_TYPE_SHIFT: u32 = 2;
/// Event bit of QEMU's generic event device for the power button (QEMU `generic_event_device.h`).
const EVENT_POWER_BUTTON: u32 = 1 << 1;
/// How long the firmware may take to hand over ACPI control.
const HANDOVER_POLLS_MAX: u32 = 1_000_000;
const RESET_PORT: u16 = 0xcf9;
const RESET_FULL: u8 = 0x0e;

static POWER: Once<Power> = Once::new();

impl Register {
    fn offset(self, by: u64) -> Self {
        match self {
            Self::Port(port) => Self::Port(port + by as u16),
            Self::Memory(address) => Self::Memory(address + by),
        }
    }

    fn read_u16(self) -> u16 {
        // SAFETY: ACPI names the register; reading power registers has no effect on memory.
        unsafe {
            match self {
                Self::Port(port) => port::read_u16(port),
                Self::Memory(address) => mapped::<u16>(address).read_volatile(),
            }
        }
    }

    fn write_u16(self, value: u16) {
        // SAFETY: as above.
        unsafe {
            match self {
                Self::Port(port) => port::write_u16(port, value),
                Self::Memory(address) => mapped::<u16>(address).write_volatile(value),
            }
        }
    }

    fn write_u8(self, value: u8) {
        // SAFETY: as above.
        unsafe {
            match self {
                Self::Port(port) => port::write_u8(port, value),
                Self::Memory(address) => mapped::<u8>(address).write_volatile(value),
            }
        }
    }
}

/// A register of this width that lies in memory.
fn mapped<T>(address: u64) -> *mut T {
    kernel_map::device(PhysicalAddress(address), size_of::<T>()).cast()
}

/// Takes ACPI control from the firmware and lets the power button, and nothing else, interrupt the
/// calling core.
pub fn initialise(platform: &Platform) {
    let power = POWER.call_once(|| platform.power);
    if let (Some((port, value)), Some(control)) = (power.handover, power.controls[0]) {
        // SAFETY: ACPI names port and value for exactly this.
        unsafe { port::write_u8(port, value) };
        let handed_over = (0..HANDOVER_POLLS_MAX).any(|_| control.read_u16() & SCI_ENABLED != 0);
        if !handed_over {
            log::warn!("the firmware does not hand over ACPI control: no power button");
        }
    }
    // Events of the board itself are for byte code, which nobody runs. One that is left on, and has
    // happened, would hold the line for good.
    for (block, len) in power.general_events.into_iter().flatten() {
        (len / 2..len).for_each(|at| block.offset(at).write_u8(0));
    }
    for block in power.events.into_iter().flatten() {
        block.write_u16(POWER_BUTTON);
        block.offset(power.event_len / 2).write_u16(POWER_BUTTON);
    }
    if let Some(line) = power.line
        && !platform.route(line, ACPI)
    {
        log::warn!("interrupt line {} has no I/O APIC: no power button", line.number);
    }
}

/// Whether the power button was pressed since the last call.
#[must_use]
pub fn button_pressed() -> bool {
    let Some(power) = POWER.get() else { return false };
    let mut pressed = false;
    for block in power.events.into_iter().flatten() {
        if block.read_u16() & POWER_BUTTON != 0 {
            block.write_u16(POWER_BUTTON);
            pressed = true;
        }
    }
    if let Some(Register::Memory(address)) = power.event_device {
        let pointer = kernel_map::device(PhysicalAddress(address), 4);
        // SAFETY: ACPI names this event register; reading it clears it.
        pressed |= unsafe { pointer.cast::<u32>().read_volatile() } & EVENT_POWER_BUTTON != 0;
    }
    pressed
}

/// Switches the machine off. Halts for good if that is not possible.
pub fn off() -> ! {
    if let Some(power) = POWER.get()
        && let Some((type_a, type_b)) = power.soft_off
    {
        if let Some(control) = power.sleep_control {
            control.write_u8(type_a << REDUCED_SLEEP_TYPE_SHIFT | REDUCED_SLEEP_ENABLE);
        }
        for (control, sleep_type) in power.controls.into_iter().zip([type_a, type_b]) {
            if let Some(control) = control {
                let value = u16::from(sleep_type) << SLEEP_TYPE_SHIFT | SLEEP_ENABLE;
                control.write_u16(value | control.read_u16() & SCI_ENABLED);
            }
        }
        clock::spin_us(100_000);
    }
    log::error!("this machine cannot be switched off by software; it halts");
    interrupt::halt_forever()
}

/// Resets the machine: by ACPI, else by the chipset, else by a triple fault.
pub fn reset() -> ! {
    if let Some((register, value)) = POWER.get().and_then(|power| power.reset) {
        register.write_u8(value);
        clock::spin_us(50_000);
    }
    // SAFETY: the reset control register of every PC chipset since PIIX.
    unsafe { port::write_u8(RESET_PORT, RESET_FULL) };
    clock::spin_us(50_000);
    #[repr(C, packed(2))]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let empty = Pointer { limit: 0, base: 0 };
    // SAFETY: an exception without handlers resets the processor, which is the point.
    unsafe {
        core::arch::asm!("lidt [{}]", "ud2", in(reg) &raw const empty, options(noreturn));
    }
}

/// Ends the machine through QEMU's debug-exit device, for in-kernel tests. Goes on without one.
pub fn debug_exit(code: u32) {
    const DEBUG_EXIT_PORT: u16 = 0xf4;
    // SAFETY: the port belongs to that device or to nothing.
    unsafe { port::write_u32(DEBUG_EXIT_PORT, code) };
}
