//! What the node serves: HTTP connections, who may hold one, and whose answer is whose.
//!
//! [`Service::poll`] does everything there is to do at a moment and says when it wants to be called
//! again. It is handed the time and the card, so it runs, and is tested, without hardware.
//!
//! ```text
//! card ─▶ net ─▶ connections ─▶ answers ─▶ api ─▶ dispatcher ─▶ …
//! … ─▶ dispatcher ─▶ answers ─▶ connections ─▶ net ─▶ card
//! ```

mod answers;
mod clients;
mod connections;
mod crowd;
mod deploys;
mod drain;
mod holdings;
mod queue;
mod room;
mod slot;
mod slots;
mod texts;
mod timers;
mod turns;
mod waiting;

use alloc::boxed::Box;
use core::net::Ipv4Addr;

use self::connections::Connections;
use self::drain::Stand;
use self::waiting::Waiting;
use crate::dispatch::{Backlog, Dispatcher};
use crate::net::Network;
use crate::net::nic::Nic;
use crate::net::time::earliest;
use crate::random::Random;
use crate::settings::Settings;
use crate::state::{Node, Now, Readiness};
use crate::wall::trust::{Opinion, Reading};

/// Network, connections and API of one node.
pub struct Service<'a> {
    network: Network,
    connections: Connections<'a>,
}

impl<'a> Service<'a> {
    /// What one invocation under way takes of the heap here.
    pub const INVOCATION_LEN: usize = Waiting::PLACE_LEN + Backlog::PLACE_LEN;

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
        let own = Random::from_seed(random.seed());
        let network = Network::new(nic, settings, node.syslog.clone(), own, now_ns);
        let connections = Connections::new(settings, connections_max, node, dispatcher, random);
        Self { network, connections }
    }

    /// Does all there is to do. Returns when to be called again at the latest even if nothing
    /// happens, on the scale of `now.monotonic_ns`.
    pub fn poll(&mut self, now: Now) -> Option<u64> {
        let now_ns = now.monotonic_ns;
        let Self { network, connections } = self;
        network.receive(now_ns, connections);
        network.work(now_ns);
        match (connections.node().readiness, network.has_address()) {
            (Readiness::Ready, true) | (Readiness::Draining, _) => {}
            (_, true) => {
                let is_supplied = connections.is_supplied();
                connections.node_mut().readiness =
                    if is_supplied { Readiness::Ready } else { Readiness::Preparing };
            }
            (_, false) => connections.node_mut().readiness = Readiness::Booting,
        }
        let node = connections.node_mut();
        node.load.traffic = network.traffic();
        let has_store = connections.has_store();
        let mut store_ns = if has_store { connections.poll_store(network, now) } else { None };
        connections.poll(now, &mut network.outward(now_ns));
        if has_store {
            if connections.has_begun_errands() {
                // They leave at once, and not when something else happens.
                store_ns = connections.poll_store(network, now);
            }
            store_ns = store_ns.into_iter().chain(network.send_own(now_ns)).min();
        }
        if connections.node().readiness == Readiness::Draining {
            connections.drain(now_ns);
        }
        let log_ns = network.send_log(now_ns);
        let network_ns = network.finish(now_ns);
        let drain_ns = match connections.drain_stand(now_ns) {
            Some(Stand::Waiting(until_ns)) => until_ns,
            _ => None,
        };
        earliest([connections.next_ns(), network_ns, drain_ns, log_ns, store_ns])
    }

    /// Whether the log has a line to send that was written since the last [`poll`](Self::poll).
    #[must_use]
    pub fn has_log(&self) -> bool {
        self.network.has_log()
    }

    /// Whether a frame waits.
    pub fn is_pending(&mut self) -> bool {
        self.network.is_pending()
    }

    /// Frames that the card has handed over since the boot.
    #[must_use]
    pub fn frames_received(&self) -> u64 {
        self.network.traffic().received.frames
    }

    /// Prepares for sleep: a frame from now on interrupts. Returns false if one is there already.
    pub fn arm(&mut self) -> bool {
        self.network.arm()
    }

    /// Ends the state that [`arm`](Self::arm) began.
    pub fn disarm(&mut self) {
        self.network.disarm();
    }

    /// What requests read and change.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.connections.node()
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.network.address()
    }

    /// Whether the node serves: it has an address and does not drain.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.node().readiness == Readiness::Ready
    }

    /// Whether the node was asked to leave.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.node().readiness == Readiness::Draining
    }

    /// What a time server has said since the last call, and what to make of it; `machine_ns` asks
    /// the machine's own clock. After that, [`poll`](Self::poll) may have something to do.
    pub fn take_reading(
        &mut self,
        machine_ns: impl FnOnce() -> Option<u64>,
    ) -> Option<(Reading, Opinion)> {
        self.network.take_reading(machine_ns)
    }

    /// What requests read and change.
    pub fn node_mut(&mut self) -> &mut Node {
        self.connections.node_mut()
    }

    /// Begins to leave the service.
    pub fn drain(&mut self, now_ns: u64) {
        self.connections.drain(now_ns);
    }

    /// Whether the node was asked to leave, and everything it had begun has ended.
    ///
    /// Then the next [`poll`](Self::poll), which ought to be the last, ends the connections that
    /// are left.
    pub fn is_drained(&mut self, now_ns: u64) -> bool {
        let is_over = self.connections.drain_stand(now_ns) == Some(Stand::Over);
        if is_over {
            self.connections.hang_up();
        }
        is_over
    }
}

#[cfg(test)]
mod tests;
