//! Where the node is in the network: its address, and who takes packets to which other one.
//!
//! A router need not be on the node's own network: clouds lease a single address with a router that
//! is beside it. So the first step of a packet is looked up by the longest prefix alone, and a
//! router's hardware address is asked for like that of any neighbour.

use alloc::vec::Vec;

use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

use limits::ROUTES_MAX;

/// The node's address and the ways from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address, and the network that is reached without a router.
    pub address: Ipv4Cidr,
    /// Ways to other networks.
    routes: Vec<Route>,
    /// The largest packet of this network, if it was named.
    pub mtu: Option<usize>,
}

/// The way to one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network.
    pub to: Ipv4Cidr,
    /// The router, or nobody: the network is on the wire, too.
    pub via: Option<Ipv4Address>,
}

const EVERYWHERE: Ipv4Cidr = Ipv4Cidr::new(Ipv4Address::UNSPECIFIED, 0);

impl Place {
    /// An address on a network, with a router for everything else if there is one.
    pub fn new(address: Ipv4Cidr, gateway: Option<Ipv4Address>) -> Self {
        let via = gateway.filter(|gateway| is_host(*gateway) && *gateway != address.address());
        let routes = via.map(|_| Route { to: EVERYWHERE, via }).into_iter().collect();
        Self { address, routes, mtu: None }
    }

    /// The same with further routes, of which so many are taken as there is room for.
    pub fn with_routes(mut self, routes: impl Iterator<Item = Route>) -> Self {
        let room = ROUTES_MAX.saturating_sub(self.routes.len());
        self.routes.extend(routes.take(room));
        self
    }

    /// Whose hardware address a packet to this one needs. `None` if nobody would pass it on.
    pub fn next_hop(&self, to: Ipv4Address) -> Option<Ipv4Address> {
        let direct = self.address.contains_addr(&to).then_some(self.address.prefix_len());
        let route = self.routes.iter().filter(|route| route.to.contains_addr(&to));
        match route.max_by_key(|route| route.to.prefix_len()) {
            Some(route) if direct < Some(route.to.prefix_len()) => Some(route.via.unwrap_or(to)),
            _ => direct.map(|_| to),
        }
    }

    /// The default router.
    pub fn gateway(&self) -> Option<Ipv4Address> {
        self.routes.iter().find(|route| route.to.prefix_len() == 0)?.via
    }

    /// Whether packets go over this neighbour, be it as a router or as their end.
    pub fn is_neighbour(&self, address: Ipv4Address) -> bool {
        self.is_router(address) || is_host(address) && self.next_hop(address) == Some(address)
    }

    /// Whether this is a router of the node.
    pub fn is_router(&self, address: Ipv4Address) -> bool {
        self.routes.iter().any(|route| route.via == Some(address))
    }

    /// Whether a packet to this address is for everybody on the wire.
    pub fn is_broadcast(&self, address: Ipv4Address) -> bool {
        address.is_broadcast() || self.address.broadcast() == Some(address)
    }
}

/// Whether this can be the address of one host (RFC 1122, 3.2.1.3).
pub fn is_host(address: Ipv4Address) -> bool {
    !(address.octets()[0] == 0
        || address.is_loopback()
        || address.is_multicast()
        || address.octets()[0] >= 240)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: Ipv4Address = Ipv4Address::new(172, 31, 1, 1);
    const FAR: Ipv4Address = Ipv4Address::new(192, 168, 9, 9);

    fn cidr(a: u8, b: u8, c: u8, d: u8, prefix_len: u8) -> Ipv4Cidr {
        Ipv4Cidr::new(Ipv4Address::new(a, b, c, d), prefix_len)
    }

    #[test]
    fn a_router_need_not_be_on_the_network() {
        for prefix_len in [24, 31, 32] {
            let place = Place::new(cidr(10, 77, 0, 2, prefix_len), Some(ROUTER));
            assert_eq!(place.next_hop(FAR), Some(ROUTER));
            assert!(place.is_neighbour(ROUTER), "/{prefix_len}");
            let beside = Ipv4Address::new(10, 77, 0, 9);
            let direct = if prefix_len == 24 { beside } else { ROUTER };
            assert_eq!(place.next_hop(beside), Some(direct));
        }
        let alone = Place::new(cidr(10, 77, 0, 2, 24), None);
        assert_eq!((alone.next_hop(FAR), alone.gateway()), (None, None));
    }

    #[test]
    fn the_longest_prefix_decides_wherever_it_comes_from() {
        let other = Ipv4Address::new(10, 77, 0, 254);
        let routes = [
            Route { to: cidr(10, 77, 0, 128, 25), via: Some(other) },
            Route { to: cidr(192, 168, 0, 0, 16), via: None },
            Route { to: cidr(10, 0, 0, 0, 8), via: Some(other) },
        ];
        let place =
            Place::new(cidr(10, 77, 0, 2, 24), Some(ROUTER)).with_routes(routes.into_iter());
        assert_eq!(place.next_hop(Ipv4Address::new(10, 77, 0, 200)), Some(other));
        assert_eq!(
            place.next_hop(Ipv4Address::new(10, 77, 0, 3)).map(|it| it.octets()[3]),
            Some(3)
        );
        assert_eq!(place.next_hop(Ipv4Address::new(10, 1, 1, 1)), Some(other));
        assert_eq!(place.next_hop(FAR), Some(FAR), "on the wire");
        assert_eq!(place.next_hop(Ipv4Address::new(8, 8, 8, 8)), Some(ROUTER));
        let many = place.clone().with_routes(core::iter::repeat_n(routes[0], 100));
        assert_eq!(many.routes.len(), ROUTES_MAX);
    }
}
