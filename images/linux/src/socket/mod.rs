//! Sockets: the loopback of a machine without a network, and the client of a web server.
//!
//! There is one process, so whoever is at the other end of a connection is in it, too; but for one:
//! the *client*, who stands for the request that the invocation is to answer. It connects once, to
//! the socket that listens where web servers are expected; what the program reads from that
//! connection is the request, what it writes there becomes the invocation's result.
//!
//! ```text
//!   program ── accept ──▶ connection ◀── request (head, input)     in an instance
//!                              └───────▶ answer ─▶ result          fields, then the body
//!   program ── connect ─▶ connection ◀──▶ connection ◀── accept ── program
//!   program ── connect elsewhere ─▶ ENETUNREACH
//! ```
//!
//! Nothing is ready at a socket that listens before there is a request: waiting for one is where a
//! server is frozen, as others are at their input.
//!
//! Modules, each naming only those before it: [`address`], [`options`], [`request`], [`route`],
//! [`answer`], [`exchange`]; here the table; `connect`, `stream`, which change it; `message`,
//! `calls`, which have the calls; `serving`, `warming`, the program as a whole.
#![forbid(unsafe_code)]

pub mod address;
pub mod answer;
mod calls;
mod connect;
pub mod exchange;
mod message;
pub mod options;
pub mod request;
pub mod route;
mod serving;
pub mod stream;
#[cfg(test)]
mod tests;
mod warming;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use slab::Slab;

use address::Address;
use exchange::Exchange;
use options::{Options, Value};
use warming::Warming;

use crate::Errno;
use crate::limits::SOCKETS_MAX;

/// A socket's place in the table.
pub type Number = u32;

/// Which addresses a socket has (`AF_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// None: pairs within the process.
    Unix,
    /// IPv4.
    Inet,
    /// IPv6, and IPv4 within it.
    Inet6,
    /// Questions about the network, to the kernel.
    Netlink,
}

/// What a socket moves (`SOCK_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes, in order, to one other socket.
    Stream,
    /// Datagrams. There is nobody who would get one.
    Datagram,
}

/// What a socket is for at the moment.
#[derive(Debug)]
enum State {
    /// Nothing yet.
    Idle,
    /// Others may connect to it.
    Listening {
        /// Their connections, to be accepted.
        waiting: VecDeque<Number>,
        /// How many of them there may be.
        most: usize,
    },
    /// It is connected.
    Connected(Connection),
    /// It asks the kernel; this is the answer, as far as it was not read.
    Asking(Vec<u8>),
}

/// One end of a connection.
#[derive(Debug)]
struct Connection {
    peer: Peer,
    /// What the other end has written.
    incoming: VecDeque<u8>,
    /// The program reads no more.
    reads_no_more: bool,
    /// The program writes no more.
    writes_no_more: bool,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// Who asks what the invocation is to answer.
    Client,
    /// A socket of the process.
    Socket(Number),
    /// A socket that was closed.
    Gone,
}

/// A socket.
#[derive(Debug)]
struct Socket {
    family: Family,
    kind: Kind,
    local: Option<Address>,
    remote: Option<Address>,
    options: Options,
    state: State,
    /// What went wrong, for who asks next.
    error: Option<Errno>,
    readable_edges: u32,
    writable_edges: u32,
}

