//! Options of sockets: what was set is told again, and where nothing was, what Linux begins with.
//!
//! Most of them are about a network that is not there, so to remember them is all there is to do.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use linux_raw_sys::net;

use super::Kind;
use crate::Errno;

/// Bytes of the longest option's value: a `struct timeval`.
pub const VALUE_LEN_MAX: usize = 16;

/// A value as it stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    bytes: [u8; VALUE_LEN_MAX],
    len: usize,
}

impl Value {
    /// A number.
    #[must_use]
    pub fn number(number: u32) -> Self {
        let mut bytes = [0; VALUE_LEN_MAX];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        Self { bytes, len: 4 }
    }

    fn zeroes(len: usize) -> Self {
        Self { bytes: [0; VALUE_LEN_MAX], len }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn as_number(&self) -> u32 {
        let [a, b, c, d, ..] = self.bytes;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Level and name of an option.
pub type Name = (u32, u32);

/// What kind of value an option has, and what it is at the beginning.
#[derive(Clone, Copy)]
enum Known {
    /// A number.
    Number(u32),
    /// On or off.
    Switch(bool),
    /// A length of buffers, which Linux doubles.
    Buffer(u32),
    /// So many bytes, zero at the beginning.
    Bytes(usize),
}

const BUFFER_MIN: u32 = 2304;
/// `net.core.rmem_max`
const BUFFER_MAX: u32 = 212_992;

fn known((level, name): Name, kind: Kind) -> Option<Known> {
    use Known::{Buffer, Bytes, Number, Switch};
    let is_stream = kind == Kind::Stream;
    Some(match (level, name) {
        (net::SOL_SOCKET, name) => match name {
            net::SO_REUSEADDR | net::SO_REUSEPORT | net::SO_KEEPALIVE | net::SO_BROADCAST => {
                Switch(false)
            }
            net::SO_DONTROUTE | net::SO_OOBINLINE | net::SO_PASSCRED | net::SO_ZEROCOPY => {
                Switch(false)
            }
            net::SO_TIMESTAMP_OLD | net::SO_TIMESTAMPNS_OLD => Switch(false),
            net::SO_PRIORITY | net::SO_MARK | net::SO_BUSY_POLL | net::SO_INCOMING_CPU => Number(0),
            net::SO_RCVLOWAT => Number(1),
            net::SO_SNDBUF if is_stream => Buffer(2_626_560),
            net::SO_RCVBUF if is_stream => Buffer(131_072),
            net::SO_SNDBUF | net::SO_RCVBUF => Buffer(BUFFER_MAX),
            net::SO_LINGER => Bytes(8),
            net::SO_RCVTIMEO_OLD | net::SO_SNDTIMEO_OLD => Bytes(16),
            _ => return None,
        },
        (net::SOL_TCP, name) if is_stream => match name {
            net::TCP_NODELAY | net::TCP_CORK => Switch(false),
            net::TCP_QUICKACK => Switch(true),
            net::TCP_KEEPIDLE => Number(7200),
            net::TCP_KEEPINTVL => Number(75),
            net::TCP_KEEPCNT => Number(9),
            net::TCP_MAXSEG => Number(536),
            net::TCP_DEFER_ACCEPT | net::TCP_FASTOPEN | net::TCP_USER_TIMEOUT => Number(0),
            net::TCP_NOTSENT_LOWAT | net::TCP_LINGER2 | net::TCP_SYNCNT => Number(0),
            _ => return None,
        },
        (SOL_IP, net::IP_TOS | net::IP_FREEBIND | net::IP_BIND_ADDRESS_NO_PORT) => Number(0),
        (SOL_IP, net::IP_RECVERR | net::IP_MTU_DISCOVER | net::IP_PKTINFO) => Number(0),
        (SOL_IP, net::IP_TTL) => Number(64),
        (net::SOL_IPV6, IPV6_V6ONLY) => Switch(false),
        (net::SOL_IPV6, IPV6_UNICAST_HOPS) => Number(64),
        (net::SOL_IPV6, IPV6_TCLASS | IPV6_RECVERR | IPV6_RECVPKTINFO) => Number(0),
        _ => return None,
    })
}

const SOL_IP: u32 = net::SOL_IP;
const IPV6_UNICAST_HOPS: u32 = 16;
const IPV6_RECVERR: u32 = 25;
const IPV6_V6ONLY: u32 = 26;
const IPV6_RECVPKTINFO: u32 = 49;
const IPV6_TCLASS: u32 = 67;

/// The options of one socket.
#[derive(Clone, Debug, Default)]
pub struct Options(Vec<(Name, Value)>);

impl Options {
    /// What an option is.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for one that is not known.
    pub fn get(&self, name: Name, kind: Kind) -> Result<Value, Errno> {
        let known = known(name, kind).ok_or(Errno::ENOPROTOOPT)?;
        let set = self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        Ok(set.unwrap_or(match known {
            Known::Number(number) | Known::Buffer(number) => Value::number(number),
            Known::Switch(is_on) => Value::number(is_on.into()),
            Known::Bytes(len) => Value::zeroes(len),
        }))
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for one that is not known, `EINVAL` for a value that is too short.
    pub fn set(&mut self, name: Name, kind: Kind, bytes: &[u8]) -> Result<(), Errno> {
        let known = known(name, kind).ok_or(Errno::ENOPROTOOPT)?;
        let number = || bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let value = match known {
            Known::Number(_) => Value::number(number().ok_or(Errno::EINVAL)?),
            Known::Switch(_) => Value::number((number().ok_or(Errno::EINVAL)? != 0).into()),
            Known::Buffer(_) => {
                let wanted = number().ok_or(Errno::EINVAL)?.min(BUFFER_MAX);
                Value::number((wanted * 2).max(BUFFER_MIN))
            }
            Known::Bytes(len) => {
                let mut value = Value::zeroes(len);
                value.bytes[..len].copy_from_slice(bytes.get(..len).ok_or(Errno::EINVAL)?);
                value
            }
        };
        match self.0.iter_mut().find(|(other, _)| *other == name) {
            Some((_, place)) => *place = value,
            // As many as are known, and no more.
            None => self.0.push((name, value)),
        }
        Ok(())
    }

    fn is_on(&self, name: Name) -> bool {
        self.0.iter().any(|(other, value)| *other == name && value.as_number() != 0)
    }

    /// `SO_REUSEADDR`
    #[must_use]
    pub fn reuses_address(&self) -> bool {
        self.is_on((net::SOL_SOCKET, net::SO_REUSEADDR))
    }

    /// `SO_REUSEPORT`
    #[must_use]
    pub fn reuses_port(&self) -> bool {
        self.is_on((net::SOL_SOCKET, net::SO_REUSEPORT))
    }

    /// `IPV6_V6ONLY`
    #[must_use]
    pub fn is_ipv6_only(&self) -> bool {
        self.is_on((net::SOL_IPV6, IPV6_V6ONLY))
    }
}
