//! The node's IPv4 address: fixed, or leased and renewed by DHCP.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{DhcpPacket, IpCidr, Ipv4Cidr};

use crate::settings::Address;
use limits::DHCP_LEN_MAX;

/// Where the address comes from, and whether there is one.
pub struct Addressing {
    dhcp: Option<SocketHandle>,
    /// Address and gateway that are in use.
    held: Option<(Ipv4Cidr, Option<Ipv4Addr>)>,
    /// The servers that the DHCP server named last.
    pub named: Named,
}

/// The first of each kind of server in a DHCP message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub time_server: Option<Ipv4Addr>,
    pub log_server: Option<Ipv4Addr>,
}

/// Mask, router, name servers, log servers, time servers (RFC 2132).
const WANTED_OPTIONS: &[u8] = &[1, 3, 6, LOG_SERVERS, TIME_SERVERS];
const LOG_SERVERS: u8 = 7;
const TIME_SERVERS: u8 = 42;

impl Addressing {
    pub fn new(
        address: Address,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Self {
        match address {
            Address::Dhcp => {
                let mut socket = dhcpv4::Socket::new();
                socket.set_parameter_request_list(WANTED_OPTIONS);
                socket.set_receive_packet_buffer(Box::leak(Box::new([0; DHCP_LEN_MAX])));
                let dhcp = Some(sockets.add(socket));
                Self { dhcp, held: None, named: Named::default() }
            }
            Address::Static { address, prefix_len, gateway } => {
                let held = Some((Ipv4Cidr::new(address, prefix_len), gateway));
                set(interface, held);
                Self { dhcp: None, held, named: Named::default() }
            }
        }
    }

    /// Follows the lease. Returns whether the node has an address.
    pub fn poll(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>) -> bool {
        let event = self.dhcp.and_then(|dhcp| sockets.get_mut::<dhcpv4::Socket>(dhcp).poll());
        let held = match event {
            None => self.held,
            Some(dhcpv4::Event::Configured(lease)) => {
                self.named = lease.packet.as_ref().map(Named::in_message).unwrap_or_default();
                Some((lease.address, lease.router))
            }
            Some(dhcpv4::Event::Deconfigured) => None,
        };
        // What a renewal confirms stays untouched: setting it makes smoltcp forget its neighbours.
        if held != self.held {
            if held.is_none() {
                log::warn!("address lease lost");
            }
            set(interface, held);
            self.held = held;
        }
        held.is_some()
    }
}

fn set(interface: &mut Interface, held: Option<(Ipv4Cidr, Option<Ipv4Addr>)>) {
    interface.update_ip_addrs(|addresses| {
        addresses.clear();
        if let Some((address, _)) = held {
            // The list was just emptied, and holds at least one.
            let _ = addresses.push(IpCidr::Ipv4(address));
        }
    });
    let routes = interface.routes_mut();
    routes.remove_default_ipv4_route();
    if let Some((_, Some(gateway))) = held {
        // Likewise.
        let _ = routes.add_default_ipv4_route(gateway);
    }
    match held {
        None => {}
        Some((address, Some(gateway))) => log::info!("address {address}, gateway {gateway}"),
        Some((address, None)) => log::info!("address {address}, no gateway"),
    }
}

impl Named {
    fn in_message(packet: &DhcpPacket<&[u8]>) -> Self {
        let first = |kind| {
            let servers = packet.options().find(|option| option.kind == kind)?;
            servers.data.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes))
        };
        Self { time_server: first(TIME_SERVERS), log_server: first(LOG_SERVERS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where options begin (RFC 2131, 2, and the magic cookie).
    const OPTIONS_AT: usize = 240;

    fn with_options(options: &[u8]) -> Named {
        let mut message = [0; DHCP_LEN_MAX];
        message[OPTIONS_AT..OPTIONS_AT + options.len()].copy_from_slice(options);
        Named::in_message(&DhcpPacket::new_unchecked(&message))
    }

    #[test]
    fn the_first_server_of_each_kind_is_found() {
        let both = [53, 1, 5, 0, 42, 8, 10, 0, 0, 3, 10, 0, 0, 4, 7, 4, 10, 0, 0, 5, 255];
        let named = Named {
            time_server: Some(Ipv4Addr::new(10, 0, 0, 3)),
            log_server: Some(Ipv4Addr::new(10, 0, 0, 5)),
        };
        assert_eq!(with_options(&both), named);
        let after_the_end = [53, 1, 5, 255, 42, 4, 10, 0, 0, 3];
        for options in [&after_the_end[..], &[42, 3, 10, 0, 0, 7, 0, 255], &[]] {
            assert_eq!(with_options(options), Named::default());
        }
    }

    proptest! {
        #[test]
        fn no_options_panic(options in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = with_options(&options);
        }
    }
}
