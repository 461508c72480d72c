//! How sockets get a name and each other: `bind`, `listen`, `connect`, `accept`, `close`.
#![forbid(unsafe_code)]

use alloc::collections::VecDeque;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use linux_files::Stop;

use super::address::{self, Address, EPHEMERAL_FIRST, EPHEMERAL_LAST, Given};
use super::request::Request;
use super::{Connection, Family, Kind, Number, Peer, Socket, Sockets, State};
use crate::Errno;
use crate::limits::BACKLOG_MAX;

/// The port that the client comes from.
const CLIENT_PORT: u16 = EPHEMERAL_LAST;

impl Socket {
    /// Whether it takes IPv4 at an address for IPv6.
    fn serves_both(&self) -> bool {
        self.family == Family::Inet6 && !self.options.is_ipv6_only()
    }

    /// Its address, if it is one of the network.
    fn address(&self) -> Option<SocketAddr> {
        match self.local {
            Some(Address::Net(address)) => Some(address),
            Some(Address::Unix | Address::Netlink(_)) | None => None,
        }
    }

    fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    /// Whether both could be meant by the same address.
    fn collides(&self, other: &Self, wanted: SocketAddr) -> bool {
        let Some(taken) = other.address() else { return false };
        let reuse_address = self.options.reuses_address() && other.options.reuses_address();
        let may_share = self.options.reuses_port() && other.options.reuses_port()
            || reuse_address && !other.is_listening();
        let overlap = address::reaches(taken.ip(), wanted.ip(), other.serves_both())
            || address::reaches(wanted.ip(), taken.ip(), self.serves_both())
            || taken.ip() == wanted.ip();
        self.kind == other.kind && taken.port() == wanted.port() && overlap && !may_share
    }
}

