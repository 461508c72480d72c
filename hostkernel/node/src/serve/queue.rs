//! From the front to the workers: what is handed on now, what waits for its turn, what is refused.

use crate::dispatch::{Backlog, Dispatcher, Invocation, QueueFull, Ticket};
use limits::QUEUE_SHARE_FACTOR;

/// The dispatcher, and what waits in front of it.
pub struct Queue<'a> {
    pub dispatcher: &'a Dispatcher,
    backlog: Backlog,
    /// There is more than one tenant.
    is_shared: bool,
}

impl<'a> Queue<'a> {
    pub fn new(dispatcher: &'a Dispatcher, is_shared: bool) -> Self {
        Self { dispatcher, backlog: Backlog::new(dispatcher.capacity()), is_shared }
    }

    /// Invocations submitted whose end was not looked at.
    pub fn outstanding(&self) -> usize {
        self.dispatcher.outstanding() + self.backlog.len()
    }

    /// Invocations that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// Hands an invocation on, or lets it wait for its turn.
    ///
    /// # Errors
    /// [`QueueFull`]: every place is taken, or as many as one tenant may have.
    #[inline]
    pub fn submit(&mut self, invocation: Invocation) -> Result<(), QueueFull> {
        let namespace = invocation.permit.namespace();
        if self.backlog.is_empty() && self.dispatcher.is_hungry(namespace.mean_ns()) {
            return self.dispatcher.submit(invocation);
        }
        self.wait(invocation)
    }

    #[inline(never)]
    fn wait(&mut self, invocation: Invocation) -> Result<(), QueueFull> {
        let namespace = invocation.permit.namespace();
        let taken = self.backlog.len() + self.dispatcher.queued();
        let free = self.dispatcher.places().saturating_sub(taken);
        let is_greedy =
            self.is_shared && namespace.in_flight() as usize > QUEUE_SHARE_FACTOR * free;
        if free == 0 || is_greedy {
            return Err(QueueFull);
        }
        self.backlog.push(invocation);
        Ok(())
    }

    /// Hands on as much of what waits as workers need now.
    pub fn feed(&mut self) {
        while let Some(mean_ns) = self.backlog.mean_ns() {
            if !self.dispatcher.is_hungry(mean_ns) {
                return;
            }
            let Some(invocation) = self.backlog.pop() else { return };
            let submitted = self.dispatcher.submit(invocation);
            debug_assert!(submitted.is_ok(), "a worker with little queued has room");
        }
    }

    /// Takes an invocation out that still waits for its turn. Returns whether it did.
    pub fn withdraw(&mut self, ticket: Ticket) -> bool {
        self.backlog.remove(ticket).is_some()
    }
}
