//! The network side of the node: frames in, HTTP connections, frames out.
//!
//! [`Service::poll`] does everything there is to do at a moment and says when it wants to be called
//! again. It is handed the time and the card, so it runs, and is tested, without hardware.
//!
//! ```text
//! card ─▶ adapter ─▶ smoltcp ─▶ connections ─▶ api ─▶ dispatcher ─▶ …
//! … ─▶ dispatcher ─▶ connections ─▶ smoltcp ─▶ adapter ─▶ card
//! ```
#![forbid(unsafe_code)]

mod adapter;
mod address;
mod connections;
mod neighbours;

use alloc::boxed::Box;
use alloc::vec;

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use self::adapter::Adapter;
use self::address::Addressing;
use self::connections::Connections;
use crate::api::{Node, Now, Readiness};
use crate::config::FRAMES_PER_POLL_MAX;
use crate::device::nic::Nic;
use crate::dispatch::Dispatcher;
use crate::random::Random;
use crate::settings::Settings;

/// Network, connections and API of one node.
pub struct Service<'a> {
    adapter: Adapter,
    interface: Interface,
    sockets: SocketSet<'static>,
    addressing: Addressing,
    connections: Connections<'a>,
}

impl<'a> Service<'a> {
    /// A service on `nic` with room for `connections_max` connections.
    #[must_use]
    pub fn new(
        nic: Box<dyn Nic>,
        settings: &Settings,
        connections_max: usize,
        node: Node,
        dispatcher: &'a Dispatcher,
        mut random: Random,
        now_ns: u64,
    ) -> Self {
        let address = HardwareAddress::Ethernet(EthernetAddress(nic.address()));
        let mut adapter = Adapter::new(nic, settings.port);
        let mut config = Config::new(address);
        config.random_seed = random.word();
        let mut interface = Interface::new(config, &mut adapter, instant(now_ns));
        let mut sockets = SocketSet::new(vec![]);
        let addressing = Addressing::new(settings.address, &mut interface, &mut sockets);
        let connections =
            Connections::new(settings.port, connections_max, node, dispatcher, random);
        Self { adapter, interface, sockets, addressing, connections }
    }

    /// Does all there is to do. Returns when to be called again at the latest even if nothing
    /// happens, on the scale of `now.monotonic_ns`.
    pub fn poll(&mut self, now: Now) -> Option<u64> {
        let timestamp = instant(now.monotonic_ns);
        self.connections.keep_listening(&mut self.sockets, now.monotonic_ns);
        for _ in 0..FRAMES_PER_POLL_MAX {
            self.adapter.refuse_connects = self.connections.is_full();
            let result =
                self.interface.poll_ingress_single(timestamp, &mut self.adapter, &mut self.sockets);
            match result {
                PollIngressSingleResult::None => break,
                PollIngressSingleResult::PacketProcessed => {}
                // A listening socket may have become a connection; the next frame may want another.
                PollIngressSingleResult::SocketStateChanged => {
                    self.connections.keep_listening(&mut self.sockets, now.monotonic_ns);
                }
            }
        }
        let ready = self.addressing.poll(&mut self.interface, &mut self.sockets);
        let node = self.connections.node_mut();
        match node.readiness {
            Readiness::Booting if ready => node.readiness = Readiness::Ready,
            Readiness::Ready if !ready => node.readiness = Readiness::Booting,
            _ => {}
        }
        self.connections.poll(&mut self.sockets, now);
        self.interface.poll_maintenance(timestamp);
        self.interface.poll_egress(timestamp, &mut self.adapter, &mut self.sockets);
        self.adapter.flush();
        let network = self
            .interface
            .poll_at(timestamp, &self.sockets)
            .map(|at| u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000));
        network.into_iter().chain(self.connections.next_check_ns()).min()
    }

    /// Prepares for sleep: a frame from now on interrupts. Returns false if one is there already.
    pub fn arm(&mut self) -> bool {
        self.adapter.arm()
    }

    /// Ends the state that [`arm`](Self::arm) began.
    pub fn disarm(&mut self) {
        self.adapter.disarm();
    }

    /// Whether the node serves: it has an address and does not drain.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.connections.node().readiness == Readiness::Ready
    }

    /// Stops taking part: not ready, every answer is its connection's last.
    pub fn drain(&mut self) {
        self.connections.drain();
    }

    /// Whether a drained service has answered everything it was asked.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.connections.is_drained(&self.sockets)
    }
}

fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / 1000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
