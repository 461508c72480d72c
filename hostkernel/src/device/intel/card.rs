//! A card: reset, start, interrupts.
//!
//! No wait is for the cable, and each has an end. A card that is not there reads as all ones: it
//! does not come out of its reset, or, later, its cable is reported gone and nothing arrives any
//! more.
//!
//! Interrupts are one message, or the function's line where the card is older than messages. MSI-X,
//! which the 82574 has too, would give a second vector, for which there is no use. They are not
//! delayed: after the first one they are off until all is served, which is moderation enough.

use core::ptr::NonNull;

use super::link::Link;
use super::ring::{DescriptorRing, FRAME_LEN_MAX, RING_LEN, ReceiveRing, SendRing};
use super::{Error, Family};
use crate::arch::clock;
use crate::arch::vector::NIC;
use crate::device::pci::{self, Function};
use crate::device::window::Window;
use crate::platform::Platform;
use limits::{NIC_QUEUE_LEN, PAGE_LEN};
use memory::kernel_map;
use node::net::nic::{Nic, Receiver, Sender};

const REGISTERS_LEN: usize = 0x6000;
// Registers (SDM 13.4, 82574 10.2).
const CONTROL: usize = 0x0000;
const STATUS: usize = 0x0008;
const EEPROM_READ: usize = 0x0014;
const CONTROL_EXTENDED: usize = 0x0018;
const CAUSE: usize = 0x00c0;
const MASK_SET: usize = 0x00d0;
const MASK_CLEAR: usize = 0x00d8;
const RECEIVE_CONTROL: usize = 0x0100;
const SEND_CONTROL: usize = 0x0400;
const SEND_GAP: usize = 0x0410;
const RECEIVE_RING: usize = 0x2800;
const SEND_RING: usize = 0x3800;
const RECEIVE_CHECKSUM: usize = 0x5000;
const MULTICAST_TABLE: usize = 0x5200;
const ADDRESS: usize = 0x5400;
const CHIPSET_PARAMETERS_11: usize = 0x5bbc;
// Registers of a ring.
const RING_ADDRESS: usize = 0x00;
const RING_ADDRESS_HIGH: usize = 0x04;
const RING_BYTES: usize = 0x08;
const RING_HEAD: usize = 0x10;
const RING_TAIL: usize = 0x18;
const RING_CONTROL: usize = 0x28;

const CONTROL_LINK_RESET: u32 = 1 << 3;
const CONTROL_DETECT_SPEED: u32 = 1 << 5;
const CONTROL_LINK_UP: u32 = 1 << 6;
const CONTROL_INVERT_SIGNAL: u32 = 1 << 7;
const CONTROL_FORCED: u32 = 1 << 11 | 1 << 12;
const CONTROL_RESET: u32 = 1 << 26;
const CONTROL_VLAN: u32 = 1 << 30;
const CONTROL_PHY_RESET: u32 = 1 << 31;
const EEPROM_START: u32 = 1 << 0;
const EEPROM_DONE: u32 = 1 << 4;
/// How often the EEPROM is asked for a word, which takes it some ten microseconds.
const EEPROM_READS_MAX: usize = 10_000;
const DRIVER_LOADED: u32 = 1 << 28;
/// Bit 22 of a send ring's control "must be set" (82574 10.2.6.9).
const COUNT_DESCRIPTORS: u32 = 1 << 22;
const NO_CONCURRENT_READS: u32 = 1 << 13;
const LINK_CHANGED: u32 = 1 << 2;
/// Causes of interrupts: the cable, few free buffers, none, a frame.
const CAUSES: u32 = LINK_CHANGED | 1 << 4 | 1 << 6 | 1 << 7;
/// Receiver on, broadcasts too, without frame check sequence, buffers of 2,048 bytes. Longer frames
/// than Ethernet's are dropped.
const RECEIVE: u32 = 1 << 1 | 1 << 15 | 1 << 26;
/// Sender on, short frames are padded, collision threshold and distance (SDM 13.4.33).
const SEND: u32 = 1 << 1 | 1 << 3 | 0x0f << 4 | 0x40 << 12;
const SEND_COLLISIONS: u32 = 0xff << 4 | 0x3ff << 12;
/// Gaps between frames on copper (SDM 13.4.34); newer cards come with the right ones.
const GAPS: u32 = 10 | 8 << 10 | 6 << 20;
/// IPv4 and TCP checksums of received frames are looked at.
const CHECKSUMS: u32 = 1 << 8 | 1 << 9;
const ADDRESS_VALID: u32 = 1 << 31;

