//! Room for those who need much: larger buffers, and so windows, out of a budget.
//!
//! A connection begins with buffers that suffice near by. Who sends a large body, or gets a large
//! answer, gets larger ones while that lasts, if there are any left: over a distance the window is
//! what is under way, and decides how fast it goes. An idle connection has none.

use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, CongestionControl, SocketBuffer};

use limits::{
    HEAP_RESERVE_LEN, RECEIVE_BUFFER_LEN, RECEIVE_WIDE_LEN_MAX, SEND_BUFFER_LEN, SEND_WIDE_LEN_MAX,
    WIDE_LEN_MIN, WIDE_LEN_PER_CONNECTION, WIDE_LEN_TOTAL_MIN,
};

/// What a socket's buffers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A large body is on its way.
    Receive,
    /// An answer of this length is to be sent.
    Send(usize),
}

/// Lengths of a socket's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    pub receive_len: usize,
    pub send_len: usize,
}

/// Those every connection has.
pub const USUAL: Buffers = Buffers { receive_len: RECEIVE_BUFFER_LEN, send_len: SEND_BUFFER_LEN };

impl Buffers {
    fn len(self) -> usize {
        self.receive_len + self.send_len
    }

    /// A socket with these in a set of its own; `None` if there is no memory.
    pub fn socket(self) -> Option<(SocketSet<'static>, SocketHandle)> {
        let buffer = |len: usize| {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).ok()?;
            bytes.resize(len, 0);
            Some(SocketBuffer::new(bytes))
        };
        let mut socket = tcp::Socket::new(buffer(self.receive_len)?, buffer(self.send_len)?);
        // An answer leaves when it is complete; there is nothing to wait for. No time-out of
        // smoltcp's is set: it would end connections on which the client has nothing to say while
        // its invocation runs. `Slot::overdue` tells them apart.
        socket.set_nagle_enabled(false);
        // The usual buffer is no longer than what may be under way at first; a larger one gets its
        // congestion control with it.
        socket.set_congestion_control(CongestionControl::None);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        Some((sockets, socket))
    }
}

/// What may still be granted.
pub struct Budget {
    left: usize,
}

impl Budget {
    /// For so many connections.
    pub fn new(connections_max: usize) -> Self {
        let shares = connections_max.saturating_mul(WIDE_LEN_PER_CONNECTION);
        Self { left: shares.max(WIDE_LEN_TOTAL_MIN) }
    }

    /// Buffers for a need, as large as there is room for. They are given back by [`Self::free`].
    pub fn grant(&mut self, need: Need) -> Option<Buffers> {
        let mut len = match need {
            Need::Receive => RECEIVE_WIDE_LEN_MAX,
            Need::Send(len) => len.next_power_of_two().clamp(WIDE_LEN_MIN, SEND_WIDE_LEN_MAX),
        };
        while len >= WIDE_LEN_MIN {
            let buffers = match need {
                Need::Receive => Buffers { receive_len: len, ..USUAL },
                Need::Send(_) => Buffers { send_len: len, ..USUAL },
            };
            if buffers.len() <= self.left && buffers.len() + HEAP_RESERVE_LEN <= memory::heap_free()
            {
                self.left -= buffers.len();
                return Some(buffers);
            }
            len /= 2;
        }
        None
    }

    /// Takes granted buffers back.
    pub fn free(&mut self, buffers: Buffers) {
        self.left += buffers.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_granted_comes_back_and_no_more_is_granted_than_there_is() {
        let mut budget = Budget::new(0);
        let whole = budget.left;
        let mut granted = Vec::new();
        while let Some(buffers) = budget.grant(Need::Receive) {
            granted.push(buffers);
        }
        let last = granted.last().expect("the first is always granted");
        assert_eq!(granted[0].receive_len, RECEIVE_WIDE_LEN_MAX);
        assert!(last.receive_len < RECEIVE_WIDE_LEN_MAX, "less when little is left");
        assert_eq!(budget.grant(Need::Send(1)), None);
        assert!(granted.iter().map(|buffers| buffers.len()).sum::<usize>() <= whole);
        granted.into_iter().for_each(|buffers| budget.free(buffers));
        assert_eq!(budget.left, whole);
        assert_eq!(budget.grant(Need::Send(100_000)).map(|it| it.send_len), Some(131_072));
        assert_eq!(budget.grant(Need::Send(usize::MAX >> 1)).map(|it| it.send_len), Some(1 << 20));
    }
}
