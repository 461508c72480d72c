//! Names of hosts: A records, asked of one name server, remembered for a while.
//!
//! An answer counts if it comes from the server that was asked, to the port it was asked from, with
//! the number and the name of the question; port and number are random for each attempt (RFC 5452).
//! Messages are read and written by smoltcp's `wire`. One name is asked for at a time; whoever asks
//! for another meanwhile asks again.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};
use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData,
    DnsRepr, IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, UdpPacket,
};

use super::outward::Outward;
use super::place::is_host;
use super::sntp::SOURCE_PORTS;
use crate::random::Random;
use limits::{
    DNS_ABSENT_MS, DNS_CACHE_MAX, DNS_LEN_MAX, DNS_RECORDS_MAX, DNS_TIMEOUT_MS, DNS_TRIES,
    DNS_TTL_MS_MAX, DNS_TTL_MS_MIN, HOST_LEN_MAX,
};

const NS_PER_MS: u64 = 1_000_000;
const LABEL_LEN_MAX: usize = 63;

/// What is known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Its address.
    At(Ipv4Addr),
    /// It is asked for.
    Asked,
    /// It has none, as far as can be known now.
    Nowhere,
}

/// See the head of this file.
pub struct Resolver {
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    server: Option<IpEndpoint>,
    question: Option<Question>,
    known: Vec<Known>,
}

struct Known {
    host: Box<str>,
    address: Option<Ipv4Addr>,
    until_ns: u64,
}

struct Question {
    host: Box<str>,
    id: u16,
    tries: u8,
    until_ns: u64,
}

/// What an answer says.
enum Answer {
    Address(Ipv4Addr, u64),
    Nothing,
}

