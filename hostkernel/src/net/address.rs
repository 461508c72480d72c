//! The node's IPv4 address: fixed, or leased and renewed by DHCP.

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{DhcpPacket, IpCidr, Ipv4Cidr};

use crate::config::DHCP_LEN_MAX;
use crate::settings::Address;

/// Where the address comes from, and whether there is one.
pub struct Addressing {
    dhcp: Option<SocketHandle>,
    ready: bool,
    /// The time server that the DHCP server named last.
    pub time_server: Option<Ipv4Addr>,
}

/// Mask, router, name servers, time servers (RFC 2132).
const WANTED_OPTIONS: &[u8] = &[1, 3, 6, TIME_SERVERS];
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
                Self { dhcp, ready: false, time_server: None }
            }
            Address::Static { address, prefix_len, gateway } => {
                set(interface, Some(Ipv4Cidr::new(address, prefix_len)), gateway);
                Self { dhcp: None, ready: true, time_server: None }
            }
        }
    }

    /// Follows the lease. Returns whether the node has an address.
    pub fn poll(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.dhcp else { return self.ready };
        match sockets.get_mut::<dhcpv4::Socket>(handle).poll() {
            None => {}
            Some(dhcpv4::Event::Configured(lease)) => {
                self.time_server = lease.packet.as_ref().and_then(time_server);
                set(interface, Some(lease.address), lease.router);
                self.ready = true;
            }
            Some(dhcpv4::Event::Deconfigured) => {
                if self.ready {
                    log::warn!("address lease lost");
                }
                set(interface, None, None);
                self.ready = false;
            }
        }
        self.ready
    }
}

fn set(interface: &mut Interface, address: Option<Ipv4Cidr>, gateway: Option<Ipv4Addr>) {
    interface.update_ip_addrs(|addresses| {
        addresses.clear();
        if let Some(address) = address {
            // The list was just emptied, and holds at least one.
            let _ = addresses.push(IpCidr::Ipv4(address));
        }
    });
    let routes = interface.routes_mut();
    routes.remove_default_ipv4_route();
    if let Some(gateway) = gateway {
        // Likewise.
        let _ = routes.add_default_ipv4_route(gateway);
    }
    if let Some(address) = address {
        match gateway {
            Some(gateway) => log::info!("address {address}, gateway {gateway}"),
            None => log::info!("address {address}, no gateway"),
        }
    }
}

/// The first time server that a DHCP message names.
fn time_server(packet: &DhcpPacket<&[u8]>) -> Option<Ipv4Addr> {
    let servers = packet.options().find(|option| option.kind == TIME_SERVERS)?;
    servers.data.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where options begin (RFC 2131, 2, and the magic cookie).
    const OPTIONS_AT: usize = 240;

    fn with_options(options: &[u8]) -> Option<Ipv4Addr> {
        let mut message = [0; DHCP_LEN_MAX];
        message[OPTIONS_AT..OPTIONS_AT + options.len()].copy_from_slice(options);
        time_server(&DhcpPacket::new_unchecked(&message))
    }

    #[test]
    fn the_first_time_server_is_found() {
        let both = [53, 1, 5, 0, 42, 8, 10, 0, 0, 3, 10, 0, 0, 4, 255];
        assert_eq!(with_options(&both), Some(Ipv4Addr::new(10, 0, 0, 3)));
        assert_eq!(with_options(&[53, 1, 5, 255, 42, 4, 10, 0, 0, 3]), None, "after the end");
        assert_eq!(with_options(&[42, 3, 10, 0, 0, 255]), None);
        assert_eq!(with_options(&[]), None);
    }

    proptest! {
        #[test]
        fn no_options_panic(options in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = with_options(&options);
        }
    }
}