impl Sockets {
    /// `bind`.
    ///
    /// # Errors
    /// As Linux answers on a machine that has only a loopback.
    pub fn bind(&mut self, number: Number, given: Given) -> Result<(), Errno> {
        let socket = self.get(number)?;
        if socket.family == Family::Unix {
            // There is nobody outside who could look for a name.
            return Err(Errno::EACCES);
        }
        if let (Family::Netlink, Given::Netlink(wanted)) = (socket.family, given) {
            let own = if wanted == 0 { number + 1 } else { wanted };
            self.get_mut(number)?.local = Some(Address::Netlink(own));
            return Ok(());
        }
        let wanted = given.of_family(socket.family)?;
        if socket.local.is_some() {
            return Err(Errno::EINVAL);
        }
        if !address::is_own(wanted.ip()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        let wanted = match wanted.port() {
            0 => SocketAddr::new(wanted.ip(), self.free_port(number, wanted.ip())?),
            _ => wanted,
        };
        if self.is_taken(number, wanted)? {
            return Err(Errno::EADDRINUSE);
        }
        self.get_mut(number)?.local = Some(Address::Net(wanted));
        Ok(())
    }

    fn is_taken(&self, number: Number, wanted: SocketAddr) -> Result<bool, Errno> {
        let socket = self.get(number)?;
        // What was accepted has the address of the socket that listens, and takes nothing.
        let others = self.all.iter().filter(|(at, other)| {
            *at != number as usize && !matches!(other.state, State::Connected(_))
        });
        Ok(others.into_iter().any(|(_, other)| socket.collides(other, wanted)))
    }

    /// A port that nobody has.
    fn free_port(&mut self, number: Number, ip: IpAddr) -> Result<u16, Errno> {
        for _ in EPHEMERAL_FIRST..EPHEMERAL_LAST {
            let port = self.next_port;
            self.next_port = if port + 1 < EPHEMERAL_LAST { port + 1 } else { EPHEMERAL_FIRST };
            if !self.is_taken(number, SocketAddr::new(ip, port))? {
                return Ok(port);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// `listen`. Answers whether it is the first time that a server could be reached.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn listen(&mut self, number: Number, backlog: u32) -> Result<bool, Errno> {
        let socket = self.get(number)?;
        if socket.kind != Kind::Stream {
            return Err(Errno::EOPNOTSUPP);
        }
        if socket.family == Family::Unix {
            return Err(Errno::EINVAL);
        }
        if socket.local.is_none() {
            let Address::Net(any) = Address::unspecified(socket.family) else {
                return Err(Errno::EINVAL);
            };
            self.bind(number, Given::Net(any))?;
        }
        let most = (backlog as usize).clamp(1, BACKLOG_MAX);
        let socket = self.get_mut(number)?;
        match &mut socket.state {
            State::Idle => {
                socket.state = State::Listening { waiting: VecDeque::new(), most };
                socket.wake_reader();
                let is_first = !self.exchange.is_server();
                self.exchange.listens();
                Ok(is_first)
            }
            State::Listening { most: before, .. } => {
                *before = most;
                Ok(false)
            }
            State::Connected(_) | State::Asking(_) => Err(Errno::EINVAL),
        }
    }

    /// `connect`, which never takes time.
    ///
    /// # Errors
    /// As Linux answers on a machine that has only a loopback.
    pub fn connect(&mut self, number: Number, given: Given) -> Result<(), Errno> {
        let socket = self.get(number)?;
        let (family, kind) = (socket.family, socket.kind);
        match (kind, given) {
            (Kind::Datagram, Given::Nothing) => {
                self.get_mut(number)?.remote = None;
                return Ok(());
            }
            (Kind::Stream, Given::Nothing) => return Err(Errno::EAFNOSUPPORT),
            _ => {}
        }
        if family == Family::Unix {
            // No name leads anywhere.
            let is_name = given == Given::Name;
            return Err(if is_name { Errno::ENOENT } else { Errno::EINVAL });
        }
        match socket.state {
            State::Idle => {}
            State::Connected(_) | State::Listening { .. } => return Err(Errno::EISCONN),
            State::Asking(_) => return Ok(()),
        }
        let wanted = given.of_family(family)?;
        if !address::is_own(wanted.ip()) {
            return Err(Errno::ENETUNREACH);
        }
        let remote = SocketAddr::new(address::loopback(family, wanted.ip()), wanted.port());
        if kind == Kind::Datagram {
            self.name(number, remote.ip())?;
            self.get_mut(number)?.remote = Some(Address::Net(remote));
            return Ok(());
        }
        let listener = self.listener_for(remote).ok_or(Errno::ECONNREFUSED)?;
        self.name(number, remote.ip())?;
        self.join(number, listener, remote)
    }

    /// Gives a socket an address of its own, if it has none.
    fn name(&mut self, number: Number, ip: IpAddr) -> Result<(), Errno> {
        let socket = self.get(number)?;
        let ip = match socket.family {
            Family::Inet6 => address::loopback(Family::Inet6, ip),
            _ => address::loopback(socket.family, Ipv4Addr::UNSPECIFIED.into()),
        };
        let local = match socket.address() {
            Some(address) if !address.ip().is_unspecified() => return Ok(()),
            Some(address) => SocketAddr::new(ip, address.port()),
            None => SocketAddr::new(ip, self.free_port(number, ip)?),
        };
        self.get_mut(number)?.local = Some(Address::Net(local));
        Ok(())
    }

    fn listener_for(&self, wanted: SocketAddr) -> Option<Number> {
        let reached = |socket: &Socket| {
            let Some(at) = socket.address().filter(|_| socket.is_listening()) else { return false };
            at.port() == wanted.port()
                && address::reaches(at.ip(), wanted.ip(), socket.serves_both())
        };
        let found = self.all.iter().find(|(_, socket)| reached(socket));
        found.map(|(number, _)| number as Number)
    }

    /// Connects a socket to one that listens: there, another end waits to be accepted.
    fn join(&mut self, number: Number, listener: Number, remote: SocketAddr) -> Result<(), Errno> {
        let State::Listening { waiting, most } = &self.get(listener)?.state else {
            return Err(Errno::ECONNREFUSED);
        };
        if waiting.len() >= *most {
            return Err(Errno::ECONNREFUSED);
        }
        let local = self.get(number)?.local;
        let accepted = self.accepted(listener, Peer::Socket(number), remote.ip())?;
        // Families differ where one socket takes both.
        self.get_mut(accepted)?.remote = local.map(|local| self.seen_by(accepted, local));
        let socket = self.get_mut(number)?;
        socket.remote = Some(Address::Net(remote));
        socket.state = State::Connected(Connection::with(Peer::Socket(accepted)));
        socket.wake_writer();
        let listening = self.get_mut(listener)?;
        if let State::Listening { waiting, .. } = &mut listening.state {
            waiting.push_back(accepted);
        }
        listening.wake_reader();
        Ok(())
    }

    /// An address as a socket of that family says it.
    fn seen_by(&self, number: Number, address: Address) -> Address {
        match (self.get(number).map(|socket| socket.family), address) {
            (Ok(family), Address::Net(net)) => {
                Address::Net(SocketAddr::new(address::loopback(family, net.ip()), net.port()))
            }
            _ => address,
        }
    }

    /// The end of a connection that a socket which listens hands out.
    fn accepted(&mut self, listener: Number, peer: Peer, ip: IpAddr) -> Result<Number, Errno> {
        let listening = self.get(listener)?;
        let (family, options) = (listening.family, listening.options.clone());
        let port = listening.address().map_or(0, |address| address.port());
        let mut socket = Socket::new(family, Kind::Stream);
        socket.options = options;
        socket.local = Some(Address::Net(SocketAddr::new(address::loopback(family, ip), port)));
        socket.state = State::Connected(Connection::with(peer));
        self.insert(socket)
    }

    /// `accept`.
    ///
    /// # Errors
    /// As Linux answers; [`Stop::NeedsInput`] where there is no request yet.
    pub fn accept(&mut self, number: Number, blocks: bool) -> Result<Number, Stop> {
        let socket = self.get_mut(number)?;
        if socket.kind != Kind::Stream {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let State::Listening { waiting, .. } = &mut socket.state else {
            return Err(Errno::EINVAL.into());
        };
        if let Some(accepted) = waiting.pop_front() {
            return Ok(accepted);
        }
        if self.client_waits_at(number) {
            return Ok(self.accept_client(number)?);
        }
        Err(match blocks {
            false => Errno::EAGAIN.into(),
            true if self.exchange.has_begun() => Stop::WouldBlock,
            true => Stop::NeedsInput,
        })
    }

    /// The client connects as others do on a machine of its own: from the loopback.
    fn accept_client(&mut self, listener: Number) -> Result<Number, Errno> {
        let at = self.get(listener)?.address().map(|address| address.ip());
        let ip = at.filter(|ip| !ip.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let ip = match self.get(listener)?.serves_both() || ip.is_ipv4() {
            true => ip,
            false => address::loopback(Family::Inet6, core::net::Ipv6Addr::UNSPECIFIED.into()),
        };
        let accepted = self.accepted(listener, Peer::Client, ip)?;
        let family = self.get(accepted)?.family;
        let remote = SocketAddr::new(address::loopback(family, ip), CLIENT_PORT);
        self.get_mut(accepted)?.remote = Some(Address::Net(remote));
        self.exchange.accept();
        Ok(accepted)
    }

    /// Whether the client's connection can be accepted there: at the expected port if somebody
    /// listens there, else where it was listened first.
    pub(super) fn client_waits_at(&self, number: Number) -> bool {
        if !self.exchange.is_offered() {
            return false;
        }
        let port = self.exchange.port();
        let listening = || self.all.iter().filter(|(_, socket)| socket.is_listening());
        let expected = listening()
            .find(|(_, socket)| socket.address().is_some_and(|address| address.port() == port));
        let first = expected.or_else(|| listening().next());
        first.is_some_and(|(at, _)| at == number as usize)
    }

    /// There is a request now.
    pub fn offer(&mut self, request: Request) {
        self.exchange.begin(request);
        let listening = self.all.iter_mut().filter(|(_, socket)| socket.is_listening());
        listening.for_each(|(_, socket)| socket.wake_reader());
    }

    /// The client leaves: who still has a connection to it finds it closed.
    pub(super) fn dismiss_client(&mut self) {
        self.exchange.dismiss();
        for (_, socket) in &mut self.all {
            if let State::Connected(connection) = &mut socket.state
                && connection.peer == Peer::Client
            {
                connection.peer = Peer::Gone;
                socket.wake_reader();
                socket.wake_writer();
            }
        }
    }

    /// Nothing refers to a socket any more.
    pub fn close(&mut self, number: Number) {
        let Some(socket) = self.all.try_remove(number as usize) else { return };
        match socket.state {
            State::Idle | State::Asking(_) => {}
            State::Listening { waiting, .. } => {
                for accepted in waiting {
                    self.close(accepted);
                }
            }
            State::Connected(connection) => {
                self.held_len -= connection.incoming.len();
                match connection.peer {
                    Peer::Client => self.exchange.close(),
                    Peer::Socket(other) => self.leave(other),
                    Peer::Gone => {}
                }
            }
        }
    }

    /// Tells the other end that this one is gone.
    fn leave(&mut self, other: Number) {
        let Ok(socket) = self.get_mut(other) else { return };
        if let State::Connected(connection) = &mut socket.state {
            connection.peer = Peer::Gone;
        }
        socket.wake_reader();
        socket.wake_writer();
    }
}
