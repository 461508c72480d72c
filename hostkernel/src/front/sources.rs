//! Who interrupts core 0 from outside: the network card, and ACPI for the power button. A source
//! whose interrupts are for nothing is switched off and polled, see [`Watch`].

use crate::arch::interrupt::{self, Arrived};
use crate::arch::vector::{ACPI, NIC, WAKE};
use crate::arch::{apic, clock, ioapic, machine_check};
use crate::boot::smp;
use crate::crash;
use crate::device::power;
use crate::platform::watch::Watch;
use limits::{BUTTON_POLL_NS, CARD_POLL_NS};
use node::serve::Service;
use node::state::machine::Source;

/// What core 0 knows of its sources.
#[derive(Default)]
pub struct Sources {
    card: Watch,
    acpi: Watch,
    /// Frames at the last interrupt of the card.
    frames: u64,
    /// When the power button is polled next, if it is.
    button_ns: u64,
    /// Non-maskable interrupts that were spoken of.
    nmis: u64,
    /// Errors that hardware corrected, likewise.
    errors: u64,
}

impl Sources {
    /// Looks after what interrupted. Returns whether the power button was pressed.
    pub fn notice(&mut self, arrived: Arrived, service: &mut Service<'_>) -> bool {
        let (by_card, by_acpi) = (arrived.contains(NIC), arrived.contains(ACPI));
        let is_pressed = (by_acpi || self.is_button_due()) && power::button_pressed();
        let mut is_carded = false;
        if by_card {
            let frames = service.frames_received();
            is_carded = frames != self.frames || service.is_pending();
            self.frames = frames;
        }
        // Who shares a line is served by whoever of them had something to say.
        let is_shared = by_card && by_acpi && interrupt::are_shared();
        if by_card {
            let is_served = is_carded || is_shared && is_pressed;
            count(&mut self.card, Source::Card, NIC, is_served);
        }
        if by_acpi {
            let is_served = is_pressed || is_shared && is_carded;
            count(&mut self.acpi, Source::Acpi, ACPI, is_served);
        }
        let machine = service.node_mut().machine_mut();
        if by_card || by_acpi {
            machine.sources = [self.card.counts(), self.acpi.counts()];
        }
        let nmis = crash::nmis();
        if nmis != self.nmis {
            log::warn!("non-maskable interrupt: {} on all cores", nmis - self.nmis);
            (self.nmis, machine.nmis) = (nmis, nmis);
        }
        let errors = machine_check::corrected();
        if errors != self.errors {
            if let Some(last) = machine_check::last_corrected() {
                let found = errors - self.errors;
                log::warn!("hardware errors corrected or left behind: {found}; the last: {last}");
            }
            (self.errors, machine.errors_corrected) = (errors, errors);
        }
        is_pressed
    }

    fn is_button_due(&mut self) -> bool {
        if !self.acpi.is_polled() {
            return false;
        }
        let now_ns = clock::now_ns();
        let is_due = now_ns >= self.button_ns;
        if is_due {
            self.button_ns = now_ns + BUTTON_POLL_NS;
        }
        is_due
    }

    /// Lets the card interrupt when a frame arrives, unless it is polled. Returns false if one
    /// waits.
    pub fn arm(&self, service: &mut Service<'_>) -> bool {
        let is_quiet = service.arm();
        if self.card.is_polled() {
            service.disarm();
        }
        is_quiet
    }

    /// The earlier of `next_ns` and when a source that is polled wants to be looked at.
    pub fn no_later(&self, next_ns: Option<u64>) -> Option<u64> {
        if !self.card.is_polled() && !self.acpi.is_polled() {
            return next_ns;
        }
        let card = self.card.is_polled().then(|| clock::now_ns() + CARD_POLL_NS);
        let button = self.acpi.is_polled().then_some(self.button_ns);
        [next_ns, card, button].into_iter().flatten().min()
    }
}

/// Looks whether hardware corrected errors, and has every core do so, if it is time. Nobody is
/// woken for that while this core sleeps: a node with nothing to do stays asleep.
pub fn look_for_errors(now_ns: u64) {
    if machine_check::poll(now_ns) {
        (1..smp::running()).for_each(|core| apic::send(smp::apic_id(core), WAKE));
    }
}

fn count(watch: &mut Watch, source: Source, vector: u8, is_served: bool) {
    if is_served {
        watch.serviced();
    } else if watch.unserviced(clock::now_ns()) {
        ioapic::mask(vector);
        let (name, counts) = (source.name(), watch.counts());
        log::error!(
            "interrupts of {name}: {} of {} were for nothing; they are off, and it is polled",
            counts.unserviced,
            counts.interrupts
        );
    }
}
