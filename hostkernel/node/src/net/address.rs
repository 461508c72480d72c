//! The node's IPv4 address: fixed, or leased and renewed by DHCP.

use smoltcp::wire::{EthernetAddress, Ipv4Cidr};

use super::dhcp::lease::Named;
use super::dhcp::{Client, Event, Message};
use super::place::Place;
use crate::random::Random;
use crate::settings::Address;

/// Where the address comes from, and whether there is one.
pub struct Addressing {
    dhcp: Option<Client>,
    /// The place that is in use.
    held: Option<Place>,
    /// The servers that the DHCP server named last.
    pub named: Named,
}

impl Addressing {
    pub fn new(address: Address, mac: EthernetAddress, now_ns: u64) -> Self {
        let (dhcp, held) = match address {
            Address::Dhcp => (Some(Client::new(mac, now_ns)), None),
            Address::Static { address, prefix_len, gateway } => {
                (None, Some(Place::new(Ipv4Cidr::new(address, prefix_len), gateway)))
            }
        };
        if let Some(place) = &held {
            tell(place);
        }
        Self { dhcp, held, named: Named::default() }
    }

    /// The place that is in use.
    pub fn place(&self) -> Option<&Place> {
        self.held.as_ref()
    }

    /// Reads a packet from a DHCP server. Returns whether the place is another one.
    pub fn receive(&mut self, packet: &[u8], now_ns: u64) -> bool {
        let event = self.dhcp.as_mut().and_then(|dhcp| dhcp.receive(packet, now_ns));
        self.follow(event)
    }

    /// Looks whether the lease is over. Returns whether the place is another one.
    pub fn expire(&mut self, now_ns: u64) -> bool {
        let event = self.dhcp.as_mut().and_then(|dhcp| dhcp.expire(now_ns));
        self.follow(event)
    }

    /// What is to be sent to a DHCP server.
    pub fn poll(&mut self, random: &mut Random, now_ns: u64) -> Option<Message> {
        self.dhcp.as_mut()?.poll(random, now_ns)
    }

    /// When to be called again.
    pub fn next_ns(&self) -> Option<u64> {
        self.dhcp.as_ref().map(Client::next_ns)
    }

    /// What a renewal confirms stays untouched: who is known stays known.
    fn follow(&mut self, event: Option<Event>) -> bool {
        let held = match event {
            None => return false,
            Some(Event::Leased(lease)) => {
                self.named = lease.named;
                Some(lease.place)
            }
            Some(Event::Lost) => {
                log::warn!("address lease lost");
                None
            }
        };
        let is_new = self.held != held;
        self.held = held;
        if is_new && let Some(place) = &self.held {
            tell(place);
        }
        is_new
    }
}

fn tell(place: &Place) {
    let address = place.address;
    match place.gateway() {
        Some(gateway) => log::info!("address {address}, gateway {gateway}"),
        None => log::info!("address {address}, no gateway"),
    }
}
