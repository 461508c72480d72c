//! How long a connection may stand still, and what it is then: slow, dawdling, swallowed, overdue.

use smoltcp::socket::tcp::State;

use super::super::timers::NEVER;
use super::{NS_PER_MS, Overdue, Slot};
use crate::http::connection::Phase;
use crate::net::Outward;
use crate::net::forge::Forged;
use limits::{
    BLACK_HOLE_MS, HURRY_MS, INITIAL_WINDOW_LEN_MAX, PATH_MTU_MIN, PROGRESS_TIMEOUT_MS,
    REQUEST_RATE_MIN, REQUEST_TIMEOUT_MS, STALL_TIMEOUT_MS, UNADMITTED_SPARED_MS,
};

impl Slot {
    /// The client has taken so long to send its request or to take its answer that it may not do so
    /// at the cost of others. Who has not said what it wants, or was refused, has less time.
    pub fn is_slow(&self, now_ns: u64) -> bool {
        let spared_ms = if self.is_held { PROGRESS_TIMEOUT_MS } else { UNADMITTED_SPARED_MS };
        !self.waits_for_action() && self.busy_ns + spared_ms * NS_PER_MS <= now_ns
    }

    /// The client has had time to take its answer, or has taken nothing of it for some.
    pub fn dawdles(&self, now_ns: u64) -> bool {
        let is_stuck = self.progress_ns + UNADMITTED_SPARED_MS * NS_PER_MS <= now_ns;
        is_stuck || self.is_slow(now_ns)
    }

    /// How long ago the current request began.
    pub fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.request_ns)
    }

    /// Begins to look: notes that the client has acknowledged bytes since the last time, and that
    /// it is idle.
    pub fn begin_look(&mut self, now_ns: u64) {
        if self.unacknowledged != self.socket().send_queue() {
            self.progress_ns = now_ns;
            self.acknowledged_ns = now_ns;
            self.hurry_at_ns = now_ns + self.patience_ns;
        }
        if self.is_idle() {
            self.busy_ns = now_ns;
        }
    }

    /// Remembers what the client has to acknowledge, for [`Self::begin_look`].
    pub fn note_unacknowledged(&mut self, now_ns: u64) {
        if self.unacknowledged == 0 {
            self.acknowledged_ns = now_ns;
            self.hurry_at_ns = now_ns + self.patience_ns;
        }
        self.unacknowledged = self.socket().send_queue();
    }

    /// When what is under way seems to be lost; [`NEVER`] if nothing is.
    pub fn hurry_ns(&self) -> u64 {
        if self.unacknowledged == 0 { NEVER } else { self.hurry_at_ns }
    }

    /// Sends once more what was not acknowledged in time, if it is little. When much is under way,
    /// what arrives of it brings acknowledgements that say what did not. Once: who then says
    /// nothing is asked again when smoltcp thinks so, after a second or more.
    ///
    /// A client that has no room is asked whether it still has none: that it has some again may be
    /// what got lost. Then after twice the time, and so on (RFC 9293, 3.8.6.1).
    #[inline(never)]
    pub fn hurry(&mut self, port: u16, outward: &mut Outward<'_>) {
        if let (0, Some(path)) = (self.numbers.window, self.path()) {
            let waited_ns = outward.now_ns.saturating_sub(self.acknowledged_ns);
            self.hurry_at_ns = outward.now_ns + waited_ns.max(HURRY_MS * NS_PER_MS);
            return outward.ask_for_room(&mut self.sockets, path);
        }
        self.hurry_at_ns = NEVER;
        let is_little = self.unacknowledged <= INITIAL_WINDOW_LEN_MAX;
        if let Some(probe) = self.probe().filter(|_| is_little) {
            let again = Forged { sequence: self.received_to(), ..probe };
            outward.repeat(&mut self.sockets, again, port);
        }
    }

    /// What the connection is overdue for if nothing moves, and from when on. `None` while it waits
    /// for an action, which has its own deadline, however long.
    pub fn overdue(&self, idle_ns: u64) -> Option<(u64, Overdue)> {
        let socket = self.socket();
        let established = matches!(socket.state(), State::Established | State::CloseWait);
        let all_sent = socket.send_queue() == 0;
        let still = |ms: u64| self.progress_ns + ms * NS_PER_MS;
        match self.connection.phase() {
            Phase::Answering => self.waits_until_ns.map(|at_ns| (at_ns, Overdue::Accept)),
            Phase::Streaming if self.waits_for_action() => None,
            Phase::Receiving => {
                // Who makes progress is given the time that takes.
                let earned_ms = u64::from(self.request_len()) * 1000 / REQUEST_RATE_MIN;
                let whole = self.request_ns + (REQUEST_TIMEOUT_MS + earned_ms) * NS_PER_MS;
                Some((still(PROGRESS_TIMEOUT_MS).min(whole), Overdue::Refuse))
            }
            // Only the handshake at the beginning or the end is missing.
            _ if !established && all_sent => Some((still(PROGRESS_TIMEOUT_MS), Overdue::Abort)),
            Phase::Idle if established && all_sent => {
                Some((self.progress_ns + idle_ns, Overdue::Close))
            }
            _ => Some((still(STALL_TIMEOUT_MS), Overdue::Abort)),
        }
    }

    /// Whether large packets seem to vanish on their way: several were sent, again and again, and
    /// nothing was acknowledged for a time.
    pub fn is_swallowed(&self, now_ns: u64) -> bool {
        self.acknowledged_ns + BLACK_HOLE_MS * NS_PER_MS <= now_ns
            && self.numbers.window > 0
            && self.unacknowledged > PATH_MTU_MIN
            && self.unacknowledged == self.socket().send_queue()
    }
}
