//! Which code serves which call about sockets, and their arguments.
#![forbid(unsafe_code)]

use linux_files::abi::open;
use linux_raw_sys::net;
use syscalls::Sysno;

use super::address::{ADDRESS_LEN_MAX, Address, Given};
use super::options::{VALUE_LEN_MAX, Value};
use super::stream::Directions;
use super::{Family, Kind, Number};
use crate::Errno;
use crate::frame::Frame;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::{Served, nothing};

/// The part of a type that says what is moved.
const KIND_MASK: u32 = 0xf;
/// `SOCK_NONBLOCK` and `SOCK_CLOEXEC`, which are those of `open`.
const FLAGS: u32 = open::NONBLOCK | open::CLOSE_ON_EXEC;
/// Bytes of a `struct ucred`.
const CREDENTIALS_LEN: usize = 12;

impl<N: Native> Os<N> {
    pub(crate) fn serve_socket(&mut self, number: Sysno, frame: &Frame) -> Option<Served> {
        let [one, two, three, four, five, _] = frame.arguments();
        Some(match number {
            Sysno::socket => self.socket(one as u32, two as u32, three as u32, frame.rax),
            Sysno::socketpair => self.socketpair(one as u32, two as u32, four, frame.rax),
            Sysno::bind => self.bind(one, two, three),
            Sysno::listen => self.listen(one, two as u32),
            Sysno::connect => self.connect(one, two, three),
            Sysno::accept => self.accept(one, two, three, 0),
            Sysno::accept4 => self.accept(one, two, three, four as u32),
            Sysno::shutdown => self.shutdown(one, two as u32),
            Sysno::getsockname => {
                let address = self.socket_of(one).and_then(|socket| self.sockets.local(socket));
                self.tell_address(address, two, three)
            }
            Sysno::getpeername => {
                let address = self.socket_of(one).and_then(|socket| self.sockets.remote(socket));
                self.tell_address(address, two, three)
            }
            Sysno::setsockopt => self.setsockopt(one, [two as u32, three as u32], four, five),
            Sysno::getsockopt => self.getsockopt(one, [two as u32, three as u32], four, five),
            Sysno::sendto => self.sendto(frame.arguments()),
            Sysno::recvfrom => self.recvfrom(frame.arguments()),
            Sysno::sendmsg => self.sendmsg(one, two, three as u32),
            Sysno::recvmsg => self.recvmsg(one, two, three as u32),
            _ => return None,
        })
    }

    /// The socket behind a descriptor.
    pub(crate) fn socket_of(&self, fd: u64) -> Result<Number, Errno> {
        let files = self.files.files.as_ref().ok_or(Errno::EBADF)?;
        files.socket_of(fd as i32)
    }

    /// Whether calls on the descriptor may wait.
    pub(super) fn blocks(&self, fd: u64) -> Result<bool, Errno> {
        let files = self.files.files.as_ref().ok_or(Errno::EBADF)?;
        files.is_nonblocking(fd as i32).map(|is_nonblocking| !is_nonblocking)
    }

    /// A descriptor for a socket, which is closed if there is none.
    fn descriptor(&mut self, socket: Number, flags: u32) -> Result<i32, Errno> {
        let files = self.files.files.as_mut().ok_or(Errno::EBADF)?;
        files.socket(socket, flags).inspect_err(|_| self.sockets.close(socket))
    }

