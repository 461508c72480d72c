//! What is cleared on the way out to ring 3: the one page about it.
//!
//! There is one way out, `enter` in `arch::user`, for first entries and for returns from calls,
//! faults and interrupts alike. Whoever takes it must say what ran on this core since ring 3 did:
//!
//! ```text
//! since ring 3    what ran                     what of it stays             what is cleared
//! ────────────────────────────────────────────────────────────────────────────────────────────
//! Instance        the kernel, for the same     buffers: previous owners'    buffers
//!                 instance: a call, a page     lines of frames that were
//!                 fault                        zeroed or copied to, of the
//!                                              kernel's stack and heap
//!
//! Others          the front: network, keys,    buffers: anybody's lines     buffers
//!                 bodies; or an earlier
//!                 instance of the namespace
//!
//! Tenant          another tenant's action      the same; predictions that   predictions,
//!                                              it trained; its return       return stack,
//!                                              addresses                    then buffers
//! ```
//!
//! Where the divider keeps a quotient it is cleared each time, too.
//!
//! There is no state in which buffers need not be cleared: all of the kernel's code writes on its
//! stack and its heap, which held other tenants' words before, and a store to a line brings the old
//! line through the fill buffers. So the buffers are cleared on every way out of a processor that
//! leaks through them, by the last instruction but `iretq`; on others one test of a byte is what
//! the path costs. Caches are not cleared: which lines are in them can be timed, what is in them
//! cannot be read.
//!
//! On the way in the kernel protects itself, see [`Entry`](super::Entry). Where that makes all
//! predictions be forgotten, none of another tenant's is left when the next one starts.

/// What ran on a core since ring 3 did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Only the kernel, and only for the instance that goes on.
    Instance,
    /// The kernel for others, or another instance of the same namespace.
    Others,
    /// An action of another namespace, which may have trained what predicts branches.
    Tenant,
}

/// What has to be cleared on ways out, of this processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WayOut(u8);

impl WayOut {
    /// Fill, store and load buffers and register files, by `verw`.
    pub const BUFFERS: Self = Self(1 << 0);
    /// Predictions of branches, by IBPB, and the return stack.
    pub const PREDICTIONS: Self = Self(1 << 1);
    /// The divider, by a division.
    pub const DIVIDER: Self = Self(1 << 2);

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` has to be cleared.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing has to be cleared, whatever ran.
    #[must_use]
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// What has to be cleared now. This is the table above.
    #[must_use]
    pub const fn after(self, since: Since) -> Self {
        match since {
            Since::Instance | Since::Others => Self(self.0 & !Self::PREDICTIONS.0),
            Since::Tenant => self,
        }
    }

    /// As a number, for who keeps it in an atomic.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From such a number.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}
