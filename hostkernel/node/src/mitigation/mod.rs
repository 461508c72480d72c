//! What the kernel does about processors that leak: a table in, decisions out.
//!
//! [`decide()`] takes what a processor says of itself ([`Words`]) and answers for every [`Leak`]
//! what its [`State`] is, and with a [`Plan`]: what is switched on once, what happens on the way
//! into the kernel ([`Entry`]), and what is cleared on the way out ([`WayOut`], whose page is
//! `way_out.rs`). It is pure, and tried with the words of real processors; `arch::mitigation` reads
//! the words and does what the plan says.
//!
//! The first line of defence needs no instruction and is in no plan: while an action runs, no
//! memory of anybody else is mapped, not even for the kernel.

mod decide;
mod processor;
mod report;
mod table;
mod way_out;

pub use decide::decide;
pub use processor::{Bit, Vendor, Words};
pub use report::Report;
pub use way_out::{Since, WayOut};

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All that this processor needs and that protects tenants from each other.
    #[default]
    Auto,
    /// Nothing that costs time.
    Off,
    /// Also what protects an action from itself; and no service while anything is left.
    Strict,
}

/// Who shares a physical core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// A core has one thread.
    One,
    /// It has more, of which one is used.
    Parked,
    /// It has more, which run different tenants at once.
    Shared,
}

/// The leaks, in the order of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Leak {
    /// Reads of pages that belong to the kernel (CVE-2017-5754).
    Meltdown,
    /// Reads of the first-level cache through absent page-table entries (CVE-2018-3620).
    L1Terminal,
    /// Reads of store, load and fill buffers (CVE-2018-12130 and its kin).
    Sampling,
    /// The same by aborted transactions (CVE-2019-11135).
    Transactions,
    /// Stale data of device accesses, from the fill buffers (CVE-2022-21123 and its kin).
    DeviceData,
    /// Reads of register files (CVE-2023-28746).
    RegisterFiles,
    /// Reads of what other cores had from RDRAND (CVE-2020-0543).
    SpecialRegisters,
    /// Reads of vector registers by `gather` (CVE-2022-40982).
    Gather,
    /// Reads of the scheduler's data on AMD processors (CVE-2024-36350, CVE-2024-36357).
    Scheduler,
    /// Upper halves of vector registers on Zen 2 (CVE-2023-20593).
    Zenbleed,
    /// Quotients of older divisions on Zen (CVE-2023-20588).
    Division,
    /// Bounds checks that are guessed (CVE-2017-5753).
    BoundsChecks,
    /// Targets of indirect branches that somebody else trained (CVE-2017-5715).
    BranchTargets,
    /// The same by the history of branches alone (CVE-2022-0001).
    BranchHistory,
    /// Returns predicted as indirect branches (CVE-2022-29900, CVE-2022-29901).
    Retbleed,
    /// Return addresses planted by guesses, on AMD processors (CVE-2023-20569).
    SpeculativeReturns,
    /// What the return stack has of somebody else, or is replaced by when it is empty.
    ReturnStack,
    /// Targets of direct branches taken for those of indirect ones (CVE-2024-28956).
    TargetSelection,
    /// Loads that overtake older stores (CVE-2018-3639).
    StoreBypass,
    /// What threads of one core share.
    Threads,
}

impl Leak {
    /// Number of leaks.
    pub const COUNT: usize = 20;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Meltdown,
        Self::L1Terminal,
        Self::Sampling,
        Self::Transactions,
        Self::DeviceData,
        Self::RegisterFiles,
        Self::SpecialRegisters,
        Self::Gather,
        Self::Scheduler,
        Self::Zenbleed,
        Self::Division,
        Self::BoundsChecks,
        Self::BranchTargets,
        Self::BranchHistory,
        Self::Retbleed,
        Self::SpeculativeReturns,
        Self::ReturnStack,
        Self::TargetSelection,
        Self::StoreBypass,
        Self::Threads,
    ];

    /// The name under which people look for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meltdown => "meltdown",
            Self::L1Terminal => "l1tf",
            Self::Sampling => "mds",
            Self::Transactions => "taa",
            Self::DeviceData => "mmio-stale-data",
            Self::RegisterFiles => "rfds",
            Self::SpecialRegisters => "srbds",
            Self::Gather => "gds",
            Self::Scheduler => "tsa",
            Self::Zenbleed => "zenbleed",
            Self::Division => "div0",
            Self::BoundsChecks => "spectre-v1",
            Self::BranchTargets => "spectre-v2",
            Self::BranchHistory => "bhi",
            Self::Retbleed => "retbleed",
            Self::SpeculativeReturns => "srso",
            Self::ReturnStack => "return-stack",
            Self::TargetSelection => "its",
            Self::StoreBypass => "ssb",
            Self::Threads => "smt",
        }
    }
}

