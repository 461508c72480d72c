//! The words of real processors, and what is decided about them.
//!
//! Words are those that owners of the machines published as CPUID dumps. Some are from before the
//! microcode that closes a leak; `with` then adds the bits that the microcode brings.

use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

const INTEL: [u32; 3] = [0x756e_6547, 0x4965_6e69, 0x6c65_746e];
const AMD: [u32; 3] = [0x6874_7541, 0x6974_6e65, 0x444d_4163];
const VIRTUAL: u32 = 1 << 31;

const fn intel(signature: u32, leaf_7: [u32; 3], capabilities: u64) -> Words {
    Words {
        vendor: INTEL,
        signature,
        basic_ecx: 0x7ffe_fbff,
        structured_ebx: leaf_7[0],
        structured_edx: leaf_7[1],
        structured_2_edx: leaf_7[2],
        amd_8_ebx: 0,
        amd_21_eax: 0,
        amd_21_ecx: 0,
        capabilities,
        microcode: 0,
    }
}

const fn amd(signature: u32, edx: u32, amd_8_ebx: u32, amd_21_eax: u32) -> Words {
    Words {
        vendor: AMD,
        signature,
        basic_ecx: 0x7ed8_320b,
        structured_ebx: 0x219c_97a9,
        structured_edx: edx,
        structured_2_edx: 0,
        amd_8_ebx,
        amd_21_eax,
        amd_21_ecx: 0,
        capabilities: 0,
        microcode: 0,
    }
}

const HASWELL: Words = intel(0x0003_06c3, [0x0000_27ab, 0x9c00_0000, 0], 0);
const SKYLAKE_SP: Words = intel(0x0005_0654, [0xd39f_fffb, 0x9c00_2400, 0], 0);
const CASCADE_LAKE: Words = intel(0x0005_0657, [0xd39f_fffb, 0xbc00_0400, 0], 0x2b);
const ICE_LAKE_SP: Words = intel(0x0006_06a6, [0xf3bf_bfff, 0xbc04_0412, 0], 0x1eb);
const TIGER_LAKE: Words = intel(0x0008_06c1, [0xf3bf_a7eb, 0xfc10_0510, 0], 0x6b);
const SAPPHIRE_RAPIDS: Words = intel(0x0008_06f8, [0xf3bf_bffb, 0xffdd_4430, 0x17], 0x00a8_fdeb);
const GRANITE_RAPIDS: Words = intel(0x000a_06d1, [0xf3bf_bffb, 0xffdd_4430, 0x3f], 0x2da9_fdeb);
const ALDER_LAKE: Words = intel(0x0009_0672, [0xf3bf_a7eb, 0xfc98_4510, 0], 0x0d6b);
const GRACEMONT: Words = intel(0x000b_06e0, [0x239c_a7eb, 0xfc18_4410, 0x37], 0x0180_fd6b);
const GRACEMONT_LATER: Words = intel(0x000b_06e0, [0x239c_a7eb, 0xfc18_4410, 0x37], 0x1580_fd6b);
const ZEN: Words = amd(0x0080_0f12, 0, 0x0000_0007, 0);
const ZEN_PLUS: Words = amd(0x0080_0f82, 0, 0x0000_1007, 0);
const ZEN_2: Words = amd(0x0083_0f10, 0, 0x018c_b757, 0);
const ZEN_3: Words = amd(0x00a0_0f11, 0x10, 0x91be_f75f, 0x204d);
const ZEN_4: Words = amd(0x00a1_0f11, 0x1000_0010, 0x79be_f25f, 0x0006_2fcf);
const ZEN_5: Words = amd(0x00b0_0f21, 0x1000_0110, 0x79be_f25f, 0xd93f_ffcf);
/// QEMU's `qemu64`: an AMD processor of 2006, as far as its family goes.
const QEMU64: Words = Words { basic_ecx: VIRTUAL, ..amd(0x0006_0fb1, 0, 0, 0) };

