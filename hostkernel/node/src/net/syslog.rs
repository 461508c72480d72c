//! Sends the lines that wait to the log server, a datagram each.
//!
//! Its socket is in a set of its own, with room for one datagram; the queue is in front of it. A
//! server that cannot be reached is tried ever less often: while smoltcp looks for a neighbour, it
//! looks for no other. Meanwhile lines wait, as many as have room.

use alloc::sync::Arc;
use alloc::vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};
use smoltcp::wire::IpEndpoint;

use super::outward::Outward;
use super::sntp::SOURCE_PORTS;
use crate::journal::syslog::{Queue, SENDER};
use limits::{SYSLOG_LEN_MAX, SYSLOG_LINES_PER_POLL_MAX, SYSLOG_RETRY_MS, SYSLOG_RETRY_MS_MAX};

const NS_PER_MS: u64 = 1_000_000;
/// How long an attempt lasts: as long as smoltcp waits before it asks for a neighbour again.
const ATTEMPT_NS: u64 = SYSLOG_RETRY_MS * NS_PER_MS;

/// The way from the queue to the server.
pub struct Sender {
    queue: Arc<Queue>,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    port: u16,
    server: Option<IpEndpoint>,
    /// When the datagram in the socket was tried last, and will be again.
    tried_ns: u64,
    retry_ns: u64,
    retry_ms: u64,
    /// It was said that the server cannot be reached.
    is_missed: bool,
}

impl Sender {
    /// A sender of these lines that has no server yet. `random` chooses its port.
    pub fn new(queue: Arc<Queue>, random: u64) -> Self {
        let outgoing = PacketBuffer::new(vec![PacketMetadata::EMPTY; 1], vec![0; SYSLOG_LEN_MAX]);
        // A log server has nothing to say.
        let incoming = PacketBuffer::new(vec![], vec![]);
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(udp::Socket::new(incoming, outgoing));
        Self {
            queue,
            sockets,
            socket,
            port: SOURCE_PORTS | random as u16,
            server: None,
            tried_ns: 0,
            retry_ns: 0,
            retry_ms: SYSLOG_RETRY_MS,
            is_missed: false,
        }
    }

    /// Says where the server is. If there is none although the node `is_ready`, nobody will ever
    /// read the lines; before that they wait.
    pub fn set_server(&mut self, server: Option<IpEndpoint>, is_ready: bool) {
        match server {
            None if is_ready => self.queue.close(),
            _ => self.queue.open(),
        }
        if self.server == server {
            return;
        }
        if !self.is_sent() {
            self.queue.lose();
        }
        self.server = server;
        self.is_missed = false;
        let socket = self.sockets.get_mut::<udp::Socket>(self.socket);
        socket.close();
        // A closed socket and a good port.
        let _ = socket.bind(self.port);
    }

    /// Whether a line could be sent at once.
    pub fn is_pending(&self) -> bool {
        self.server.is_some() && self.is_sent() && !self.queue.is_empty()
    }

    /// Sends what there is from the node at `host`. Returns when to be called again.
    pub fn poll(
        &mut self,
        host: Option<Ipv4Addr>,
        outward: &mut Outward<'_>,
        now_ns: u64,
    ) -> Option<u64> {
        let server = self.server?;
        for _ in 0..SYSLOG_LINES_PER_POLL_MAX {
            if self.is_sent() {
                let datagram = self.queue.take(host)?;
                // The socket is bound, and empty; if not, this is a line that got lost.
                let socket = self.sockets.get_mut::<udp::Socket>(self.socket);
                let _ = socket.send_slice(datagram.as_bytes(), server);
                (self.retry_ns, self.retry_ms) = (now_ns, SYSLOG_RETRY_MS);
            }
            if self.retry_ns <= now_ns {
                self.tried_ns = now_ns;
                self.retry_ns = now_ns + self.retry_ms * NS_PER_MS;
                self.retry_ms = (self.retry_ms * 2).min(SYSLOG_RETRY_MS_MAX);
            }
            let attempt_end_ns = self.tried_ns + ATTEMPT_NS;
            if attempt_end_ns <= now_ns {
                self.note_missed(server);
                return Some(self.retry_ns);
            }
            let next_ns = outward.egress_if_known(&mut self.sockets, server);
            if !self.is_sent() {
                // The card is full, or the neighbour unknown; its answer is a call, too.
                let next_ns = next_ns.filter(|next_ns| *next_ns < attempt_end_ns);
                return Some(next_ns.unwrap_or(attempt_end_ns));
            }
            self.is_missed = false;
        }
        Some(now_ns)
    }

    fn is_sent(&self) -> bool {
        self.sockets.get::<udp::Socket>(self.socket).send_queue() == 0
    }

    fn note_missed(&mut self, server: IpEndpoint) {
        if !core::mem::replace(&mut self.is_missed, true) {
            log::warn!(target: SENDER, "the log server {} cannot be reached", server.addr);
        }
    }
}
