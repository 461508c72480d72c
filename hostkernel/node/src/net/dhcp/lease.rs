//! What a DHCP server leases: options as servers really send them (RFC 2132, RFC 3442).
//!
//! Nothing in them is trusted to make sense: an address that cannot be one is as if it had not been
//! said, a list is a list, and every time has a floor.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::wire::{DhcpPacket, Ipv4Cidr};

use super::super::place::{Place, Route, is_host};
use limits::{
    DHCP_LEASE_MS_DEFAULT, DHCP_LEASE_MS_MIN, DHCP_RENEW_MS_MIN, DHCP_ROUTES_LEN_MAX, MTU_MIN,
};

const MASK: u8 = 1;
const ROUTERS: u8 = 3;
const NAME_SERVERS: u8 = 6;
const LOG_SERVERS: u8 = 7;
const MTU: u8 = 26;
const TIME_SERVERS: u8 = 42;
const LEASE_TIME: u8 = 51;
pub const MESSAGE_TYPE: u8 = 53;
pub const SERVER: u8 = 54;
const RENEW_TIME: u8 = 58;
const REBIND_TIME: u8 = 59;
const CLASSLESS_ROUTES: u8 = 121;
/// What a server is asked for. Classless routes come before routers (RFC 3442).
pub const WANTED: &[u8] =
    &[MASK, CLASSLESS_ROUTES, ROUTERS, NAME_SERVERS, LOG_SERVERS, MTU, TIME_SERVERS];

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
/// A lease of so many seconds has no end (RFC 2131, 3.3).
const FOR_EVER_S: u32 = u32::MAX;

/// What was leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Where the node is.
    pub place: Place,
    /// The servers that were named.
    pub named: Named,
    /// Who leases it.
    pub server: Ipv4Addr,
    /// How long until it is to be renewed there, renewed anywhere, and over.
    pub times_ns: Times,
}

/// The first of each kind of server in a DHCP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub time_server: Option<Ipv4Addr>,
    pub log_server: Option<Ipv4Addr>,
    pub name_server: Option<Ipv4Addr>,
}

/// How long after a lease begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub renew_ns: u64,
    pub rebind_ns: u64,
    /// `None`: never.
    pub expire_ns: Option<u64>,
}

impl Lease {
    /// The lease in a message, if it is one.
    pub fn in_message(message: &DhcpPacket<&[u8]>, server: Ipv4Addr) -> Option<Self> {
        let address = message.your_ip();
        if !is_host(address) {
            return None;
        }
        let routers = addresses(message, ROUTERS);
        let router = routers.into_iter().find(|router| is_host(*router) && *router != address);
        let prefix_len = prefix_len(message, address, router.is_some());
        let cidr = Ipv4Cidr::new(address, prefix_len);
        let routes = routes(message);
        // With classless routes routers are ignored (RFC 3442).
        let place =
            if routes.is_empty() { Place::new(cidr, router) } else { Place::new(cidr, None) };
        let mut place = place.with_routes(routes.into_iter());
        place.mtu = word(message, MTU).map(usize::from).filter(|mtu| *mtu >= MTU_MIN);
        Some(Self { place, named: named(message), server, times_ns: Times::in_message(message) })
    }
}

/// The length of the network part. What has no mask, or one with holes, is an address alone if
/// there is a router for all others, else a network of its class, as before there were masks.
fn prefix_len(message: &DhcpPacket<&[u8]>, address: Ipv4Addr, has_router: bool) -> u8 {
    let mask = number(message, MASK).filter(|mask| mask.leading_ones() == mask.count_ones());
    match mask {
        Some(mask) if mask != 0 => mask.count_ones() as u8,
        _ if has_router => 32,
        _ => match address.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        },
    }
}

fn routes(message: &DhcpPacket<&[u8]>) -> Vec<Route> {
    // A list longer than an option can be is in several (RFC 3396).
    let options = message.options().filter(|option| option.kind == CLASSLESS_ROUTES);
    let mut bytes: Vec<u8> = options.flat_map(|option| option.data.iter().copied()).collect();
    bytes.truncate(DHCP_ROUTES_LEN_MAX);
    let (mut rest, mut routes) = (&bytes[..], Vec::new());
    while let Some((route, after)) = route(rest) {
        routes.extend(route);
        rest = after;
    }
    routes
}

/// The first route of a list, unless it makes no sense, and the rest.
fn route(bytes: &[u8]) -> Option<(Option<Route>, &[u8])> {
    let (&prefix_len, rest) = bytes.split_first()?;
    if prefix_len > 32 {
        return None;
    }
    let (significant, rest) = rest.split_at_checked(usize::from(prefix_len).div_ceil(8))?;
    let (router, rest) = rest.split_first_chunk::<4>()?;
    let mut network = [0; 4];
    network[..significant.len()].copy_from_slice(significant);
    let router = Ipv4Addr::from(*router);
    let to = Ipv4Cidr::new(Ipv4Addr::from(network), prefix_len);
    let via = (!router.is_unspecified()).then_some(router);
    Some((via.is_none_or(is_host).then_some(Route { to, via }), rest))
}

