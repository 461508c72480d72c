//! What is counted of the registry that keeps the actions, and how the runtimes of it are.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::registry::Name;

/// Which actions a namespace has in the registry.
#[derive(Debug, Default)]
pub struct Stored {
    /// The names that were asked for, in the registry's order.
    pub names: Vec<Name>,
    /// How many there are.
    pub all: usize,
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// The registry has what the node has.
    Unchanged,
    /// It has another action, which was fetched.
    Fetched,
    /// It has none.
    Absent,
    /// It did not answer, or nothing that can be used.
    Failed,
}

/// How a runtime is that the operator wants from the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The registry has not spoken of it, or it starts for the first time.
    Awaited,
    /// It waits for code.
    Here,
    /// The registry does not have it.
    Absent,
    /// What the registry has does not start; the log says why.
    Unusable,
}

/// Which one, and how it is.
pub type RuntimeStand = (Box<str>, Stand);

/// Counts since the boot, and how things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// By [`FetchOutcome`].
    pub fetches: [u64; FetchOutcome::ALL.len()],
    /// How long they took together.
    pub fetch_ns: u64,
    /// Bytes of code that were fetched.
    pub fetched_len: u64,
    /// Uses of actions that were confirmed a moment ago.
    pub hits: u64,
    /// Uses of actions that the registry could not confirm.
    pub stale: u64,
    /// Actions that made room for others.
    pub evicted: u64,
    /// Requests that wait for the registry.
    pub waiting: usize,
    /// Actions that the node has and the registry had.
    pub held: usize,
    /// Whether the registry did not answer when it was asked last.
    pub is_away: bool,
}

impl FetchOutcome {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Unchanged, Self::Fetched, Self::Absent, Self::Failed];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Fetched => "fetched",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

impl StoreCounts {
    /// Counts a fetch, with the bytes of code that it brought.
    pub fn fetch(&mut self, outcome: FetchOutcome, took_ns: u64, len: usize) {
        self.fetches[outcome as usize] += 1;
        self.fetch_ns = self.fetch_ns.saturating_add(took_ns);
        self.fetched_len = self.fetched_len.saturating_add(len as u64);
    }
}
