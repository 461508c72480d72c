//! Pipes, event counters, poll and epoll answer as those of the Linux under the test.

use proptest::prelude::*;

use crate::calls::{Call, compare};

const IN: u32 = 1;
const OUT: u32 = 4;
const ONE_SHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
const EXCLUSIVE: u32 = 1 << 28;
const ADD: u32 = 1;
const DELETE: u32 = 2;
const MODIFY: u32 = 3;

#[track_caller]
fn agree(calls: &[Call]) {
    if let Err(difference) = compare(calls) {
        panic!("{difference}");
    }
}

fn write(fd: usize, len: usize) -> Call {
    Call::Write(fd, (0..len).map(|at| at as u8).collect())
}

fn watch(epoll: usize, operation: u32, fd: usize, events: u32) -> Call {
    Call::Watch { epoll, operation, fd, events }
}

/// How both ends stand.
fn ends() -> [Call; 3] {
    [Call::Poll(0, 0x3ff), Call::Poll(1, 0x3ff), Call::Available(0)]
}

#[test]
fn a_pipe_is_full_by_pages() {
    for len in [1, 100, 2047, 2048, 2049, 4095, 4096, 4097, 5000, 8192, 65_535, 65_536, 65_537] {
        let mut calls = vec![Call::Pipe];
        for _ in 0..70 {
            calls.push(write(1, len));
        }
        calls.extend(ends());
        for read in [1, 4095, 4096, 1, 9000, 100_000, 1] {
            calls.push(Call::Read(0, read));
            calls.extend(ends());
            calls.push(write(1, len));
            calls.extend(ends());
        }
        agree(&calls);
    }
}

#[test]
fn the_ends_of_a_pipe_learn_of_each_other() {
    let mut calls = vec![Call::Pipe, write(1, 10), Call::Close(1)];
    calls.extend([Call::Poll(0, IN as u16), Call::Read(0, 4), Call::Read(0, 100)]);
    calls.extend([Call::Read(0, 1), Call::Poll(0, 0), Call::Read(0, 0), Call::Available(0)]);
    agree(&calls);
    let mut calls = vec![Call::Pipe, Call::Duplicate(0), Call::Close(0), write(1, 1)];
    calls.extend([Call::Close(2), write(1, 1), write(1, 0), Call::Poll(1, OUT as u16)]);
    agree(&calls);
    agree(&[Call::Pipe, write(0, 1), Call::Read(1, 1), Call::Read(0, 1), Call::Read(0, 0)]);
}

#[test]
fn a_pipe_can_be_told_how_much_it_holds() {
    let mut calls = vec![Call::Pipe, Call::Len(0), Call::Len(1)];
    for len in [0, 1, 4096, 4097, 12_288, 65_537, 1 << 20] {
        calls.extend([Call::SetLen(0, len), Call::Len(1)]);
    }
    calls.extend([write(1, 300_000), Call::SetLen(1, 4096), Call::Read(0, 299_000)]);
    calls.extend([Call::SetLen(1, 4096), Call::Len(0)]);
    calls.extend(ends());
    calls.extend([write(1, 5000), Call::Counter(0, false), Call::SetLen(2, 4096), Call::Len(2)]);
    agree(&calls);
}

#[test]
fn an_event_counter_counts() {
    for is_semaphore in [false, true] {
        let ask = Call::Poll(0, 0x3ff);
        let mut calls = vec![Call::Counter(3, is_semaphore), ask.clone(), Call::Read(0, 7)];
        for count in [0, 1, u64::MAX, u64::MAX - 1, u64::MAX - 2, 5] {
            calls.extend([Call::Add(0, count), ask.clone(), Call::Read(0, 8), ask.clone()]);
            calls.extend([Call::Read(0, 20), Call::Read(0, 8), ask.clone()]);
        }
        calls.extend([write(0, 3), Call::Available(0), Call::Read(0, 0)]);
        agree(&calls);
    }
}

#[test]
fn a_level_is_told_as_long_as_it_holds() {
    agree(&[
        Call::Pipe,
        Call::Epoll,
        watch(2, ADD, 0, IN),
        watch(2, ADD, 1, OUT),
        Call::Wait(2, 8),
        write(1, 10),
        Call::Wait(2, 8),
        Call::Read(0, 5),
        Call::Wait(2, 8),
        Call::Read(0, 5),
        Call::Wait(2, 8),
        watch(2, DELETE, 1, 0),
        Call::Wait(2, 8),
        Call::Close(1),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
        watch(2, MODIFY, 0, 0),
        Call::Wait(2, 8),
        Call::Close(0),
        Call::Wait(2, 8),
    ]);
}

#[test]
fn an_edge_is_told_once() {
    agree(&[
        Call::Pipe,
        Call::Epoll,
        watch(2, ADD, 0, IN | EDGE),
        watch(2, ADD, 1, OUT | EDGE),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
        write(1, 10),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
        write(1, 10),
        Call::Wait(2, 8),
        Call::Read(0, 5),
        Call::Wait(2, 8),
        write(1, 100_000),
        Call::Wait(2, 8),
        Call::Read(0, 100_000),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
        watch(2, MODIFY, 1, OUT | EDGE),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
        Call::Close(1),
        Call::Wait(2, 8),
        Call::Wait(2, 8),
    ]);
}