impl Resolver {
    /// One that knows nothing.
    pub fn new() -> Self {
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 2], vec![0; 2 * DNS_LEN_MAX]);
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(udp::Socket::new(buffer(), buffer()));
        Self { sockets, socket, server: None, question: None, known: Vec::new() }
    }

    /// Says whom to ask.
    pub fn set_server(&mut self, server: Option<IpEndpoint>) {
        if self.server != server {
            self.server = server;
            self.question = None;
            self.known.clear();
        }
    }

    /// Where a host is. If that is to be asked first, ask again after the next
    /// [`poll`](Self::poll).
    pub fn lookup(&mut self, host: &str, random: &mut Random, now_ns: u64) -> Lookup {
        if let Ok(address) = host.parse() {
            return Lookup::At(address);
        }
        self.known.retain(|known| known.until_ns > now_ns);
        if let Some(known) = self.known.iter().find(|known| *known.host == *host) {
            return known.address.map_or(Lookup::Nowhere, Lookup::At);
        }
        if self.server.is_none() || encode(host).is_none() {
            return Lookup::Nowhere;
        }
        if self.question.is_none() {
            self.ask(host.into(), DNS_TRIES, random, now_ns);
        }
        Lookup::Asked
    }

    /// Nobody was found where a name should be: it is asked for anew.
    pub fn forget(&mut self, host: &str) {
        self.known.retain(|known| *known.host != *host || known.address.is_none());
    }

    fn ask(&mut self, host: Box<str>, tries: u8, random: &mut Random, now_ns: u64) {
        let (Some(server), Some(name)) = (self.server, encode(&host)) else { return };
        let word = random.word();
        let id = (word >> 16) as u16;
        let socket = self.sockets.get_mut::<udp::Socket>(self.socket);
        socket.close();
        // A closed socket and a good port.
        let _ = socket.bind(SOURCE_PORTS | word as u16);
        let repr = DnsRepr {
            transaction_id: id,
            opcode: DnsOpcode::Query,
            flags: DnsFlags::RECURSION_DESIRED,
            question: DnsQuestion { name: &name, type_: DnsQueryType::A },
        };
        if let Ok(bytes) = socket.send(repr.buffer_len(), server) {
            repr.emit(&mut DnsPacket::new_unchecked(bytes));
        }
        let until_ns = now_ns + DNS_TIMEOUT_MS * NS_PER_MS;
        self.question = Some(Question { host, id, tries: tries - 1, until_ns });
    }

    /// Whether this packet comes from whom it asks.
    pub fn is_for(&self, packet: &[u8]) -> bool {
        let (Some(server), Some(_)) = (self.server, &self.question) else { return false };
        let is_it = |packet: Ipv4Packet<&[u8]>| {
            let datagram = UdpPacket::new_checked(packet.payload());
            IpAddress::Ipv4(packet.src_addr()) == server.addr
                && packet.next_header() == IpProtocol::Udp
                && datagram.is_ok_and(|datagram| datagram.src_port() == server.port)
        };
        Ipv4Packet::new_checked(packet).is_ok_and(is_it)
    }

    /// What takes packets.
    pub fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    /// Takes an answer, asks again. Returns when to be called again.
    pub fn poll(
        &mut self,
        outward: &mut Outward<'_>,
        random: &mut Random,
        now_ns: u64,
    ) -> Option<u64> {
        let server = self.server?;
        let Question { id, until_ns, .. } = self.question.as_ref()?;
        let (id, until_ns) = (*id, *until_ns);
        let host = encode(&self.question.as_ref()?.host)?;
        let socket = self.sockets.get_mut::<udp::Socket>(self.socket);
        let mut answer = None;
        while let Ok((bytes, from)) = socket.recv() {
            if from.endpoint == server {
                answer = answer.or(read(bytes, id, &host));
            }
        }
        match answer {
            Some(Answer::Address(address, ttl_ms)) => self.learn(Some(address), ttl_ms, now_ns),
            Some(Answer::Nothing) => self.learn(None, DNS_ABSENT_MS, now_ns),
            None if until_ns <= now_ns => {
                let question = self.question.take()?;
                if question.tries > 0 {
                    self.ask(question.host, question.tries, random, now_ns);
                } else {
                    self.question = Some(question);
                    self.learn(None, DNS_ABSENT_MS, now_ns);
                }
            }
            None => {}
        }
        let Some(question) = &self.question else {
            // Whoever waits for what was learned looks again.
            return Some(now_ns);
        };
        let until_ns = question.until_ns;
        let next_ns = outward.egress_if_known(&mut self.sockets, server);
        Some(next_ns.map_or(until_ns, |next_ns| next_ns.min(until_ns)))
    }

    fn learn(&mut self, address: Option<Ipv4Addr>, ttl_ms: u64, now_ns: u64) {
        let Some(Question { host, .. }) = self.question.take() else { return };
        if self.known.len() == DNS_CACHE_MAX {
            self.known.remove(0);
        }
        self.known.push(Known { host, address, until_ns: now_ns + ttl_ms * NS_PER_MS });
    }
}

/// A name as messages have it: each label behind its length.
fn encode(host: &str) -> Option<Vec<u8>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() || host.len() > HOST_LEN_MAX {
        return None;
    }
    let mut name = Vec::with_capacity(host.len() + 2);
    for label in host.split('.') {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if label.is_empty() || label.len() > LABEL_LEN_MAX || !label.bytes().all(is_good) {
            return None;
        }
        name.push(label.len() as u8);
        name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    name.push(0);
    Some(name)
}

/// What a message says of the name, if it is the answer to this question.
fn read(bytes: &[u8], id: u16, name: &[u8]) -> Option<Answer> {
    let packet = DnsPacket::new_checked(bytes).ok()?;
    let is_answer = packet.transaction_id() == id
        && packet.flags().contains(DnsFlags::RESPONSE)
        && packet.opcode() == DnsOpcode::Query
        && packet.question_count() == 1;
    let (mut rest, question) = DnsQuestion::parse(packet.payload()).ok()?;
    if !is_answer || question.type_ != DnsQueryType::A || !is_name(&packet, question.name, name) {
        return None;
    }
    match packet.rcode() {
        DnsRcode::NoError => {}
        DnsRcode::NXDomain => return Some(Answer::Nothing),
        // Another try may do.
        _ => return None,
    }
    let (mut wanted, mut ttl_ms) = (name.to_vec(), DNS_TTL_MS_MAX);
    for _ in 0..usize::from(packet.answer_record_count()).min(DNS_RECORDS_MAX) {
        let Ok((after, record)) = DnsRecord::parse(rest) else { break };
        rest = after;
        if !is_name(&packet, record.name, &wanted) {
            continue;
        }
        ttl_ms = ttl_ms.min(u64::from(record.ttl) * 1000);
        match record.data {
            DnsRecordData::A(address) if is_host(address) => {
                return Some(Answer::Address(address, ttl_ms.max(DNS_TTL_MS_MIN)));
            }
            DnsRecordData::Cname(other) => wanted = plain(&packet, other)?,
            _ => {}
        }
    }
    Some(Answer::Nothing)
}

