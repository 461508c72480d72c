//! The wire: to which hardware address a packet goes, and all that is said about that.
//!
//! ARP is answered and asked here and nowhere else (RFC 826), whoever asks: a host that looks
//! whether an address is free has none itself yet (RFC 5227), and a router's address may be of
//! another network. A packet to somebody whose hardware address is not known waits, as long as
//! there is room, until it is found or cannot be.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Ipv4Address,
};

use super::neighbours::{Claim, Heard, Known, Neighbours};
use super::out::Out;
use super::place::Place;
use limits::{
    ANNOUNCE_INTERVAL_MS, ANNOUNCEMENTS, ARP_ASKED_MAX, ARP_INTERVAL_MS, ARP_TRIES,
    CONFLICT_INTERVAL_MS, FRAMES_HELD_MAX, WAY_KEPT_MS,
};

/// Length of an Ethernet header.
pub const ETHERNET_LEN: usize = 14;
/// An ARP message for IPv4, behind the header.
const ARP_LEN: usize = 28;
const NOBODY: EthernetAddress = EthernetAddress([0; 6]);

/// See the head of this file.
pub struct Link {
    mac: EthernetAddress,
    place: Option<Place>,
    neighbours: Neighbours,
    questions: Vec<Question>,
    held: VecDeque<Held>,
    /// The address is announced so often, and the next time then.
    announcements: u8,
    announce_at: Instant,
    /// When something is to be said next, at the earliest.
    due: Option<Instant>,
    /// When somebody else was last told that the address is taken.
    defended_at: Option<Instant>,
    /// A neighbour was found since somebody asked.
    has_news: bool,
    /// What was found for the last packet each way, and holds until then: mostly the next one is of
    /// the same connection.
    last_heard: Last,
    last_way: Last,
}

/// An address, its hardware address, and until when nobody has to look again.
type Last = Option<(Ipv4Address, EthernetAddress, Instant)>;

struct Question {
    address: Ipv4Address,
    /// Who is asked; everybody, if nobody is known.
    to: Option<EthernetAddress>,
    next: Instant,
    tries: u8,
}

/// A frame without a destination.
struct Held {
    hop: Ipv4Address,
    frame: Vec<u8>,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this hardware address.
    To(EthernetAddress),
    /// To this neighbour, who has to be found first.
    Unknown(Ipv4Address),
    /// Nobody would pass it on.
    Nowhere,
}

impl Link {
    /// The wire of a card with this hardware address, in no place yet.
    pub fn new(mac: EthernetAddress, secret: u64) -> Self {
        Self {
            mac,
            place: None,
            neighbours: Neighbours::new(secret),
            questions: Vec::with_capacity(ARP_ASKED_MAX),
            held: VecDeque::with_capacity(FRAMES_HELD_MAX),
            announcements: 0,
            announce_at: Instant::ZERO,
            due: None,
            defended_at: None,
            has_news: false,
            last_heard: None,
            last_way: None,
        }
    }

    /// The card's hardware address.
    pub fn mac(&self) -> EthernetAddress {
        self.mac
    }

    /// Where the node is.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Whether a packet to this address is for the node alone.
    pub fn is_own(&self, address: Ipv4Address) -> bool {
        self.place.as_ref().is_some_and(|place| place.address.address() == address)
    }

    /// Puts the node into another place, which others are told soon.
    pub fn move_to(&mut self, place: Option<Place>, now: Instant) {
        let address = |place: &Option<Place>| place.as_ref().map(|place| place.address.address());
        if address(&place) != address(&self.place) {
            self.announcements = if place.is_some() { ANNOUNCEMENTS } else { 0 };
            self.announce_at = now;
            self.due = Some(now);
        }
        self.place = place;
        self.forget_last();
        self.neighbours.clear();
        self.questions.clear();
        self.held.clear();
    }

    /// Where a packet to this address goes.
    #[inline]
    pub fn way(&mut self, to: Ipv4Address, now: Instant) -> Way {
        match self.last_way {
            Some((address, mac, until)) if address == to && now < until => Way::To(mac),
            _ => self.find(to, now),
        }
    }

    fn forget_last(&mut self) {
        (self.last_heard, self.last_way) = (None, None);
    }

