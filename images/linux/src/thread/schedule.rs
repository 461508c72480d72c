//! Whose turn it is.
#![forbid(unsafe_code)]

use super::{On, State, Wait};
use crate::Errno;
use crate::frame::Frame;
use crate::limits::SLICE_NS;
use crate::native::{Extended, Native};
use crate::os::Os;
use crate::outcome::Break;
use crate::socket::answer::Unanswered;

impl<N: Native> Os<N> {
    /// Lets the next thread that can run do so, waiting for one if need be.
    ///
    /// # Errors
    /// [`Break::Deadlock`] if none ever could, [`Break::Answered`] if none has to.
    pub(crate) fn next_thread(&mut self, frame: &mut Frame) -> Result<(), Break> {
        if self.is_loaded {
            self.threads.running().frame = *frame;
        }
        loop {
            let now = self.native.now_ns();
            self.wake_by_time(now);
            self.wake_by_signal();
            self.check_rest(now)?;
            if let Some(next) = self.first_ready() {
                self.switch(frame, next);
                self.threads.slice_end_ns = now + SLICE_NS;
                return Ok(());
            }
            if self.threads.wait_for_input() {
                self.freeze()?;
                continue;
            }
            if self.sockets.exchange.end().is_some() {
                if self.is_warming() {
                    self.end_warming(Unanswered::Waits)?;
                    continue;
                }
                return Err(Break::Answered);
            }
            let until = self.threads.first_end().into_iter().chain(self.timers.first()).min();
            match until {
                Some(until) => {
                    self.let_out();
                    self.native.sleep(until);
                }
                None if self.is_warming() => self.end_warming(Unanswered::Waits)?,
                None => return Err(Break::Deadlock),
            }
        }
    }

    /// The first thread that can run, beginning behind the one that ran last.
    fn first_ready(&self) -> Option<usize> {
        let count = self.threads.all.len();
        (1..=count)
            .map(|step| (self.threads.current + step) % count)
            .find(|at| !matches!(self.threads.all[*at].state, State::Waiting(_)))
    }

    /// Ends the waits whose time is over, and sends the signals of timers.
    pub(crate) fn wake_by_time(&mut self, now: u64) {
        self.fire_timers(now);
        for thread in &mut self.threads.all {
            let State::Waiting(Wait { on, until_ns: Some(until) }) = thread.state else { continue };
            if until > now {
                continue;
            }
            match on {
                On::Files | On::Input => thread.state = State::Again,
                On::Futex { .. } => end(thread, Err(Errno::ETIMEDOUT)),
                On::Time => end(thread, Ok(0)),
                On::Signal(_) => end(thread, Err(Errno::EAGAIN)),
            }
        }
    }

    /// Ends the waits of threads for which a signal has come.
    pub(crate) fn wake_by_signal(&mut self) {
        for at in 0..self.threads.all.len() {
            let thread = &self.threads.all[at];
            let State::Waiting(wait) = thread.state else { continue };
            let pending = thread.pending.set().with(self.signals.pending.set());
            if let On::Signal(wanted) = wait.on
                && pending.0 & wanted.0 != 0
            {
                self.threads.all[at].state = State::Again;
            } else if pending.0 & !thread.mask.0 != 0 {
                self.threads.all[at].state = State::Again;
                self.threads.all[at].interrupted = true;
            }
        }
    }

    /// Loads the registers of a thread, and puts aside what the processor holds of another.
    fn switch(&mut self, frame: &mut Frame, next: usize) {
        let current = self.threads.current;
        *frame = self.threads.all[next].frame;
        if self.is_loaded && current == next {
            return;
        }
        if self.is_loaded {
            let thread = &mut self.threads.all[current];
            thread.pointer = self.native.thread_pointer();
            if thread.extended.is_empty() {
                thread.extended = Extended::zeroed(self.native.extended_len());
            }
            self.native.save_extended(&mut thread.extended);
        }
        let thread = &self.threads.all[next];
        self.native.set_thread_pointer(thread.pointer);
        self.native.load_extended(&thread.extended);
        self.threads.current = next;
        self.is_loaded = true;
    }

    /// Asks for an alarm where a thread that does not wait must be interrupted.
    pub(crate) fn arm(&mut self) {
        let slice = self.threads.others_ready().then_some(self.threads.slice_end_ns);
        let rest = Some(self.threads.rest_until_ns);
        let rest = rest.filter(|rest| *rest != 0 && self.threads.wait_for_input());
        let wanted = slice.into_iter().chain(self.threads.first_end()).chain(self.timers.first());
        let wanted = wanted.chain(rest).chain(self.sockets.exchange.runs_until_ns);
        let Some(at) = wanted.min() else { return };
        if self.threads.alarm_ns == 0 || at < self.threads.alarm_ns {
            self.threads.alarm_ns = at.max(1);
            self.native.alarm(self.threads.alarm_ns);
        }
    }
}

fn end(thread: &mut super::Thread, result: Result<u64, Errno>) {
    thread.state = State::Ready;
    thread.frame.rax = match result {
        Ok(value) => value,
        Err(errno) => errno.to_result().cast_unsigned(),
    };
}
