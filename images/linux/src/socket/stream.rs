//! What goes over connections: `read`, `write`, `shutdown`, and what is ready.
#![forbid(unsafe_code)]

use linux_files::abi::ready;
use linux_files::{SocketReadiness, Stop};

use super::address::Address;
use super::answer::Put;
use super::{Connection, Kind, Number, Peer, Sockets, State, route};
use crate::Errno;
use crate::limits::{CONNECTION_HELD_MAX, SOCKETS_HELD_MAX};

/// What a call that must wait answers.
fn wait(blocks: bool) -> Stop {
    if blocks { Stop::WouldBlock } else { Errno::EAGAIN.into() }
}

/// Which directions `shutdown` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// The program reads no more.
    pub reading: bool,
    /// It writes no more.
    pub writing: bool,
}

/// How a call reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// It may wait.
    pub blocks: bool,
    /// What it reads can be read again.
    pub is_peek: bool,
    /// If it may wait: how much it waits for.
    pub at_least: usize,
}

impl Sockets {
    fn connection(&mut self, number: Number, otherwise: Errno) -> Result<&mut Connection, Errno> {
        match &mut self.get_mut(number)?.state {
            State::Connected(connection) => Ok(connection),
            State::Idle | State::Listening { .. } | State::Asking(_) => Err(otherwise),
        }
    }

    /// Whether the other end of a connection writes no more.
    fn has_ended(&self, peer: Peer) -> bool {
        match peer {
            // It has said what it wants. It leaves when it has its answer.
            Peer::Client => self.exchange.end().is_some(),
            Peer::Gone => true,
            Peer::Socket(other) => match self.get(other).map(|socket| &socket.state) {
                Ok(State::Connected(connection)) => connection.writes_no_more,
                _ => true,
            },
        }
    }

