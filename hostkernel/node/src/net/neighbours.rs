//! Who has which hardware address on the wire, and who is believed about it.
//!
//! ARP has no secrets: anybody may claim any address. Who was known before is therefore asked at
//! the hardware address it had, before another claim is taken over: while it answers, or packets
//! come from it, the claim is a lie or a mistake; if it does not, it has moved, as a router does
//! when its partner takes over. Nobody can vouch for an address that was never known.
//!
//! The table is in sets of a few places each, chosen by a secret, so that nobody can aim at the
//! place of another. It has no queue and no clock of its own: what is to be asked is handed out.

use alloc::boxed::Box;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, Ipv4Address};

use limits::{
    NEIGHBOUR_ANSWER_MS, NEIGHBOUR_DOUBT_MS, NEIGHBOUR_FRESH_MS, NEIGHBOUR_LIFE_MS, NEIGHBOUR_WAYS,
    NEIGHBOURS_MAX,
};

const SETS: usize = NEIGHBOURS_MAX / NEIGHBOUR_WAYS;
const FRESH: Duration = Duration::from_millis(NEIGHBOUR_FRESH_MS);
const LIFE: Duration = Duration::from_millis(NEIGHBOUR_LIFE_MS);
const DOUBT: Duration = Duration::from_millis(NEIGHBOUR_DOUBT_MS);
const ANSWER: Duration = Duration::from_millis(NEIGHBOUR_ANSWER_MS);

/// See the head of this file.
pub struct Neighbours {
    places: Box<[Option<Neighbour>]>,
    secret: u64,
}

struct Neighbour {
    address: Ipv4Address,
    mac: EthernetAddress,
    /// When it last proved to be there.
    proved: Instant,
    /// It is never displaced by others.
    is_router: bool,
    /// Somebody else who claims the address, until when the holder may object.
    rival: Option<(EthernetAddress, Instant)>,
    /// When a packet from elsewhere last led to a question.
    doubted: Option<Instant>,
}

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its hardware address.
    At(EthernetAddress),
    /// The same, but it is time to ask whether it is still there.
    Stale(EthernetAddress),
    /// Nothing.
    No,
}

/// What a claim led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is known now, or still.
    Taken,
    /// Another has the address: ask that one, here, whether it is still there.
    Disputed(EthernetAddress),
}

/// What a packet says of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that is worth a question.
    Right,
    /// It is known by another hardware address: ask there whether that still is so.
    From(EthernetAddress),
}

impl Neighbours {
    /// A table without anybody, and the secret of its order.
    pub fn new(secret: u64) -> Self {
        Self { places: (0..NEIGHBOURS_MAX).map(|_| None).collect(), secret: secret | 1 }
    }

    /// Forgets everybody: the node is in another place.
    pub fn clear(&mut self) {
        self.places.fill_with(|| None);
    }

    /// Where an address is.
    pub fn find(&mut self, address: Ipv4Address, now: Instant) -> Known {
        let Some(neighbour) = self.neighbour(address) else { return Known::No };
        neighbour.settle(now);
        if now < neighbour.proved + FRESH {
            Known::At(neighbour.mac)
        } else if now < neighbour.proved + LIFE {
            Known::Stale(neighbour.mac)
        } else {
            Known::No
        }
    }

    /// Whether anything is known of an address, be it old.
    pub fn has(&mut self, address: Ipv4Address) -> bool {
        self.neighbour(address).is_some()
    }

    /// A packet came from both addresses.
    pub fn heard(&mut self, address: Ipv4Address, mac: EthernetAddress, now: Instant) -> Heard {
        let Some(neighbour) = self.neighbour(address) else { return Heard::Right };
        if neighbour.mac == mac {
            neighbour.prove(now);
        } else if neighbour.doubted.is_none_or(|doubted| doubted + DOUBT <= now) {
            neighbour.doubted = Some(now);
            return Heard::From(neighbour.mac);
        }
        Heard::Right
    }

    /// Somebody says to have an address.
    pub fn claim(
        &mut self,
        address: Ipv4Address,
        mac: EthernetAddress,
        is_router: bool,
        now: Instant,
    ) -> Claim {
        if let Some(neighbour) = self.neighbour(address) {
            neighbour.is_router = is_router;
            neighbour.settle(now);
            if neighbour.mac == mac {
                neighbour.prove(now);
            } else if now >= neighbour.proved + LIFE {
                (neighbour.mac, neighbour.rival) = (mac, None);
                neighbour.proved = now;
            } else {
                let until = neighbour.rival.map_or(now + ANSWER, |(_, until)| until);
                neighbour.rival = Some((mac, until));
                return Claim::Disputed(neighbour.mac);
            }
            return Claim::Taken;
        }
        let new = Neighbour { address, mac, proved: now, is_router, rival: None, doubted: None };
        let set = self.set(address);
        // Who was silent longest makes room. Routers stay, if all are not.
        let place = set
            .iter_mut()
            .min_by_key(|place| place.as_ref().map(|holder| (holder.is_router, holder.proved)));
        if let Some(place) = place {
            *place = Some(new);
        }
        Claim::Taken
    }

