//! Addresses of sockets (`struct sockaddr`), and which of them are this machine's.
#![forbid(unsafe_code)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use linux_raw_sys::net;

use super::Family;
use crate::Errno;

/// Ports that are given to those who do not care (`ip_local_port_range`).
pub const EPHEMERAL_FIRST: u16 = 32_768;
/// The last of them.
pub const EPHEMERAL_LAST: u16 = 60_999;

/// Bytes of `struct sockaddr_in` and `struct sockaddr_in6`.
const INET_LEN: usize = 16;
const INET6_LEN: usize = 28;
/// Bytes of a `struct sockaddr_nl`.
const NETLINK_LEN: usize = 12;
/// Bytes of the shortest `struct sockaddr_in6` that is taken: without the scope.
const INET6_LEN_MIN: usize = 24;
/// Bytes of the longest address (`struct sockaddr_storage`).
pub const ADDRESS_LEN_MAX: usize = 128;

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Of a socket without a name.
    Unix,
    /// Of the network.
    Net(SocketAddr),
    /// Of a socket that asks the kernel, by number; the kernel's is 0.
    Netlink(u32),
}

/// What a program gave as an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// `AF_UNSPEC`, which ends what was before.
    Nothing,
    /// A name in the file system, or an abstract one.
    Name,
    /// An address of the network.
    Net(SocketAddr),
    /// A number of a socket that asks the kernel; 0 for any.
    Netlink(u32),
}

impl Given {
    /// Reads what stands in memory.
    ///
    /// # Errors
    /// `EINVAL` for one that is too short, `EAFNOSUPPORT` for a family that is not known.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Errno> {
        let (family, rest) = bytes.split_first_chunk::<2>().ok_or(Errno::EINVAL)?;
        let port = |rest: &[u8]| rest.first_chunk().map(|port| u16::from_be_bytes(*port));
        match u32::from(u16::from_le_bytes(*family)) {
            net::AF_UNSPEC => Ok(Self::Nothing),
            net::AF_UNIX => Ok(Self::Name),
            net::AF_INET if bytes.len() >= INET_LEN => {
                let port = port(rest).ok_or(Errno::EINVAL)?;
                let octets: [u8; 4] = *rest[2..].first_chunk().ok_or(Errno::EINVAL)?;
                Ok(Self::Net(SocketAddr::new(Ipv4Addr::from(octets).into(), port)))
            }
            net::AF_INET6 if bytes.len() >= INET6_LEN_MIN => {
                let port = port(rest).ok_or(Errno::EINVAL)?;
                let octets: [u8; 16] = *rest[6..].first_chunk().ok_or(Errno::EINVAL)?;
                Ok(Self::Net(SocketAddr::new(Ipv6Addr::from(octets).into(), port)))
            }
            net::AF_NETLINK if bytes.len() >= NETLINK_LEN => {
                let number = rest[2..].first_chunk().ok_or(Errno::EINVAL)?;
                Ok(Self::Netlink(u32::from_le_bytes(*number)))
            }
            net::AF_INET | net::AF_INET6 | net::AF_NETLINK => Err(Errno::EINVAL),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The address, for a socket of this family.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` if it is of another.
    pub fn of_family(self, family: Family) -> Result<SocketAddr, Errno> {
        match (self, family) {
            (Self::Net(address @ SocketAddr::V4(_)), Family::Inet)
            | (Self::Net(address @ SocketAddr::V6(_)), Family::Inet6) => Ok(address),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }
}

impl Address {
    /// The address of a socket of this family that has none.
    #[must_use]
    pub fn unspecified(family: Family) -> Self {
        match family {
            Family::Unix => Self::Unix,
            Family::Netlink => Self::Netlink(0),
            Family::Inet => Self::Net(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)),
            Family::Inet6 => Self::Net(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)),
        }
    }

    /// As it stands in memory, and how long that is.
    #[must_use]
    pub fn to_bytes(self) -> ([u8; INET6_LEN], usize) {
        let mut bytes = [0; INET6_LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        let family = |number: u32| (number as u16).to_le_bytes();
        let len = match self {
            Self::Unix => {
                put(0, &family(net::AF_UNIX));
                2
            }
            Self::Netlink(number) => {
                put(0, &family(net::AF_NETLINK));
                put(4, &number.to_le_bytes());
                NETLINK_LEN
            }
            Self::Net(SocketAddr::V4(address)) => {
                put(0, &family(net::AF_INET));
                put(2, &address.port().to_be_bytes());
                put(4, &address.ip().octets());
                INET_LEN
            }
            Self::Net(SocketAddr::V6(address)) => {
                put(0, &family(net::AF_INET6));
                put(2, &address.port().to_be_bytes());
                put(8, &address.ip().octets());
                INET6_LEN
            }
        };
        (bytes, len)
    }
}

/// Whether an address means this machine, whose only one is the loopback's.
#[must_use]
pub fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

/// Whether a socket at one address is reached by who wants another. `serves_both` says that one
/// for IPv6 takes IPv4, too.
#[must_use]
pub fn reaches(at: IpAddr, wanted: IpAddr, serves_both: bool) -> bool {
    match (at, wanted.to_canonical()) {
        (IpAddr::V4(at), IpAddr::V4(wanted)) => at.is_unspecified() || at == wanted,
        (IpAddr::V6(at), IpAddr::V6(wanted)) => at.is_unspecified() || at == wanted,
        (IpAddr::V6(at), IpAddr::V4(wanted)) => {
            at.is_unspecified() && serves_both || at.to_ipv4_mapped() == Some(wanted)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

/// The loopback's address, as a socket of this family says it.
#[must_use]
pub fn loopback(family: Family, wanted: IpAddr) -> IpAddr {
    match (family, wanted.to_canonical()) {
        (Family::Inet6, IpAddr::V4(address)) => {
            let address = if address.is_unspecified() { Ipv4Addr::LOCALHOST } else { address };
            address.to_ipv6_mapped().into()
        }
        (_, address) if !address.is_unspecified() => address,
        (_, IpAddr::V4(_)) => Ipv4Addr::LOCALHOST.into(),
        (_, IpAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
    }
}