/// Until what is under way on the bus is over, before a reset.
const QUIET_US: u64 = 10_000;
/// How long the slowest card takes to reset itself and read its settings from its memory.
const RESET_US: u64 = 20_000;

/// An open card.
pub struct Card {
    registers: Window,
    address: [u8; 6],
    receive: ReceiveRing,
    send: SendRing,
    link: Option<Link>,
    is_armed: bool,
}

impl Card {
    pub fn open(
        function: &Function<'_>,
        family: Family,
        platform: &Platform,
    ) -> Result<Self, Error> {
        function.enable();
        let start = function.bar_address(0).ok_or(Error::NoRegisters)?;
        let registers = Window::map(start, 0, REGISTERS_LEN).ok_or(Error::NoRegisters)?;
        let before = hardware_address(&registers);
        reset(&registers, family)?;
        // What firmware may have set by hand is second choice.
        let address = hardware_address(&registers).or(before);
        let address = match family {
            Family::Conventional => address.or_else(|| stored_address(&registers)),
            _ => address,
        };
        let address = address.ok_or(Error::NoAddress)?;
        // The 82545EM claims to have messages, and they get lost.
        let messages = family != Family::Conventional && pci::enable_msi(function, NIC);
        if !messages && !pci::route_line(function, NIC, platform) {
            return Err(Error::NoInterrupt);
        }
        if family == Family::Express {
            // It hangs when its link sleeps (82574 Specification Update).
            pci::disable_link_sleep(function);
        }
        let receive = ReceiveRing::new(memory()?);
        let send = SendRing::new(memory()?);
        let mut card = Self { registers, address, receive, send, link: None, is_armed: false };
        card.start(family);
        Ok(card)
    }

    fn start(&mut self, family: Family) {
        let Self { registers, address: [a, b, c, d, e, f], .. } = self;
        registers.write(ADDRESS, u32::from_le_bytes([*a, *b, *c, *d]));
        registers.write(ADDRESS + 4, u32::from_le_bytes([*e, *f, 0, 0]) | ADDRESS_VALID);
        let multicast_words = if family.is_chipset() { 32 } else { 128 };
        (0..multicast_words).for_each(|word| registers.write(MULTICAST_TABLE + 4 * word, 0_u32));
        for (ring, at) in [(&self.receive.ring, RECEIVE_RING), (&self.send.ring, SEND_RING)] {
            registers.write(at + RING_ADDRESS, ring.address() as u32);
            registers.write(at + RING_ADDRESS_HIGH, (ring.address() >> 32) as u32);
            registers.write(at + RING_BYTES, (NIC_QUEUE_LEN * 16) as u32);
            registers.write(at + RING_HEAD, 0_u32);
            registers.write(at + RING_TAIL, 0_u32);
        }
        if family == Family::Conventional {
            registers.write(SEND_GAP, GAPS);
        } else {
            set(registers, SEND_RING + RING_CONTROL, COUNT_DESCRIPTORS, 0);
            set(registers, CONTROL_EXTENDED, DRIVER_LOADED, 0);
        }
        registers.write(RECEIVE_CHECKSUM, CHECKSUMS);
        registers.write(RECEIVE_CONTROL, RECEIVE);
        set(registers, SEND_CONTROL, SEND, SEND_COLLISIONS);
        self.look_at_link();
        self.flush();
    }

    /// Notes the state of the cable, and logs it if it is another one.
    fn look_at_link(&mut self) {
        let link = Link::of(self.registers.read(STATUS));
        self.send.is_connected = matches!(link, Link::Up { .. });
        if self.link.replace(link) != Some(link) {
            log::info!("network link {link}");
        }
    }
}

