//! The clients: one smoltcp interface with a TCP socket for each of them.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::FaultInjector;
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpEndpoint, Ipv4Cidr};

use super::wire::{Plug, Wire};
use crate::net::time::instant;
use limits::SEND_BUFFER_LEN;

pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
pub const PREFIX_LEN: u8 = 24;
pub const PORT: u16 = 3233;
pub const PEER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Port of the first client; each further one has the next.
const FIRST_PORT: u16 = 40_000;
/// Of a client that has much to send or to get.
const WIDE_BUFFER_LEN: usize = 2 << 20;
/// Each buffer of a client's socket: the window it offers, a part of what the node's socket holds.
pub const BUFFER_LEN: usize = SEND_BUFFER_LEN / 4;

/// Names a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client(usize);

struct Connected {
    socket: SocketHandle,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    /// Closes once everything has been handed to the socket.
    closes: bool,
    /// Bytes it still wants to read.
    wanted: usize,
}

/// An answer as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The node says that it closes the connection.
    pub last: bool,
}

/// All clients.
pub struct Peer {
    /// Between the clients and their card: what is lost at random.
    pub injector: FaultInjector<Plug>,
    interface: Interface,
    sockets: SocketSet<'static>,
    clients: Vec<Connected>,
    datagrams: Option<SocketHandle>,
    /// The most bytes that a server sends at a time, if it is slow.
    pub pace: Option<usize>,
    doors: Vec<Door>,
    next_port: u16,
}

/// A socket of a server.
struct Door {
    socket: SocketHandle,
    port: u16,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    closes: bool,
}

/// Connections that a server takes at a time.
const DOORS: usize = 8;

impl Peer {
    pub fn new(receive: &Wire, send: &Wire, seed: u32, now_ns: u64) -> Self {
        let plug = Plug { receive: Rc::clone(receive), send: Rc::clone(send) };
        let mut injector = FaultInjector::new(plug, seed);
        let address = HardwareAddress::Ethernet(EthernetAddress(PEER_MAC));
        let mut config = Config::new(address);
        config.random_seed = u64::from(seed);
        let mut interface = Interface::new(config, &mut injector, instant(now_ns));
        interface.update_ip_addrs(|addresses| {
            let address = IpCidr::Ipv4(Ipv4Cidr::new(PEER_IP, PREFIX_LEN));
            addresses.push(address).expect("the list is empty");
        });
        let sockets = SocketSet::new(vec![]);
        let clients = Vec::new();
        Self {
            injector,
            interface,
            sockets,
            clients,
            datagrams: None,
            pace: None,
            doors: Vec::new(),
            next_port: FIRST_PORT,
        }
    }