const ALL: [Words; 17] = [
    HASWELL,
    SKYLAKE_SP,
    CASCADE_LAKE,
    ICE_LAKE_SP,
    TIGER_LAKE,
    SAPPHIRE_RAPIDS,
    GRANITE_RAPIDS,
    ALDER_LAKE,
    GRACEMONT,
    GRACEMONT_LATER,
    ZEN,
    ZEN_PLUS,
    ZEN_2,
    ZEN_3,
    ZEN_4,
    ZEN_5,
    QEMU64,
];

const FREE: State = State::NotAffected;
const MICROCODE: State = State::NeedsMicrocode;

fn by(means: Means) -> State {
    State::Mitigated(means)
}

fn auto(words: Words) -> Report {
    decide(&words, Mode::Auto, Threads::Parked)
}

#[track_caller]
fn check(words: Words, expected: &[(Leak, State)]) -> Plan {
    let report = auto(words);
    for (leak, state) in expected {
        assert_eq!(report.state(*leak), *state, "{leak:?} of {words:x?}");
    }
    report.plan
}

#[test]
fn names_and_numbers_are_read_as_vendors_write_them() {
    let is = |words: Words| (words.vendor(), words.family(), words.model(), words.stepping());
    assert_eq!(is(CASCADE_LAKE), (Vendor::Intel, 6, 0x55, 7));
    assert_eq!(is(SAPPHIRE_RAPIDS), (Vendor::Intel, 6, 0x8f, 8));
    assert_eq!(is(ZEN_2), (Vendor::Amd, 0x17, 0x31, 0));
    assert_eq!(is(ZEN_5), (Vendor::Amd, 0x1a, 0x02, 1));
    assert_eq!(is(QEMU64), (Vendor::Amd, 0xf, 0x6b, 1));
    assert_eq!(Words::default().vendor(), Vendor::Other);
}

#[test]
fn intel_before_enhanced_ibrs() {
    let old = [
        (Leak::Meltdown, by(Means::Unmapped)),
        (Leak::L1Terminal, by(Means::ZeroEntries)),
        (Leak::BranchTargets, by(Means::EntryBarrier)),
        (Leak::BranchHistory, by(Means::EntryBarrier)),
        (Leak::BoundsChecks, by(Means::Fences)),
        (Leak::Scheduler, FREE),
        (Leak::SpeculativeReturns, FREE),
        (Leak::TargetSelection, FREE),
    ];
    check(HASWELL, &old);
    let plan = check(
        HASWELL,
        &[
            (Leak::Sampling, MICROCODE),
            (Leak::SpecialRegisters, MICROCODE),
            (Leak::DeviceData, FREE),
            (Leak::Retbleed, FREE),
            (Leak::Transactions, FREE),
        ],
    );
    // What the barrier made forget needs not be forgotten again for another tenant.
    assert_eq!(plan, Plan { entry: Entry::Barrier, ..Plan::default() });
    check(SKYLAKE_SP, &old);
    let plan = check(
        SKYLAKE_SP,
        &[
            (Leak::Sampling, by(Means::Verw)),
            (Leak::Transactions, by(Means::Verw)),
            (Leak::DeviceData, by(Means::Verw)),
            (Leak::Gather, MICROCODE),
            (Leak::Retbleed, by(Means::EntryBarrier)),
        ],
    );
    let way_out = WayOut::BUFFERS;
    assert_eq!(plan, Plan { entry: Entry::Barrier, way_out, ..Plan::default() });
}

