//! The library OS as one value: what it holds, and its two ways in.
#![forbid(unsafe_code)]

use crate::file::side::FileSide;
use crate::frame::Frame;
use crate::identity::Identity;
use crate::memory::Space;
use crate::native::{Extended, Native};
use crate::outcome::{Break, Served};
use crate::report::{Ending, STATUS_NOT_RUNNABLE, Unsupported};
use crate::signal::fault::Exception;
use crate::signal::{Info, Signals};
use crate::socket::Sockets;
use crate::socket::answer::Unanswered;
use crate::thread::{On, State, Threads};
use crate::timers::Timers;

/// Everything the library OS knows of the program.
#[derive(Debug)]
pub struct Os<N> {
    /// The kernel's calls.
    pub native: N,
    /// Something besides an answer is due before the program goes on: a signal, another thread.
    pub attention: bool,
    /// The processor holds the running thread's registers.
    pub(crate) is_loaded: bool,
    /// Its memory.
    pub space: Space,
    /// Its threads.
    pub threads: Threads,
    /// Its signals.
    pub signals: Signals,
    /// Its timers.
    pub timers: Timers,
    /// Its files.
    pub files: FileSide,
    /// Its sockets.
    pub sockets: Sockets,
    /// Who it is.
    pub identity: Identity,
    /// What it called in vain.
    pub unsupported: Unsupported,
    /// It runs so that instances can be made of it.
    pub(crate) is_preparing: bool,
    /// The exception that the next handler is told of.
    pub(crate) trap: Exception,
    /// Where extended registers are put for the length of a call.
    pub(crate) scratch: Extended,
}

/// What the entry code does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Lets the program go on with the frame.
    Program,
    /// Ends the invocation with this status.
    Exit(u32),
}

impl<N: Native> Os<N> {
    /// A library OS without a program.
    #[must_use]
    pub const fn new(native: N) -> Self {
        Self {
            native,
            attention: false,
            is_loaded: true,
            space: Space::new(),
            threads: Threads::new(),
            signals: Signals::new(),
            timers: Timers::new(),
            files: FileSide::new(),
            sockets: Sockets::new(),
            identity: Identity::new(),
            unsupported: Unsupported::new(),
            is_preparing: false,
            trap: Exception { vector: 0, error: 0, address: 0 },
            scratch: Extended::empty(),
        }
    }

    /// The program made a system call; `frame` is what it left in the registers.
    #[inline]
    pub fn system_call(&mut self, frame: &mut Frame) -> Next {
        match self.serve(frame) {
            Ok(value) if !self.attention => {
                frame.rax = value;
                Next::Program
            }
            Err(Break::Errno(errno)) if !self.attention => {
                frame.rax = errno.to_result().cast_unsigned();
                Next::Program
            }
            served => self.settle(frame, served),
        }
    }

    /// The program raised an exception that the kernel has no remedy for.
    pub fn exception(&mut self, frame: &mut Frame, exception: Exception) -> Next {
        let info = crate::signal::fault::signal(&exception, frame.rip, &self.space.regions);
        self.trap = exception;
        match self.force(info) {
            Ok(()) => self.settle(frame, Err(Break::Resumed)),
            Err(reason) => self.settle(frame, Err(reason)),
        }
    }

    /// An alarm went off. With `frame` the program goes on, or another thread of it.
    pub fn alarm(&mut self, frame: &mut Frame) -> Next {
        self.threads.alarm_ns = 0;
        self.settle(frame, Err(Break::Resumed))
    }

    /// Makes what a call or an upcall came to true: answers it, lets others run, delivers signals.
    #[cold]
    fn settle(&mut self, frame: &mut Frame, served: Served) -> Next {
        let mut served = served;
        loop {
            match self.settle_once(frame, served) {
                Ok(None) => break,
                Ok(Some(again)) => served = again,
                Err(reason) => return Next::Exit(self.end(&reason, frame)),
            }
        }
        self.attention = false;
        self.arm();
        Next::Program
    }

    /// One round: `Some` if the thread that runs now has to make its call again.
    fn settle_once(&mut self, frame: &mut Frame, served: Served) -> Result<Option<Served>, Break> {
        match served {
            Ok(value) => frame.rax = value,
            Err(Break::Errno(errno)) => frame.rax = errno.to_result().cast_unsigned(),
            Err(Break::Resumed) => {}
            Err(Break::Wait(wait)) => {
                if wait.on == On::Input {
                    self.expect_rest();
                }
                let thread = self.threads.running();
                thread.state = State::Waiting(wait);
                thread.until_ns = wait.until_ns;
            }
            Err(Break::Yield) => {
                frame.rax = 0;
                self.next_thread(frame)?;
            }
            Err(Break::ThreadEnded) => {
                let current = self.threads.current;
                self.threads.all.remove(current);
                self.threads.current = current.saturating_sub(1);
                self.is_loaded = false;
            }
            Err(reason) => return Err(reason),
        }
        self.take_turns(frame)?;
        let thread = self.threads.running();
        let interrupted = core::mem::take(&mut thread.interrupted);
        let again = thread.state == State::Again;
        thread.state = State::Ready;
        if !again {
            thread.until_ns = None;
            thread.gives_up_ns = None;
            self.deliver(frame, None)?;
            return Ok(None);
        }
        if interrupted && self.deliver(frame, Some(frame.rax))? {
            let thread = self.threads.running();
            thread.until_ns = None;
            thread.gives_up_ns = None;
            return Ok(None);
        }
        Ok(Some(self.serve(frame)))
    }

    /// Lets another thread run if the one that did cannot, or has had its time.
    fn take_turns(&mut self, frame: &mut Frame) -> Result<(), Break> {
        self.check_answer()?;
        if !self.is_loaded || matches!(self.threads.running().state, State::Waiting(_)) {
            return self.next_thread(frame);
        }
        if self.threads.all.len() > 1 || !self.timers.is_empty() {
            let now = self.native.now_ns();
            self.threads.running().frame = *frame;
            self.wake_by_time(now);
            self.wake_by_signal();
            self.check_rest(now)?;
            if self.threads.slice_end_ns <= now && self.threads.others_ready() {
                return self.next_thread(frame);
            }
        }
        Ok(())
    }

    /// Tells the kernel how the program ended: the exit status of the invocation.
    fn end(&mut self, reason: &Break, frame: &Frame) -> u32 {
        let ending = match *reason {
            Break::Exit(0) | Break::Answered if self.is_warming() => {
                let is_over = *reason == Break::Exit(0);
                self.refuse_warming(if is_over { "ended it" } else { "keeps it busy" });
                return STATUS_NOT_RUNNABLE;
            }
            Break::Exit(0) if self.is_serving() => Ending::Answer(self.answer(Unanswered::Ended)),
            Break::Answered => Ending::Answer(self.answer(Unanswered::Waits)),
            Break::Deadlock if self.is_serving() => Ending::Answer(self.answer(Unanswered::Waits)),
            Break::Exit(status) => Ending::Exit(status),
            Break::Killed(info) => Ending::Signal(info),
            Break::Refused => return STATUS_NOT_RUNNABLE,
            _ => Ending::Deadlock,
        };
        self.report_ending(&ending, frame)
    }

    /// A signal of the process itself, for whatever reason there is one.
    pub(crate) fn raise(&mut self, info: Info) {
        if !self.signals.is_ignored(info.signal) {
            // The old signals always find a place, and only those are raised so.
            let _ = self.signals.pending.add(info);
            self.attention = true;
        }
    }
}