    /// Takes datagrams on a port from now on.
    pub fn listen_to_datagrams(&mut self, port: u16) {
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 256], vec![0; 256 * 1024]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).expect("a new socket and a good port");
        self.datagrams = Some(self.sockets.add(socket));
    }

    /// The next datagram, and whose it is.
    pub fn take_datagram(&mut self) -> Option<(Vec<u8>, IpEndpoint)> {
        let (bytes, from) = self.sockets.get_mut::<udp::Socket>(self.datagrams?).recv().ok()?;
        Some((bytes.to_vec(), from.endpoint))
    }

    pub fn send_datagram(&mut self, bytes: &[u8], to: IpEndpoint) {
        let socket = self.datagrams.expect("it listens to datagrams");
        let socket = self.sockets.get_mut::<udp::Socket>(socket);
        socket.send_slice(bytes, to).expect("there is room");
    }

    /// Takes connections on a port from now on.
    pub fn open_doors(&mut self, port: u16) {
        for _ in 0..DOORS {
            let buffer = || tcp::SocketBuffer::new(vec![0; 64 * 1024]);
            let mut socket = tcp::Socket::new(buffer(), buffer());
            socket.listen(port).expect("a new socket and a good port");
            let socket = self.sockets.add(socket);
            let (incoming, outgoing) = (Vec::new(), Vec::new());
            self.doors.push(Door { socket, port, incoming, outgoing, closes: false });
        }
    }

    /// Has a server answer what has come: `serve` gets the port and all bytes of a connection that
    /// were not taken, and returns how many it takes, the answer, and whether that is the end.
    pub fn serve(&mut self, mut serve: impl FnMut(u16, &[u8]) -> Option<(usize, Vec<u8>, bool)>) {
        for door in &mut self.doors {
            let socket = self.sockets.get_mut::<tcp::Socket>(door.socket);
            while socket.can_recv() {
                let incoming = &mut door.incoming;
                let _ = socket.recv(|bytes| {
                    incoming.extend_from_slice(bytes);
                    (bytes.len(), ())
                });
            }
            while !door.closes
                && !door.incoming.is_empty()
                && let Some((len, answer, closes)) = serve(door.port, &door.incoming)
            {
                door.incoming.drain(..len);
                door.outgoing.extend(answer);
                door.closes = closes;
            }
            let due = self.pace.map_or(door.outgoing.len(), |pace| pace.min(door.outgoing.len()));
            if let Ok(count @ 1..) = socket.send_slice(&door.outgoing[..due]) {
                door.outgoing.drain(..count);
            }
            let is_left = socket.state() == tcp::State::CloseWait;
            if (door.closes || is_left) && door.outgoing.is_empty() && socket.may_send() {
                socket.close();
            }
            if !socket.is_open() || socket.state() == tcp::State::TimeWait {
                socket.abort();
                socket.listen(door.port).expect("a closed socket and a good port");
                door.incoming.clear();
                door.outgoing.clear();
                door.closes = false;
            }
        }
    }

    pub fn connect(&mut self) -> Client {
        let port = self.next_port;
        self.next_port += 1;
        self.connect_from(port)
    }

    pub fn connect_from(&mut self, port: u16) -> Client {
        self.connect_with(port, BUFFER_LEN)
    }

    /// Connects with large buffers, as systems have them.
    pub fn connect_wide(&mut self) -> Client {
        self.next_port += 1;
        self.connect_with(self.next_port - 1, WIDE_BUFFER_LEN)
    }

    fn connect_with(&mut self, port: u16, len: usize) -> Client {
        let buffer = || tcp::SocketBuffer::new(vec![0; len]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // What the node makes of a line is to be seen, not what its clients do.
        socket.set_congestion_control(tcp::CongestionControl::None);
        socket
            .connect(self.interface.context(), (NODE_IP, PORT), port)
            .expect("a new socket and good ports");
        let socket = self.sockets.add(socket);
        let (outgoing, incoming) = (Vec::new(), Vec::new());
        self.clients.push(Connected {
            socket,
            outgoing,
            incoming,
            closes: false,
            wanted: usize::MAX,
        });
        Client(self.clients.len() - 1)
    }

    pub fn send(&mut self, client: Client, bytes: &[u8]) {
        self.clients[client.0].outgoing.extend_from_slice(bytes);
    }

    /// Lets a client read so many bytes from now on, and no more.
    pub fn set_wanted(&mut self, client: Client, wanted: usize) {
        self.clients[client.0].wanted = wanted;
    }

    pub fn close(&mut self, client: Client) {
        self.clients[client.0].closes = true;
    }

    pub fn close_all(&mut self) {
        self.clients.iter_mut().for_each(|client| client.closes = true);
    }

    pub fn reset(&mut self, client: Client) {
        self.socket(client).abort();
    }

    pub fn state(&self, client: Client) -> tcp::State {
        self.sockets.get::<tcp::Socket>(self.clients[client.0].socket).state()
    }

    /// What a client has sent and the node has not acknowledged.
    pub fn unacknowledged(&self, client: Client) -> usize {
        self.sockets.get::<tcp::Socket>(self.clients[client.0].socket).send_queue()
    }

    pub fn port(&self, client: Client) -> Option<u16> {
        let socket = self.sockets.get::<tcp::Socket>(self.clients[client.0].socket);
        socket.local_endpoint().map(|endpoint| endpoint.port)
    }

    /// What a client has read and not taken.
    pub fn unread(&self, client: Client) -> &[u8] {
        &self.clients[client.0].incoming
    }

    /// Takes the next whole answer.
    pub fn take_answer(&mut self, client: Client) -> Option<Answer> {
        let incoming = &mut self.clients[client.0].incoming;
        let (answer, len) = parse(incoming)?;
        incoming.drain(..len);
        Some(answer)
    }

    fn socket(&mut self, client: Client) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.clients[client.0].socket)
    }

    /// Does all there is to do; returns when there will be more.
    pub fn poll(&mut self, now_ns: u64) -> Option<u64> {
        let timestamp = instant(now_ns);
        self.interface.poll(timestamp, &mut self.injector, &mut self.sockets);
        let mut moved = false;
        for client in &mut self.clients {
            moved |= client.exchange(self.sockets.get_mut(client.socket));
        }
        if moved {
            self.interface.poll_egress(timestamp, &mut self.injector, &mut self.sockets);
        }
        let next = self.interface.poll_at(timestamp, &self.sockets)?;
        Some(u64::try_from(next.total_micros()).unwrap_or(0) * 1000)
    }
}

impl Connected {
    /// Moves bytes between the client and its socket.
    fn exchange(&mut self, socket: &mut tcp::Socket<'static>) -> bool {
        let mut moved = false;
        if let Ok(count @ 1..) = socket.send_slice(&self.outgoing) {
            self.outgoing.drain(..count);
            moved = true;
        }
        while self.wanted > 0 && socket.can_recv() {
            let (incoming, wanted) = (&mut self.incoming, &mut self.wanted);
            let read = socket.recv(|bytes| {
                let bytes = &bytes[..bytes.len().min(*wanted)];
                incoming.extend_from_slice(bytes);
                *wanted -= bytes.len();
                (bytes.len(), ())
            });
            moved |= read.is_ok();
        }
        if self.closes && self.outgoing.is_empty() && socket.may_send() {
            socket.close();
            moved = true;
        }
        moved
    }
}

/// The answer at the start of `bytes` and its length, if all of it is there.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes).expect("the node sends HTTP");
    let httparse::Status::Complete(head_len) = parsed else { return None };
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| core::str::from_utf8(field.value).ok())
    };
    let len = field("content-length").and_then(|len| len.parse::<usize>().ok()).unwrap_or(0);
    let end = head_len + len;
    let answer = Answer {
        status: response.code.expect("a parsed answer has a status"),
        body: bytes.get(head_len..end)?.to_vec(),
        last: field("connection") == Some("close"),
    };
    Some((answer, end))
}