#[test]
fn intel_with_enhanced_ibrs() {
    let enhanced = [
        (Leak::Meltdown, FREE),
        (Leak::L1Terminal, FREE),
        (Leak::Sampling, FREE),
        (Leak::BranchTargets, by(Means::Ibrs)),
        (Leak::BranchHistory, by(Means::HistoryFilled)),
        (Leak::RegisterFiles, FREE),
        (Leak::Gather, MICROCODE),
        (Leak::TargetSelection, State::Left(Reason::KernelAlone)),
    ];
    let fill = Plan {
        entry: Entry::FillHistory,
        spec_ctrl: Plan::IBRS,
        way_out: WayOut::PREDICTIONS,
        ..Plan::default()
    };
    let old = [(Leak::Transactions, MICROCODE), (Leak::DeviceData, MICROCODE)];
    assert_eq!(check(CASCADE_LAKE, &[&enhanced[..], &old].concat()), fill);
    let old = [(Leak::Transactions, FREE), (Leak::DeviceData, MICROCODE), (Leak::Retbleed, FREE)];
    assert_eq!(check(ICE_LAKE_SP, &[&enhanced[..], &old].concat()), fill);
    let old = [(Leak::Transactions, FREE), (Leak::DeviceData, FREE)];
    assert_eq!(check(TIGER_LAKE, &[&enhanced[..], &old].concat()), fill);
}

#[test]
fn intel_with_the_microcode_of_later_years() {
    const TSX_CTRL: u64 = 1 << 7;
    const FB_CLEAR: u64 = 1 << 17;
    const GDS_CTRL: u64 = 1 << 25;
    let capabilities = CASCADE_LAKE.capabilities | TSX_CTRL | FB_CLEAR | GDS_CTRL;
    let expected = [
        (Leak::Transactions, by(Means::TransactionsOff)),
        (Leak::DeviceData, by(Means::Verw)),
        (Leak::Gather, by(Means::Microcode)),
    ];
    let plan = check(Words { capabilities, ..CASCADE_LAKE }, &expected);
    assert!(plan.has_tsx_off && plan.way_out.has(WayOut::BUFFERS));
    assert_eq!(plan.mcu_opt_clear, Plan::GDS_MITG_DIS);
    // In a virtual machine that register may not be there.
    let virtual_one = Words { capabilities, basic_ecx: VIRTUAL, ..CASCADE_LAKE };
    assert_eq!(check(virtual_one, &expected).mcu_opt_clear, 0);
    let no_its = Words { capabilities: capabilities | 1 << 62, ..CASCADE_LAKE };
    check(no_its, &[(Leak::TargetSelection, FREE)]);
}

#[test]
fn intel_with_controls_for_history_and_returns() {
    let expected = [
        (Leak::BranchTargets, by(Means::Ibrs)),
        (Leak::BranchHistory, by(Means::HistoryControl)),
        (Leak::ReturnStack, by(Means::ReturnControl)),
        (Leak::TargetSelection, FREE),
        (Leak::Gather, FREE),
        (Leak::DeviceData, FREE),
        (Leak::Transactions, FREE),
        (Leak::RegisterFiles, FREE),
    ];
    for words in [SAPPHIRE_RAPIDS, GRANITE_RAPIDS] {
        let plan = check(words, &expected);
        let spec_ctrl = Plan::IBRS | Plan::BHI_DIS_S | Plan::RRSBA_DIS_S;
        let way_out = WayOut::PREDICTIONS;
        assert_eq!(plan, Plan { spec_ctrl, way_out, ..Plan::default() });
    }
}

#[test]
fn efficient_cores_leak_their_registers_until_microcode_says_otherwise() {
    check(ALDER_LAKE, &[(Leak::RegisterFiles, MICROCODE), (Leak::Sampling, FREE)]);
    let plan = check(GRACEMONT, &[(Leak::RegisterFiles, MICROCODE)]);
    assert!(!plan.way_out.has(WayOut::BUFFERS));
    let plan = check(GRACEMONT_LATER, &[(Leak::RegisterFiles, by(Means::Verw))]);
    assert!(plan.way_out.has(WayOut::BUFFERS));
}

