//! `send`, `recv` and their kind.
#![forbid(unsafe_code)]

use linux_raw_sys::net;

use super::address::Address;
use super::stream::Reading;
use super::{Kind, Number};
use crate::Errno;
use crate::limits::VECTORS_MAX;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Break, Served};

/// Where the fields of a `struct msghdr` are.
const NAME_LEN_AT: u64 = 8;
const VECTORS_AT: u64 = 16;
const CONTROL_LEN_AT: u64 = 40;
const FLAGS_AT: u64 = 48;

/// A `struct msghdr`.
#[derive(Clone, Copy, Debug)]
struct Message {
    name: u64,
    name_len: u64,
    vectors: u64,
    count: u64,
    control_len: u64,
}

impl<N: Native> Os<N> {
    fn message(&self, at: u64) -> Result<Message, Errno> {
        let [name, name_len] = self.space.read_words(at)?;
        let [vectors, count] = self.space.read_words(at.wrapping_add(VECTORS_AT))?;
        let [control_len] = self.space.read_words(at.wrapping_add(CONTROL_LEN_AT))?;
        Ok(Message { name, name_len: u64::from(name_len as u32), vectors, count, control_len })
    }

    pub(super) fn sendto(&mut self, arguments: [u64; 6]) -> Served {
        let [fd, address, len, flags, name, name_len] = arguments;
        let socket = self.socket_of(fd)?;
        self.check_receiver(socket, name, name_len)?;
        self.send_pieces(fd, socket, &[(address, len)], flags as u32)
    }

    pub(super) fn sendmsg(&mut self, fd: u64, at: u64, flags: u32) -> Served {
        let socket = self.socket_of(fd)?;
        let message = self.message(at)?;
        if message.count > VECTORS_MAX as u64 {
            return Err(Errno::EMSGSIZE.into());
        }
        if message.control_len > 0 {
            // Descriptors are passed to other processes, and there are none.
            return Err(Errno::EINVAL.into());
        }
        self.check_receiver(socket, message.name, message.name_len)?;
        let vectors = self.vectors(message.vectors, message.count)?;
        self.send_pieces(fd, socket, &vectors, flags)
    }

    /// Refuses a receiver that is not the one the socket is connected to.
    fn check_receiver(&mut self, socket: Number, name: u64, len: u64) -> Result<(), Errno> {
        let (family, kind) = self.sockets.describe(socket)?;
        if name == 0 || len == 0 || family == super::Family::Netlink {
            return Ok(());
        }
        if kind == Kind::Stream {
            // Linux ignores it where there is a connection.
            return self.sockets.remote(socket).map(drop);
        }
        let wanted = self.given(name, len)?.of_family(family)?;
        match super::address::is_own(wanted.ip()) {
            // Nobody is there, which nobody hears who is not connected.
            true => Ok(()),
            false => Err(Errno::ENETUNREACH),
        }
    }

    fn send_pieces(
        &mut self,
        fd: u64,
        socket: Number,
        vectors: &[(u64, u64)],
        flags: u32,
    ) -> Served {
        if flags & net::MSG_OOB != 0 {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let blocks = self.blocks(fd)? && flags & net::MSG_DONTWAIT == 0;
        let mut sent = 0;
        for &(address, len) in vectors.iter().filter(|(_, len)| *len > 0) {
            let bytes = match self.space.bytes(address, len) {
                Err(_) if sent > 0 => break,
                bytes => bytes?,
            };
            let output = &mut self.files.output;
            let put = &mut |bytes: &[u8]| output.append_all(bytes).is_ok();
            let written = self.sockets.write(socket, bytes, blocks, put);
            if self.sockets.exchange.is_due(output.kept_len()) {
                output.flush(&mut self.native);
            }
            match written {
                Ok(part) => {
                    sent += part as u64;
                    if (part as u64) < len {
                        break;
                    }
                }
                Err(_) if sent > 0 => break,
                Err(stop) => {
                    let served = Err(Break::from(stop));
                    let is_quiet = flags & net::MSG_NOSIGNAL != 0;
                    return if is_quiet { served } else { self.written(served) };
                }
            }
        }
        self.note_answer();
        Ok(sent)
    }

    pub(super) fn recvfrom(&mut self, arguments: [u64; 6]) -> Served {
        let [fd, address, len, flags, name, name_len] = arguments;
        let socket = self.socket_of(fd)?;
        let received = self.receive(fd, socket, &[(address, len)], flags as u32)?;
        if name != 0 {
            let remote = self.sender(socket)?;
            self.tell_address(Ok(remote), name, name_len)?;
        }
        Ok(received)
    }

    pub(super) fn recvmsg(&mut self, fd: u64, at: u64, flags: u32) -> Served {
        let socket = self.socket_of(fd)?;
        let message = self.message(at)?;
        if message.count > VECTORS_MAX as u64 {
            return Err(Errno::EMSGSIZE.into());
        }
        let vectors = self.vectors(message.vectors, message.count)?;
        let received = self.receive(fd, socket, &vectors, flags)?;
        if message.name != 0 {
            let remote = self.sender(socket)?;
            self.tell_address(Ok(remote), message.name, at.wrapping_add(NAME_LEN_AT))?;
        }
        self.space.write_u64(at.wrapping_add(CONTROL_LEN_AT), 0)?;
        self.space.write_u32(at.wrapping_add(FLAGS_AT), 0)?;
        Ok(received)
    }

    /// Who a stream says its bytes are from: nobody, as on Linux.
    fn sender(&self, socket: Number) -> Result<Address, Errno> {
        self.sockets.describe(socket).map(|(family, _)| Address::unspecified(family))
    }

    fn receive(&mut self, fd: u64, socket: Number, vectors: &[(u64, u64)], flags: u32) -> Served {
        if flags & net::MSG_OOB != 0 {
            return Err(Errno::EINVAL.into());
        }
        if flags & net::MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN.into());
        }
        let all = vectors.iter().fold(0_u64, |all, (_, len)| all.saturating_add(*len));
        let mut reading = Reading {
            blocks: self.blocks(fd)? && flags & net::MSG_DONTWAIT == 0,
            is_peek: flags & net::MSG_PEEK != 0,
            at_least: all_of(flags, all),
        };
        let mut received = 0;
        for &(address, len) in vectors {
            let bytes = match self.space.bytes_mut(address, len) {
                Err(_) if received > 0 => break,
                bytes => bytes?,
            };
            match self.sockets.read(socket, bytes, reading) {
                Ok(part) => {
                    received += part as u64;
                    reading.at_least = 1;
                    // What was only looked at would be seen again.
                    if (part as u64) < len || reading.is_peek {
                        break;
                    }
                }
                Err(_) if received > 0 => break,
                Err(stop) => return Err(stop.into()),
            }
        }
        Ok(received)
    }
}

/// Bytes that must be there before any is taken.
fn all_of(flags: u32, all: u64) -> usize {
    match flags & net::MSG_WAITALL {
        0 => 1,
        _ => usize::try_from(all).unwrap_or(usize::MAX).max(1),
    }
}
