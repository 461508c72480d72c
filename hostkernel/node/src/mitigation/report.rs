//! The decisions, for people and for `arch::mitigation`.

use core::fmt;

use super::{Leak, Means, Mode, Plan, Reason, State};

/// What was decided about a processor. Shown as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the operator wanted.
    pub mode: Mode,
    /// What has to be done.
    pub plan: Plan,
    /// The state of each leak, in the order of [`Leak::ALL`].
    pub states: [State; Leak::COUNT],
}

impl Report {
    /// The state of a leak.
    #[must_use]
    pub fn state(&self, leak: Leak) -> State {
        self.states[leak as usize]
    }

    /// Every leak and its state.
    pub fn leaks(&self) -> impl Iterator<Item = (Leak, State)> {
        Leak::ALL.into_iter().zip(self.states)
    }

    /// Whether microcode is missing.
    #[must_use]
    pub fn needs_microcode(&self) -> bool {
        self.states.contains(&State::NeedsMicrocode)
    }

    /// Whether the operator would rather have no node than this one.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_open = |state| matches!(state, State::NeedsMicrocode | State::Left(_));
        self.mode == Mode::Strict && self.states.into_iter().any(is_open)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |label| self.states.iter().filter(|state| state.label() == label).count();
        f.write_str(match self.mode {
            Mode::Auto => "auto",
            Mode::Off => "off",
            Mode::Strict => "strict",
        })?;
        let (free, closed) = (State::NOT_AFFECTED, State::MITIGATED);
        write!(f, ": {} leaks {free}, {} {closed}", count(free), count(closed))?;
        for label in [State::NEEDS_MICROCODE, State::LEFT] {
            let named = self.leaks().filter(|(_, state)| state.label() == label);
            for (number, (leak, _)) in named.enumerate() {
                match number {
                    0 => write!(f, "; {label}: {}", leak.name())?,
                    _ => write!(f, " {}", leak.name())?,
                }
            }
        }
        Ok(())
    }
}

impl State {
    const NOT_AFFECTED: &str = "not affected";
    const MITIGATED: &str = "mitigated";
    const NEEDS_MICROCODE: &str = "needs microcode";
    const LEFT: &str = "left";

    /// In a word or two, for machines.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotAffected => Self::NOT_AFFECTED,
            Self::Mitigated(_) => Self::MITIGATED,
            Self::NeedsMicrocode => Self::NEEDS_MICROCODE,
            Self::Left(_) => Self::LEFT,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())?;
        match self {
            Self::NotAffected | Self::NeedsMicrocode => Ok(()),
            Self::Mitigated(means) => write!(f, " by {means}"),
            Self::Left(reason) => write!(f, ": {reason}"),
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unmapped => "mapping nothing else while an action runs",
            Self::ZeroEntries => "page-table entries that are zero when absent",
            Self::Verw => "verw on every way out to ring 3",
            Self::TransactionsOff => "switching transactions off",
            Self::Microcode => "microcode",
            Self::Configuration => "a bit of the processor's configuration",
            Self::Division => "a division on every way out to ring 3",
            Self::Fences => "lfence in calls",
            Self::Ibrs => "enhanced IBRS",
            Self::AutomaticIbrs => "automatic IBRS",
            Self::EntryBarrier => "IBPB on every way into the kernel",
            Self::HistoryControl => "BHI_DIS_S",
            Self::HistoryFilled => "filling the history on every way into the kernel",
            Self::ReturnStackFilled => "refilling it when the tenant changes",
            Self::ReturnControl => "RRSBA_DIS_S",
            Self::StoresInOrder => "SSBD",
            Self::ParkedThreads => "one thread of each core",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "switched off",
            Self::InsideOneAction => "inside one action, not between tenants",
            Self::SharedCores => "hostkernel.hyperthreads=on",
            Self::KernelAlone => "only the kernel's own branches could train it",
            Self::Host => "the host of this virtual machine does not say",
        })
    }
}
