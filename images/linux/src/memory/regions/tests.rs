//! The book of regions against one that notes every page by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Pages of the addresses that are tried, and the first of them.
const PAGES: u64 = 24;
const START: u64 = 0x10_0000;

fn address(page: u64) -> u64 {
    START + page * PAGE
}

/// What one page holds: protection, source, and for a source with offsets that of the page.
type Page = (Protection, Source);

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64, u64, Protection, Source),
    Remove(u64, u64),
    Protect(u64, u64, Protection),
}

fn protection() -> impl Strategy<Value = Protection> {
    prop::sample::select(vec![
        Protection::NONE,
        Protection::READ,
        Protection::WRITE,
        Protection::EXECUTE,
    ])
}

fn source() -> impl Strategy<Value = Source> {
    let offset = (0..4_u64).prop_map(|page| Source::Payload { offset: page * PAGE });
    prop_oneof![Just(Source::Anonymous), Just(Source::Stack), offset]
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..PAGES, 1..8_u64).prop_map(|(at, len)| (at, (at + len).min(PAGES)));
    prop_oneof![
        3 => (range(), protection(), source())
            .prop_map(|((from, to), how, what)| Step::Insert(from, to, how, what)),
        1 => range().prop_map(|(from, to)| Step::Remove(from, to)),
        1 => (range(), protection()).prop_map(|((from, to), how)| Step::Protect(from, to, how)),
    ]
}

fn apply(step: Step, regions: &mut Regions, model: &mut BTreeMap<u64, Page>) {
    match step {
        Step::Insert(from, to, protection, source) => {
            regions.insert(address(from), Region { end: address(to), protection, source });
            for page in from..to {
                model.insert(page, (protection, source.advanced((page - from) * PAGE)));
            }
        }
        Step::Remove(from, to) => {
            regions.remove(address(from)..address(to));
            model.retain(|page, _| !(from..to).contains(page));
        }
        Step::Protect(from, to, protection) => {
            regions.protect(address(from)..address(to), protection);
            for (_, page) in model.range_mut(from..to) {
                page.0 = protection;
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_note_on_every_page(steps in prop::collection::vec(step(), 1..40)) {
        let (mut regions, mut model) = (Regions::new(), BTreeMap::new());
        for step in steps {
            // What was looked up before must not be remembered wrongly.
            for page in (0..PAGES).step_by(5) {
                let _ = regions.covers(address(page), PAGE, Protection::READ);
            }
            apply(step, &mut regions, &mut model);
            for page in 0..PAGES {
                let found = regions.find(address(page) + 5).map(|(start, region)| {
                    let source = region.source.advanced(address(page) - start);
                    (region.protection, source)
                });
                prop_assert_eq!(found, model.get(&page).copied());
            }
            for (from, to) in [(0, PAGES), (3, 9), (8, 10), (15, 16)] {
                let all = |needed: Protection| {
                    (from..to).all(|page| model.get(&page).is_some_and(|it| it.0.allows(needed)))
                };
                let len = address(to) - address(from);
                for needed in [Protection::NONE, Protection::READ, Protection::WRITE] {
                    prop_assert_eq!(regions.covers(address(from), len, needed), all(needed));
                }
                let free = (from..to).all(|page| !model.contains_key(&page));
                prop_assert_eq!(regions.is_free(address(from)..address(to)), free);
            }
        }
        // No two neighbours could be one.
        let all: Vec<_> = regions.iter().collect();
        for pair in all.windows(2) {
            let ((start, left), (next, right)) = (pair[0], pair[1]);
            prop_assert!(left.end <= next);
            let alike = left.end == next
                && left.protection == right.protection
                && left.source.advanced(next - start) == right.source
                && left.source != Source::Stack;
            prop_assert!(!alike, "{left:?} and {right:?}");
        }
    }

    #[test]
    fn a_gap_is_the_highest_that_fits(
        steps in prop::collection::vec(step(), 1..20),
        len in 1..9_u64,
    ) {
        let (mut regions, mut model) = (Regions::new(), BTreeMap::new());
        for step in steps {
            apply(step, &mut regions, &mut model);
        }
        let fits = |from: &u64| (*from..from + len).all(|page| !model.contains_key(&page));
        let expected = (0..=PAGES - len).rev().find(fits).map(address);
        let found = regions.gap_below(address(PAGES), address(0), len * PAGE);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn no_bytes_are_always_covered_and_wrapping_ones_never() {
    let regions = Regions::new();
    assert!(regions.covers(5, 0, Protection::WRITE));
    assert!(!regions.covers(u64::MAX, 2, Protection::NONE));
    assert!(!regions.covers(0, 1, Protection::NONE));
}