#[test]
fn one_shot_is_told_once_until_it_is_set_again() {
    agree(&[
        Call::Counter(1, false),
        Call::Epoll,
        watch(1, ADD, 0, IN | ONE_SHOT),
        Call::Wait(1, 8),
        Call::Wait(1, 8),
        Call::Add(0, 1),
        Call::Wait(1, 8),
        watch(1, MODIFY, 0, IN | ONE_SHOT),
        Call::Wait(1, 8),
        Call::Wait(1, 8),
        watch(1, MODIFY, 0, IN | OUT | EDGE),
        Call::Wait(1, 8),
        Call::Add(0, 1),
        Call::Wait(1, 8),
        Call::Read(0, 8),
        Call::Wait(1, 8),
        Call::Wait(1, 8),
    ]);
}

#[test]
fn epoll_refuses_as_linux_does() {
    agree(&[
        Call::Pipe,
        Call::Epoll,
        Call::Epoll,
        watch(2, ADD, 2, IN),
        watch(0, ADD, 1, IN),
        watch(2, DELETE, 0, 0),
        watch(2, MODIFY, 0, IN),
        watch(2, ADD, 0, IN),
        watch(2, ADD, 0, IN),
        watch(2, ADD, 3, IN),
        watch(3, ADD, 2, IN),
        watch(2, MODIFY, 3, IN | EXCLUSIVE),
        watch(3, ADD, 0, IN | EXCLUSIVE),
        watch(3, MODIFY, 0, IN),
        watch(3, ADD, 1, OUT | ONE_SHOT | EXCLUSIVE),
        Call::Wait(0, 1),
        Call::Poll(2, 0x3ff),
        Call::Read(2, 1),
        write(2, 1),
    ]);
}

#[test]
fn instances_watch_each_other() {
    let mut calls = vec![Call::Counter(0, false)];
    calls.extend(vec![Call::Epoll; 8]);
    for epoll in 1..8 {
        calls.push(watch(epoll, ADD, epoll - 1, IN));
    }
    calls.push(watch(1, ADD, 3, IN));
    calls.push(watch(1, ADD, 8, IN));
    calls.push(Call::Add(0, 1));
    for epoll in 1..8 {
        calls.extend([Call::Poll(epoll, 0x3ff), Call::Wait(epoll, 4)]);
    }
    calls.push(Call::Read(0, 8));
    for epoll in 1..8 {
        calls.extend([Call::Wait(epoll, 4), Call::Poll(epoll, 0x3ff)]);
    }
    agree(&calls);
}

#[test]
fn a_watch_lives_as_long_as_its_description() {
    agree(&[
        Call::Counter(1, false),
        Call::Epoll,
        watch(1, ADD, 0, IN),
        Call::Duplicate(0),
        Call::Close(0),
        Call::Wait(1, 4),
        watch(1, ADD, 2, IN),
        Call::Wait(1, 4),
        Call::Close(2),
        Call::Wait(1, 4),
    ]);
}

fn some_call() -> impl Strategy<Value = Call> {
    let fd = || 0..8_usize;
    let len = || prop_oneof![0..20_usize, 4000..4200_usize, 0..70_000_usize];
    let events = || {
        let flags = [0, IN, OUT, IN | OUT, IN | EDGE, OUT | EDGE, IN | OUT | EDGE, IN | ONE_SHOT];
        proptest::sample::select(flags.to_vec())
    };
    prop_oneof![
        2 => Just(Call::Pipe),
        1 => (0..3_u32, any::<bool>()).prop_map(|(count, one)| Call::Counter(count, one)),
        2 => Just(Call::Epoll),
        1 => fd().prop_map(Call::Close),
        1 => fd().prop_map(Call::Duplicate),
        4 => (fd(), len()).prop_map(|(fd, len)| Call::Read(fd, len)),
        6 => (fd(), len()).prop_map(|(fd, len)| write(fd, len)),
        2 => (fd(), 0..4_u64).prop_map(|(fd, count)| Call::Add(fd, count)),
        3 => (fd(), 0..0x400_u16).prop_map(|(fd, events)| Call::Poll(fd, events)),
        1 => fd().prop_map(Call::Available),
        1 => (fd(), 0..200_000_usize).prop_map(|(fd, len)| Call::SetLen(fd, len)),
        5 => (fd(), 1..4_u32, fd(), events())
            .prop_map(|(epoll, operation, fd, events)| watch(epoll, operation, fd, events)),
        5 => fd().prop_map(|fd| Call::Wait(fd, 16)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_is_what_happens_on_linux(
        calls in proptest::collection::vec(some_call(), 1..60)
    ) {
        if let Err(difference) = compare(&calls) {
            return Err(TestCaseError::fail(difference));
        }
    }
}
