//! Threads: one runs, the others wait for their turn or for something to happen.
//!
//! The registers of the thread that runs are in the entry code's frame, those of the others here.
#![forbid(unsafe_code)]

pub mod clone;
pub mod fork;
pub mod futex;
pub mod schedule;

use alloc::vec::Vec;

use crate::frame::Frame;
use crate::native::Extended;
use crate::signal::{AlternateStack, Pending, SignalSet};

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What ends it.
    pub on: On,
    /// The monotonic time at which it ends anyway.
    pub until_ns: Option<u64>,
}

/// What ends a wait besides time and signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A wake-up at this address with one of these bits. In the order of `turn`.
    Futex {
        /// The word's address.
        address: u64,
        /// Who may wake it.
        bits: u32,
        /// When it began to wait, counted.
        turn: u64,
    },
    /// Whatever another thread does with files: then the call is made again.
    Files,
    /// The input, or whatever another thread does with files: then the call is made again.
    Input,
    /// Nothing else.
    Time,
    /// A signal of this set, which the call takes itself; or, if it is empty, only a handler.
    Signal(SignalSet),
}

/// Whether a thread can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Ready,
    /// It can, and makes the call again in which it waited.
    Again,
    /// It waits.
    Waiting(Wait),
}

/// A thread.
#[derive(Debug)]
pub struct Thread {
    /// Its number; that of the first is the process'.
    pub number: u32,
    /// Its number when it began, maybe before the program was frozen.
    pub former: u32,
    /// Whether it can run.
    pub state: State,
    /// Its registers, unless it runs.
    pub frame: Frame,
    /// Its FS base, unless it runs.
    pub pointer: u64,
    /// Its vector and x87 registers, unless it runs.
    pub extended: Extended,
    /// Blocked signals.
    pub mask: SignalSet,
    /// The mask to return to after a call that changed it while it waited.
    pub saved_mask: Option<SignalSet>,
    /// Signals sent to it alone.
    pub pending: Pending,
    /// Where its handlers may run.
    pub alternate: AlternateStack,
    /// Cleared when it ends, and woken (`set_tid_address`).
    pub clear: u64,
    /// Head of its robust list.
    pub robust: u64,
    /// When the call in which it waits gives up, once that is known.
    pub until_ns: Option<u64>,
    /// When the call it is in gives up; [`until_ns`](Self::until_ns) may be earlier, to look again.
    pub gives_up_ns: Option<u64>,
    /// A signal came while it waited.
    pub interrupted: bool,
    /// What `prctl` named it.
    pub name: [u8; 16],
}

impl Thread {
    /// A thread with nothing set.
    #[must_use]
    pub fn new(number: u32) -> Self {
        Self {
            number,
            former: number,
            state: State::Ready,
            frame: Frame::zero(),
            pointer: 0,
            extended: Extended::default(),
            mask: SignalSet::default(),
            saved_mask: None,
            pending: Pending::new(),
            alternate: AlternateStack::default(),
            clear: 0,
            robust: 0,
            until_ns: None,
            gives_up_ns: None,
            interrupted: false,
            name: [0; 16],
        }
    }

    /// Whether this number means it.
    #[must_use]
    pub fn is(&self, number: u32) -> bool {
        self.number == number || self.former == number
    }

    /// Whether it waits for the input.
    #[must_use]
    pub fn waits_for_input(&self) -> bool {
        matches!(self.state, State::Waiting(Wait { on: On::Input, .. }))
    }
}

/// All threads.
#[derive(Debug, Default)]
pub struct Threads {
    /// In the order they were made; ended ones are removed.
    pub all: Vec<Thread>,
    /// Which of them runs.
    pub current: usize,
    /// Highest number given.
    last_number: u32,
    /// Waits begun so far.
    turns: u64,
    /// When the running thread's turn is over.
    pub slice_end_ns: u64,
    /// The alarm that is set, 0 for none.
    pub alarm_ns: u64,
    /// By when all have to wait, since one waits for the input; 0 if none did.
    pub rest_until_ns: u64,
}