fn named(message: &DhcpPacket<&[u8]>) -> Named {
    let first = |kind| addresses(message, kind).into_iter().find(|server| is_host(*server));
    Named {
        time_server: first(TIME_SERVERS),
        log_server: first(LOG_SERVERS),
        name_server: first(NAME_SERVERS),
    }
}

impl Times {
    /// The times in a message, in the order they must have.
    fn in_message(message: &DhcpPacket<&[u8]>) -> Self {
        let ns = |seconds: u32| u64::from(seconds) * NS_PER_S;
        let lease_s = number(message, LEASE_TIME);
        let lease_ns = lease_s.map_or(DHCP_LEASE_MS_DEFAULT * NS_PER_MS, ns);
        let lease_ns = lease_ns.max(DHCP_LEASE_MS_MIN * NS_PER_MS);
        let least_ns = DHCP_RENEW_MS_MIN * NS_PER_MS;
        let sound = |at_ns: u64, before_ns: u64| (least_ns..before_ns).contains(&at_ns);
        let rebind_ns = number(message, REBIND_TIME).map(ns).filter(|at| sound(*at, lease_ns));
        let rebind_ns = rebind_ns.unwrap_or(lease_ns / 8 * 7);
        let renew_ns = number(message, RENEW_TIME).map(ns).filter(|at| sound(*at, rebind_ns));
        Self {
            renew_ns: renew_ns.unwrap_or((lease_ns / 2).min(rebind_ns)),
            rebind_ns,
            expire_ns: (lease_s != Some(FOR_EVER_S)).then_some(lease_ns),
        }
    }
}

fn data<'a>(message: &'a DhcpPacket<&[u8]>, kind: u8) -> Option<&'a [u8]> {
    Some(message.options().find(|option| option.kind == kind)?.data)
}

/// The one byte of an option.
pub fn byte(message: &DhcpPacket<&[u8]>, kind: u8) -> Option<u8> {
    data(message, kind)?.first().copied()
}