/// Stops the card and resets all of it but the PHY, which firmware has set up: a reset of that
/// loses settings of the chipset's (I217 and later), and nobody needs one.
fn reset(registers: &Window, family: Family) -> Result<(), Error> {
    registers.write(MASK_CLEAR, u32::MAX);
    registers.write(RECEIVE_CONTROL, 0_u32);
    registers.write(SEND_CONTROL, 0_u32);
    if family == Family::SunrisePoint {
        // With reads under way the I219 would hang in its reset.
        set(registers, CHIPSET_PARAMETERS_11, NO_CONCURRENT_READS, 0);
    }
    clock::spin_us(QUIET_US);
    set(registers, CONTROL, CONTROL_RESET, 0);
    clock::spin_us(RESET_US);
    // Also set if nothing answers.
    if registers.read::<u32>(CONTROL) & CONTROL_RESET != 0 {
        return Err(Error::NoReset);
    }
    registers.write(MASK_CLEAR, u32::MAX);
    let unwanted = CONTROL_LINK_RESET
        | CONTROL_INVERT_SIGNAL
        | CONTROL_FORCED
        | CONTROL_VLAN
        | CONTROL_PHY_RESET;
    set(registers, CONTROL, CONTROL_LINK_UP | CONTROL_DETECT_SPEED, unwanted);
    Ok(())
}

/// Sets bits of a register, after clearing others.
fn set(registers: &Window, at: usize, bits: u32, cleared: u32) {
    let value: u32 = registers.read(at);
    registers.write(at, value & !cleared | bits);
}

/// The hardware address in the first address register, if it is one of a single card.
fn hardware_address(registers: &Window) -> Option<[u8; 6]> {
    let (low, high) = (registers.read::<u32>(ADDRESS), registers.read::<u32>(ADDRESS + 4));
    let [a, b, c, d] = low.to_le_bytes();
    let [e, f, ..] = high.to_le_bytes();
    of_one_card([a, b, c, d, e, f])
}

/// The hardware address in the card's EEPROM (SDM 5.6.1, 13.4.4). A card takes it from there when
/// it is reset; that of Bochs leaves it to its driver.
fn stored_address(registers: &Window) -> Option<[u8; 6]> {
    let word = |at: u32| {
        registers.write(EEPROM_READ, at << 8 | EEPROM_START);
        let mut answers = (0..EEPROM_READS_MAX).map(|_| registers.read::<u32>(EEPROM_READ));
        let answer = answers.find(|answer| answer & EEPROM_DONE != 0)?;
        Some(((answer >> 16) as u16).to_le_bytes())
    };
    let [[a, b], [c, d], [e, f]] = [word(0)?, word(1)?, word(2)?];
    of_one_card([a, b, c, d, e, f])
}

fn of_one_card(address: [u8; 6]) -> Option<[u8; 6]> {
    (address != [0; 6] && address[0] & 1 == 0).then_some(address)
}

fn memory() -> Result<DescriptorRing, Error> {
    let start = kernel_map::permanent(RING_LEN / PAGE_LEN).map_err(|_| Error::NoMemory)?;
    let address = kernel_map::physical_of(start);
    let start = NonNull::new(start).expect("the direct map is not at address 0");
    // SAFETY: the run of frames is taken for good.
    Ok(unsafe { DescriptorRing::new(start, address) })
}

impl Nic for Card {
    fn address(&self) -> [u8; 6] {
        self.address
    }

    fn frame_len_max(&self) -> usize {
        FRAME_LEN_MAX
    }

    fn completes_checksums(&self) -> bool {
        true
    }

    fn split(&mut self) -> (&mut dyn Receiver, &mut dyn Sender) {
        (&mut self.receive, &mut self.send)
    }

    fn flush(&mut self) {
        for (ring, at) in [(&mut self.receive.ring, RECEIVE_RING), (&mut self.send.ring, SEND_RING)]
        {
            if let Some(tail) = ring.take_tail() {
                self.registers.write(at + RING_TAIL, tail);
            }
        }
    }

    fn arm(&mut self) -> bool {
        if self.receive.has_frame() {
            return false;
        }
        // With everything masked, reading takes the causes back (82574 10.2.4.1): frames that were
        // served need no interrupt. The card writes a descriptor before its cause, and reading
        // waits for both, so what is taken back here is seen below.
        let causes: u32 = self.registers.read(CAUSE);
        if causes & LINK_CHANGED != 0 {
            self.look_at_link();
        }
        if self.receive.has_frame() {
            return false;
        }
        self.registers.write(MASK_SET, CAUSES);
        self.is_armed = true;
        true
    }

    fn disarm(&mut self) {
        // A line goes down with the mask; causes wait for the next `arm`.
        if core::mem::take(&mut self.is_armed) {
            self.registers.write(MASK_CLEAR, u32::MAX);
        }
    }
}
