//! A network cable whose other end is in the test: every frame in both directions.
//!
//! QEMU sends and receives Ethernet frames as UDP datagrams. That needs no privileges, and shows
//! what QEMU's user-mode network hides: ping, leases that end, frames that get lost.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant as Timestamp;

use crate::{Machine, Network};

/// Longest frame.
const FRAME_LEN_MAX: usize = 1514;

/// One end of a cable whose other end is plugged into a node.
#[derive(Debug)]
pub struct Wire {
    socket: UdpSocket,
    node: SocketAddr,
    loss: Option<Loss>,
}

/// Loses one frame of `one_in`, the same ones in every run with the same `seed`.
#[derive(Clone, Copy, Debug)]
struct Loss {
    one_in: u64,
    seed: u64,
}

impl Wire {
    /// Plugs the cable into a machine, which has no other network then.
    ///
    /// # Panics
    /// If this computer has no free UDP ports.
    #[must_use]
    pub fn plug(machine: Machine) -> (Machine, Self) {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        let own = socket.local_addr().expect("an address");
        // QEMU opens its port itself; until then it is only known to be free.
        let free = UdpSocket::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr());
        let node = free.expect("a free port");
        let network = Network::Other(format!("socket,udp={own},localaddr={node}"));
        (machine.network(network), Self { socket, node, loss: None })
    }

    /// From now on one frame of `one_in` gets lost, in either direction.
    pub fn lose(&mut self, one_in: u64, seed: u64) {
        self.loss = Some(Loss { one_in, seed });
    }

    /// Sends a frame to the node.
    pub fn send(&mut self, frame: &[u8]) {
        if !self.is_lost() {
            // Before QEMU has opened its port this may fail, as on a cable that is not plugged in.
            let _ = self.socket.send_to(frame, self.node);
        }
    }

    /// The next frame from the node. `None` if there is none in time.
    #[must_use]
    pub fn receive(&mut self, timeout: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a time-out can be set");
            let mut frame = [0; FRAME_LEN_MAX];
            match self.socket.recv(&mut frame) {
                Ok(len) if !self.is_lost() => return Some(frame[..len].to_vec()),
                _ if Instant::now() >= end => return None,
                _ => {}
            }
        }
    }

    fn is_lost(&mut self) -> bool {
        let Some(loss) = &mut self.loss else { return false };
        // Xorshift (Marsaglia 2003): no statistics are needed, only repeatability.
        loss.seed ^= loss.seed << 13;
        loss.seed ^= loss.seed >> 7;
        loss.seed ^= loss.seed << 17;
        loss.seed.is_multiple_of(loss.one_in)
    }
}

/// For a smoltcp interface on this side.
impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Timestamp) -> Option<(Received, Sending<'_>)> {
        let frame = Self::receive(self, Duration::ZERO)?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: Timestamp) -> Option<Sending<'_>> {
        Some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_LEN_MAX;
        capabilities
    }
}

/// A frame from the node.
#[derive(Debug)]
pub struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// The right to send a frame.
#[derive(Debug)]
pub struct Sending<'a>(&'a mut Wire);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(&frame);
        result
    }
}