    #[inline(never)]
    fn find(&mut self, to: Ipv4Address, now: Instant) -> Way {
        let Some(place) = &self.place else { return Way::Nowhere };
        if place.is_broadcast(to) {
            return Way::To(EthernetAddress::BROADCAST);
        }
        let Some(hop) = place.next_hop(to) else { return Way::Nowhere };
        match self.neighbours.find(hop, now) {
            Known::At(mac) => {
                // While somebody is asked for, it may be this one.
                if self.questions.is_empty() {
                    self.last_way = Some((to, mac, now + Duration::from_millis(WAY_KEPT_MS)));
                }
                Way::To(mac)
            }
            Known::Stale(mac) => {
                self.ask(hop, Some(mac), now);
                Way::To(mac)
            }
            Known::No => Way::Unknown(hop),
        }
    }

    /// Whether it is known where a packet to this address goes. If not, the neighbour is asked
    /// once.
    pub fn seek(&mut self, to: Ipv4Address, now: Instant) -> bool {
        match self.way(to, now) {
            Way::To(_) => true,
            Way::Unknown(hop) => {
                self.ask_once(hop, now);
                false
            }
            Way::Nowhere => false,
        }
    }

    /// Whether a neighbour was found since the last call.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.has_news)
    }

    /// Keeps a frame whose header is to be filled in when this neighbour was found.
    pub fn hold(&mut self, hop: Ipv4Address, frame: Vec<u8>, now: Instant) {
        if self.held.len() == FRAMES_HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back(Held { hop, frame });
        self.ask(hop, None, now);
    }

    fn ask(&mut self, address: Ipv4Address, to: Option<EthernetAddress>, now: Instant) {
        self.question(Question { address, to, next: now, tries: 0 });
    }

    fn ask_once(&mut self, address: Ipv4Address, now: Instant) {
        self.question(Question { address, to: None, next: now, tries: ARP_TRIES - 1 });
    }

    fn question(&mut self, question: Question) {
        self.forget_last();
        self.due = Some(question.next);
        let asked = self.questions.iter_mut().find(|asked| asked.address == question.address);
        if let Some(asked) = asked {
            // One that nobody answered is asked again only by who wants it.
            if asked.tries == ARP_TRIES && asked.next <= question.next {
                *asked = question;
            }
            return;
        }
        if self.questions.len() == ARP_ASKED_MAX {
            // The oldest has had its chance.
            let oldest = self.questions.remove(0);
            self.held.retain(|held| held.hop != oldest.address);
        }
        self.questions.push(question);
    }

    /// An IPv4 packet came from both addresses.
    #[inline]
    pub fn heard(&mut self, address: Ipv4Address, mac: EthernetAddress, now: Instant) {
        match self.last_heard {
            Some((last, at, until)) if (last, at) == (address, mac) && now < until => {}
            _ => self.note_heard(address, mac, now),
        }
    }

    #[inline(never)]
    fn note_heard(&mut self, address: Ipv4Address, mac: EthernetAddress, now: Instant) {
        self.last_heard = Some((address, mac, now + Duration::from_millis(WAY_KEPT_MS)));
        if let Heard::From(other) = self.neighbours.heard(address, mac, now) {
            self.ask(address, Some(other), now);
        }
    }

    /// Reads an ARP message and answers it.
    pub fn message(&mut self, payload: &[u8], now: Instant, out: &mut Out<'_>) {
        self.forget_last();
        let message = ArpPacket::new_checked(payload).and_then(|packet| ArpRepr::parse(&packet));
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: mac,
            source_protocol_addr: address,
            target_protocol_addr: target,
            ..
        }) = message
        else {
            return;
        };
        if !mac.is_unicast() || mac == self.mac {
            return;
        }
        if self.is_own(address) {
            return self.defend(mac, now, out);
        }
        let is_for_us = self.is_own(target);
        if is_for_us && operation == ArpOperation::Request {
            self.say(ArpOperation::Reply, mac, (mac, address), out);
        }
        let is_asked = self.questions.iter().any(|question| question.address == address);
        // Who talks to others is of no interest, unless it is known already and has moved.
        if is_for_us || is_asked || self.neighbours.has(address) {
            self.claim(address, mac, now, out);
        }
    }

    fn claim(
        &mut self,
        address: Ipv4Address,
        mac: EthernetAddress,
        now: Instant,
        out: &mut Out<'_>,
    ) {
        let Some(place) = &self.place else { return };
        if !place.is_neighbour(address) {
            return;
        }
        match self.neighbours.claim(address, mac, place.is_router(address), now) {
            Claim::Taken => {
                let questions = self.questions.len();
                self.questions.retain(|question| question.address != address);
                self.has_news |= self.questions.len() < questions;
                self.release(address, mac, out);
            }
            Claim::Disputed(holder) => {
                self.ask(address, Some(holder), now);
            }
        }
    }

    /// Sends what waited for a neighbour.
    fn release(&mut self, hop: Ipv4Address, mac: EthernetAddress, out: &mut Out<'_>) {
        let own = self.mac;
        self.held.retain_mut(|held| {
            if held.hop == hop {
                address(&mut held.frame, mac, own);
                out.send(held.frame.len(), &mut |buffer| buffer.copy_from_slice(&held.frame));
            }
            held.hop != hop
        });
    }

    /// Somebody else has the node's address: who asked is told that it is taken, now and then.
    fn defend(&mut self, rival: EthernetAddress, now: Instant, out: &mut Out<'_>) {
        let interval = Duration::from_millis(CONFLICT_INTERVAL_MS);
        if self.defended_at.is_some_and(|at| now < at + interval) {
            return;
        }
        self.defended_at = Some(now);
        log::warn!("{rival} uses this node's address, too");
        self.announce(out);
    }

    fn announce(&self, out: &mut Out<'_>) {
        if let Some(place) = &self.place {
            let own = place.address.address();
            self.say(ArpOperation::Request, EthernetAddress::BROADCAST, (NOBODY, own), out);
        }
    }

    /// When [`work`](Self::work) has something to do, at the earliest.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Asks and announces what is due.
    pub fn work(&mut self, now: Instant, out: &mut Out<'_>) {
        if self.announcements > 0 && self.announce_at <= now {
            self.announcements -= 1;
            self.announce_at = now + Duration::from_millis(ANNOUNCE_INTERVAL_MS);
            self.announce(out);
        }
        let mut index = 0;
        while let Some(question) = self.questions.get_mut(index) {
            if question.next > now {
                index += 1;
                continue;
            }
            if question.tries == ARP_TRIES {
                let hop = question.address;
                self.questions.remove(index);
                self.held.retain(|held| held.hop != hop);
                continue;
            }
            question.tries += 1;
            question.next = now + Duration::from_millis(ARP_INTERVAL_MS);
            // Who does not answer in person may have another hardware address by now.
            let to = question.to.filter(|_| question.tries < ARP_TRIES);
            let (to, address) = (to.unwrap_or(EthernetAddress::BROADCAST), question.address);
            self.say(ArpOperation::Request, to, (NOBODY, address), out);
            index += 1;
        }
        let announce_at = (self.announcements > 0).then_some(self.announce_at);
        self.due = self.questions.iter().map(|question| question.next).chain(announce_at).min();
    }

    fn say(
        &self,
        operation: ArpOperation,
        to: EthernetAddress,
        (target_mac, target): (EthernetAddress, Ipv4Address),
        out: &mut Out<'_>,
    ) {
        let Some(place) = &self.place else { return };
        let message = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: self.mac,
            source_protocol_addr: place.address.address(),
            target_hardware_addr: target_mac,
            target_protocol_addr: target,
        };
        out.send(ETHERNET_LEN + ARP_LEN, &mut |buffer| {
            let mut frame = EthernetFrame::new_unchecked(buffer);
            frame.set_dst_addr(to);
            frame.set_src_addr(self.mac);
            frame.set_ethertype(EthernetProtocol::Arp);
            message.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        });
    }
}

/// Writes the header of a frame with an IPv4 packet.
pub fn address(frame: &mut [u8], to: EthernetAddress, from: EthernetAddress) {
    let mut frame = EthernetFrame::new_unchecked(frame);
    frame.set_dst_addr(to);
    frame.set_src_addr(from);
    frame.set_ethertype(EthernetProtocol::Ipv4);
}
