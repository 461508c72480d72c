//! From a processor's words to the state of each leak, and to the plan.

use super::processor::{Bit, Vendor, Words};
use super::table::{
    self, DIVISION, GDS, IN_ORDER, ITS, Leaks, MMIO, NO_MDS, RETBLEED, RFDS, SRBDS, SRSO, TSA,
    ZENBLEED,
};
use super::{Entry, Leak, Means, Mode, Plan, Reason, Report, State, Threads, WayOut};

/// Decides what to do about every leak on this processor.
#[must_use]
pub fn decide(words: &Words, mode: Mode, threads: Threads) -> Report {
    let case = Case { words, mode, threads, listed: table::leaks(words) };
    let states = Leak::ALL.map(|leak| case.state(leak));
    let plan = case.plan(&states);
    if mode == Mode::Off {
        // It costs nothing, and the fences in calls are there in any case.
        let plan =
            Plan { de_cfg_set: plan.de_cfg_set & Plan::LFENCE_SERIALISES, ..Plan::default() };
        return Report { mode, plan, states: states.map(State::switched_off) };
    }
    Report { mode, plan, states }
}

impl State {
    /// What is left of it if nothing is done that costs time.
    fn switched_off(self) -> Self {
        match self {
            // How the kernel is made, and what is so already.
            Self::Mitigated(
                Means::Unmapped
                | Means::ZeroEntries
                | Means::Microcode
                | Means::Fences
                | Means::ParkedThreads,
            )
            | Self::NotAffected
            | Self::Left(_) => self,
            Self::Mitigated(_) | Self::NeedsMicrocode => Self::Left(Reason::SwitchedOff),
        }
    }
}

/// Closed by these means if the processor has what they need.
fn mitigated_if(has_means: bool, means: Means) -> State {
    if has_means { State::Mitigated(means) } else { State::NeedsMicrocode }
}

/// One processor in one configuration.
struct Case<'a> {
    words: &'a Words,
    mode: Mode,
    threads: Threads,
    listed: Leaks,
}

