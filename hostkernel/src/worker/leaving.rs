//! The result of the action that runs here, as far as it leaves before the end.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use memory::{AddressSpace, PageBuffer, Refusal};
use node::dispatch::{Dispatcher, Outlet, Ticket};

/// What may leave, what has left, and where it goes.
pub struct Leaving<'a> {
    dispatcher: &'a Dispatcher,
    outlet: Arc<Outlet>,
    ticket: Ticket,
    core: usize,
    /// Bytes from the beginning of the output window that the action has let go.
    pub ready_len: u64,
    /// Bytes that were put into the outlet.
    pub left_len: u64,
}

impl<'a> Leaving<'a> {
    /// Nothing has been let go. The invocation runs on `core`.
    pub fn new(
        dispatcher: &'a Dispatcher,
        outlet: Arc<Outlet>,
        ticket: Ticket,
        core: usize,
    ) -> Self {
        outlet.begin(core);
        Self { dispatcher, outlet, ticket, core, ready_len: 0, left_len: 0 }
    }

    /// Whether the client has left.
    pub fn is_abandoned(&self) -> bool {
        self.outlet.is_abandoned()
    }

    /// Whether the front, which takes what leaves, is on the same core.
    pub fn is_on_front(&self) -> bool {
        self.dispatcher.is_front(self.core)
    }

    /// Copies out what may leave and finds room. Returns whether that was anything. What cannot be
    /// copied, because memory is short, stays for the end.
    pub fn go_on(&mut self, space: &mut AddressSpace) -> bool {
        let wanted = self.ready_len.saturating_sub(self.left_len) as usize;
        if wanted == 0 {
            return false;
        }
        let len = self.outlet.room(wanted);
        let mut piece = PageBuffer::new();
        let address = space.output_range().address + self.left_len;
        let read = space.read(address, len as u64, |bytes| {
            piece.append(bytes).map_err(|_| Refusal::OutOfMemory)
        });
        if read.is_err() || len == 0 {
            return false;
        }
        self.left_len += len as u64;
        self.dispatcher.let_out(self.core, (self.ticket, &self.outlet), piece);
        true
    }
}