    fn socket(&mut self, family: u32, kind: u32, protocol: u32, call: u64) -> Served {
        let family = match family {
            net::AF_UNIX => Family::Unix,
            net::AF_INET => Family::Inet,
            net::AF_INET6 => Family::Inet6,
            net::AF_NETLINK => Family::Netlink,
            _ => {
                self.count_unsupported(call);
                return Err(Errno::EAFNOSUPPORT.into());
            }
        };
        let flags = kind & !KIND_MASK;
        if flags & !FLAGS != 0 {
            return Err(Errno::EINVAL.into());
        }
        let (kind, usual) = match (family, kind & KIND_MASK) {
            (Family::Netlink, net::SOCK_RAW | net::SOCK_DGRAM) => (Kind::Datagram, 0),
            (Family::Netlink, _) => return Err(Errno::ESOCKTNOSUPPORT.into()),
            (_, net::SOCK_STREAM) => (Kind::Stream, net::IPPROTO_TCP as u32),
            (Family::Inet | Family::Inet6, net::SOCK_DGRAM) => {
                (Kind::Datagram, net::IPPROTO_UDP as u32)
            }
            (Family::Inet | Family::Inet6, net::SOCK_RAW) => return Err(Errno::EPERM.into()),
            _ => return Err(Errno::ESOCKTNOSUPPORT.into()),
        };
        if protocol != 0 && (protocol != usual || family == Family::Unix) {
            return Err(Errno::EPROTONOSUPPORT.into());
        }
        let socket = self.sockets.open(family, kind)?;
        Ok(self.descriptor(socket, flags)? as u64)
    }

    fn socketpair(&mut self, family: u32, kind: u32, to: u64, call: u64) -> Served {
        if family != net::AF_UNIX {
            self.count_unsupported(call);
            let known = family == net::AF_INET || family == net::AF_INET6;
            return Err(if known { Errno::EOPNOTSUPP } else { Errno::EAFNOSUPPORT }.into());
        }
        let flags = kind & !KIND_MASK;
        if flags & !FLAGS != 0 {
            return Err(Errno::EINVAL.into());
        }
        if kind & KIND_MASK != net::SOCK_STREAM {
            self.count_unsupported(call);
            return Err(Errno::ESOCKTNOSUPPORT.into());
        }
        // Before there is something to take back.
        self.space.bytes_mut(to, 8)?;
        let [one, other] = self.sockets.pair()?;
        let first = self.descriptor(one, flags).inspect_err(|_| self.sockets.close(other))?;
        let second = match self.descriptor(other, flags) {
            Ok(second) => second,
            Err(errno) => {
                self.with_files(|io| nothing(io.files.close(io.host, first)))?;
                return Err(errno.into());
            }
        };
        self.space.write_u32(to, first.cast_unsigned())?;
        self.space.write_u32(to + 4, second.cast_unsigned())?;
        Ok(0)
    }

    /// An address out of the program's memory.
    pub(super) fn given(&self, address: u64, len: u64) -> Result<Given, Errno> {
        let len = usize::try_from(len as i32).ok().filter(|len| *len <= ADDRESS_LEN_MAX);
        let bytes = self.space.bytes(address, len.ok_or(Errno::EINVAL)? as u64)?;
        Given::from_bytes(bytes)
    }

    /// Writes an address to where the program wants it, as much as it has room for.
    pub(super) fn tell_address(
        &mut self,
        address: Result<Address, Errno>,
        to: u64,
        len: u64,
    ) -> Served {
        let (bytes, whole) = address?.to_bytes();
        let room = usize::try_from(self.space.read_u32(len)? as i32).map_err(|_| Errno::EINVAL)?;
        self.space.write(to, &bytes[..whole.min(room)])?;
        self.space.write_u32(len, whole as u32)?;
        Ok(0)
    }

    fn bind(&mut self, fd: u64, address: u64, len: u64) -> Served {
        let socket = self.socket_of(fd)?;
        let given = self.given(address, len)?;
        nothing(self.sockets.bind(socket, given))
    }

    fn listen(&mut self, fd: u64, backlog: u32) -> Served {
        let socket = self.socket_of(fd)?;
        if self.sockets.listen(socket, backlog)? {
            self.becomes_server();
            // The answer is the result, and what the program says is log.
            self.files.output.becomes_log(&mut self.native);
        }
        Ok(0)
    }

    fn connect(&mut self, fd: u64, address: u64, len: u64) -> Served {
        let socket = self.socket_of(fd)?;
        let given = self.given(address, len)?;
        nothing(self.sockets.connect(socket, given))
    }

