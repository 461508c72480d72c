//! Which processors are started, in which order, and what for.

use alloc::vec::Vec;

use limits::CORES_MAX;

/// What a processor is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To run actions.
    Works,
    /// To wait, set up like the others. A machine check goes to all processors of a package; one
    /// that firmware left waiting stops the machine then, before anybody can say why.
    Parked,
}

/// What decides it.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// APIC id of the processor that runs, which is core 0.
    pub own: u32,
    /// The highest APIC id that can be reached.
    pub id_max: u32,
    /// How many low bits of an APIC id name the threads of one physical core.
    pub thread_bits: u32,
    /// Cores that work at most, core 0 included.
    pub cores_max: usize,
    /// Whether all threads of a physical core work, not only the first.
    pub hyperthreads: bool,
}

/// The other processors of the list: first those that work, then those that are parked, each in the
/// order of the list and once. There is a number for each of them.
#[must_use]
pub fn plan(processors: &[u32], choice: Choice) -> Vec<(u32, Role)> {
    let mut plan: Vec<(u32, Role)> = Vec::new();
    let mut parked = Vec::new();
    for &id in processors {
        let is_known = |known: &[(u32, Role)]| known.iter().any(|(other, _)| *other == id);
        if id == choice.own || id > choice.id_max || is_known(&plan) || is_known(&parked) {
            continue;
        }
        let core_of = |id: u32| id.checked_shr(choice.thread_bits);
        let mut working = plan.iter().map(|(other, _)| *other).chain([choice.own]);
        let is_sibling = choice.thread_bits > 0 && working.any(|it| core_of(it) == core_of(id));
        if 1 + plan.len() < choice.cores_max && (choice.hyperthreads || !is_sibling) {
            plan.push((id, Role::Works));
        } else {
            parked.push((id, Role::Parked));
        }
    }
    plan.append(&mut parked);
    plan.truncate(CORES_MAX - 1);
    plan
}

#[cfg(test)]
mod tests {
    use super::Role::{Parked, Works};
    use super::*;
    use proptest::prelude::*;

    const ALL: Choice =
        Choice { own: 0, id_max: 0xfe, thread_bits: 0, cores_max: CORES_MAX, hyperthreads: false };

    #[test]
    fn every_processor_but_the_first_works_once() {
        let expected = [(2, Works), (1, Works), (3, Works)];
        assert_eq!(plan(&[0, 2, 1, 3, 2, 0, 1], ALL), expected);
        assert_eq!(plan(&[], ALL), []);
        assert_eq!(plan(&[0], ALL), []);
    }

    #[test]
    fn second_threads_are_parked_wherever_they_stand_in_the_list() {
        let two = Choice { thread_bits: 1, ..ALL };
        assert_eq!(plan(&[0, 1, 2, 3], two), [(2, Works), (1, Parked), (3, Parked)]);
        assert_eq!(plan(&[0, 2, 1, 3], two), [(2, Works), (1, Parked), (3, Parked)]);
        let both = Choice { hyperthreads: true, ..two };
        assert_eq!(plan(&[0, 1, 2], both), [(1, Works), (2, Works)]);
        // Core 0 need not be the first thread, nor the first in the list.
        assert_eq!(plan(&[0, 1, 2], Choice { own: 1, ..two }), [(2, Works), (0, Parked)]);
        let all_one = Choice { thread_bits: 32, ..ALL };
        assert_eq!(plan(&[0, 1, 2], all_one), [(1, Parked), (2, Parked)]);
    }

    #[test]
    fn cores_beyond_those_wanted_are_parked_and_unreachable_ones_left() {
        let few = Choice { cores_max: 2, ..ALL };
        assert_eq!(plan(&[0, 1, 2, 0x100, 0xff], few), [(1, Works), (2, Parked)]);
        assert_eq!(plan(&[0, 1], Choice { cores_max: 1, ..ALL }), [(1, Parked)]);
        let far = Choice { id_max: u32::MAX - 1, ..ALL };
        assert_eq!(plan(&[0, 0x100], far), [(0x100, Works)]);
    }

    proptest! {
        #[test]
        fn no_two_that_work_share_a_core(
            ids in proptest::collection::vec(0..64_u32, 0..80),
            thread_bits in 0..4_u32,
            cores_max in 1..20_usize,
        ) {
            let plan = plan(&ids, Choice { thread_bits, cores_max, ..ALL });
            let of = |role: Role| plan.iter().filter(move |it| it.1 == role).map(|it| it.0);
            let working: Vec<_> = of(Works).chain([0]).collect();
            prop_assert!(working.len() <= cores_max);
            let mut all: Vec<_> = working.iter().copied().chain(of(Parked)).collect();
            for (at, id) in working.iter().enumerate() {
                let shares = |other: &u32| other >> thread_bits == id >> thread_bits;
                prop_assert!(!working[..at].iter().any(shares));
            }
            all.sort_unstable();
            let mut expected = ids.clone();
            expected.push(0);
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(all, expected, "each once, nobody forgotten");
        }
    }
}