/// What becomes of a leak on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The processor does not have it.
    NotAffected,
    /// It is closed, by these means.
    Mitigated(Means),
    /// It could be closed if firmware, or the host of a virtual machine, brought the microcode.
    NeedsMicrocode,
    /// It is open, for this reason.
    Left(Reason),
}

/// How a leak is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// While an action runs, nothing else is mapped.
    Unmapped,
    /// Absent page-table entries are zero.
    ZeroEntries,
    /// `verw` on every way out to ring 3.
    Verw,
    /// Transactions are switched off.
    TransactionsOff,
    /// The microcode does it.
    Microcode,
    /// A bit of the processor's configuration.
    Configuration,
    /// A division on every way out.
    Division,
    /// `lfence` between check and use of what an action says.
    Fences,
    /// IBRS, enhanced, switched on once.
    Ibrs,
    /// Automatic IBRS, switched on once.
    AutomaticIbrs,
    /// IBPB on every way into the kernel, and a refilled return stack.
    EntryBarrier,
    /// `BHI_DIS_S`, switched on once.
    HistoryControl,
    /// Branches that fill the history on every way into the kernel.
    HistoryFilled,
    /// A return stack that is refilled when the tenant changes.
    ReturnStackFilled,
    /// `RRSBA_DIS_S`, switched on once.
    ReturnControl,
    /// SSBD, switched on once.
    StoresInOrder,
    /// One thread of each core is used.
    ParkedThreads,
}

/// Why a leak is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The operator wants it so.
    SwitchedOff,
    /// Between tenants it is closed: a store is complete before ring 3 is entered.
    InsideOneAction,
    /// The operator lets threads of one core run different tenants.
    SharedCores,
    /// What could train the kernel's branches is the kernel's own code, which runs no tenant's; and
    /// the microcode with which IBPB forgets these targets, too, is named by no bit.
    KernelAlone,
    /// Only the host of this virtual machine can say or change it.
    Host,
}

/// What happens on the way into the kernel, before its first return and indirect branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entry {
    /// Nothing: no prediction, or only its own, reaches the kernel.
    #[default]
    Nothing,
    /// The history of branches is filled with the kernel's own.
    FillHistory,
    /// All predictions are forgotten, and the return stack is refilled. Needs no code of the
    /// compiler's, as retpolines do, and covers returns, which retpolines do not. An invocation
    /// enters the kernel once or twice, so it is paid for once or twice.
    Barrier,
}

/// What `arch::mitigation` has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// On the way in.
    pub entry: Entry,
    /// On the way out.
    pub way_out: WayOut,
    /// Value for `IA32_SPEC_CTRL`, if not 0.
    pub spec_ctrl: u64,
    /// Switch automatic IBRS on, in EFER.
    pub has_automatic_ibrs: bool,
    /// Switch transactions off, by `IA32_TSX_CTRL`.
    pub has_tsx_off: bool,
    /// Bits to clear in `IA32_MCU_OPT_CTRL`, if not 0.
    pub mcu_opt_clear: u64,
    /// Bits to set in AMD's `DE_CFG`, if not 0.
    pub de_cfg_set: u64,
}

impl Plan {
    /// `IA32_SPEC_CTRL`: indirect branches of the kernel are predicted from its own alone.
    pub const IBRS: u64 = 1 << 0;
    /// `IA32_SPEC_CTRL`: nor from the neighbour thread's.
    pub const STIBP: u64 = 1 << 1;
    /// `IA32_SPEC_CTRL`: loads wait for older stores.
    pub const SSBD: u64 = 1 << 2;
    /// `IA32_SPEC_CTRL`: returns of the kernel are not predicted as indirect branches.
    pub const RRSBA_DIS_S: u64 = 1 << 6;
    /// `IA32_SPEC_CTRL`: the history of ring 3 does not choose among the kernel's targets.
    pub const BHI_DIS_S: u64 = 1 << 10;
    /// `IA32_MCU_OPT_CTRL`: the microcode does not close SRBDS.
    pub const RNGDS_MITG_DIS: u64 = 1 << 0;
    /// `IA32_MCU_OPT_CTRL`: the microcode does not close GDS.
    pub const GDS_MITG_DIS: u64 = 1 << 4;
    /// `DE_CFG`: `lfence` waits for all that came before it.
    pub const LFENCE_SERIALISES: u64 = 1 << 1;
    /// `DE_CFG`: Zen 2 does not leave the upper half of a register to a wrong guess.
    pub const ZENBLEED: u64 = 1 << 9;
}

#[cfg(test)]
mod tests;
