//! How large a packet may be to get to a host: less than the wire takes if a router on the way
//! said so (RFC 1191), or if large ones seem to vanish (RFC 4821).
//!
//! Anybody can claim to be a router. He is believed about a packet that is under way, of which he
//! has to know the number; never below a size that no link of today is smaller than; and for a
//! time.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::arrival::TooBig;
use limits::{PATH_MTU_KEPT_MS, PATH_MTU_MIN, PATHS_MAX};

const NS_PER_MS: u64 = 1_000_000;
/// Sizes that are common on the way (RFC 1191, 7.1), for routers that do not say theirs, and to try
/// when nothing is said at all.
const COMMON: [usize; 5] = [1492, 1400, 1280, 1006, PATH_MTU_MIN];

/// Where large packets vanish silently, those just below this mostly do not: tunnels take some
/// bytes.
pub const FIRST_TRIED_MTU: usize = 1400;

/// The paths that are known to be narrow, the oldest first.
#[derive(Default)]
pub struct Paths(Vec<Narrow>);

struct Narrow {
    to: Ipv4Addr,
    mtu: usize,
    until_ns: u64,
}

impl Paths {
    /// What gets to a host, if that is known to be less than usual.
    pub fn mtu(&self, to: Ipv4Addr, now_ns: u64) -> Option<usize> {
        let narrow = self.0.iter().find(|narrow| narrow.to == to && narrow.until_ns > now_ns)?;
        Some(narrow.mtu)
    }

    /// Remembers what gets to a host.
    pub fn note(&mut self, to: Ipv4Addr, mtu: usize, now_ns: u64) {
        self.0.retain(|narrow| narrow.to != to && narrow.until_ns > now_ns);
        if self.0.len() == PATHS_MAX {
            self.0.remove(0);
        }
        let until_ns = now_ns + PATH_MTU_KEPT_MS * NS_PER_MS;
        self.0.push(Narrow { to, mtu, until_ns });
    }
}

/// What a router's word makes of a path that took `mtu`; `None` if it says nothing new.
pub fn narrowed_by(message: TooBig, mtu: usize) -> Option<usize> {
    let stated = match usize::from(message.mtu) {
        0 => common_below(usize::from(message.len))?,
        stated => stated.max(PATH_MTU_MIN),
    };
    (stated < mtu).then_some(stated)
}

/// The largest common size that is smaller.
pub fn common_below(mtu: usize) -> Option<usize> {
    COMMON.into_iter().find(|common| *common < mtu)
}

#[cfg(test)]
mod tests {
    use super::super::arrival::Peer;
    use super::*;

    fn narrowed(stated: u16, len: u16, mtu: usize) -> Option<usize> {
        let peer = Peer { address: Ipv4Addr::new(10, 0, 0, 9), port: 1 };
        narrowed_by(TooBig { peer, sequence: 0, len, mtu: stated }, mtu)
    }

    #[test]
    fn a_path_becomes_narrower_and_not_too_narrow() {
        assert_eq!(narrowed(1280, 1500, 1500), Some(1280));
        assert_eq!(narrowed(1280, 1500, 1280), None, "nothing new");
        assert_eq!(narrowed(1400, 1500, 1280), None, "never wider");
        assert_eq!(narrowed(68, 1500, 1500), Some(PATH_MTU_MIN));
        assert_eq!(narrowed(0, 1500, 1500), Some(1492));
        assert_eq!(narrowed(0, 1300, 1500), Some(1280));
        assert_eq!(narrowed(0, 100, 1500), None);
    }

    #[test]
    fn what_is_known_ends_and_is_bounded() {
        let mut paths = Paths::default();
        let to = |last: u8| Ipv4Addr::new(10, 0, 0, last);
        paths.note(to(1), 1280, 0);
        let until_ns = PATH_MTU_KEPT_MS * NS_PER_MS;
        assert_eq!(paths.mtu(to(1), until_ns - 1), Some(1280));
        assert_eq!(paths.mtu(to(1), until_ns), None);
        for last in 0..=255 {
            paths.note(to(last), 1006, 1);
        }
        assert_eq!(paths.0.len(), PATHS_MAX);
        assert_eq!((paths.mtu(to(255), 2), paths.mtu(to(0), 2)), (Some(1006), None));
    }
}