impl Threads {
    /// No threads.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            all: Vec::new(),
            current: 0,
            last_number: 0,
            turns: 0,
            slice_end_ns: 0,
            alarm_ns: 0,
            rest_until_ns: 0,
        }
    }

    /// Adds the first thread.
    pub fn begin(&mut self, number: u32) {
        self.all.push(Thread::new(number));
        self.last_number = number;
    }

    /// Gives the first thread its number, that of the process, in a new instance: of those that no
    /// other thread has the one at the place `wanted`, so that two instances have two.
    pub fn adopt(&mut self, wanted: u32) -> u32 {
        let others = self.all.get(1..).unwrap_or_default();
        let up_to = |number| others.iter().filter(|thread| thread.number <= number).count() as u32;
        let mut number = wanted;
        while number != wanted + up_to(number) {
            number = wanted + up_to(number);
        }
        if let Some(first) = self.all.first_mut() {
            first.number = number;
            if first.former == 0 {
                first.former = number;
            }
        }
        self.last_number = self.all.iter().map(|thread| thread.number).max().unwrap_or(number);
        number
    }

    /// Whether one waits for the input.
    #[must_use]
    pub fn wait_for_input(&self) -> bool {
        self.all.iter().any(Thread::waits_for_input)
    }

    /// The thread that runs.
    ///
    /// # Panics
    /// Never: a program has a thread until it has ended.
    #[must_use]
    #[inline]
    pub fn running(&mut self) -> &mut Thread {
        &mut self.all[self.current]
    }

    /// The number of a thread that is to be made.
    pub fn next_number(&mut self) -> u32 {
        self.last_number += 1;
        self.last_number
    }

    /// The turn of a wait that begins.
    pub fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// The thread of this number, or which had it when the program was frozen: C libraries note
    /// the number of a thread when it begins.
    pub fn find(&mut self, number: u32) -> Option<&mut Thread> {
        let at = self.all.iter().position(|thread| thread.number == number);
        let at = at.or_else(|| self.all.iter().position(|thread| thread.is(number)))?;
        self.all.get_mut(at)
    }

    /// Lets those look again that wait for files, behind a call about files. One that waits itself
    /// changed nothing: two of them would wake each other for ever.
    #[inline]
    pub fn files_used(&mut self, waits: bool) {
        if self.all.len() > 1 && !waits {
            for thread in &mut self.all {
                if matches!(thread.state, State::Waiting(Wait { on: On::Files | On::Input, .. })) {
                    thread.state = State::Again;
                }
            }
        }
    }

    /// Whether another thread could run.
    #[must_use]
    pub fn others_ready(&self) -> bool {
        let others = self.all.iter().enumerate().filter(|(at, _)| *at != self.current);
        others.into_iter().any(|(_, thread)| !matches!(thread.state, State::Waiting(_)))
    }

    /// The first time at which a waiting thread gives up.
    #[must_use]
    pub fn first_end(&self) -> Option<u64> {
        let ends = self.all.iter().filter_map(|thread| match thread.state {
            State::Waiting(wait) => wait.until_ns,
            State::Ready | State::Again => None,
        });
        ends.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_found_by_its_number_before_the_freeze_and_behind_it() {
        let mut threads = Threads::new();
        threads.begin(0);
        assert_eq!(threads.adopt(2), 2);
        for _ in 0..2 {
            let number = threads.next_number();
            threads.all.push(Thread::new(number));
        }
        // 3 and 4 are taken by threads that were there.
        assert_eq!(threads.adopt(3), 5);
        let place = |threads: &mut Threads, number| {
            threads.find(number).map(|thread| (thread.number, thread.former))
        };
        assert_eq!(place(&mut threads, 5), Some((5, 2)));
        assert_eq!(place(&mut threads, 2), Some((5, 2)));
        assert_eq!(place(&mut threads, 3), Some((3, 3)));
        assert_eq!(place(&mut threads, 6), None);
        assert_eq!(threads.next_number(), 6);
    }

    #[test]
    fn each_instance_of_a_process_with_threads_has_a_number_of_its_own() {
        let mut threads = Threads::new();
        threads.begin(2);
        for number in [3, 4, 5, 9] {
            threads.all.push(Thread::new(number));
        }
        let numbers = [2, 3, 4, 5, 6, 7, 8, 9].map(|wanted| threads.adopt(wanted));
        assert_eq!(numbers, [2, 6, 7, 8, 10, 11, 12, 13]);
    }

    #[test]
    fn who_waits_is_not_woken_by_who_waits() {
        let mut threads = Threads::new();
        threads.begin(1);
        threads.all.push(Thread::new(2));
        let wait = Wait { on: On::Files, until_ns: None };
        threads.all[1].state = State::Waiting(wait);
        threads.files_used(true);
        assert_eq!(threads.all[1].state, State::Waiting(wait));
        threads.files_used(false);
        assert_eq!(threads.all[1].state, State::Again);
    }
}