    fn neighbour(&mut self, address: Ipv4Address) -> Option<&mut Neighbour> {
        self.set(address).iter_mut().flatten().find(|neighbour| neighbour.address == address)
    }

    fn set(&mut self, address: Ipv4Address) -> &mut [Option<Neighbour>] {
        let product =
            u64::from(address.to_bits()).wrapping_add(self.secret >> 32).wrapping_mul(self.secret);
        let start = (product >> 32) as usize % SETS * NEIGHBOUR_WAYS;
        &mut self.places[start..start + NEIGHBOUR_WAYS]
    }
}

impl Neighbour {
    /// It is there: whoever claims its address instead is wrong.
    fn prove(&mut self, now: Instant) {
        self.proved = now;
        self.rival = None;
    }

    /// Believes a rival to whom nobody objected in time.
    fn settle(&mut self, now: Instant) {
        if let Some((mac, until)) = self.rival
            && until <= now
        {
            (self.mac, self.proved, self.rival) = (mac, now, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
    const OWN: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 1]);
    const OTHER: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
    const ANSWERED: i64 = NEIGHBOUR_ANSWER_MS as i64;

    fn at(ms: i64) -> Instant {
        Instant::from_millis(ms)
    }

    fn known() -> Neighbours {
        let mut neighbours = Neighbours::new(0x1234_5678_9abc_def0);
        assert_eq!(neighbours.find(CLIENT, at(0)), Known::No);
        assert_eq!(neighbours.claim(CLIENT, OWN, false, at(0)), Claim::Taken);
        assert_eq!(neighbours.find(CLIENT, at(0)), Known::At(OWN));
        neighbours
    }

    #[test]
    fn who_objects_keeps_the_address() {
        let mut neighbours = known();
        assert_eq!(neighbours.claim(CLIENT, OTHER, false, at(1000)), Claim::Disputed(OWN));
        assert_eq!(neighbours.find(CLIENT, at(1001)), Known::At(OWN));
        // By an answer to the question, or by a packet.
        assert_eq!(neighbours.claim(CLIENT, OWN, false, at(1002)), Claim::Taken);
        assert_eq!(neighbours.find(CLIENT, at(1002 + ANSWERED)), Known::At(OWN));
        assert_eq!(neighbours.claim(CLIENT, OTHER, false, at(3000)), Claim::Disputed(OWN));
        assert_eq!(neighbours.heard(CLIENT, OTHER, at(3001)), Heard::From(OWN));
        assert_eq!(neighbours.heard(CLIENT, OTHER, at(3001)), Heard::Right, "once in a while");
        assert_eq!(neighbours.heard(CLIENT, OWN, at(3002)), Heard::Right);
        assert_eq!(neighbours.find(CLIENT, at(3001 + ANSWERED)), Known::At(OWN));
    }

    #[test]
    fn who_is_gone_is_replaced_soon() {
        let mut neighbours = known();
        assert_eq!(neighbours.claim(CLIENT, OTHER, false, at(1000)), Claim::Disputed(OWN));
        // To repeat a claim neither hastens nor delays it.
        assert_eq!(neighbours.claim(CLIENT, OTHER, false, at(1500)), Claim::Disputed(OWN));
        assert_eq!(neighbours.find(CLIENT, at(999 + ANSWERED)), Known::At(OWN));
        assert_eq!(neighbours.find(CLIENT, at(1000 + ANSWERED)), Known::At(OTHER));
        // Then it is the one who may object.
        let later = at(1001 + ANSWERED);
        assert_eq!(neighbours.claim(CLIENT, OWN, false, later), Claim::Disputed(OTHER));
    }

    #[test]
    fn who_is_silent_is_asked_and_then_forgotten() {
        let mut neighbours = known();
        let (fresh, life) = (NEIGHBOUR_FRESH_MS as i64, NEIGHBOUR_LIFE_MS as i64);
        assert_eq!(neighbours.find(CLIENT, at(fresh - 1)), Known::At(OWN));
        assert_eq!(neighbours.find(CLIENT, at(fresh)), Known::Stale(OWN));
        neighbours.heard(CLIENT, OWN, at(fresh));
        assert_eq!(neighbours.find(CLIENT, at(2 * fresh - 1)), Known::At(OWN));
        assert_eq!(neighbours.find(CLIENT, at(fresh + life)), Known::No);
        assert_eq!(neighbours.claim(CLIENT, OTHER, false, at(fresh + life)), Claim::Taken);
    }

    #[test]
    fn a_flood_of_claims_displaces_no_router_and_ends() {
        let mut neighbours = known();
        let router = Ipv4Address::new(10, 0, 0, 254);
        neighbours.claim(router, OWN, true, at(0));
        for bits in 0..20_000 {
            neighbours.claim(Ipv4Address::from_bits(0x0a01_0000 + bits), OTHER, false, at(1));
        }
        assert_eq!(neighbours.find(router, at(2)), Known::At(OWN));
        assert_eq!(neighbours.find(CLIENT, at(2)), Known::No, "whoever was silent longest");
    }
}
