//! What the node serves: HTTP connections, who may hold one, and whose answer is whose.
//!
//! [`Service::poll`] does everything there is to do at a moment and says when it wants to be called
//! again. It is handed the time and the card, so it runs, and is tested, without hardware.
//!
//! ```text
//! card ─▶ adapter ─▶ smoltcp ─▶ connections ─▶ api ─▶ dispatcher ─▶ …
//! … ─▶ dispatcher ─▶ connections ─▶ smoltcp ─▶ adapter ─▶ card
//! ```

mod clients;
mod connections;
mod drain;
mod slot;
mod timers;
mod waiting;

use alloc::boxed::Box;
use alloc::vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpEndpoint};

use self::connections::Connections;
use self::drain::Stand;
use self::waiting::Waiting;
use crate::dispatch::Dispatcher;
use crate::net::adapter::Adapter;
use crate::net::address::Addressing;
use crate::net::arrival::Arrival;
use crate::net::nic::Nic;
use crate::net::sntp::Sntp;
use crate::net::syslog::Sender;
use crate::net::{Egress, Reading, instant};
use crate::random::Random;
use crate::settings::{Server, Settings};
use crate::state::{Node, Now, Readiness};
use limits::{FRAMES_PER_POLL_MAX, SNTP_PORT, SYSLOG_PORT};

/// How long to wait for a free buffer of the card before sending is tried again.
const SEND_RETRY_NS: u64 = 100_000;
/// How often connections that wait for a neighbour's hardware address are looked at.
const RESOLVE_INTERVAL_NS: u64 = 10_000_000;

/// Network, connections and API of one node.
pub struct Service<'a> {
    adapter: Adapter,
    interface: Interface,
    /// The node's own: what gets it an address.
    sockets: SocketSet<'static>,
    /// No sockets, for segments that belong to none: smoltcp answers them with a reset.
    nobody: SocketSet<'static>,
    addressing: Addressing,
    time_server: Server,
    sntp: Sntp,
    /// What a time server has said, until somebody asks.
    reading: Option<Reading>,
    log_server: Server,
    /// If somebody wants the log.
    syslog: Option<Sender>,
    /// When the node's own sockets want to be looked at.
    own_ns: Option<u64>,
    /// When to look whether a neighbour was found, and when that was done last.
    resolve_ns: Option<u64>,
    resolved_ns: u64,
    connections: Connections<'a>,
}