impl Case<'_> {
    fn has(&self, bit: Bit) -> bool {
        self.words.has(bit)
    }

    fn is_listed(&self, leaks: Leaks) -> bool {
        self.listed & leaks != 0
    }

    fn is(&self, vendor: Vendor) -> bool {
        self.words.vendor() == vendor
    }

    fn plan(&self, states: &[State; Leak::COUNT]) -> Plan {
        let does = |means| states.contains(&State::Mitigated(means));
        let mut plan = Plan {
            entry: self.entry(),
            has_automatic_ibrs: self.isolation() == Some(Means::AutomaticIbrs),
            has_tsx_off: does(Means::TransactionsOff),
            ..Plan::default()
        };
        for (is_wanted, bit) in [
            (self.isolation() == Some(Means::Ibrs), Plan::IBRS),
            (self.threads == Threads::Shared && self.words.has_stibp(), Plan::STIBP),
            (does(Means::StoresInOrder), Plan::SSBD),
            (does(Means::ReturnControl), Plan::RRSBA_DIS_S),
            (does(Means::HistoryControl), Plan::BHI_DIS_S),
        ] {
            plan.spec_ctrl |= if is_wanted { bit } else { 0 };
        }
        let forgets = self.words.has_ibpb() && plan.entry != Entry::Barrier;
        for (is_wanted, what) in [
            (does(Means::Verw), WayOut::BUFFERS),
            (forgets, WayOut::PREDICTIONS),
            (does(Means::Division), WayOut::DIVIDER),
        ] {
            plan.way_out = if is_wanted { plan.way_out.and(what) } else { plan.way_out };
        }
        for (leak, bit) in
            [(Leak::SpecialRegisters, Plan::RNGDS_MITG_DIS), (Leak::Gather, Plan::GDS_MITG_DIS)]
        {
            let is_ours = states[leak as usize] == State::Mitigated(Means::Microcode)
                && !self.words.is_virtual();
            plan.mcu_opt_clear |= if is_ours { bit } else { 0 };
        }
        if self.has_unsure_lfence() && !self.words.is_virtual() {
            plan.de_cfg_set |= Plan::LFENCE_SERIALISES;
        }
        if does(Means::Configuration) {
            plan.de_cfg_set |= Plan::ZENBLEED;
        }
        plan
    }

    fn state(&self, leak: Leak) -> State {
        if self.is_listed(IN_ORDER) && leak != Leak::Threads {
            return State::NotAffected;
        }
        match leak {
            Leak::Meltdown if self.is(Vendor::Amd) || self.has(Bit::RdclNo) => State::NotAffected,
            Leak::Meltdown => State::Mitigated(Means::Unmapped),
            Leak::L1Terminal
                if self.is(Vendor::Amd) || self.has(Bit::RdclNo) || self.is_listed(NO_MDS) =>
            {
                State::NotAffected
            }
            Leak::L1Terminal => State::Mitigated(Means::ZeroEntries),
            Leak::Sampling
                if self.is(Vendor::Amd) || self.has(Bit::MdsNo) || self.is_listed(NO_MDS) =>
            {
                State::NotAffected
            }
            Leak::Sampling => mitigated_if(self.has(Bit::MdClear), Means::Verw),
            Leak::Transactions => self.transactions(),
            Leak::DeviceData => self.device_data(),
            Leak::RegisterFiles => self.register_files(),
            Leak::SpecialRegisters => self.special_registers(),
            Leak::Gather if self.is_listed(GDS) && !self.has(Bit::GdsNo) => {
                mitigated_if(self.has(Bit::GdsCtrl), Means::Microcode)
            }
            Leak::Scheduler => self.scheduler(),
            // The host's processor cannot be configured from here.
            Leak::Zenbleed if self.is_listed(ZENBLEED) => {
                mitigated_if(!self.words.is_virtual(), Means::Configuration)
            }
            Leak::Division if self.is_listed(DIVISION) => State::Mitigated(Means::Division),
            Leak::Gather | Leak::Zenbleed | Leak::Division => State::NotAffected,
            Leak::BoundsChecks if self.has_unsure_lfence() && self.words.is_virtual() => {
                State::Left(Reason::Host)
            }
            Leak::BoundsChecks => State::Mitigated(Means::Fences),
            Leak::BranchTargets => match self.isolation() {
                Some(means) => mitigated_if(self.words.has_ibpb(), means),
                None => mitigated_if(self.words.has_ibpb(), Means::EntryBarrier),
            },
            Leak::BranchHistory => self.branch_history(),
            Leak::Retbleed => self.retbleed(),
            Leak::SpeculativeReturns => self.speculative_returns(),
            Leak::ReturnStack => self.return_stack(),
            Leak::TargetSelection => self.target_selection(),
            Leak::StoreBypass => self.store_bypass(),
            Leak::Threads => match self.threads {
                Threads::One => State::NotAffected,
                Threads::Parked => State::Mitigated(Means::ParkedThreads),
                Threads::Shared => State::Left(Reason::SharedCores),
            },
        }
    }

    /// Intel, "Intel TSX Asynchronous Abort". Where `verw` clears for MDS it clears for this, too;
    /// but actions need no transactions, and off they can do nothing else either.
    fn transactions(&self) -> State {
        if !self.is(Vendor::Intel) || !self.has(Bit::Rtm) || self.has(Bit::TaaNo) {
            return State::NotAffected;
        }
        if self.has(Bit::TsxCtrl) {
            return State::Mitigated(Means::TransactionsOff);
        }
        mitigated_if(!self.has(Bit::MdsNo) && self.has(Bit::MdClear), Means::Verw)
    }

    /// Intel, "Processor MMIO Stale Data Vulnerabilities": `verw` clears fill buffers if a bit says
    /// so, or on processors with MDS whose microcode also knows the cache flush.
    fn device_data(&self) -> State {
        let is_free = [Bit::SbdrSsdpNo, Bit::FbsdpNo, Bit::PsdpNo].map(|bit| self.has(bit));
        if is_free == [true; 3] || !self.is_listed(MMIO) && !self.has(Bit::FbClear) {
            return State::NotAffected;
        }
        let clears_all = self.has(Bit::MdClear) && self.has(Bit::L1dFlush) && !self.has(Bit::MdsNo);
        mitigated_if(self.has(Bit::FbClear) || clears_all, Means::Verw)
    }

    fn register_files(&self) -> State {
        let is_affected = self.is_listed(RFDS) || self.has(Bit::RfdsClear);
        if !is_affected || self.has(Bit::RfdsNo) {
            return State::NotAffected;
        }
        mitigated_if(self.has(Bit::RfdsClear), Means::Verw)
    }

    /// Processors without MDS have it by transactions alone (Intel, "Special Register Buffer Data
    /// Sampling").
    fn special_registers(&self) -> State {
        if !self.is_listed(SRBDS) {
            return State::NotAffected;
        }
        match (self.has(Bit::MdsNo), self.has(Bit::Rtm), self.has(Bit::TsxCtrl)) {
            (true, false, _) => State::NotAffected,
            (true, true, true) => State::Mitigated(Means::TransactionsOff),
            _ => mitigated_if(self.has(Bit::SrbdsCtrl), Means::Microcode),
        }
    }

    fn scheduler(&self) -> State {
        let is_free = self.has(Bit::TsaSqNo) && self.has(Bit::TsaL1No);
        if !self.is_listed(TSA) || is_free {
            return State::NotAffected;
        }
        // A host sets the bit for its guests; on a bare processor the revision tells.
        let has_microcode = !self.words.is_virtual() && table::has_tsa_microcode(self.words);
        mitigated_if(self.has(Bit::VerwClear) || has_microcode, Means::Verw)
    }

    /// Whether `lfence` waits only if `DE_CFG` says so (AMD, "Software Techniques for Managing
    /// Speculation on AMD Processors", mitigation G-2). Families 0Fh and 11h lack the register, and
    /// there it always waits.
    fn has_unsure_lfence(&self) -> bool {
        self.is(Vendor::Amd)
            && !matches!(self.words.family(), 0..=0xf | 0x11)
            && !self.has(Bit::LfenceSerialises)
    }

    /// What the processor itself does so that ring 3 does not train the kernel's branches.
    fn isolation(&self) -> Option<Means> {
        if self.has(Bit::IbrsAll) && self.has(Bit::IbrsIbpb) {
            Some(Means::Ibrs)
        } else if self.has(Bit::AutomaticIbrs) {
            Some(Means::AutomaticIbrs)
        } else {
            None
        }
    }

    fn entry(&self) -> Entry {
        let closes_by_barrier = |leak| self.state(leak) == State::Mitigated(Means::EntryBarrier);
        if [Leak::BranchTargets, Leak::Retbleed, Leak::SpeculativeReturns]
            .into_iter()
            .any(closes_by_barrier)
        {
            Entry::Barrier
        } else if self.state(Leak::BranchHistory) == State::Mitigated(Means::HistoryFilled) {
            Entry::FillHistory
        } else {
            Entry::Nothing
        }
    }

    /// Intel, "Branch History Injection and Intra-mode Branch Target Injection".
    fn branch_history(&self) -> State {
        if !self.is(Vendor::Intel) || self.has(Bit::BhiNo) {
            return State::NotAffected;
        }
        if self.isolation().is_none() {
            return mitigated_if(self.words.has_ibpb(), Means::EntryBarrier);
        }
        let has_control = self.has(Bit::BhiCtrl);
        State::Mitigated(if has_control { Means::HistoryControl } else { Means::HistoryFilled })
    }

    fn retbleed(&self) -> State {
        if !self.is_listed(RETBLEED) || self.has(Bit::BtcNo) {
            return State::NotAffected;
        }
        match self.isolation() {
            Some(Means::Ibrs) => State::Mitigated(Means::Ibrs),
            _ => mitigated_if(self.words.has_ibpb(), Means::EntryBarrier),
        }
    }

    /// AMD SB-7005. IBPB forgets returns on Zen and Zen 2 as it is, later with new microcode.
    fn speculative_returns(&self) -> State {
        let is_free = self.has(Bit::SrsoNo) || self.has(Bit::SrsoUserKernelNo);
        if !self.is_listed(SRSO) || is_free {
            return State::NotAffected;
        }
        let forgets_returns = self.words.family() < 0x19 || self.has(Bit::IbpbBrtype);
        mitigated_if(self.words.has_ibpb() && forgets_returns, Means::EntryBarrier)
    }

    /// Code of ring 3 plants addresses of its own there, at which the kernel cannot execute; for
    /// another tenant they are replaced. An empty one is refilled from indirect branches (RRSBA).
    fn return_stack(&self) -> State {
        match self.isolation() {
            Some(Means::Ibrs) if self.has(Bit::RrsbaCtrl) => State::Mitigated(Means::ReturnControl),
            _ => mitigated_if(self.words.has_ibpb(), Means::ReturnStackFilled),
        }
    }

    /// Intel, "Indirect Target Selection": no processor with the control for histories has it.
    fn target_selection(&self) -> State {
        let is_free = self.has(Bit::ItsNo) || self.has(Bit::BhiCtrl);
        if !self.is_listed(ITS) || is_free {
            return State::NotAffected;
        }
        State::Left(Reason::KernelAlone)
    }

    fn store_bypass(&self) -> State {
        let is_old = self.is(Vendor::Amd) && self.words.family() < 0x14;
        if is_old || self.has(Bit::SsbNo) || self.has(Bit::AmdSsbNo) {
            return State::NotAffected;
        }
        match self.mode {
            Mode::Strict => mitigated_if(self.words.has_ssbd(), Means::StoresInOrder),
            Mode::Auto | Mode::Off => State::Left(Reason::InsideOneAction),
        }
    }
}
