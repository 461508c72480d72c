//! What of a result leaves before its invocation has ended: pieces, from the core that runs it to
//! the front.
//!
//! The core puts in what the action let go, as long as the client takes it; what finds no room
//! stays where the action wrote it, and goes on later or with the end. So nobody waits here: an
//! action is as fast as without a client, and a slow client costs no more than
//! [`OUTLET_LEN_MAX`].

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;

use limits::{OUTLET_LEN_MAX, OUTLET_PIECES_MAX};
use memory::PageBuffer;

/// How many there are. Who makes them, the front, need not look for news while there is none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// No core runs it.
const NO_CORE: usize = usize::MAX;

/// See the head of this file.
#[derive(Debug)]
pub struct Outlet {
    pieces: ArrayQueue<PageBuffer>,
    /// Bytes that were put in and that the client's connection has not taken.
    held: AtomicUsize,
    /// Which core runs the invocation.
    core: AtomicUsize,
    /// The core has more than there was room for.
    is_waiting: AtomicBool,
    /// The front knows of pieces that it has not looked at.
    is_told: AtomicBool,
    /// Nothing is to be put in any more.
    is_closed: AtomicBool,
    /// The client has left.
    is_abandoned: AtomicBool,
}

impl Default for Outlet {
    fn default() -> Self {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            pieces: ArrayQueue::new(OUTLET_PIECES_MAX),
            held: AtomicUsize::new(0),
            core: AtomicUsize::new(NO_CORE),
            is_waiting: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether there is any outlet.
#[inline]
pub(super) fn is_any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// The core that runs the invocation.
impl Outlet {
    /// The invocation runs on `core` from now on.
    pub fn begin(&self, core: usize) {
        self.core.store(core, Ordering::SeqCst);
    }

    /// How many bytes may be put in now. If that is not `wanted`, the core will be woken once there
    /// is room.
    #[must_use]
    pub fn room(&self, wanted: usize) -> usize {
        let room = self.room_now().min(wanted);
        if room == wanted {
            return room;
        }
        // Said before it is looked at again: the front makes room first and looks second.
        self.is_waiting.store(true, Ordering::SeqCst);
        self.room_now().min(wanted)
    }

    fn room_now(&self) -> usize {
        if self.is_closed.load(Ordering::SeqCst) || self.pieces.is_full() {
            return 0;
        }
        OUTLET_LEN_MAX.saturating_sub(self.held.load(Ordering::SeqCst))
    }

    /// Puts a piece in, for which there was room. Returns whether the front has to be told.
    #[must_use]
    pub fn put(&self, piece: PageBuffer) -> bool {
        self.held.fetch_add(piece.len(), Ordering::SeqCst);
        let pushed = self.pieces.push(piece);
        debug_assert!(pushed.is_ok(), "only this core puts pieces in, and looked for room");
        !self.is_told.swap(true, Ordering::SeqCst)
    }

    /// Whether the client has left.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst)
    }
}

/// The front.
impl Outlet {
    /// Begins to look: whatever is put in from now on is told anew.
    pub fn look(&self) {
        self.is_told.store(false, Ordering::SeqCst);
    }

    /// The next piece.
    #[must_use]
    pub fn take(&self) -> Option<PageBuffer> {
        self.pieces.pop()
    }

    /// The client's connection has taken so many bytes of what was put in. Returns the core to be
    /// woken, if it waits for room.
    #[must_use]
    pub fn taken(&self, len: usize) -> Option<usize> {
        self.held.fetch_sub(len, Ordering::SeqCst);
        self.is_waiting.swap(false, Ordering::SeqCst).then(|| self.running()).flatten()
    }

    /// Takes nothing more: all of the result comes with the end.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        while self.pieces.pop().is_some() {}
    }

    /// The client has left: the invocation is to end. Returns the core to be woken for that.
    #[must_use]
    pub fn abandon(&self) -> Option<usize> {
        self.is_abandoned.store(true, Ordering::SeqCst);
        self.close();
        self.running()
    }

    fn running(&self) -> Option<usize> {
        Some(self.core.load(Ordering::SeqCst)).filter(|core| *core != NO_CORE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory::install_for_test;

    fn piece(len: usize) -> PageBuffer {
        PageBuffer::from_bytes(&alloc::vec![7; len]).expect("frames are left")
    }

    #[test]
    fn there_is_room_for_what_the_client_takes() {
        install_for_test();
        let outlet = Outlet::default();
        outlet.begin(3);
        assert_eq!(outlet.room(100), 100);
        assert!(outlet.put(piece(100)), "the front is told");
        assert!(!outlet.put(piece(OUTLET_LEN_MAX - 100)), "once");
        assert_eq!(outlet.room(1), 0);
        outlet.look();
        assert_eq!(outlet.take().map(|piece| piece.len()), Some(100));
        assert_eq!(outlet.room(1000), 0, "it was taken out, and not by the client");
        assert_eq!(outlet.taken(100), Some(3), "who waits for room is woken");
        assert_eq!(outlet.room(1000), 100);
        assert!(outlet.put(piece(100)), "it is told anew");
        outlet.look();
        assert!(outlet.take().is_some() && outlet.take().is_some() && outlet.take().is_none());
        assert_eq!(outlet.taken(OUTLET_LEN_MAX - 100), Some(3));
        assert_eq!(outlet.taken(100), None, "it was woken, and asks again if it wants more");
        for _ in 0..OUTLET_PIECES_MAX {
            let _told = outlet.put(piece(1));
        }
        assert_eq!(outlet.room(1), 0, "pieces are bounded, however small");
    }

    #[test]
    fn nothing_is_put_into_what_is_closed() {
        install_for_test();
        let outlet = Outlet::default();
        assert!(outlet.put(piece(1)));
        outlet.close();
        assert_eq!((outlet.room(1), outlet.take().is_none()), (0, true));
        assert!(!outlet.is_abandoned());
        assert_eq!(outlet.abandon(), None, "no core runs it");
        assert!(outlet.is_abandoned());
    }
}