fn word(message: &DhcpPacket<&[u8]>, kind: u8) -> Option<u16> {
    data(message, kind)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// The four bytes of an option.
pub fn number(message: &DhcpPacket<&[u8]>, kind: u8) -> Option<u32> {
    data(message, kind)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn addresses(message: &DhcpPacket<&[u8]>, kind: u8) -> Vec<Ipv4Addr> {
    let (bytes, _) = data(message, kind).unwrap_or_default().as_chunks::<4>();
    bytes.iter().map(|bytes| Ipv4Addr::from(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use limits::{DHCP_LEN_MAX, ROUTES_MAX};
    use proptest::prelude::*;

    /// Where options begin (RFC 2131, 2, and the magic cookie).
    const OPTIONS_AT: usize = 240;
    const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const FAR: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 9);

    fn lease(options: &[u8]) -> Option<Lease> {
        let mut message = [0; DHCP_LEN_MAX];
        message[16..20].copy_from_slice(&[10, 77, 0, 50]);
        message[OPTIONS_AT..OPTIONS_AT + options.len()].copy_from_slice(options);
        Lease::in_message(&DhcpPacket::new_unchecked(&message[..]), SERVER_IP)
    }

    fn place(options: &[u8]) -> Place {
        lease(options).expect("a good address").place
    }

    #[test]
    fn the_first_router_of_a_list_is_the_router() {
        let mask = [1, 4, 255, 255, 255, 0];
        for routers in [
            &[3, 4, 10, 77, 0, 1][..],
            &[3, 8, 10, 77, 0, 1, 10, 77, 0, 99],
            &[3, 12, 0, 0, 0, 0, 10, 77, 0, 1, 10, 77, 0, 99],
            &[3, 7, 10, 77, 0, 1, 10, 77, 0],
        ] {
            let place = place(&[&mask, routers, &[255]].concat());
            assert_eq!(place.gateway(), Some(SERVER_IP), "{routers:?}");
            assert_eq!(place.address.prefix_len(), 24);
        }
        assert_eq!(place(&mask).gateway(), None);
    }

    #[test]
    fn a_mask_may_be_whole_or_missing_or_wrong() {
        let router = [3, 4, 10, 77, 0, 1];
        for mask in
            [&[1, 4, 255, 255, 255, 255][..], &[], &[1, 4, 255, 0, 255, 0], &[1, 4, 0, 0, 0, 0]]
        {
            let place = place(&[mask, &router].concat());
            assert_eq!(place.address.prefix_len(), 32, "{mask:?}");
            assert_eq!(place.next_hop(FAR), Some(SERVER_IP));
            assert_eq!(place.next_hop(SERVER_IP), Some(SERVER_IP));
        }
        assert_eq!(place(&[]).address.prefix_len(), 8);
    }

    #[test]
    fn classless_routes_replace_the_router() {
        // To the router itself on the wire, and to everybody by it, as clouds say it.
        let routes = [121, 14, 32, 10, 77, 0, 1, 0, 0, 0, 0, 0, 10, 77, 0, 1];
        let cloud =
            place(&[&[3, 4, 10, 77, 0, 99][..], &[1, 4, 255, 255, 255, 255], &routes].concat());
        assert_eq!(
            (cloud.next_hop(FAR), cloud.next_hop(SERVER_IP)),
            (Some(SERVER_IP), Some(SERVER_IP))
        );
        // In two parts, with one that makes no sense.
        let parts = [121, 3, 16, 172, 16, 121, 9, 10, 77, 0, 7, 0, 224, 0, 0, 1, 121, 1, 33];
        let split = place(&parts);
        let inside = Ipv4Addr::new(172, 16, 3, 4);
        assert_eq!(split.next_hop(inside), Some(Ipv4Addr::new(10, 77, 0, 7)));
        assert_eq!(split.next_hop(FAR), None);
        let many = [&[121, 250][..], &[8, 11, 10, 77, 0, 1].repeat(41), &[0; 4]].concat();
        let place = place(&many);
        let copies =
            (0..=255).filter(|first| place.next_hop(Ipv4Addr::new(*first, 0, 0, 1)).is_some());
        assert_eq!(copies.count(), 2, "of {ROUTES_MAX} routes");
    }

    #[test]
    fn a_size_of_packets_has_a_floor() {
        assert_eq!(place(&[26, 2, 5, 0]).mtu, Some(1280));
        for options in [&[26, 2, 0, 68][..], &[26, 1, 5], &[]] {
            assert_eq!(place(options).mtu, None);
        }
    }

    #[test]
    fn every_time_has_a_floor_and_its_order() {
        let times = |options: &[u8]| lease(options).expect("a good address").times_ns;
        let lease = |seconds: u32| [&[51, 4][..], &seconds.to_be_bytes()].concat();
        let hour = times(&lease(3600));
        let expected = Times {
            renew_ns: 1800 * NS_PER_S,
            rebind_ns: 3150 * NS_PER_S,
            expire_ns: Some(3600 * NS_PER_S),
        };
        assert_eq!(hour, expected);
        for short in [0, 1] {
            let times = times(&lease(short));
            assert_eq!(times.expire_ns, Some(DHCP_LEASE_MS_MIN * NS_PER_MS));
            assert!(times.renew_ns >= DHCP_RENEW_MS_MIN * NS_PER_MS);
        }
        assert_eq!(times(&lease(FOR_EVER_S)).expire_ns, None);
        assert_eq!(times(&[]).expire_ns, Some(DHCP_LEASE_MS_DEFAULT * NS_PER_MS));
        for wrong in [[0, 0], [0, 100], [100, 50], [4000, 5000], [1000, 3600]] {
            let options = [(RENEW_TIME, wrong[0]), (REBIND_TIME, wrong[1])].map(
                |(kind, seconds): (u8, u32)| [&[kind, 4][..], &seconds.to_be_bytes()].concat(),
            );
            let times = times(&[lease(3600), options.concat()].concat());
            assert!(times.renew_ns >= DHCP_RENEW_MS_MIN * NS_PER_MS, "{wrong:?}: {times:?}");
            assert!(times.renew_ns <= times.rebind_ns && times.rebind_ns < 3600 * NS_PER_S);
        }
    }

    #[test]
    fn the_first_server_of_each_kind_is_found() {
        let both = [
            53, 1, 5, 0, 42, 8, 10, 0, 0, 3, 10, 0, 0, 4, 7, 4, 10, 0, 0, 5, 6, 4, 10, 0, 0, 6, 255,
        ];
        let named = Named {
            time_server: Some(Ipv4Addr::new(10, 0, 0, 3)),
            log_server: Some(Ipv4Addr::new(10, 0, 0, 5)),
            name_server: Some(Ipv4Addr::new(10, 0, 0, 6)),
        };
        assert_eq!(lease(&both).expect("a good address").named, named);
        let after_the_end = [53, 1, 5, 255, 42, 4, 10, 0, 0, 3];
        for options in [&after_the_end[..], &[42, 3, 10, 0, 0, 7, 0, 255], &[]] {
            assert_eq!(lease(options).expect("a good address").named, Named::default());
        }
    }

    proptest! {
        #[test]
        fn no_options_panic(options in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = lease(&options);
        }

        #[test]
        fn no_routes_panic(list in proptest::collection::vec(any::<u8>(), 0..255)) {
            let _ = lease(&[&[121, list.len() as u8][..], &list].concat());
        }
    }
}
