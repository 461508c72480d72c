//! What the kernel says about its network when it is asked by netlink (rtnetlink(7)): there is a
//! loopback, with its two addresses.
//!
//! Programs ask to list their interfaces, as some servers do to print where they can be reached.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_raw_sys::net;

/// Types of messages, and of what is asked for.
const DONE: u16 = 3;
const ERROR: u16 = 2;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
/// One of several messages.
const MULTI: u16 = 2;
/// Bytes of a message's header.
const HEADER_LEN: usize = 16;

/// The only interface (`struct ifinfomsg`): its number, kind (`ARPHRD_LOOPBACK`), and that it is
/// up, running, and a loopback.
const INDEX: u32 = 1;
const KIND_LOOPBACK: u16 = 772;
const FLAGS: u32 = 0x1_0049;
const MTU: u32 = 65_536;
const NAME: &[u8] = b"lo\0";
/// Attributes of links and addresses.
const LINK_ADDRESS: u16 = 1;
const LINK_BROADCAST: u16 = 2;
const LINK_NAME: u16 = 3;
const LINK_MTU: u16 = 4;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
/// Of an address: it stays, and is for this machine only.
const PERMANENT: u8 = 0x80;
const SCOPE_HOST: u8 = 254;
/// What is not known how to answer: `EOPNOTSUPP`.
const NOT_SUPPORTED: i32 = -95;

/// A question: what is asked for, by whom, and the family it is about (0 for all).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    kind: u16,
    sequence: u32,
    family: u8,
}

impl Question {
    fn read(bytes: &[u8]) -> Option<Self> {
        let kind = u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?);
        let sequence = u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
        let family = bytes.get(HEADER_LEN).copied().unwrap_or(0);
        Some(Self { kind, sequence, family })
    }
}

/// Messages one behind the other.
struct Answer {
    bytes: Vec<u8>,
    sequence: u32,
    port: u32,
}

impl Answer {
    /// Adds a message of fixed fields and attributes.
    fn message(&mut self, kind: u16, fields: &[&[u8]], attributes: &[(u16, &[u8])]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_le_bytes());
        self.bytes.extend_from_slice(&MULTI.to_le_bytes());
        self.bytes.extend_from_slice(&self.sequence.to_le_bytes());
        self.bytes.extend_from_slice(&self.port.to_le_bytes());
        fields.iter().for_each(|field| self.bytes.extend_from_slice(field));
        for (name, value) in attributes {
            self.bytes.extend_from_slice(&(value.len() as u16 + 4).to_le_bytes());
            self.bytes.extend_from_slice(&name.to_le_bytes());
            self.bytes.extend_from_slice(value);
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        }
        let len = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&len.to_le_bytes());
    }

    fn link(&mut self) {
        let kind = KIND_LOOPBACK.to_le_bytes();
        let (index, flags) = (INDEX.to_le_bytes(), FLAGS.to_le_bytes());
        let attributes: [(u16, &[u8]); 4] = [
            (LINK_NAME, NAME),
            (LINK_MTU, &MTU.to_le_bytes()),
            (LINK_ADDRESS, &[0; 6]),
            (LINK_BROADCAST, &[0; 6]),
        ];
        self.message(NEW_LINK, &[&[0, 0], &kind, &index, &flags, &[0; 4]], &attributes);
    }

    fn addresses(&mut self, family: u8) {
        let index = INDEX.to_le_bytes();
        let asked = |of: u32| family == 0 || u32::from(family) == of;
        if asked(net::AF_INET) {
            let fields = [net::AF_INET as u8, 8, PERMANENT, SCOPE_HOST];
            let address: &[u8] = &[127, 0, 0, 1];
            let attributes = [(ADDRESS, address), (LOCAL, address), (LABEL, NAME)];
            self.message(NEW_ADDRESS, &[&fields, &index], &attributes);
        }
        if asked(net::AF_INET6) {
            let fields = [net::AF_INET6 as u8, 128, PERMANENT, SCOPE_HOST];
            let address = core::net::Ipv6Addr::LOCALHOST.octets();
            self.message(NEW_ADDRESS, &[&fields, &index], &[(ADDRESS, &address)]);
        }
    }
}

/// What a question is answered with, to the socket of this number; nothing if it is none.
#[must_use]
pub fn answer(question: &[u8], port: u32) -> Vec<u8> {
    let Some(asked) = Question::read(question) else { return Vec::new() };
    let mut answer = Answer { bytes: Vec::new(), sequence: asked.sequence, port };
    match asked.kind {
        GET_LINK => answer.link(),
        GET_ADDRESS => answer.addresses(asked.family),
        // Routes lead to where there is nothing.
        GET_ROUTE => {}
        _ => {
            let header = question.get(..HEADER_LEN).unwrap_or_default();
            answer.message(ERROR, &[&NOT_SUPPORTED.to_le_bytes(), header], &[]);
            return answer.bytes;
        }
    }
    answer.message(DONE, &[&[0; 4]], &[]);
    answer.bytes
}
