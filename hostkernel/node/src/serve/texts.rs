//! Long JSON texts that are read in slices: inputs of invocations that have not begun, and results
//! of those that have ended.
//!
//! An input is its connection's, and goes with it. A result is read to its end whoever has left:
//! its record is for later.

use alloc::boxed::Box;

use super::turns::{Turns, Work};
use crate::api::{Ending, Reading};
use crate::registry::{Holding, Namespace};

/// All of them.
pub type Texts = Turns<Text>;

/// One, with what is held for it.
pub struct Text {
    pub kind: TextKind,
    pub holding: Holding,
}

/// What it is.
pub enum TextKind {
    /// An input, and the slot of the connection it came by.
    Input(u32, Box<Reading>),
    /// A result, and the slot of the connection that waits for it, if one does.
    Result(Option<u32>, Box<Ending>),
}

impl Text {
    /// How much memory it takes by now.
    pub fn held_len(&self) -> usize {
        match &self.kind {
            TextKind::Input(_, reading) => reading.held_len(),
            TextKind::Result(_, ending) => ending.held_len(),
        }
    }
}

impl Work for Text {
    fn namespace(&self) -> &Namespace {
        match &self.kind {
            TextKind::Input(_, reading) => reading.namespace(),
            TextKind::Result(_, ending) => &ending.pending.action().namespace,
        }
    }

    fn is_left(&mut self, left: u32) -> bool {
        match &mut self.kind {
            TextKind::Input(slot, _) => *slot != left,
            TextKind::Result(slot, _) => {
                slot.take_if(|slot| *slot == left);
                true
            }
        }
    }
}
