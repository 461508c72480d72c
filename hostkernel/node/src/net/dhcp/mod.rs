//! A client of DHCP (RFC 2131): gets the node a place in the network, and keeps it.
//!
//! No I/O and no clock: it is handed messages and the time, and says what to send. It is our own
//! because smoltcp's asks for an Ethernet below it, which it is not given here, and takes neither a
//! list of routers, nor a missing mask, nor classless routes.

pub mod lease;

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, IPV4_HEADER_LEN, IpProtocol,
    Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use self::lease::{Lease, MESSAGE_TYPE, SERVER, WANTED, byte, number};
use super::place::is_host;
use crate::random::Random;
use limits::{
    DHCP_LEN_MAX, DHCP_RENEW_MS_MIN, DHCP_REQUESTS_MAX, DHCP_RETRY_MS, DHCP_RETRY_MS_MAX,
};

const NS_PER_MS: u64 = 1_000_000;
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// See the head of this file.
pub struct Client {
    mac: EthernetAddress,
    state: State,
    transaction: u32,
    /// When something is to be sent.
    next_ns: u64,
    /// The next pause while there is no lease.
    retry_ms: u64,
}

#[derive(Debug)]
enum State {
    /// Asks who would lease an address.
    Discovering,
    /// Asks for what was offered.
    Requesting { address: Ipv4Addr, server: Ipv4Addr, requests: u32 },
    /// Has an address.
    Bound { lease: Lease, since_ns: u64 },
}

/// What a message led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a lease, new or renewed.
    Leased(Lease),
    /// There is none any more.
    Lost,
}

/// What to send, and to whom; everybody, if to nobody.
pub struct Message {
    pub packet: Vec<u8>,
    pub to: Option<Ipv4Addr>,
}

impl Client {
    /// A client for the card with this hardware address that has not asked yet.
    pub fn new(mac: EthernetAddress, now_ns: u64) -> Self {
        Self {
            mac,
            state: State::Discovering,
            transaction: 0,
            next_ns: now_ns,
            retry_ms: DHCP_RETRY_MS,
        }
    }

    /// When to be called again.
    pub fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Reads a packet that is for this client by its ports.
    pub fn receive(&mut self, packet: &[u8], now_ns: u64) -> Option<Event> {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
        if !packet.verify_checksum() || !datagram.verify_checksum(&from, &to) {
            return None;
        }
        let payload = datagram.payload();
        let message =
            DhcpPacket::new_checked(payload.get(..DHCP_LEN_MAX).unwrap_or(payload)).ok()?;
        DhcpRepr::parse(&DhcpPacket::new_checked(payload).ok()?).ok()?;
        let is_ours = message.transaction_id() == self.transaction
            && message.client_hardware_address() == self.mac;
        let server = number(&message, SERVER).map(Ipv4Addr::from)?;
        let kind = byte(&message, MESSAGE_TYPE)?;
        is_ours.then(|| self.hear(kind, &message, server, now_ns)).flatten()
    }

    fn hear(
        &mut self,
        kind: u8,
        message: &DhcpPacket<&[u8]>,
        server: Ipv4Addr,
        now_ns: u64,
    ) -> Option<Event> {
        match (&self.state, kind) {
            (State::Discovering, OFFER) if is_host(message.your_ip()) => {
                let address = message.your_ip();
                self.state = State::Requesting { address, server, requests: 0 };
                self.next_ns = now_ns;
                None
            }
            (State::Requesting { .. } | State::Bound { .. }, ACK) => {
                let lease = Lease::in_message(message, server)?;
                self.next_ns = now_ns + lease.times_ns.renew_ns;
                self.retry_ms = DHCP_RETRY_MS;
                self.state = State::Bound { lease: lease.clone(), since_ns: now_ns };
                Some(Event::Leased(lease))
            }
            (State::Requesting { .. }, NAK) => {
                self.begin_anew(now_ns);
                None
            }
            (State::Bound { .. }, NAK) => {
                self.begin_anew(now_ns);
                Some(Event::Lost)
            }
            _ => None,
        }
    }

