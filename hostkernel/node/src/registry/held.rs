//! How much is held, and what for, besides what is deployed.

use core::sync::atomic::{AtomicUsize, Ordering};

/// What something is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Bodies that arrive, and inputs.
    Request,
    /// Answers that nobody has taken.
    Answer,
    /// Code that is to be deployed.
    Deploy,
}

impl Purpose {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Request, Self::Answer, Self::Deploy];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Deploy => "deploy",
        }
    }
}

/// Bytes for each purpose. Only the front counts; atomic because namespaces are shared with others.
#[derive(Debug, Default)]
pub(super) struct Held([AtomicUsize; Purpose::ALL.len()]);

impl Held {
    pub(super) fn len(&self, purpose: Purpose) -> usize {
        self.0[purpose as usize].load(Ordering::Relaxed)
    }

    pub(super) fn change(&self, purpose: Purpose, from: usize, to: usize) {
        let rest = self.len(purpose).saturating_sub(from);
        self.0[purpose as usize].store(rest + to, Ordering::Relaxed);
    }
}