fn is_name(packet: &DnsPacket<&[u8]>, there: &[u8], name: &[u8]) -> bool {
    plain(packet, there).is_some_and(|there| there == name)
}

/// A name without pointers and capitals.
fn plain(packet: &DnsPacket<&[u8]>, name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    for label in packet.parse_name(name) {
        let label = label.ok()?;
        if plain.len() + label.len() > HOST_LEN_MAX {
            return None;
        }
        plain.push(label.len() as u8);
        plain.extend(label.iter().map(u8::to_ascii_lowercase));
    }
    plain.push(0);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: [u8; 4] = [10, 0, 2, 9];

    fn message(id: u16, host: &str, records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend([0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        bytes.extend(encode(host).expect("a good name"));
        bytes.extend([0, 1, 0, 1]);
        for (name, kind, data) in records {
            bytes.extend(*name);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            bytes.extend(*data);
        }
        bytes
    }

    fn address(bytes: &[u8]) -> Option<Option<Ipv4Addr>> {
        let name = encode("Registry.example").expect("a good name");
        read(bytes, 7, &name).map(|answer| match answer {
            Answer::Address(address, ttl_ms) => {
                assert!((DNS_TTL_MS_MIN..=DNS_TTL_MS_MAX).contains(&ttl_ms));
                Some(address)
            }
            Answer::Nothing => None,
        })
    }

    #[test]
    fn an_address_is_read_also_behind_another_name() {
        let pointer: &[u8] = &[0xc0, 12];
        let direct = message(7, "registry.example", &[(pointer, 1, &ADDRESS)]);
        assert_eq!(address(&direct), Some(Some(Ipv4Addr::from(ADDRESS))));
        let other = encode("a.b").expect("a good name");
        let records: [(&[u8], u16, &[u8]); 3] =
            [(&other, 1, &[10, 0, 2, 8]), (pointer, 5, &other), (&other, 1, &ADDRESS)];
        assert_eq!(
            address(&message(7, "registry.example", &records)),
            Some(Some(Ipv4Addr::from(ADDRESS))),
            "a record of another name counts only behind the one that leads to it"
        );
        assert_eq!(address(&message(7, "registry.example", &[])), Some(None));
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_none() {
        let pointer: &[u8] = &[0xc0, 12];
        let good = message(7, "registry.example", &[(pointer, 1, &ADDRESS)]);
        assert_eq!(address(&message(8, "registry.example", &[(pointer, 1, &ADDRESS)])), None);
        assert_eq!(address(&message(7, "registry.example2", &[(pointer, 1, &ADDRESS)])), None);
        let mut question = good.clone();
        question[2] = 1;
        assert_eq!(address(&question), None);
        for len in 0..30 {
            assert_eq!(address(&good[..len]), None, "{len}");
        }
        for address_of in [[127, 0, 0, 1], [224, 0, 0, 1], [0, 0, 0, 0]] {
            let bad = message(7, "registry.example", &[(pointer, 1, &address_of)]);
            assert_eq!(address(&bad), Some(None), "nobody is there: {address_of:?}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x3f, 0xc0, 0xff] {
                let mut odd = good.clone();
                odd[at] = value;
                let _ = address(&odd);
            }
        }
    }

    #[test]
    fn names_that_are_none_are_not_asked_for() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(128);
        for host in ["", ".", "a..b", "a b", "a/b", "\u{e9}", &long, &longer] {
            assert!(encode(host).is_none(), "{host}");
        }
        assert_eq!(encode("A-b.c.").as_deref(), Some(&b"\x03a-b\x01c\0"[..]));
    }
}
