//! The node's IPv4 address: fixed, or leased and renewed by DHCP.

use core::net::Ipv4Addr;

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::settings::Address;

/// Where the address comes from, and whether there is one.
pub struct Addressing {
    dhcp: Option<SocketHandle>,
    ready: bool,
}

impl Addressing {
    pub fn new(
        address: Address,
        interface: &mut Interface,
        sockets: &mut SocketSet<'static>,
    ) -> Self {
        match address {
            Address::Dhcp => {
                let dhcp = Some(sockets.add(dhcpv4::Socket::new()));
                Self { dhcp, ready: false }
            }
            Address::Static { address, prefix_len, gateway } => {
                set(interface, Some(Ipv4Cidr::new(address, prefix_len)), gateway);
                Self { dhcp: None, ready: true }
            }
        }
    }

    /// Follows the lease. Returns whether the node has an address.
    pub fn poll(&mut self, interface: &mut Interface, sockets: &mut SocketSet<'static>) -> bool {
        let Some(handle) = self.dhcp else { return self.ready };
        match sockets.get_mut::<dhcpv4::Socket>(handle).poll() {
            None => {}
            Some(dhcpv4::Event::Configured(lease)) => {
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