#[test]
fn zen_to_zen_2() {
    let all = [
        (Leak::Meltdown, FREE),
        (Leak::L1Terminal, FREE),
        (Leak::Sampling, FREE),
        (Leak::BranchHistory, FREE),
        (Leak::Scheduler, FREE),
        (Leak::BoundsChecks, by(Means::Fences)),
    ];
    let branches = |state| {
        [Leak::BranchTargets, Leak::Retbleed, Leak::SpeculativeReturns].map(|leak| (leak, state))
    };
    let first = [(Leak::Division, by(Means::Division)), (Leak::Zenbleed, FREE)];
    let plan = check(ZEN, &[&all[..], &branches(MICROCODE), &first].concat());
    let lfence = Plan::LFENCE_SERIALISES;
    let way_out = WayOut::DIVIDER;
    assert_eq!(plan, Plan { way_out, de_cfg_set: lfence, ..Plan::default() });
    let barrier = branches(by(Means::EntryBarrier));
    let plan = check(ZEN_PLUS, &[&all[..], &barrier, &first].concat());
    let entry = Entry::Barrier;
    assert_eq!(plan, Plan { entry, way_out, de_cfg_set: lfence, ..Plan::default() });
    let second = [(Leak::Division, FREE), (Leak::Zenbleed, by(Means::Configuration))];
    let plan = check(ZEN_2, &[&all[..], &barrier, &second].concat());
    assert_eq!(plan, Plan { entry, de_cfg_set: lfence | Plan::ZENBLEED, ..Plan::default() });
}

#[test]
fn zen_3_to_zen_5() {
    const IBPB_BRTYPE: u32 = 1 << 28;
    let old = [
        (Leak::Scheduler, MICROCODE),
        (Leak::SpeculativeReturns, MICROCODE),
        (Leak::Retbleed, FREE),
        (Leak::BoundsChecks, by(Means::Fences)),
    ];
    let plan =
        check(ZEN_3, &[&old[..], &[(Leak::BranchTargets, by(Means::EntryBarrier))]].concat());
    assert_eq!(plan, Plan { entry: Entry::Barrier, ..Plan::default() });
    let plan =
        check(ZEN_4, &[&old[..], &[(Leak::BranchTargets, by(Means::AutomaticIbrs))]].concat());
    let automatic =
        Plan { has_automatic_ibrs: true, way_out: WayOut::PREDICTIONS, ..Plan::default() };
    assert_eq!(plan, automatic);
    let amd_21_eax = ZEN_4.amd_21_eax | IBPB_BRTYPE;
    let plan = check(
        Words { amd_21_eax, microcode: 0x0a10_114c, ..ZEN_4 },
        &[
            (Leak::Scheduler, by(Means::Verw)),
            (Leak::SpeculativeReturns, by(Means::EntryBarrier)),
            (Leak::BranchTargets, by(Means::AutomaticIbrs)),
        ],
    );
    let (entry, way_out) = (Entry::Barrier, WayOut::BUFFERS);
    assert_eq!(plan, Plan { entry, way_out, ..automatic });
    let newest = [(Leak::Scheduler, FREE), (Leak::SpeculativeReturns, FREE)];
    assert_eq!(check(ZEN_5, &newest), automatic);
}

#[test]
fn the_scheduler_is_closed_by_a_revision_or_by_what_a_host_says() {
    let is = |words: Words| auto(words).state(Leak::Scheduler);
    let with = |microcode| Words { microcode, ..ZEN_3 };
    assert_eq!(is(with(0x0a00_11d6)), MICROCODE);
    assert_eq!(is(with(0x0a00_11d7)), by(Means::Verw));
    // No list has a revision for this one.
    assert_eq!(is(with(0x0a00_13ff)), MICROCODE);
    let virtual_one = Words { basic_ecx: VIRTUAL, ..with(0x0a00_11d7) };
    assert_eq!(is(virtual_one), MICROCODE);
    assert_eq!(is(Words { amd_21_eax: 1 << 5, ..virtual_one }), by(Means::Verw));
    assert_eq!(is(Words { amd_21_ecx: 0b110, ..ZEN_3 }), FREE);
    assert_eq!(is(Words { amd_21_ecx: 0b010, ..ZEN_3 }), MICROCODE);
}

