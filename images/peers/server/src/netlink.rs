//! Gives a network card an address and switches it on, through a routing socket (`rtnetlink(7)`).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
/// A request that is to be answered: `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 1 | 4;
/// What it asks for may be new: `NLM_F_CREATE`.
const CREATE: u16 = 0x400;
const AF_INET: u8 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
/// Length of the header of every message.
const HEADER_LEN: usize = 16;

/// Gives card number `index` an address and switches it on.
pub fn set_up(index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let kind = (AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC);
    let socket = socket(kind.0, kind.1, kind.2, SockProtocol::NetlinkRoute)?;

    // struct ifaddrmsg: family, prefix, flags, scope, index.
    let mut body = vec![AF_INET, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    for attribute in [IFA_LOCAL, IFA_ADDRESS] {
        // struct rtattr: length with itself, kind.
        body.extend(8_u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(address.octets());
    }
    ask(&socket, RTM_NEWADDR, CREATE, &body)?;

    // struct ifinfomsg: family, padding, type, index, flags, which flags to change.
    let mut body = vec![0; 4];
    for word in [index, IFF_UP, IFF_UP] {
        body.extend(word.to_ne_bytes());
    }
    ask(&socket, RTM_NEWLINK, 0, &body)
}

/// Sends a request and waits for its acknowledgement.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let len = u32::try_from(HEADER_LEN + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::new();
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    // Sequence number and sender: nobody else uses the socket.
    message.extend([0; 8]);
    message.extend(body);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;

    let mut answer = [0; 1024];
    let len = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let answer = &answer[..len];
    let kind =
        answer.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_ne_bytes(*bytes));
    let error = answer.get(HEADER_LEN..).and_then(<[u8]>::first_chunk);
    match (kind, error.map(|bytes| i32::from_ne_bytes(*bytes))) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(Errno::from_raw(-error).into()),
        _ => Err(io::Error::other("the routing socket answers nonsense")),
    }
}
