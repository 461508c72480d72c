//! What becomes of packets that arrive in parts: once whole, they are read as others are, beside
//! the way of those.

use super::adapter::Adapter;
use super::arrival::{self, Arrival};
use super::forge::Injected;
use super::time::instant;
use super::{Connections, Network, Verdict, hear};

impl Network {
    /// Takes the packet that waits as a part of one, which is read if it is whole now.
    #[inline(never)]
    pub(super) fn part(&mut self, now_ns: u64, connections: &mut impl Connections) {
        let whole = self.fragments.add(self.adapter.packet(), now_ns);
        self.adapter.release();
        self.adapter.traffic.received.dropped += self.fragments.take_lost();
        if let Some(packet) = whole
            && !self.read(&packet, now_ns, connections)
        {
            self.adapter.traffic.received.dropped += 1;
        }
    }

    /// Reads a packet that was put together. Returns false if it is of no use.
    fn read(&mut self, packet: &[u8], now_ns: u64, connections: &mut impl Connections) -> bool {
        // No card has seen more than its parts.
        let place = self.adapter.link.place();
        let Some((arrival, source)) = Arrival::of(packet, self.port, place) else { return false };
        if !arrival::is_whole(packet) {
            return false;
        }
        let verdict = match arrival {
            Arrival::Segment(segment) => connections.segment(segment),
            Arrival::Reset(peer, sequence) => connections.reset(peer, sequence),
            Arrival::Other => match self.outgoing.of(packet) {
                Some(sockets) => Verdict::Read(sockets, 0),
                None => {
                    self.own_ns = Some(now_ns);
                    Verdict::Read(&mut self.sockets, 0)
                }
            },
            // They fit into whatever a link carries: nobody but an attacker takes them apart.
            Arrival::Connect(_) | Arrival::TooBig(_) | Arrival::Lease | Arrival::Fragment => {
                return false;
            }
        };
        let Self { interface, adapter, addressing, port, nobody, .. } = self;
        let toward = |adapter: &mut Adapter, shift| adapter.toward(source, shift);
        let (sockets, shift) = match verdict {
            Verdict::Read(sockets, shift) | Verdict::Stepwise(sockets, shift, ..) => {
                (sockets, shift)
            }
            Verdict::Nobody => (nobody, 0),
            Verdict::Instead(sockets, forged, shift) => {
                toward(adapter, shift);
                let node = (&*addressing, *port);
                hear(interface, adapter, node, sockets, forged, instant(now_ns));
                return true;
            }
            Verdict::Begin(_) | Verdict::Drop => return false,
        };
        toward(adapter, shift);
        let mut injected = Injected::new(adapter, Some(packet), None);
        interface.poll_ingress_single(instant(now_ns), &mut injected, sockets);
        true
    }
}