#[test]
fn a_virtual_machine_leaves_alone_what_it_may_not_have() {
    let plan = check(
        Words { basic_ecx: VIRTUAL, ..ZEN_2 },
        &[(Leak::BoundsChecks, State::Left(Reason::Host)), (Leak::Zenbleed, MICROCODE)],
    );
    assert_eq!(plan.de_cfg_set, 0);
    check(QEMU64, &[(Leak::BoundsChecks, by(Means::Fences)), (Leak::BranchTargets, MICROCODE)]);
    assert_eq!(auto(QEMU64).plan, Plan::default());
}

#[test]
fn of_unknown_processors_the_worst_of_the_first_year_is_assumed() {
    let plan = check(
        Words::default(),
        &[
            (Leak::Meltdown, by(Means::Unmapped)),
            (Leak::Sampling, MICROCODE),
            (Leak::BranchTargets, MICROCODE),
            (Leak::StoreBypass, State::Left(Reason::InsideOneAction)),
        ],
    );
    assert_eq!(plan, Plan::default());
}

#[test]
fn in_order_processors_have_none_of_it() {
    let bonnell = intel(0x0001_06c2, [0, 0, 0], 0);
    let report = decide(&bonnell, Mode::Strict, Threads::One);
    assert!(report.states.iter().all(|state| *state == FREE), "{report}");
    assert!(!report.is_refused() && report.plan == Plan::default());
}

#[test]
fn threads_that_are_shared_stay_apart_as_far_as_they_can() {
    let states = [Threads::One, Threads::Parked, Threads::Shared]
        .map(|threads| decide(&ZEN_5, Mode::Auto, threads).state(Leak::Threads));
    assert_eq!(states, [FREE, by(Means::ParkedThreads), State::Left(Reason::SharedCores)]);
    let shared = decide(&ZEN_5, Mode::Auto, Threads::Shared);
    assert_eq!(shared.plan.spec_ctrl, Plan::STIBP);
    assert!(decide(&ZEN_5, Mode::Strict, Threads::Shared).is_refused());
}

#[test]
fn strict_closes_more_and_refuses_what_stays_open() {
    let strict = |words: Words| decide(&words, Mode::Strict, Threads::Parked);
    for words in [SAPPHIRE_RAPIDS, GRANITE_RAPIDS, ZEN_5] {
        let report = strict(words);
        assert_eq!(report.state(Leak::StoreBypass), by(Means::StoresInOrder));
        assert!(report.plan.spec_ctrl & Plan::SSBD != 0 && !report.is_refused(), "{report}");
        assert!(!auto(words).is_refused());
    }
    for words in [HASWELL, CASCADE_LAKE, ICE_LAKE_SP, GRACEMONT, ZEN, ZEN_4, QEMU64] {
        assert!(strict(words).is_refused() && !auto(words).is_refused());
    }
}

#[test]
fn off_does_nothing_and_says_so() {
    for words in ALL {
        let report = decide(&words, Mode::Off, Threads::Parked);
        let plan = Plan { de_cfg_set: report.plan.de_cfg_set, ..Plan::default() };
        assert_eq!(report.plan, plan);
        assert!(report.plan.de_cfg_set & !Plan::LFENCE_SERIALISES == 0);
        assert!(!report.needs_microcode() && !report.is_refused());
        for (leak, state) in auto(words).leaks() {
            // What is open in one mode is not closed in the other.
            let is_closed = |state| matches!(state, State::NotAffected | State::Mitigated(_));
            assert!(is_closed(state) || !is_closed(report.state(leak)), "{leak:?}");
        }
    }
    let off = decide(&SKYLAKE_SP, Mode::Off, Threads::Parked);
    assert_eq!(off.state(Leak::Sampling), State::Left(Reason::SwitchedOff));
    assert_eq!(off.state(Leak::Meltdown), by(Means::Unmapped));
}

