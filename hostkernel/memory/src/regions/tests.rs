//! Regions against a plain list of pages.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{frames, install_for_test};
use limits::PAGE_LEN;

const PAGE: u64 = PAGE_LEN as u64;
/// Small enough for collisions, long enough for many leaves.
const PAGES: u64 = 1200;

/// What is known of a page: where its payload is, or none, and what may be done.
type Model = BTreeMap<u64, (Option<u32>, Option<Protection>)>;

#[derive(Clone, Debug)]
enum Step {
    Map(u64, u64, Option<Protection>),
    Payload(u64, u64, u32),
    Unmap(u64, u64),
    Protect(u64, u64, Option<Protection>),
    /// Every other page, one by one: as many regions as there are.
    Comb(u64, u64),
}

fn protection() -> impl Strategy<Value = Option<Protection>> {
    prop_oneof![
        Just(None),
        Just(Some(Protection::Read)),
        Just(Some(Protection::ReadWrite)),
        Just(Some(Protection::ReadExecute)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let range = (0..PAGES, prop_oneof![4 => 1..8_u64, 1 => 1..PAGES])
        .prop_map(|(start, len)| (start, len.min(PAGES - start)));
    prop_oneof![
        (range.clone(), protection()).prop_map(|((start, len), p)| Step::Map(start, len, p)),
        (range.clone(), 0..50_u32).prop_map(|((start, len), page)| Step::Payload(start, len, page)),
        range.clone().prop_map(|(start, len)| Step::Unmap(start, len)),
        (range.clone(), protection()).prop_map(|((start, len), p)| Step::Protect(start, len, p)),
        range.prop_map(|(start, len)| Step::Comb(start, len)),
    ]
}

fn range(start: u64, len: u64) -> PageRange {
    PageRange { start: start * PAGE, end: (start + len) * PAGE }
}

fn apply(
    regions: &mut Regions,
    reservation: &mut Reservation,
    step: &Step,
) -> Result<(), RegionReject> {
    let region =
        |start, len, source, protection| Region { range: range(start, len), source, protection };
    match *step {
        Step::Map(start, len, protection) => {
            let new = region(start, len, Source::ZERO, protection);
            regions.set(new.range, Some(new), reservation)
        }
        Step::Payload(start, len, page) => {
            let new = region(
                start,
                len,
                Source::payload(PayloadPage { stage: 1, page }),
                Some(Protection::Read),
            );
            regions.set(new.range, Some(new), reservation)
        }
        Step::Unmap(start, len) => regions.set(range(start, len), None, reservation),
        Step::Protect(start, len, protection) => {
            regions.protect(range(start, len), protection, reservation)
        }
        Step::Comb(start, len) => (start..start + len).step_by(2).try_for_each(|page| {
            let new = region(page, 1, Source::ZERO, Some(Protection::ReadExecute));
            regions.set(new.range, Some(new), reservation)
        }),
    }
}

fn apply_to_model(model: &mut Model, step: &Step) {
    match *step {
        Step::Map(start, len, protection) => {
            model.extend((start..start + len).map(|page| (page, (None, protection))));
        }
        Step::Payload(start, len, first) => model.extend(
            (start..start + len)
                .map(|page| (page, (Some(first + (page - start) as u32), Some(Protection::Read)))),
        ),
        Step::Unmap(start, len) => model.retain(|page, _| !(start..start + len).contains(page)),
        Step::Protect(start, len, protection) => {
            model.range_mut(start..start + len).for_each(|(_, page)| page.1 = protection);
        }
        Step::Comb(start, len) => {
            let pages = (start..start + len).step_by(2);
            model.extend(pages.map(|page| (page, (None, Some(Protection::ReadExecute)))));
        }
    }
}

fn all(regions: &Regions) -> Vec<Region> {
    let mut next = 0;
    core::iter::from_fn(|| {
        let region = regions.next(next)?;
        next = region.range.end;
        Some(region)
    })
    .collect()
}

fn check(regions: &Regions, model: &Model) {
    let found = all(regions);
    assert_eq!(found.len(), regions.len);
    let alike = |pair: &[Region]| pair[0].joined(pair[1]).is_some();
    assert!(!found.windows(2).any(alike), "what is alike is one");
    assert!(found.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
    let pages = found.iter().flat_map(|region| {
        (region.range.start..region.range.end).step_by(PAGE_LEN).map(|page| {
            let source = region.source.behind(page - region.range.start);
            (page / PAGE, (source.payload_page().map(|it| it.page), region.protection))
        })
    });
    assert_eq!(pages.collect::<Model>(), *model);
    let leaves = &regions.leaves;
    let len = |leaf| leaves.regions(leaf).len();
    assert!((1..leaves.len()).all(|leaf| len(leaf - 1) + len(leaf) > leaves::LEAF_LEN));
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 0..if cfg!(miri) { 8 } else { 60 })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Two lists, the second beginning with what the first has.
    #[test]
    fn regions_are_those_of_a_plain_list(first in steps(), second in steps()) {
        install_for_test();
        let mut reservation = Reservation::new(200).expect("the arena is large");
        let mut regions = Regions::new(usize::MAX);
        let mut model = Model::new();
        for step in &first {
            apply(&mut regions, &mut reservation, step).expect("there is memory");
            apply_to_model(&mut model, step);
            check(&regions, &model);
        }
        let mut shared = regions.share();
        let mut its_model = model.clone();
        for step in &second {
            apply(&mut shared, &mut reservation, step).expect("there is memory");
            apply_to_model(&mut its_model, step);
            check(&shared, &its_model);
        }
        check(&regions, &model);
        prop_assert_eq!(reservation.remaining(), 200 - regions.frames() - shared.frames());
        shared.clear(|frame| reservation.put(frame));
        check(&regions, &model);
        regions.clear(|frame| reservation.put(frame));
        prop_assert_eq!(reservation.remaining(), 200);
    }

    /// With too little memory a change is refused or done, and nothing is lost.
    #[test]
    fn what_is_refused_changes_nothing(first in steps(), second in steps(), frames in 0..9_usize) {
        install_for_test();
        let mut plenty = Reservation::new(100).expect("the arena is large");
        let mut regions = Regions::new(usize::MAX);
        let mut model = Model::new();
        for step in &first {
            apply(&mut regions, &mut plenty, step).expect("there is memory");
            apply_to_model(&mut model, step);
        }
        let mut shared = regions.share();
        let mut reservation = Reservation::new(frames).expect("the arena is large");
        for step in second.iter().filter(|step| matches!(step, Step::Map(..) | Step::Unmap(..))) {
            if apply(&mut shared, &mut reservation, step).is_ok() {
                apply_to_model(&mut model, step);
            }
            check(&shared, &model);
        }
        shared.clear(|frame| reservation.put(frame));
        regions.clear(|frame| plenty.put(frame));
        prop_assert_eq!((reservation.remaining(), plenty.remaining()), (frames, 100));
    }
}

/// As many regions as there may be: a page each, with a gap.
#[test]
fn the_bound_holds_and_who_is_at_it_can_still_give_back() {
    install_for_test();
    let max = if cfg!(miri) { 400 } else { limits::REGIONS_MAX };
    let mut reservation = Reservation::new(2000).expect("the arena is large");
    let mut regions = Regions::new(max);
    let region = |number: usize| {
        let source = Source::ZERO;
        Region { range: range(2 * number as u64, 1), source, protection: None }
    };
    for number in 0..max {
        let new = region(number);
        regions.set(new.range, Some(new), &mut reservation).expect("there is room");
    }
    let held = regions.frames();
    assert!(held <= 2 * max / leaves::LEAF_LEN + 2, "{held} frames");
    let over = region(max);
    let refused = regions.set(over.range, Some(over), &mut reservation);
    assert_eq!(refused, Err(RegionReject::TooMany));
    let same = Region { protection: Some(Protection::Read), ..region(7) };
    regions.set(same.range, Some(same), &mut reservation).expect("it replaces one");
    assert_eq!(regions.find(14 * PAGE), Some(same));
    assert!(regions.set(range(0, 2), None, &mut reservation).is_ok());
    assert!(regions.set(over.range, Some(over), &mut reservation).is_ok());
    regions.set(range(0, u64::MAX / PAGE), None, &mut reservation).expect("nothing is needed");
    assert_eq!((regions.len, regions.frames(), reservation.remaining()), (0, 0, 2000));
    assert!(frames::available() > 0);
}

/// A shared list of five leaves, four of which become its own before it has six and needs a
/// directory for the last one: with every amount of memory what is not there is refused.
#[test]
fn a_change_takes_no_more_than_it_asked_for() {
    use leaves::LEAF_LEN;
    const GAP: u64 = 8;
    install_for_test();
    let mut plenty = Reservation::new(100).expect("the arena is large");
    let mut regions = Regions::new(usize::MAX);
    let region =
        |page, protection| Region { range: range(page, 1), source: Source::ZERO, protection };
    let set = |regions: &mut Regions, new: Region, reservation: &mut Reservation| {
        regions.set(new.range, Some(new), reservation)
    };
    for number in (0..).step_by(GAP as usize) {
        set(&mut regions, region(number, None), &mut plenty).expect("there is room");
        if regions.len == 5 * LEAF_LEN {
            break;
        }
    }
    // Less than full, so that a change there asks for no more than copies.
    for page in (0..5).flat_map(|leaf| (0..20).map(move |at| (leaf * LEAF_LEN + at) as u64 * GAP)) {
        regions.set(range(page, 1), None, &mut plenty).expect("nothing is needed");
    }
    let read = Some(Protection::Read);
    for left in 0..4 {
        let mut shared = regions.share();
        let mut reservation = Reservation::new(50).expect("the arena is large");
        let first = |leaf| regions.leaves.regions(leaf)[0].range.start / PAGE;
        for leaf in 0..4 {
            set(&mut shared, region(first(leaf), read), &mut reservation).expect("there is room");
        }
        for page in (0..).filter(|page| page % GAP == 2) {
            set(&mut shared, region(page, read), &mut reservation).expect("there is room");
            if shared.leaves.len() == 6 {
                break;
            }
        }
        let mut rest = Vec::new();
        while reservation.remaining() > left {
            rest.push(reservation.take().expect("it has some"));
        }
        let last = set(&mut shared, region(first(4), read), &mut reservation);
        assert_eq!(last.is_ok(), left >= 2, "with {left} frames");
        rest.into_iter().for_each(|frame| reservation.put(frame));
        shared.clear(|frame| reservation.put(frame));
        assert_eq!(reservation.remaining(), 50);
    }
    regions.clear(|frame| plenty.put(frame));
}
