//! Who may have an answer when connections are scarce.
//!
//! A connection is *held* from the head of an admitted request until its answer is in the
//! socket's buffer: nobody else can have it meanwhile. So not all may be held. Some are kept
//! for tenants with a key, and the last ones for who looks after the node, whose questions
//! are answered at once and hold nothing. Whoever comes too many is answered 503, on a
//! connection that was not held.
//!
//! ```text
//!  0                                    public_max        keyed_max        all
//!  │ anybody                            │ with a key       │ health, metrics, drain
//! ```

use crate::api::Caller;
use limits::{CONNECTIONS_KEPT_DIVISOR, HALF_OPEN_MIN};

/// How often it is looked for connections that are held for too long.
const ROOM_INTERVAL_NS: u64 = 100_000_000;

/// How many connections are held, and how many may be.
#[derive(Debug)]
pub struct Crowd {
    all: usize,
    public_max: usize,
    keyed_max: usize,
    held: usize,
    /// Somebody was kept out since it was last looked for room.
    is_wanted: bool,
    /// When that may be done again.
    next_ns: u64,
}

impl Crowd {
    /// Nobody yet, of `all` connections that there can be.
    pub const fn new(all: usize) -> Self {
        let kept = all / CONNECTIONS_KEPT_DIVISOR;
        Self {
            all,
            public_max: all - kept,
            keyed_max: all - kept / 2,
            held: 0,
            is_wanted: false,
            next_ns: 0,
        }
    }

    /// Holds a connection whose request has come, if it may be held. Only when many are is it asked
    /// `who` sent the request.
    pub fn admit(&mut self, is_held: &mut bool, who: impl FnOnce() -> Caller) -> bool {
        if *is_held {
            return true;
        }
        if self.held >= self.public_max {
            let max = match who() {
                Caller::Anybody => self.public_max,
                Caller::Tenant => self.keyed_max,
                Caller::Operator => return true,
            };
            if self.held >= max {
                self.is_wanted = true;
                return false;
            }
        }
        self.held += 1;
        *is_held = true;
        true
    }

    /// The answer is in the socket, or the connection is given up.
    pub const fn leave(&mut self, is_held: &mut bool) {
        if core::mem::replace(is_held, false) {
            self.held -= 1;
        }
    }

    /// Whether those should be given up who hold a connection for too long. Not asked for every one
    /// who is kept out: it takes a look at all connections.
    pub const fn wants_room(&mut self, now_ns: u64) -> bool {
        if !self.is_wanted || now_ns < self.next_ns {
            return false;
        }
        self.is_wanted = false;
        self.next_ns = now_ns + ROOM_INTERVAL_NS;
        true
    }

    /// With so many half-open connections the oldest of them goes first. Half of what is not held
    /// is left to others, however little that is.
    pub fn half_open_min(&self) -> usize {
        HALF_OPEN_MIN.min((self.all - self.held) / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connections_are_for_those_who_look_after_the_node() {
        for all in [24, 290, limits::CONNECTIONS_MAX] {
            let mut crowd = Crowd::new(all);
            let mut fill = |caller| {
                let before = crowd.held;
                while crowd.held < all && crowd.admit(&mut false, || caller) {}
                assert!(crowd.half_open_min() <= (all - crowd.held) / 2);
                crowd.held - before
            };
            let (public, keyed) = (fill(Caller::Anybody), fill(Caller::Tenant));
            assert!(public >= all / 2, "{public} of {all} are anybody's");
            assert!(keyed > 0, "some are kept for tenants");
            assert!(public + keyed < all, "some are kept for the node's keepers");
            let mut is_held = false;
            assert!(crowd.admit(&mut is_held, || Caller::Operator) && !is_held);
            crowd.leave(&mut true);
            assert!(!crowd.admit(&mut is_held, || Caller::Anybody) && !is_held);
            assert!(crowd.admit(&mut is_held, || Caller::Tenant) && is_held);
            assert!(crowd.admit(&mut is_held, || Caller::Anybody), "it is held already");
            crowd.leave(&mut is_held);
            crowd.leave(&mut is_held);
            assert_eq!(crowd.held, public + keyed - 1);
        }
    }
}
