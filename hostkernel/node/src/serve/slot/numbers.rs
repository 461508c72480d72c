//! Where a connection stands in its bytes, and segments made from that.

use smoltcp::socket::tcp::State;

use super::{Numbers, Slot};
use crate::net::arrival::{Options, Segment};
use crate::net::forge::Forged;
use crate::net::transplant::MAX_SEGMENT_DEFAULT;

impl Slot {
    /// Bytes of the current request that have arrived.
    pub fn request_len(&self) -> u32 {
        self.numbers.taken.wrapping_sub(self.request_taken)
    }

    /// Whether a byte with this number is under way.
    pub fn is_under_way(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.acknowledged_to());
        (ahead as usize) < self.socket().send_queue()
    }

    /// The number of the next byte from the client: all before it are in the socket or taken.
    pub fn received_to(&self) -> u32 {
        use State::{CloseWait, Closing, LastAck, TimeWait};
        let waiting = self.socket().recv_queue() as u32;
        // The end of what a client sends has a number, too.
        let end =
            u32::from(matches!(self.socket().state(), CloseWait | Closing | LastAck | TimeWait));
        let Numbers { theirs, taken, .. } = self.numbers;
        theirs.wrapping_add(1).wrapping_add(taken).wrapping_add(waiting).wrapping_add(end)
    }

    /// The number of the first byte that the client has not acknowledged.
    pub fn acknowledged_to(&self) -> u32 {
        let waiting = self.socket().send_queue() as u32;
        let end = u32::from(matches!(self.socket().state(), State::FinWait2 | State::TimeWait));
        let Numbers { ours, put, .. } = self.numbers;
        ours.wrapping_add(1).wrapping_add(put).wrapping_sub(waiting).wrapping_add(end)
    }

    /// Where an acknowledgement of several segments starts and how long a step is, if the socket is
    /// one that counts them. Only what is in its place and acknowledges what is under way is taken
    /// for one: whoever can send that sees the connection.
    pub fn steps_to(&self, segment: Segment) -> Option<(Forged, u32)> {
        let first = self.probe()?;
        let step_len = u32::from(self.options.max_segment.unwrap_or(MAX_SEGMENT_DEFAULT));
        let len = segment.acknowledged.wrapping_sub(first.acknowledged?);
        let is_many = len > step_len && len as usize <= self.socket().send_queue();
        let is_next = segment.sequence == self.received_to();
        // The steps are in their place, too, so that they ask for no answer.
        (is_many && is_next).then_some((Forged { sequence: segment.sequence, ..first }, step_len))
    }

    /// A segment that has the socket say where it stands: one from before the window, as clients
    /// send to keep a connection alive (RFC 9293, 3.8.4). smoltcp answers one a second.
    pub fn probe(&self) -> Option<Forged> {
        Some(Forged {
            peer: self.peer?,
            sequence: self.received_to().wrapping_sub(1),
            acknowledged: Some(self.acknowledged_to()),
            window: self.numbers.window,
            options: Options::default(),
        })
    }
}
