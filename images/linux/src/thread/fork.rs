//! `fork` in a web server: the program goes on as the child.
//!
//! There is one process. Where a server forks for each connection, or a worker to accept them, the
//! child does all there is to do, and the parent would only wait. So the parent is what ends here.
//! Programs that do not listen are refused, since what they make a child for needs both.
#![forbid(unsafe_code)]

use crate::Errno;
use crate::native::Native;
use crate::os::Os;
use crate::outcome::Served;
use crate::signal::Pending;
use crate::timers::Timers;

/// Where `clone` wants the child's number written, and cleared when it ends; 0 for nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Child {
    pub number_at: u64,
    pub clear_at: u64,
}

impl<N: Native> Os<N> {
    /// `fork`, and `clone` where it means that; `call` is its number.
    pub(crate) fn fork(&mut self, call: u64, child: Child) -> Served {
        if !self.sockets.exchange.is_server() {
            self.count_unsupported(call);
            return Err(Errno::EPERM.into());
        }
        let number = self.threads.next_number();
        let current = self.threads.current;
        self.threads.all.swap(0, current);
        self.threads.all.truncate(1);
        self.threads.current = 0;
        let thread = self.threads.running();
        thread.number = number;
        thread.pending = Pending::new();
        thread.clear = child.clear_at;
        self.signals.pending = Pending::new();
        self.timers = Timers::new();
        self.identity.parent_id = self.identity.process_id;
        self.identity.process_id = number;
        if child.number_at != 0 {
            // As in Linux the child starts even if this address is none.
            let _ = self.space.write_u32(child.number_at, number);
        }
        self.attention = true;
        Ok(0)
    }
}
