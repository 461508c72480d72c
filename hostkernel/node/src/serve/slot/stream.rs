//! An answer that began to leave before its invocation ended.

use alloc::sync::Arc;

use smoltcp::socket::tcp::State;

use super::Slot;
use crate::dispatch::Outlet;
use crate::http::connection::Phase;
use crate::http::{Body, Fields};
use memory::PageBuffer;

/// See the head of this file.
pub struct Streaming {
    outlet: Arc<Outlet>,
    status: u16,
    /// Bytes of the result that were taken out of the outlet.
    taken_len: usize,
    /// So many of them the connection has not taken.
    piece_len: usize,
    end: Option<Rest>,
}

/// What is left of the answer when its invocation has ended.
enum Rest {
    /// The result as a whole, of which the beginning has left.
    Of(PageBuffer),
    /// What says that it is over.
    End,
    /// The end is missing: it went wrong.
    Nothing,
}

/// What came of asking for more to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Nothing.
    Nothing,
    /// The connection has moved on; this core may have been waiting for that.
    More(Option<usize>),
}

impl Slot {
    /// Whether its answer began to leave, and has not been handed over as a whole.
    #[inline]
    pub fn streams(&self) -> bool {
        self.streaming.is_some()
    }

    /// Begins the answer: with its header fields, and the rest of the first piece from `start` on.
    pub fn begin_stream(
        &mut self,
        outlet: Arc<Outlet>,
        (status, headers): (u16, Fields),
        (first, start): (PageBuffer, usize),
    ) {
        let len = first.len();
        self.connection.begin(status, headers);
        self.connection.push_piece(Body::PagesFrom(first, start));
        let streaming = Streaming { outlet, status, taken_len: len, piece_len: len, end: None };
        self.streaming = Some(streaming);
    }

    /// The invocation has ended, with this result if it went well. Returns the status that was
    /// sent, and how long what is left of the answer is.
    pub fn end_stream(&mut self, result: Option<PageBuffer>) -> Option<(u16, usize)> {
        let streaming = self.streaming.as_mut()?;
        let len = result.as_ref().map_or(0, PageBuffer::len);
        streaming.end = Some(result.map_or(Rest::Nothing, Rest::Of));
        Some((streaming.status, len.saturating_sub(streaming.taken_len - streaming.piece_len)))
    }

    /// Looks for more to send, once all has been sent that there was.
    pub fn pull(&mut self, now_ns: u64) -> Pulled {
        let Self { connection, streaming: Some(streaming), .. } = self else {
            return Pulled::Nothing;
        };
        if connection.has_output() {
            return Pulled::Nothing;
        }
        self.busy_ns = now_ns;
        let waiting = match core::mem::take(&mut streaming.piece_len) {
            0 => None,
            len => streaming.outlet.taken(len),
        };
        if let Some(piece) = streaming.outlet.take() {
            streaming.taken_len += piece.len();
            streaming.piece_len = piece.len();
            connection.push_piece(Body::Pages(piece));
            return Pulled::More(waiting);
        }
        match streaming.end.take() {
            None if waiting.is_none() => return Pulled::Nothing,
            None => {}
            Some(Rest::Of(result)) => {
                let rest = Body::PagesFrom(result, streaming.taken_len);
                self.answer_len = rest.len();
                connection.push_piece(rest);
                streaming.end = Some(Rest::End);
            }
            Some(Rest::End) => {
                connection.finish();
                self.streaming = None;
            }
            Some(Rest::Nothing) => {
                connection.cut();
                self.streaming = None;
            }
        }
        Pulled::More(waiting)
    }

    /// Whether nothing is to be done on it until its action goes on.
    pub fn waits_for_action(&self) -> bool {
        match self.connection.phase() {
            Phase::Answering => true,
            Phase::Streaming => !self.connection.has_output() && self.socket().send_queue() == 0,
            _ => false,
        }
    }

    /// Whether the client has left in the middle of an answer: it says that nothing more comes from
    /// it, as the system does for a program that ends.
    pub fn has_left_stream(&self) -> bool {
        self.connection.phase() == Phase::Streaming && self.socket().state() == State::CloseWait
    }

    /// Who is to hear that the client has left, if its answer has begun to leave.
    pub fn outlet(&self) -> Option<&Outlet> {
        self.streaming.as_ref().map(|streaming| &*streaming.outlet)
    }
}