impl<'a> Service<'a> {
    /// What one invocation under way takes of the heap here.
    pub const INVOCATION_LEN: usize = Waiting::PLACE_LEN;

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
        let sntp = Sntp::new(&mut sockets);
        let syslog = node.syslog.clone().map(|queue| Sender::new(queue, random.word()));
        let connections =
            Connections::new(settings.port, connections_max, node, dispatcher, random);
        Self {
            adapter,
            interface,
            sockets,
            nobody: SocketSet::new(vec![]),
            addressing,
            time_server: settings.time_server,
            sntp,
            reading: None,
            log_server: settings.log_server,
            syslog,
            own_ns: Some(now_ns),
            resolve_ns: None,
            resolved_ns: 0,
            connections,
        }
    }

    /// Does all there is to do. Returns when to be called again at the latest even if nothing
    /// happens, on the scale of `now.monotonic_ns`.
    pub fn poll(&mut self, now: Now) -> Option<u64> {
        let now_ns = now.monotonic_ns;
        self.receive(now_ns);
        let is_due = |at_ns: Option<u64>| at_ns.is_some_and(|at_ns| at_ns <= now_ns);
        if is_due(self.resolve_ns) {
            self.resolve_ns = None;
            self.resolved_ns = now_ns;
            self.connections.touch_waiting();
            self.own_ns = Some(now_ns);
        }
        if is_due(self.own_ns) {
            self.work_for_itself(now_ns);
        }
        let Self { interface, adapter, connections, .. } = self;
        connections.node_mut().load.traffic = adapter.traffic;
        connections.poll(now, &mut Network { interface, adapter, now_ns });
        if connections.node().readiness == Readiness::Draining {
            connections.drain(now_ns);
        }
        let log_ns = self.send_log(now_ns);
        self.adapter.flush();
        let drain_ns = match self.connections.drain_stand(now_ns) {
            Some(Stand::Waiting(until_ns)) => until_ns,
            _ => None,
        };
        let times = [self.connections.next_ns(), self.own_ns, self.resolve_ns, drain_ns, log_ns];
        times.into_iter().flatten().min()
    }

    /// Passes the frames that wait to smoltcp, each with the sockets it may concern.
    fn receive(&mut self, now_ns: u64) {
        let timestamp = instant(now_ns);
        for _ in 0..FRAMES_PER_POLL_MAX {
            let Some(arrival) = self.adapter.arrival(timestamp) else { return };
            let sockets = match arrival {
                Arrival::Segment(peer) => {
                    self.connections.segment(peer).unwrap_or(&mut self.nobody)
                }
                Arrival::Connect(_) if self.connections.is_late(now_ns) => &mut self.nobody,
                Arrival::Connect(peer) => match self.connections.connect(peer, now_ns) {
                    Some(sockets) => sockets,
                    None => {
                        self.adapter.discard();
                        continue;
                    }
                },
                Arrival::Address => {
                    let earliest_ns = self.resolved_ns + RESOLVE_INTERVAL_NS;
                    self.resolve_ns.get_or_insert(now_ns.max(earliest_ns));
                    &mut self.sockets
                }
                Arrival::Other => {
                    self.own_ns = Some(now_ns);
                    &mut self.sockets
                }
            };
            self.interface.poll_ingress_single(timestamp, &mut self.adapter, sockets);
        }
    }

    /// Gets and keeps the node's address, and the time.
    fn work_for_itself(&mut self, now_ns: u64) {
        let Self { interface, adapter, sockets, addressing, connections, .. } = self;
        let ready = addressing.poll(interface, sockets);
        let node = connections.node_mut();
        match node.readiness {
            Readiness::Booting if ready => node.readiness = Readiness::Ready,
            Readiness::Ready if !ready => node.readiness = Readiness::Booting,
            _ => {}
        }
        let named = addressing.named;
        let server = endpoint(self.time_server, named.time_server, SNTP_PORT);
        self.sntp.set_server(server.filter(|_| ready), now_ns);
        if let Some(syslog) = &mut self.syslog {
            let server = endpoint(self.log_server, named.log_server, SYSLOG_PORT);
            syslog.set_server(server.filter(|_| ready), ready);
        }
        let reading = self.sntp.poll(sockets, connections.random(), now_ns);
        self.reading = reading.or(self.reading);
        let network_ns = Network { interface, adapter, now_ns }.egress(sockets);
        self.sntp.note_sent(sockets, now_ns);
        self.own_ns = network_ns.into_iter().chain(self.sntp.next_ns()).min();
    }

    /// Sends lines to the log server, behind everything else.
    fn send_log(&mut self, now_ns: u64) -> Option<u64> {
        let syslog = self.syslog.as_mut()?;
        let Self { interface, adapter, .. } = self;
        let host = interface.ipv4_addr();
        syslog.poll(host, &mut Network { interface, adapter, now_ns }, now_ns)
    }

    /// Whether the log has a line to send that was written since the last [`poll`](Self::poll).
    #[must_use]
    pub fn has_log(&self) -> bool {
        self.syslog.as_ref().is_some_and(Sender::is_pending)
    }

    /// Whether a frame waits.
    pub fn is_pending(&mut self) -> bool {
        self.adapter.is_pending()
    }

    /// Frames that the card has handed over since the boot.
    #[must_use]
    pub fn frames_received(&self) -> u64 {
        self.adapter.traffic.received.frames
    }

    /// Prepares for sleep: a frame from now on interrupts. Returns false if one is there already.
    pub fn arm(&mut self) -> bool {
        self.adapter.arm()
    }

    /// Ends the state that [`arm`](Self::arm) began.
    pub fn disarm(&mut self) {
        self.adapter.disarm();
    }

    /// What requests read and change.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.connections.node()
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.interface.ipv4_addr()
    }

    /// Whether the node serves: it has an address and does not drain.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.node().readiness == Readiness::Ready
    }

    /// What a time server has said since the last call.
    pub fn take_reading(&mut self) -> Option<Reading> {
        self.reading.take()
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
    pub fn is_drained(&mut self, now_ns: u64) -> bool {
        self.connections.drain_stand(now_ns) == Some(Stand::Over)
    }
}

/// The way out, at one moment.
struct Network<'a> {
    interface: &'a mut Interface,
    adapter: &'a mut Adapter,
    now_ns: u64,
}

impl Egress for Network<'_> {
    fn egress(&mut self, sockets: &mut SocketSet<'static>) -> Option<u64> {
        let timestamp = instant(self.now_ns);
        self.interface.poll_egress(timestamp, self.adapter, sockets);
        let at = self.interface.poll_at(timestamp, sockets)?;
        let at_ns = u64::try_from(at.total_micros()).unwrap_or(0).saturating_mul(1000);
        // What could not leave now found the card's queue full.
        Some(if at_ns <= self.now_ns { self.now_ns + SEND_RETRY_NS } else { at_ns })
    }
}

/// Where a server is, if there can be one.
fn endpoint(server: Server, named: Option<Ipv4Addr>, usual_port: u16) -> Option<IpEndpoint> {
    let (address, port) = match server {
        Server::Dhcp => (named?, usual_port),
        Server::Nobody => return None,
        Server::At(server) => (*server.ip(), server.port()),
    };
    let is_one = !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    (is_one && port != 0).then(|| IpEndpoint::new(IpAddress::Ipv4(address), port))
}

#[cfg(test)]
mod tests;
