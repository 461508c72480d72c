//! The way out: what sockets have to say, to one host at a time.

use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::Device;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Cidr};

use super::adapter::Adapter;
use super::forge::{Forged, Injected};
use super::time::{instant, ns};
use limits::FRAMES_PER_POLL_MAX;

/// How long to wait for a free buffer of the card before sending is tried again.
pub const SEND_RETRY_NS: u64 = 100_000;

/// Acknowledgements of the same that say that something is missing.
const DUPLICATES: u32 = 3;

/// Where what is sent goes.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// To whom.
    pub to: Ipv4Addr,
    /// The largest packet that gets there, if it is known to be smaller than usual.
    pub mtu: Option<usize>,
    /// By how much windows are to be shifted beyond what smoltcp does.
    pub window_shift: u8,
}

/// The way out, at one moment.
pub struct Outward<'a> {
    /// What composes packets.
    pub interface: &'a mut Interface,
    /// What sends them.
    pub adapter: &'a mut Adapter,
    /// The moment.
    pub now_ns: u64,
}

impl Outward<'_> {
    /// The largest packet the wire takes.
    pub fn mtu(&self) -> usize {
        self.adapter.mtu()
    }

    /// Sends what the sockets of a set have to send, all of it to one host. Returns when they have
    /// more.
    pub fn egress(&mut self, sockets: &mut SocketSet<'static>, path: Path) -> Option<u64> {
        self.adapter.toward(path.to, path.window_shift);
        match path.mtu {
            Some(mtu) if mtu < self.adapter.mtu() => self.egress_narrow(sockets, mtu),
            _ => egress(self.interface, self.adapter, sockets, self.now_ns),
        }
    }

    /// The same by an interface that takes less.
    #[inline(never)]
    fn egress_narrow(&mut self, sockets: &mut SocketSet<'static>, mtu: usize) -> Option<u64> {
        let mut narrow = Injected::new(self.adapter, None, Some(mtu));
        let address = self.interface.ipv4_addr().map(|address| Ipv4Cidr::new(address, 32));
        let interface = &mut interface(&mut narrow, address, 0, self.now_ns);
        egress(interface, &mut narrow, sockets, self.now_ns)
    }

    /// The same for what shall not leave before its neighbour is known.
    pub fn egress_if_known(
        &mut self,
        sockets: &mut SocketSet<'static>,
        server: IpEndpoint,
    ) -> Option<u64> {
        let IpAddress::Ipv4(to) = server.addr;
        if !self.adapter.link.seek(to, instant(self.now_ns)) {
            return None;
        }
        self.egress(sockets, Path { to, mtu: None, window_shift: 0 })
    }

    /// Has a socket hear an acknowledgement as often as makes it send again at once what comes next
    /// (RFC 5681, 3.2). The clock for that which smoltcp has itself never runs for less than a
    /// second.
    pub fn repeat(&mut self, sockets: &mut SocketSet<'static>, segment: Forged, port: u16) {
        let Some(address) = self.interface.ipv4_addr() else { return };
        let packet = segment.packet(address, port);
        for _ in 0..DUPLICATES {
            let mut injected = Injected::new(self.adapter, Some(&packet), None);
            self.interface.poll_ingress_single(instant(self.now_ns), &mut injected, sockets);
        }
    }

    /// Has a socket ask a client that has no room whether it has some by now. smoltcp does so after
    /// a second at the earliest, for its clock never runs for less; so it is let see the time then.
    /// That changes nothing but when it asks next.
    pub fn ask_for_room(&mut self, sockets: &mut SocketSet<'static>, path: Path) {
        let Some(at) = self.interface.poll_at(instant(self.now_ns), sockets) else { return };
        self.adapter.toward(path.to, path.window_shift);
        let mut device = Injected::at(self.adapter, instant(self.now_ns));
        egress(self.interface, &mut device, sockets, ns(at));
    }
}

fn egress<D: Device + Ready>(
    interface: &mut Interface,
    device: &mut D,
    sockets: &mut SocketSet<'static>,
    now_ns: u64,
) -> Option<u64> {
    let timestamp = instant(now_ns);
    for _ in 0..FRAMES_PER_POLL_MAX {
        interface.poll_egress(timestamp, device, sockets);
        let at_ns = ns(interface.poll_at(timestamp, sockets)?);
        if at_ns > now_ns {
            return Some(at_ns);
        }
        if !device.is_ready() {
            break;
        }
    }
    // What could not leave now found the card's queue full.
    Some(now_ns + SEND_RETRY_NS)
}

/// A device that says whether it has room.
trait Ready {
    fn is_ready(&mut self) -> bool;
}

impl Ready for Adapter {
    fn is_ready(&mut self) -> bool {
        Adapter::is_ready(self)
    }
}

impl Ready for Injected<'_> {
    fn is_ready(&mut self) -> bool {
        self.adapter.is_ready()
    }
}

/// An interface with this address. It has no state but its generator's: one is as good as another.
pub fn interface(
    device: &mut impl Device,
    address: Option<Ipv4Cidr>,
    seed: u64,
    now_ns: u64,
) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, device, instant(now_ns));
    interface.update_ip_addrs(|addresses| {
        if let Some(address) = address {
            // The list was empty, and holds one.
            let _ = addresses.push(IpCidr::Ipv4(address));
        }
    });
    interface
}
