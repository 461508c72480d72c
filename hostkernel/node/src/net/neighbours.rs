//! Who speaks for which address: a guard in front of smoltcp's table of neighbours.
//!
//! smoltcp believes every ARP message to it. One forged frame would send the answers to a client
//! astray until the client's system asks again, which takes half a minute. Here an address belongs
//! to the hardware address its packets come from as long as they come, and ARP that says otherwise
//! is dropped. A host that really moves is believed after [`NEIGHBOUR_HELD_MS`].
//!
//! Nobody can vouch for an address that has been silent for longer: ARP has no secrets.

use alloc::boxed::Box;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Address, Ipv4Packet,
};

use limits::{NEIGHBOUR_HELD_MS, NEIGHBOURS_GUARDED};

/// Neighbours by the low bits of their addresses: those of a small network never meet.
pub struct Neighbours {
    slots: Box<[Option<Neighbour>]>,
}

struct Neighbour {
    address: Ipv4Address,
    mac: EthernetAddress,
    /// When a packet came from both addresses.
    heard: Option<Instant>,
}

impl Neighbour {
    fn is_held(&self, now: Instant) -> bool {
        let held = Duration::from_millis(NEIGHBOUR_HELD_MS);
        self.heard.is_some_and(|heard| now < heard + held)
    }
}

impl Neighbours {
    pub fn new() -> Self {
        Self { slots: (0..NEIGHBOURS_GUARDED).map(|_| None).collect() }
    }

    /// Whether smoltcp may see this frame. What it says about its sender is remembered.
    pub fn admits(&mut self, frame: &EthernetFrame<&[u8]>, now: Instant) -> bool {
        match frame.ethertype() {
            EthernetProtocol::Ipv4 => {
                if let Ok(packet) = Ipv4Packet::new_checked(frame.payload()) {
                    self.heard(packet.src_addr(), frame.src_addr(), now);
                }
                true
            }
            EthernetProtocol::Arp => {
                let message = ArpPacket::new_checked(frame.payload());
                let Ok(ArpRepr::EthernetIpv4 {
                    source_hardware_addr: mac,
                    source_protocol_addr: address,
                    ..
                }) = message.and_then(|message| ArpRepr::parse(&message))
                else {
                    return true;
                };
                self.claims(address, mac, now)
            }
            _ => true,
        }
    }

    fn heard(&mut self, address: Ipv4Address, mac: EthernetAddress, now: Instant) {
        if let Some(neighbour) = self.slot(address)
            && (neighbour.address, neighbour.mac) == (address, mac)
        {
            neighbour.heard = Some(now);
        }
    }

    fn claims(&mut self, address: Ipv4Address, mac: EthernetAddress, now: Instant) -> bool {
        match self.slot(address) {
            Some(holder) if holder.is_held(now) => holder.address != address || holder.mac == mac,
            slot => {
                *slot = Some(Neighbour { address, mac, heard: None });
                true
            }
        }
    }

    fn slot(&mut self, address: Ipv4Address) -> &mut Option<Neighbour> {
        let index = address.to_bits() as usize % self.slots.len();
        &mut self.slots[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const CLIENT: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
    const OWN: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
    const FORGED: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
    const HELD: i64 = NEIGHBOUR_HELD_MS as i64;

    fn at(ms: i64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn an_address_belongs_to_who_uses_it() {
        let mut neighbours = Neighbours::new();
        assert!(neighbours.claims(CLIENT, OWN, at(0)));
        neighbours.heard(CLIENT, OWN, at(1000));
        assert!(!neighbours.claims(CLIENT, FORGED, at(1001)));
        assert!(neighbours.claims(CLIENT, OWN, at(1002)));
        // A forged packet does not shorten the claim, nor lengthen it.
        neighbours.heard(CLIENT, FORGED, at(1003));
        assert!(!neighbours.claims(CLIENT, FORGED, at(999 + HELD)));
        assert!(neighbours.claims(CLIENT, FORGED, at(1000 + HELD)));
    }

    #[test]
    fn who_only_claims_holds_nothing() {
        let mut neighbours = Neighbours::new();
        assert!(neighbours.claims(CLIENT, FORGED, at(0)));
        assert!(neighbours.claims(CLIENT, OWN, at(0)));
        neighbours.heard(CLIENT, OWN, at(0));
        assert!(!neighbours.claims(CLIENT, FORGED, at(1)));
    }

    #[test]
    fn addresses_that_share_a_slot_do_not_speak_for_each_other() {
        let mut neighbours = Neighbours::new();
        let other = Ipv4Address::from_bits(CLIENT.to_bits() + NEIGHBOURS_GUARDED as u32);
        assert!(neighbours.claims(CLIENT, OWN, at(0)));
        neighbours.heard(CLIENT, OWN, at(0));
        assert!(neighbours.claims(other, FORGED, at(1)));
        neighbours.heard(other, FORGED, at(1));
        assert!(!neighbours.claims(CLIENT, FORGED, at(2)));
    }

    #[test]
    fn frames_that_make_no_sense_are_left_to_smoltcp() {
        let mut neighbours = Neighbours::new();
        for kind in [[8, 0], [8, 6], [0x86, 0xDD]] {
            for len in 0..60 {
                let mut frame = vec![0; len];
                if let Some(field) = frame.get_mut(12..14) {
                    field.copy_from_slice(&kind);
                }
                if let Ok(frame) = EthernetFrame::new_checked(&frame[..]) {
                    assert!(neighbours.admits(&frame, at(0)));
                }
            }
        }
    }
}
