//! What moves frames and bytes: the card as smoltcp wants it, neighbours, the node's address, and
//! what the node itself says on the network. Who may connect and what is answered is decided in
//! [`serve`](crate::serve).

pub(crate) mod adapter;
pub(crate) mod address;
pub(crate) mod arrival;
pub(crate) mod neighbours;
pub mod nic;
pub(crate) mod sntp;
pub(crate) mod syslog;

pub use self::sntp::Reading;

use smoltcp::iface::SocketSet;
use smoltcp::time::Instant;

/// Sends what the sockets of a set have to send, and says when they have more.
pub trait Egress {
    /// Does so.
    fn egress(&mut self, sockets: &mut SocketSet<'static>) -> Option<u64>;
}

/// A moment as smoltcp knows it.
pub(crate) fn instant(ns: u64) -> Instant {
    Instant::from_micros(i64::try_from(ns / 1000).unwrap_or(i64::MAX))
}
