//! Signals: what is set, what is pending, and what becomes of it.
#![forbid(unsafe_code)]

pub mod calls;
pub mod deliver;
pub mod fault;
pub mod names;
pub mod stack;

use alloc::boxed::Box;
use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use crate::Errno;
use crate::limits::SIGNALS_PENDING_MAX;

/// Highest number of a signal.
pub const SIGNAL_MAX: u32 = 64;
/// Lowest number of a signal of which several can be pending.
const REALTIME_MIN: u32 = 32;

/// A set of signals: bit n - 1 stands for signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Those that can neither be blocked nor caught.
    pub const UNBLOCKABLE: Self = Self(bit(linux::SIGKILL) | bit(linux::SIGSTOP));

    /// Whether it holds the signal.
    #[must_use]
    pub const fn has(self, signal: u32) -> bool {
        self.0 & bit(signal) != 0
    }

    /// With the signals of another.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the signals of another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// One signal.
    #[must_use]
    pub const fn of(signal: u32) -> Self {
        Self(bit(signal))
    }
}

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// What a handler is told (`siginfo_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Its number.
    pub signal: u32,
    /// `SI_…`, `SEGV_…` and so on.
    pub code: i32,
    /// The union's first words: an address, or who sent it and a value.
    pub fields: [u64; 2],
}

/// Bytes of a `siginfo_t`.
pub const INFO_LEN: usize = 128;

impl Info {
    /// Sent by this process itself.
    #[must_use]
    pub fn sent(signal: u32, code: i32, process: u32) -> Self {
        Self { signal, code, fields: [u64::from(process), 0] }
    }

    /// As it lies in the program's memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; INFO_LEN] {
        let mut bytes = [0; INFO_LEN];
        bytes[..4].copy_from_slice(&self.signal.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.fields[0].to_le_bytes());
        bytes[24..32].copy_from_slice(&self.fields[1].to_le_bytes());
        bytes
    }

    /// Out of the program's memory.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; INFO_LEN]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        let [first, second, third, fourth] = [0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at]));
        Self { signal: first as u32, code: (second as u32).cast_signed(), fields: [third, fourth] }
    }
}

/// What is to happen on a signal (`struct sigaction` as the kernel takes it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// `SIG_DFL` (0), `SIG_IGN` (1) or a function's address.
    pub handler: u64,
    /// `SA_…`
    pub flags: u64,
    /// What the handler returns to.
    pub restorer: u64,
    /// Blocked while it runs.
    pub mask: SignalSet,
}

/// Handler of what is to happen by default.
pub const DEFAULT: u64 = 0;
/// Handler of what is to be ignored.
pub const IGNORE: u64 = 1;

impl Action {
    /// Whether this flag is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag as u64 != 0
    }
}

/// Signals that were sent and not taken yet.
#[derive(Debug, Default)]
pub struct Pending(Vec<Info>);

impl Pending {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Which there are.
    #[must_use]
    pub fn set(&self) -> SignalSet {
        SignalSet(self.0.iter().fold(0, |set, info| set | bit(info.signal)))
    }

    /// Adds one. Of the old signals one at a time is pending.
    ///
    /// # Errors
    /// `EAGAIN` if too many are.
    pub fn add(&mut self, info: Info) -> Result<(), Errno> {
        if info.signal < REALTIME_MIN && self.set().has(info.signal) {
            return Ok(());
        }
        if self.0.len() >= SIGNALS_PENDING_MAX {
            return Err(Errno::EAGAIN);
        }
        self.0.push(info);
        Ok(())
    }

    /// Takes the one to be delivered next: the lowest of the set, the oldest of its number.
    pub fn take(&mut self, wanted: SignalSet) -> Option<Info> {
        let candidates = self.0.iter().enumerate().filter(|(_, info)| wanted.has(info.signal));
        let (at, _) = candidates.min_by_key(|(at, info)| (info.signal, *at))?;
        Some(self.0.remove(at))
    }

    /// Forgets all of one number.
    pub fn forget(&mut self, signal: u32) {
        self.0.retain(|info| info.signal != signal);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What all threads share.
#[derive(Debug, Default)]
pub struct Signals {
    /// Made when the first is set.
    actions: Option<Box<[Action; SIGNAL_MAX as usize]>>,
    /// Sent to the process, for whichever thread does not block it.
    pub pending: Pending,
}

impl Signals {
    /// All as by default.
    #[must_use]
    pub const fn new() -> Self {
        Self { actions: None, pending: Pending::new() }
    }

    /// What is to happen on a signal.
    #[must_use]
    pub fn action(&self, signal: u32) -> Action {
        self.actions.as_ref().map_or_else(Action::default, |all| all[signal as usize - 1])
    }

    /// Sets that.
    pub fn set_action(&mut self, signal: u32, action: Action) {
        let all =
            self.actions.get_or_insert_with(|| Box::new([Action::default(); SIGNAL_MAX as usize]));
        all[signal as usize - 1] = action;
    }

    /// Whether a signal would do nothing.
    #[must_use]
    pub fn is_ignored(&self, signal: u32) -> bool {
        match self.action(signal).handler {
            IGNORE => true,
            DEFAULT => names::is_ignored_by_default(signal),
            _ => false,
        }
    }
}

/// `stack_t`: where handlers with `SA_ONSTACK` run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    /// Lowest address.
    pub address: u64,
    /// `SS_DISABLE`, `SS_AUTODISARM`.
    pub flags: u32,
    /// Bytes; 0 for none.
    pub len: u64,
}

impl AlternateStack {
    /// Whether this stack pointer is on it.
    #[must_use]
    pub fn holds(&self, rsp: u64) -> bool {
        self.flags & linux::SS_AUTODISARM == 0
            && rsp > self.address
            && rsp - self.address <= self.len
    }

    /// As `sigaltstack` shows it.
    #[must_use]
    pub fn to_words(self, rsp: u64) -> [u64; 3] {
        let state = match (self.len, self.holds(rsp)) {
            (0, _) => linux::SS_DISABLE,
            (_, true) => linux::SS_ONSTACK,
            (_, false) => 0,
        };
        [self.address, u64::from(state | self.flags & linux::SS_AUTODISARM), self.len]
    }
}