#[test]
fn a_report_is_one_line_that_names_what_is_open() {
    assert_eq!(
        auto(CASCADE_LAKE).to_string(),
        "auto: 9 leaks not affected, 6 mitigated; needs microcode: taa mmio-stale-data gds; \
         left: its ssb"
    );
    assert_eq!(by(Means::Verw).to_string(), "mitigated by verw on every way out to ring 3");
    assert!(Leak::ALL.iter().enumerate().all(|(index, leak)| *leak as usize == index));
}

#[test]
fn the_way_out_follows_what_ran() {
    let all = WayOut::BUFFERS.and(WayOut::PREDICTIONS).and(WayOut::DIVIDER);
    for since in [Since::Instance, Since::Others] {
        assert_eq!(all.after(since), WayOut::BUFFERS.and(WayOut::DIVIDER));
        assert!(WayOut::PREDICTIONS.after(since).is_nothing());
    }
    assert_eq!(all.after(Since::Tenant), all);
    for since in [Since::Instance, Since::Others, Since::Tenant] {
        assert!(WayOut::default().after(since).is_nothing());
    }
}

fn any_words() -> impl Strategy<Value = Words> {
    let pick = prop::sample::select(&ALL[..]);
    (pick, any::<[u32; 8]>(), any::<u64>()).prop_map(|(known, noise, capabilities)| Words {
        vendor: known.vendor,
        signature: if noise[0] % 2 == 0 { known.signature } else { noise[0] },
        basic_ecx: noise[1],
        structured_ebx: noise[2],
        structured_edx: noise[3],
        structured_2_edx: noise[4],
        amd_8_ebx: noise[5],
        amd_21_eax: noise[6],
        amd_21_ecx: noise[7],
        capabilities,
        microcode: noise[0].rotate_left(7),
    })
}

proptest! {
    /// Whatever words come: what is called closed is in the plan, and what is in the plan exists.
    #[test]
    fn plans_and_states_agree(words in any_words(), strict: bool) {
        let mode = if strict { Mode::Strict } else { Mode::Auto };
        let report = decide(&words, mode, Threads::Parked);
        let does = |means| report.states.contains(&by(means));
        let plan = report.plan;
        prop_assert_eq!(plan.way_out.has(WayOut::BUFFERS), does(Means::Verw));
        prop_assert_eq!(plan.way_out.has(WayOut::DIVIDER), does(Means::Division));
        prop_assert_eq!(plan.entry == Entry::Barrier, does(Means::EntryBarrier));
        let has = |bit| plan.spec_ctrl & bit != 0;
        prop_assert_eq!(has(Plan::BHI_DIS_S), does(Means::HistoryControl));
        prop_assert_eq!(has(Plan::RRSBA_DIS_S), does(Means::ReturnControl));
        prop_assert_eq!(has(Plan::SSBD), does(Means::StoresInOrder));
        prop_assert!(!does(Means::Ibrs) || has(Plan::IBRS));
        prop_assert!(!does(Means::AutomaticIbrs) || plan.has_automatic_ibrs);
        prop_assert!(!has(Plan::IBRS) || words.has(Bit::IbrsIbpb));
        prop_assert!(plan.entry != Entry::Barrier || words.has_ibpb());
        prop_assert!(!plan.has_tsx_off || words.has(Bit::TsxCtrl));
        prop_assert!(!words.is_virtual() || plan.de_cfg_set == 0 && plan.mcu_opt_clear == 0);
        let open = |leak| matches!(report.state(leak), State::NeedsMicrocode | State::Left(_));
        prop_assert!(
            plan.way_out.has(WayOut::PREDICTIONS) || plan.entry == Entry::Barrier
                || open(Leak::BranchTargets) || report.state(Leak::BranchTargets) == FREE
        );
    }
}