/// All sockets.
#[derive(Debug)]
pub struct Sockets {
    all: Slab<Socket>,
    /// Bytes that all connections hold.
    held_len: usize,
    /// The next port for who does not care.
    next_port: u16,
    /// The request, and what becomes of it.
    pub exchange: Exchange,
    /// What is to be answered before the program is frozen.
    warming: Option<Warming>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

impl Sockets {
    /// No sockets.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            all: Slab::new(),
            held_len: 0,
            next_port: address::EPHEMERAL_FIRST,
            exchange: Exchange::new(),
            warming: None,
        }
    }

    fn get(&self, number: Number) -> Result<&Socket, Errno> {
        self.all.get(number as usize).ok_or(Errno::EBADF)
    }

    fn get_mut(&mut self, number: Number) -> Result<&mut Socket, Errno> {
        self.all.get_mut(number as usize).ok_or(Errno::EBADF)
    }

    fn insert(&mut self, socket: Socket) -> Result<Number, Errno> {
        if self.all.len() >= SOCKETS_MAX {
            return Err(Errno::ENFILE);
        }
        Ok(self.all.insert(socket) as Number)
    }

    /// A new socket.
    ///
    /// # Errors
    /// `ENFILE`
    pub fn open(&mut self, family: Family, kind: Kind) -> Result<Number, Errno> {
        self.insert(Socket::new(family, kind))
    }

    /// Two sockets, connected to each other.
    ///
    /// # Errors
    /// `ENFILE`
    pub fn pair(&mut self) -> Result<[Number; 2], Errno> {
        let one = self.open(Family::Unix, Kind::Stream)?;
        let other = match self.open(Family::Unix, Kind::Stream) {
            Ok(other) => other,
            Err(errno) => {
                self.close(one);
                return Err(errno);
            }
        };
        self.get_mut(one)?.state = State::Connected(Connection::with(Peer::Socket(other)));
        self.get_mut(other)?.state = State::Connected(Connection::with(Peer::Socket(one)));
        Ok([one, other])
    }

    /// Family and kind of a socket.
    ///
    /// # Errors
    /// `EBADF`
    pub fn describe(&self, number: Number) -> Result<(Family, Kind), Errno> {
        self.get(number).map(|socket| (socket.family, socket.kind))
    }

    /// Whether others may connect to a socket.
    ///
    /// # Errors
    /// `EBADF`
    pub fn is_listening(&self, number: Number) -> Result<bool, Errno> {
        self.get(number).map(|socket| matches!(socket.state, State::Listening { .. }))
    }

    /// An option of a socket, by level and name.
    ///
    /// # Errors
    /// `ENOPROTOOPT`
    pub fn get_option(&self, number: Number, name: options::Name) -> Result<Value, Errno> {
        let socket = self.get(number)?;
        socket.options.get(name, socket.kind)
    }

    /// Sets one.
    ///
    /// # Errors
    /// `ENOPROTOOPT`, `EINVAL`
    pub fn set_option(
        &mut self,
        number: Number,
        name: options::Name,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let socket = self.get_mut(number)?;
        socket.options.set(name, socket.kind, bytes)
    }

    /// Where a socket is (`getsockname`).
    ///
    /// # Errors
    /// `EBADF`
    pub fn local(&self, number: Number) -> Result<Address, Errno> {
        let socket = self.get(number)?;
        Ok(socket.local.unwrap_or(Address::unspecified(socket.family)))
    }

    /// Where the other end of a connection is (`getpeername`).
    ///
    /// # Errors
    /// `ENOTCONN`
    pub fn remote(&self, number: Number) -> Result<Address, Errno> {
        let socket = self.get(number)?;
        match (&socket.state, socket.remote) {
            (State::Connected(_), None) => Ok(Address::unspecified(socket.family)),
            (State::Connected(_), Some(address)) => Ok(address),
            (_, Some(address)) if socket.kind == Kind::Datagram => Ok(address),
            _ => Err(Errno::ENOTCONN),
        }
    }
}

impl Socket {
    fn new(family: Family, kind: Kind) -> Self {
        let state = match family {
            Family::Netlink => State::Asking(Vec::new()),
            Family::Unix | Family::Inet | Family::Inet6 => State::Idle,
        };
        Self {
            family,
            kind,
            local: None,
            remote: None,
            options: Options::default(),
            state,
            error: None,
            readable_edges: 0,
            writable_edges: 0,
        }
    }

    /// Something became readable, or ended.
    fn wake_reader(&mut self) {
        self.readable_edges = self.readable_edges.wrapping_add(1);
    }

    /// There is room to write again, or never again.
    fn wake_writer(&mut self) {
        self.writable_edges = self.writable_edges.wrapping_add(1);
    }
}

impl Connection {
    fn with(peer: Peer) -> Self {
        Self { peer, incoming: VecDeque::new(), reads_no_more: false, writes_no_more: false }
    }
}
