//! What all attacks share: a place on the tap, chance, and what is held open until the end.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use smoltcp::wire::EthernetAddress;
use system_tests::Tap;
use system_tests::frames::{Segment, Station, flag};
use system_tests::tap::{Peer, Port};
use xtask::qemu::NODE_PORT;

/// Frames that are sent before the node is given time to read them: more than its card has
/// buffers for, and less than the queue of the tap.
const BURST: u32 = 300;
/// Less than a receive window of the node, and more than an attack sends without counting.
const RESET_STRIDE: u32 = 4000;
/// How long the attacker waits for a segment that may not come.
const PATIENCE: Duration = Duration::from_millis(200);

/// Somebody on the tap with bad intentions.
pub struct Attacker {
    pub port: Port,
    pub own: Station,
    pub random: Random,
    /// Connections by hand; they are reset when the attack ends.
    pub peers: Vec<Peer>,
    /// Connections of the operating system; they are closed when the attack ends.
    pub streams: Vec<TcpStream>,
    unsettled: u32,
    next_port: u16,
}

/// Xorshift (Marsaglia 2003): no statistics are needed, only repeatability.
pub struct Random(u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// One of `values`.
    pub fn one<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.word() as u8).collect()
    }
}

impl Attacker {
    pub fn new(seed: u64) -> Self {
        let address = Ipv4Addr::new(10, 77, 0, 66);
        let own = Station { mac: EthernetAddress([2, 0, 0, 0, 0, 66]), address };
        Self {
            port: Port::open(own),
            own,
            // Of 0 nothing else would follow.
            random: Random(seed.max(1)),
            peers: vec![],
            streams: vec![],
            unsettled: 0,
            next_port: 10_000,
        }
    }

    /// The node.
    pub fn node(&self) -> Station {
        self.port.node()
    }

    /// Frames and bytes sent so far.
    pub fn sent(&self) -> (u64, u64) {
        self.port.sent()
    }

    /// Sends a frame, and waits for the node from time to time: a frame that the tap's queue drops
    /// attacks nobody.
    pub fn send(&mut self, frame: &[u8]) {
        self.port.send(frame);
        self.unsettled += 1;
        if self.unsettled == BURST {
            self.settle();
        }
    }

    /// Waits until the node has read everything. From then on it knows where the attacker is.
    pub fn settle(&mut self) {
        self.port.settle(self.own);
        self.unsettled = 0;
    }

    /// A host in the node's network that does not exist.
    pub fn stranger(&mut self) -> Station {
        let number = self.random.word().to_be_bytes();
        let mac = EthernetAddress([2, number[0], number[1], number[2], number[3], number[4]]);
        let address = Ipv4Addr::new(10, 77, 0, 100 + number[5] % 150);
        Station { mac, address }
    }

    /// A host in another network, as seen through the gateway.
    pub fn outsider(&mut self) -> Station {
        let number = self.random.word().to_be_bytes();
        Station { mac: self.own.mac, address: Ipv4Addr::new(198, 51, number[0], number[1]) }
    }

    /// The good client, in whose name things can be sent.
    pub fn client(&self) -> Station {
        Station { mac: self.own.mac, address: Tap::HOST }
    }

    /// A segment to the service.
    pub fn segment(&mut self, flags: u8, payload: &[u8]) -> Segment {
        Segment {
            ports: (1024 + self.random.below(60_000) as u16, NODE_PORT),
            sequence: self.random.word() as u32,
            acknowledgement: self.random.word() as u32,
            flags,
            window: 8192,
            urgent: 0,
            options: vec![],
            payload: payload.to_vec(),
        }
    }

    /// Opens a connection by hand, which is held until the attack ends.
    pub fn open(&mut self, sequence: u32, window: u16, options: &[u8], data: &[u8]) -> Peer {
        self.next_port = self.next_port.checked_add(1).unwrap_or(10_000);
        let ports = (self.next_port, NODE_PORT);
        let mut peer = Peer::open(&mut self.port, self.own, ports, sequence, options, data);
        peer.window = window;
        self.tell(&peer, flag::ACK, &[]);
        self.peers.push(peer.clone());
        peer
    }

    /// Sends a segment of a connection.
    pub fn tell(&mut self, peer: &Peer, flags: u8, payload: &[u8]) {
        let frame = peer.segment(NODE_PORT, flags, payload).frame(peer.station, self.node());
        self.send(&frame);
    }

    /// Listens on a connection, and acknowledges, until `words` were said. False if they are not.
    pub fn hears(&mut self, peer: &mut Peer, words: &str) -> bool {
        let mut heard = Vec::new();
        while let Some((_, sequence, data)) = self.port.receive_segment(peer, PATIENCE) {
            if !data.is_empty() && sequence == peer.expected {
                peer.expected = peer.expected.wrapping_add(data.len() as u32);
                heard.extend_from_slice(&data);
            }
            if String::from_utf8_lossy(&heard).contains(words) {
                return true;
            }
            if !data.is_empty() {
                self.tell(peer, flag::ACK, &[]);
            }
        }
        false
    }

    /// Opens a connection of the operating system, which is held until the attack ends.
    pub fn connect(&mut self) -> &mut TcpStream {
        let stream = TcpStream::connect((Tap::NODE, NODE_PORT)).expect("the node accepts");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_nonblocking(true).expect("a stream can be asked not to block");
        self.streams.push(stream);
        self.streams.last_mut().expect("there is at least this one")
    }

    /// Ends what the attack holds.
    pub fn let_go(&mut self) {
        self.settle();
        for peer in std::mem::take(&mut self.peers) {
            // Some attacks lose count of what the node took; within its window a reset counts.
            for lost in [0, RESET_STRIDE] {
                let reset = Peer { next: peer.next.wrapping_add(lost), ..peer.clone() };
                self.tell(&reset, flag::RST, &[]);
            }
        }
        self.streams.clear();
        self.settle();
    }
}
