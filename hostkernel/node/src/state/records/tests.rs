//! The ring against a list of everything that was ever kept.

extern crate std;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::registry::Quotas;
use memory::install_for_test;

/// What a test keeps of a record.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    id: u128,
    name: String,
    result: Vec<u8>,
    log: Vec<u8>,
}

impl Model {
    /// A record of certain lengths, of which no two parts are the same.
    fn new(number: u32, id: u128, lens: [usize; 3]) -> Self {
        let bytes = |len: usize, salt: u32| -> Vec<u8> {
            (0..len as u32).map(|at| (at / 7 + number * 31 + salt) as u8).collect()
        };
        let name = format!("{number:0len$}", len = lens[0]);
        Self { id, name, result: bytes(lens[1], 1), log: bytes(lens[2], 2) }
    }

    /// The bytes it takes.
    fn len(&self) -> usize {
        let result_len = if self.is_too_long() { 0 } else { self.result.len() };
        self.name.len() + KIND.len() + result_len + self.log.len() + UNSUPPORTED.len()
    }

    fn is_too_long(&self) -> bool {
        self.result.len() > RECORD_RESULT_LEN_MAX
    }

    fn is_kept_as(&self, kept: Kept<'_>) {
        let part = |part| {
            let (len, pieces) = kept.part(part);
            let bytes = pieces.flatten().copied().collect::<Vec<u8>>();
            assert_eq!(bytes.len(), len);
            bytes
        };
        assert_eq!(kept.facts().id.0, self.id);
        assert_eq!(part(Part::Name), self.name.as_bytes());
        assert_eq!(part(Part::Kind), KIND.as_bytes());
        assert_eq!(part(Part::Unsupported), UNSUPPORTED);
        assert!(part(Part::Log) == self.log, "the log of {}", self.name);
        let form = if self.is_too_long() { Form::TooLong } else { Form::Raw };
        assert_eq!(kept.result(), (form, self.result.len()));
        assert!(self.is_too_long() || part(Part::Result) == self.result, "of {}", self.name);
    }
}

const KIND: &str = "native:1";
const UNSUPPORTED: &[u8] = "io_uring_setup × 1".as_bytes();

fn facts(id: u128) -> Facts {
    Facts {
        id: ActivationId(id),
        namespace: Namespace::new("guest"),
        version: Version::FIRST,
        digest: Digest([0; 32]),
        limits: Limits { timeout_ms: 1, memory_mb: 1, logs_mb: 1 },
        status: Blame::Success,
        start_ms: 0,
        duration_ms: 0,
        timing: Timing::default(),
        total_ns: 0,
        usage: Usage::default(),
        trace: TraceParent::new(&[b'1'; 32]),
        log_truncated: false,
    }
}

fn keep(records: &mut RecordRing, model: &Model) {
    let [result, log] = [&model.result, &model.log]
        .map(|bytes| PageBuffer::from_bytes(bytes).expect("frames are left"));
    let facts =
        records.keep(facts(model.id), [&model.name, KIND], Output::Raw(&result), &log, UNSUPPORTED);
    assert_eq!(facts.id.0, model.id);
}

/// Checks that exactly these records are there, given from the oldest on.
fn holds(records: &RecordRing, models: &VecDeque<Model>) {
    let kept: Vec<_> = records.newest_below(u64::MAX).map(|(_, kept)| kept).collect();
    assert_eq!(kept.len(), models.len());
    for (model, kept) in models.iter().rev().zip(kept) {
        model.is_kept_as(kept);
        model.is_kept_as(records.get(ActivationId(model.id)).expect("it is there"));
    }
}

#[test]
fn an_empty_ring_has_nothing() {
    install_for_test();
    let records = RecordRing::new(4, 1).expect("frames are left");
    assert!(records.newest_below(u64::MAX).map(|(_, kept)| kept).next().is_none());
    assert!((0..9).all(|id| records.get(ActivationId(id)).is_none()));
}

#[test]
fn the_largest_records_follow_one_another() {
    install_for_test();
    let mut records = RecordRing::new(100, 1).expect("frames are left");
    for number in 0..5 {
        let lens = [NAME_LEN_MAX, RECORD_RESULT_LEN_MAX, LOG_LEN_MAX];
        let model = Model::new(number, u128::from(number), lens);
        keep(&mut records, &model);
        holds(&records, &VecDeque::from([model]));
    }
    let long = Model::new(7, 7, [1, RECORD_RESULT_LEN_MAX + 1, 5]);
    keep(&mut records, &long);
    long.is_kept_as(
        records.newest_below(u64::MAX).map(|(_, kept)| kept).next().expect("the newest"),
    );
}

#[test]
fn all_memory_comes_back() {
    install_for_test();
    let model = Model::new(1, 1, [9, 5000, 5000]);
    let mut records = Records::for_memory(16_384, 1).expect("frames are left");
    let ring = &mut records.rings[0];
    assert_eq!(ring.chains.len(), 256 * PAGE_LEN / RECORD_LEN_MEAN);
    keep(ring, &model);
    assert!(Records::for_memory(0, 1).is_ok(), "the smallest node has some");
}

#[test]
fn nobodys_records_push_out_anothers() {
    install_for_test();
    let mut records = Records::for_memory(16_384, 2).expect("frames are left");
    let names = [0, 1].map(|number| Namespace::numbered("a", Quotas::default(), number));
    let nothing = PageBuffer::new();
    let mut keep = |name: &Namespace, id: u128, len: usize| {
        let result = PageBuffer::from_bytes(&vec![7; len]).expect("frames are left");
        let facts = Facts { namespace: name.clone(), ..facts(id) };
        records.keep(facts, ["b", KIND], Output::Raw(&result), &nothing, b"");
    };
    keep(&names[0], 1, 100);
    (2..200).for_each(|id| keep(&names[1], id, RECORD_RESULT_LEN_MAX));
    assert!(records.get(&names[0], ActivationId(1)).is_some());
    assert!(records.get(&names[1], ActivationId(2)).is_none(), "its own are");
    let share = records.newest_first(&names[1]).count();
    assert!(share > 0 && share < 198, "{share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_newest_are_kept(
        asked in 1..9_usize,
        // Few different chains, so that they grow.
        given in proptest::collection::vec(
            (0..4_u128, 1..40_usize, prop_oneof![0..50_usize, 0..70_000_usize], 0..9_000_usize),
            1..40,
        ),
    ) {
        install_for_test();
        let mut records = RecordRing::new(asked, 1).expect("frames are left");
        let (places, capacity) = (records.chains.len(), records.bytes.capacity());
        prop_assert_eq!(places, asked.next_power_of_two());
        let mut models = VecDeque::new();
        for (number, (low, name_len, result_len, log_len)) in given.into_iter().enumerate() {
            let id = (number as u128) << 64 | low;
            let model = Model::new(number as u32, id, [name_len, result_len, log_len]);
            keep(&mut records, &model);
            models.push_back(model);
            let used = |models: &VecDeque<Model>| models.iter().map(Model::len).sum::<usize>();
            while models.len() > places || used(&models) > capacity {
                let gone: Model = models.pop_front().expect("there is one");
                assert!(records.get(ActivationId(gone.id)).is_none());
            }
            holds(&records, &models);
        }
    }
}