    /// Begins from the start, after a pause, since who refused once may do so for ever.
    fn begin_anew(&mut self, now_ns: u64) {
        self.state = State::Discovering;
        self.next_ns = now_ns + self.retry_ms * NS_PER_MS;
        self.retry_ms = (self.retry_ms * 2).min(DHCP_RETRY_MS_MAX);
    }

    /// Looks whether the lease is over.
    pub fn expire(&mut self, now_ns: u64) -> Option<Event> {
        if let State::Bound { lease, since_ns } = &self.state
            && lease.times_ns.expire_ns.is_some_and(|after_ns| since_ns + after_ns <= now_ns)
        {
            self.state = State::Discovering;
            (self.next_ns, self.retry_ms) = (now_ns, DHCP_RETRY_MS);
            return Some(Event::Lost);
        }
        None
    }

    /// What is to be sent now.
    pub fn poll(&mut self, random: &mut Random, now_ns: u64) -> Option<Message> {
        if now_ns < self.next_ns {
            return None;
        }
        if let State::Requesting { requests, .. } = &mut self.state {
            *requests += 1;
            if *requests > DHCP_REQUESTS_MAX {
                self.state = State::Discovering;
            }
        }
        let word = random.word();
        if !matches!(self.state, State::Requesting { .. }) {
            self.transaction = word as u32;
        }
        match &self.state {
            // Many nodes may have been switched on together: a second more or less (RFC 2131, 4.1).
            State::Discovering | State::Requesting { .. } => {
                let spread_ms = (word >> 32) % 1000;
                self.next_ns = now_ns + (self.retry_ms - 500 + spread_ms) * NS_PER_MS;
                self.retry_ms = (self.retry_ms * 2).min(DHCP_RETRY_MS_MAX);
            }
            // Half of the time that is left, as long as that is much (RFC 2131, 4.4.5).
            State::Bound { lease, since_ns } => {
                let rebind_ns = since_ns + lease.times_ns.rebind_ns;
                let end_ns = lease.times_ns.expire_ns.map_or(u64::MAX, |ns| since_ns + ns);
                let until_ns = if now_ns < rebind_ns { rebind_ns } else { end_ns };
                let pause_ns = ((until_ns - now_ns) / 2).max(DHCP_RENEW_MS_MIN * NS_PER_MS);
                self.next_ns = (now_ns + pause_ns).min(end_ns);
            }
        }
        Some(self.message(now_ns))
    }

    fn message(&self, now_ns: u64) -> Message {
        let mut from = Ipv4Addr::UNSPECIFIED;
        let mut to = None;
        let mut message = DhcpRepr {
            message_type: DhcpMessageType::Request,
            transaction_id: self.transaction,
            secs: 0,
            client_hardware_address: self.mac,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: None,
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: Some(self.mac),
            server_identifier: None,
            parameter_request_list: Some(WANTED),
            dns_servers: None,
            max_size: Some(DHCP_LEN_MAX as u16),
            lease_duration: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        match &self.state {
            State::Discovering => message.message_type = DhcpMessageType::Discover,
            State::Requesting { address, server, .. } => {
                message.requested_ip = Some(*address);
                message.server_identifier = Some(*server);
            }
            State::Bound { lease, since_ns } => {
                from = lease.place.address.address();
                message.client_ip = from;
                // First the one who leased it, later everybody.
                to = (now_ns < since_ns + lease.times_ns.rebind_ns).then_some(lease.server);
            }
        }
        Message { packet: packet(&message, from, to.unwrap_or(Ipv4Addr::BROADCAST)), to }
    }
}

fn packet(message: &DhcpRepr<'_>, from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
    let sums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: CLIENT_PORT, dst_port: SERVER_PORT };
    let len = UDP_HEADER_LEN + message.buffer_len();
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: len,
        hop_limit: 64,
    };
    let mut bytes = vec![0; IPV4_HEADER_LEN + len];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    header.emit(&mut packet, &sums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(
        &mut datagram,
        &from.into(),
        &to.into(),
        message.buffer_len(),
        // Its length is what it says, and no option is too long: nothing is left to fail.
        |buffer| {
            let _ = message.emit(&mut DhcpPacket::new_unchecked(buffer));
        },
        &sums,
    );
    bytes
}

#[cfg(test)]
mod tests;
