//! More room for a connection that needs it: its socket is replaced by one with other buffers, and
//! goes back into the usual one when nobody needs that any more. Only while nothing is in it.

use core::mem;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use super::super::room::{Buffers, Need, USUAL};
use super::{Numbers, Slot};
use crate::http::connection::Phase;
use crate::net::Outward;
use crate::net::transplant::Standing;
use limits::WIDE_AFTER_LEN;

impl Slot {
    /// What the connection could use more room for that it has not been looked for yet.
    pub fn need(&self) -> Option<Need> {
        if self.answer_len > USUAL.send_len && !self.sought.1 {
            let is_wider = self.answer_len > self.socket().send_capacity();
            return is_wider.then_some(Need::Send(self.answer_len));
        }
        let is_long = self.request_len() as usize >= WIDE_AFTER_LEN;
        let is_sought = is_long && !self.sought.0 && self.connection.phase() == Phase::Receiving;
        (is_sought && self.socket().recv_capacity() == USUAL.receive_len).then_some(Need::Receive)
    }

    /// Room for this is looked for now, and not again for the same request.
    pub fn note_sought(&mut self, need: Need) {
        match need {
            Need::Receive => self.sought.0 = true,
            Need::Send(_) => self.sought.1 = true,
        }
    }

    /// Whether the socket could be replaced: nothing is in it, and both sides may go on.
    pub fn is_quiet(&self) -> bool {
        let socket = self.socket();
        socket.state() == State::Established && socket.send_queue() == 0 && socket.recv_queue() == 0
    }

    /// Whether the socket has more room than usual.
    pub fn is_wide(&self) -> bool {
        self.usual.is_some()
    }

    /// Puts a quiet connection into a socket with these buffers. Returns those it had, if they were
    /// not the usual ones; the new ones, if it stays where it was.
    pub fn widen(
        &mut self,
        buffers: Buffers,
        port: u16,
        outward: &mut Outward<'_>,
    ) -> Option<Buffers> {
        let Some((mut sockets, socket)) = buffers.socket() else { return Some(buffers) };
        let sends_much = buffers.send_len > USUAL.send_len;
        if !self.transplant(&mut sockets, socket, port, sends_much, outward) {
            return Some(buffers);
        }
        let before =
            (mem::replace(&mut self.sockets, sockets), mem::replace(&mut self.socket, socket));
        let (usual, given_back) = match self.usual.take() {
            Some((sockets, socket, had)) => ((sockets, socket), Some(had)),
            None => (before, None),
        };
        self.usual = Some((usual.0, usual.1, buffers));
        given_back
    }

    /// Puts a quiet connection back into its usual socket. Returns the buffers it had.
    pub fn narrow(&mut self, port: u16, outward: &mut Outward<'_>) -> Option<Buffers> {
        let (mut sockets, socket, had) = self.usual.take()?;
        if !self.transplant(&mut sockets, socket, port, false, outward) {
            self.usual = Some((sockets, socket, had));
            return None;
        }
        (self.sockets, self.socket) = (sockets, socket);
        Some(had)
    }

    fn transplant(
        &mut self,
        sockets: &mut SocketSet<'static>,
        socket: SocketHandle,
        port: u16,
        sends_much: bool,
        outward: &mut Outward<'_>,
    ) -> bool {
        let Some(peer) = self.peer else { return false };
        let receive_len = sockets.get::<tcp::Socket>(socket).recv_capacity();
        let standing = Standing {
            peer,
            port,
            options: self.options,
            received_to: self.received_to(),
            acknowledged_to: self.acknowledged_to(),
            window: self.numbers.window,
            sends_much,
            window_shift: self.shift_for(receive_len),
        };
        let stands = outward.transplant(sockets, socket, &standing);
        if stands {
            self.window_shift = standing.window_shift;
            let taken = self.request_len();
            self.numbers = Numbers {
                theirs: standing.received_to.wrapping_sub(1),
                ours: standing.acknowledged_to.wrapping_sub(1),
                window: standing.window,
                taken: 0,
                put: 0,
            };
            self.request_taken = 0_u32.wrapping_sub(taken);
        }
        stands
    }

    /// Takes the usual socket back without a connection. Returns the buffers the other had.
    pub fn give_back(&mut self) -> Option<Buffers> {
        let (sockets, socket, had) = self.usual.take()?;
        (self.sockets, self.socket) = (sockets, socket);
        Some(had)
    }
}
