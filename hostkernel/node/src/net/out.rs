//! The way into the card: frames, counted.

use super::nic::Sender;
use crate::state::statistics::Frames;

/// The card's sending side, with a count.
pub struct Out<'a> {
    pub sender: &'a mut dyn Sender,
    pub sent: &'a mut Frames,
    /// Set when a frame is lost.
    pub is_full: &'a mut bool,
}

impl Out<'_> {
    /// Sends a frame. Without a buffer, or with none long enough, it is lost, as on any full queue.
    pub fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8])) {
        let mut is_sent = false;
        self.sender.send(len, &mut |frame| {
            is_sent = true;
            fill(frame);
        });
        if is_sent {
            self.sent.add(len);
        } else {
            self.sent.dropped += 1;
            *self.is_full = true;
        }
    }
}