    /// Reads: as much as there is.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn read(
        &mut self,
        number: Number,
        bytes: &mut [u8],
        reading: Reading,
    ) -> Result<usize, Stop> {
        let socket = self.get_mut(number)?;
        if let Some(error) = socket.error.take() {
            return Err(error.into());
        }
        if let State::Asking(answer) = &mut socket.state {
            if answer.is_empty() {
                return Err(wait(reading.blocks));
            }
            let count = answer.len().min(bytes.len());
            bytes[..count].copy_from_slice(&answer[..count]);
            if !reading.is_peek {
                // What has no room is lost, as of every datagram.
                answer.clear();
            }
            return Ok(count);
        }
        if socket.kind == Kind::Datagram {
            return Err(wait(reading.blocks));
        }
        let connection = self.connection(number, Errno::ENOTCONN)?;
        let (peer, reads_no_more) = (connection.peer, connection.reads_no_more);
        if bytes.is_empty() {
            return Ok(0);
        }
        let wanted = reading.at_least.min(CONNECTION_HELD_MAX);
        let is_over = reads_no_more || self.has_ended(peer);
        if reading.blocks && !is_over && self.readable_len(number)? < wanted {
            return Err(Stop::WouldBlock);
        }
        let count = match peer {
            _ if reads_no_more => 0,
            Peer::Client => self.exchange.request().read(bytes, reading.is_peek),
            Peer::Socket(_) | Peer::Gone => self.take(number, bytes, reading.is_peek)?,
        };
        match count {
            0 if !is_over => Err(wait(reading.blocks)),
            count => Ok(count),
        }
    }

    /// Takes what has arrived.
    fn take(&mut self, number: Number, bytes: &mut [u8], is_peek: bool) -> Result<usize, Errno> {
        let connection = self.connection(number, Errno::ENOTCONN)?;
        let was_full = connection.incoming.len() >= CONNECTION_HELD_MAX;
        let count = connection.incoming.len().min(bytes.len());
        let (first, second) = connection.incoming.as_slices();
        let from_first = first.len().min(count);
        bytes[..from_first].copy_from_slice(&first[..from_first]);
        bytes[from_first..count].copy_from_slice(&second[..count - from_first]);
        if is_peek {
            return Ok(count);
        }
        connection.incoming.drain(..count);
        if connection.incoming.is_empty() {
            // What is not in use takes no memory: a frozen connection is an empty one.
            connection.incoming = alloc::collections::VecDeque::new();
        }
        let peer = connection.peer;
        let was_tight = self.held_len >= SOCKETS_HELD_MAX;
        self.held_len -= count;
        match peer {
            _ if was_tight => self.all.iter_mut().for_each(|(_, socket)| socket.wake_writer()),
            Peer::Socket(other) if was_full => self.get_mut(other)?.wake_writer(),
            _ => {}
        }
        Ok(count)
    }

    /// Writes: as much as there is room for. `put` takes what becomes the result.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn write(
        &mut self,
        number: Number,
        bytes: &[u8],
        blocks: bool,
        put: Put<'_>,
    ) -> Result<usize, Stop> {
        let socket = self.get_mut(number)?;
        if let Some(error) = socket.error.take() {
            return Err(error.into());
        }
        if let State::Asking(answer) = &mut socket.state {
            let port = match socket.local {
                Some(Address::Netlink(port)) => port,
                _ => number + 1,
            };
            *answer = route::answer(bytes, port);
            socket.wake_reader();
            return Ok(bytes.len());
        }
        if socket.kind == Kind::Datagram {
            return Ok(self.send_datagram(number, bytes.len())?);
        }
        let connection = self.connection(number, Errno::EPIPE)?;
        let (peer, writes_no_more) = (connection.peer, connection.writes_no_more);
        match peer {
            _ if writes_no_more => Err(Errno::EPIPE.into()),
            Peer::Gone => Err(Errno::EPIPE.into()),
            Peer::Client => {
                self.exchange.write(bytes, put);
                Ok(bytes.len())
            }
            Peer::Socket(other) => {
                let room = self.room(other);
                if room == 0 && !bytes.is_empty() {
                    return Err(wait(blocks));
                }
                let count = bytes.len().min(room);
                self.deliver(other, &bytes[..count]);
                Ok(count)
            }
        }
    }

    /// Bytes that can be written to a socket.
    fn room(&self, number: Number) -> usize {
        let held = match self.get(number).map(|socket| &socket.state) {
            // What nobody will read is taken, and forgotten.
            Ok(State::Connected(connection)) if connection.reads_no_more => 0,
            Ok(State::Connected(connection)) => connection.incoming.len(),
            _ => return 0,
        };
        let left = SOCKETS_HELD_MAX.saturating_sub(self.held_len);
        CONNECTION_HELD_MAX.saturating_sub(held).min(left)
    }

    fn deliver(&mut self, number: Number, bytes: &[u8]) {
        let Ok(socket) = self.get_mut(number) else { return };
        let State::Connected(connection) = &mut socket.state else { return };
        if connection.reads_no_more {
            return;
        }
        connection.incoming.extend(bytes);
        socket.wake_reader();
        self.held_len += bytes.len();
    }

    /// A datagram to nobody: who is connected hears so, as on Linux, the next time.
    fn send_datagram(&mut self, number: Number, len: usize) -> Result<usize, Errno> {
        let socket = self.get_mut(number)?;
        if socket.remote.is_none() {
            return Err(Errno::EDESTADDRREQ);
        }
        socket.error = Some(Errno::ECONNREFUSED);
        socket.wake_reader();
        Ok(len)
    }

    /// `shutdown`.
    ///
    /// # Errors
    /// `ENOTCONN`
    pub fn shutdown(&mut self, number: Number, directions: Directions) -> Result<(), Errno> {
        let connection = self.connection(number, Errno::ENOTCONN)?;
        connection.reads_no_more |= directions.reading;
        connection.writes_no_more |= directions.writing;
        let peer = connection.peer;
        let socket = self.get_mut(number)?;
        socket.wake_reader();
        socket.wake_writer();
        match peer {
            Peer::Client if directions.writing => self.exchange.close(),
            Peer::Socket(other) => {
                let other = self.get_mut(other)?;
                other.wake_reader();
                other.wake_writer();
            }
            Peer::Client | Peer::Gone => {}
        }
        Ok(())
    }

    /// Bytes that can be read at once (`FIONREAD`).
    ///
    /// # Errors
    /// `EINVAL` for a socket that listens.
    pub fn readable_len(&self, number: Number) -> Result<usize, Errno> {
        match &self.get(number)?.state {
            State::Idle => Ok(0),
            State::Asking(answer) => Ok(answer.len()),
            State::Listening { .. } => Err(Errno::EINVAL),
            State::Connected(connection) if connection.peer == Peer::Client => {
                Ok(self.exchange.readable_len())
            }
            State::Connected(connection) => Ok(connection.incoming.len()),
        }
    }

    /// What went wrong, which then is forgotten (`SO_ERROR`).
    ///
    /// # Errors
    /// `EBADF`
    pub fn take_error(&mut self, number: Number) -> Result<Option<Errno>, Errno> {
        Ok(self.get_mut(number)?.error.take())
    }

    /// How a socket stands.
    ///
    /// # Errors
    /// [`Stop::NeedsInput`] where there is no request yet.
    pub fn readiness(&self, number: Number) -> Result<SocketReadiness, Stop> {
        let socket = self.get(number)?;
        let when = |holds, events| if holds { events } else { 0 };
        let error = when(socket.error.is_some(), ready::ERROR | READABLE);
        let events = match &socket.state {
            State::Asking(answer) => WRITABLE | when(!answer.is_empty(), READABLE),
            State::Idle if socket.kind == Kind::Datagram => WRITABLE,
            State::Idle => WRITABLE | ready::HANG_UP,
            State::Listening { waiting, .. } => {
                let is_ready = !waiting.is_empty() || self.client_waits_at(number);
                if !is_ready && !self.exchange.has_begun() {
                    return Err(Stop::NeedsInput);
                }
                when(is_ready, READABLE)
            }
            State::Connected(connection) => {
                let ended = connection.reads_no_more || self.has_ended(connection.peer);
                let deaf = connection.writes_no_more || connection.peer == Peer::Gone;
                let has_bytes = self.readable_len(number)? > 0;
                let has_room = match connection.peer {
                    Peer::Socket(other) => self.room(other) > 0,
                    Peer::Client | Peer::Gone => true,
                };
                when(has_bytes || ended, READABLE)
                    | when(ended, ready::READ_HANG_UP)
                    | when(ended && deaf, ready::HANG_UP)
                    | when(has_room || deaf, WRITABLE)
            }
        };
        Ok(SocketReadiness {
            events: events | error,
            readable_edges: socket.readable_edges,
            writable_edges: socket.writable_edges,
        })
    }
}

const READABLE: u32 = ready::IN | ready::READ_NORMAL;
const WRITABLE: u32 = ready::OUT | ready::WRITE_NORMAL;