    fn accept(&mut self, fd: u64, to: u64, len: u64, flags: u32) -> Served {
        if flags & !FLAGS != 0 {
            return Err(Errno::EINVAL.into());
        }
        let (socket, blocks) = (self.socket_of(fd)?, self.blocks(fd)?);
        let files = self.files.files.as_ref().ok_or(Errno::EBADF)?;
        // A connection that finds no descriptor stays where it waits.
        files.has_descriptor()?;
        let accepted = self.sockets.accept(socket, blocks)?;
        let fd = self.descriptor(accepted, flags)?;
        if to != 0 {
            let address = self.sockets.remote(accepted);
            if let Err(stop) = self.tell_address(address, to, len) {
                self.with_files(|io| nothing(io.files.close(io.host, fd)))?;
                return Err(stop);
            }
        }
        Ok(fd as u64)
    }

    fn shutdown(&mut self, fd: u64, how: u32) -> Served {
        let socket = self.socket_of(fd)?;
        let (reading, writing) = match how {
            net::SHUT_RD => (true, false),
            net::SHUT_WR => (false, true),
            net::SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL.into()),
        };
        nothing(self.sockets.shutdown(socket, Directions { reading, writing }))
    }

    fn setsockopt(&mut self, fd: u64, [level, name]: [u32; 2], value: u64, len: u64) -> Served {
        let socket = self.socket_of(fd)?;
        let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?;
        let bytes = self.space.bytes(value, len.min(VALUE_LEN_MAX) as u64)?;
        self.sockets.set_option(socket, (level, name), bytes)?;
        Ok(0)
    }

    fn getsockopt(&mut self, fd: u64, [level, name]: [u32; 2], to: u64, len: u64) -> Served {
        let socket = self.socket_of(fd)?;
        let room = usize::try_from(self.space.read_u32(len)? as i32).map_err(|_| Errno::EINVAL)?;
        let mut credentials = [0; CREDENTIALS_LEN];
        let value;
        let bytes = if (level, name) == (net::SOL_SOCKET, net::SO_PEERCRED) {
            // The other end is in the same process, which is root's.
            credentials[..4].copy_from_slice(&self.identity.process_id.to_le_bytes());
            &credentials[..]
        } else {
            value = self.option(socket, level, name)?;
            value.bytes()
        };
        let told = bytes.len().min(room);
        self.space.write(to, &bytes[..told])?;
        self.space.write_u32(len, told as u32)?;
        Ok(0)
    }

    fn option(&mut self, socket: Number, level: u32, name: u32) -> Result<Value, Errno> {
        let (family, kind) = self.sockets.describe(socket)?;
        Ok(Value::number(match (level, name) {
            (net::SOL_SOCKET, net::SO_ERROR) => {
                let error = self.sockets.take_error(socket)?;
                error.map_or(0, |error| error.number().cast_unsigned())
            }
            (net::SOL_SOCKET, net::SO_TYPE) => match kind {
                Kind::Stream => net::SOCK_STREAM,
                Kind::Datagram => net::SOCK_DGRAM,
            },
            (net::SOL_SOCKET, net::SO_DOMAIN) => match family {
                Family::Unix => net::AF_UNIX,
                Family::Inet => net::AF_INET,
                Family::Inet6 => net::AF_INET6,
                Family::Netlink => net::AF_NETLINK,
            },
            (net::SOL_SOCKET, net::SO_PROTOCOL) => match (family, kind) {
                (Family::Unix | Family::Netlink, _) => 0,
                (_, Kind::Stream) => net::IPPROTO_TCP as u32,
                (_, Kind::Datagram) => net::IPPROTO_UDP as u32,
            },
            (net::SOL_SOCKET, net::SO_ACCEPTCONN) => self.sockets.is_listening(socket)?.into(),
            _ => return self.sockets.get_option(socket, (level, name)),
        }))
    }
}
