//! One instance from its first instruction to its end: what is done each time it comes back to the
//! kernel.
#![forbid(unsafe_code)]

use alloc::sync::Arc;

use action_abi::CallError;
use action_abi::host::{Moment, UPCALL_ALARM};

use super::leaving::Leaving;
use crate::arch::interrupt::{self, Arrived};
use crate::arch::user::{Stop, UserContext};
use crate::arch::{clock, machine_check};
use memory::{Access, Refusal, Template};
use node::call::{self, After, Instance, Request};
use node::dispatch::{End, Exception, Fault, Usage};
use node::mitigation::Since;
use node::trace::{self, Event};

const PAGE_FAULT: u64 = 14;

/// What a worker does when its action was interrupted, at a time of [`clock::now_ns`]'s scale: on a
/// core that also serves the network, that.
pub type OnInterrupt<'a> = &'a mut dyn FnMut(Arrived, u64) -> Resume;

/// How an action goes on that was interrupted, in times of the same scale. Two words, so that they
/// come back in registers.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// When it does. What lies between is not the action's time.
    pub at_ns: u64,
    /// When to interrupt it again at the latest, or [`NEVER`].
    pub again_ns: u64,
}

/// Later than any deadline.
pub const NEVER: u64 = u64::MAX;

/// What a core does that has nothing else to do.
pub fn go_on(_: Arrived, interrupted_ns: u64) -> Resume {
    Resume { at_ns: interrupted_ns, again_ns: NEVER }
}

/// The time of an action that runs.
pub struct Budget {
    /// When it ends.
    pub deadline_ns: u64,
    /// What others took of the core meanwhile; the deadline is as much later.
    pub lost_ns: u64,
    /// When the network wants the core at the latest.
    pub again_ns: u64,
}

impl Budget {
    /// Does what an interrupt is for.
    fn interrupt(&mut self, interrupted_ns: u64, on_interrupt: &mut OnInterrupt) {
        let resume = on_interrupt(Arrived::take(), interrupted_ns);
        let lost_ns = resume.at_ns.saturating_sub(interrupted_ns);
        self.lost_ns += lost_ns;
        self.deadline_ns += lost_ns;
        self.again_ns = resume.again_ns;
    }
}

/// An instance that runs.
pub struct Run<'a> {
    instance: &'a mut Instance,
    user: &'a mut UserContext,
    usage: &'a mut Usage,
    /// What ran on this core since the action last did.
    since: Since,
    budget: &'a mut Budget,
    /// The page that was provided last, for which instruction; nothing once something else happened
    /// that can have changed what may be done there.
    last_page: Option<(u64, Access, u64)>,
    frozen: Option<Arc<Template>>,
    /// If its result leaves piece by piece.
    leaving: Option<Leaving<'a>>,
}

impl<'a> Run<'a> {
    pub fn new(
        instance: &'a mut Instance,
        user: &'a mut UserContext,
        since: Since,
        usage: &'a mut Usage,
        budget: &'a mut Budget,
    ) -> Self {
        Self { instance, user, usage, since, budget, last_page: None, frozen: None, leaving: None }
    }

    /// Runs the action until it ends, in whatever way. Returns the template, if that is its end.
    pub fn execute(
        mut self,
        started_ns: u64,
        leaving: Option<Leaving<'a>>,
        mut on_interrupt: OnInterrupt,
    ) -> (End, Option<Arc<Template>>) {
        self.leaving = leaving;
        // Before the first instruction, too: on a core that serves the network this arms the card.
        self.budget.interrupt(started_ns, &mut on_interrupt);
        self.arm();
        let end = loop {
            let stop = self.user.run(&mut self.instance.space, self.since);
            self.since = Since::Instance;
            let end = match stop {
                Stop::Call { number, arguments } => self.call(number, arguments, &mut on_interrupt),
                Stop::PageFault { address, access } => self.page_fault(address, access),
                Stop::Exception { vector } => self.exception(vector),
                Stop::Interrupt => self.interrupt(&mut on_interrupt),
            };
            if let Some(end) = end {
                break end;
            }
        };
        clock::clear_alarm();
        if let End::Fault(_) = end {
            trace::record(Event::Fault, self.user.instruction());
        }
        (end, self.frozen)
    }

    /// Sets the timer for whoever wants the core first.
    fn arm(&self) {
        let at_ns = self.budget.again_ns.min(self.budget.deadline_ns);
        clock::set_alarm(self.alarm_ns().map_or(at_ns, |alarm_ns| alarm_ns.min(at_ns)));
    }

    fn alarm_ns(&self) -> Option<u64> {
        self.instance.host.as_ref().map(|host| host.alarm_ns).filter(|at_ns| *at_ns > 0)
    }

    fn call(
        &mut self,
        number: u64,
        arguments: [u64; 4],
        on_interrupt: &mut OnInterrupt,
    ) -> Option<End> {
        trace::record(Event::Call, number);
        // An endless loop may count beyond, within minutes.
        self.usage.calls = self.usage.calls.saturating_add(1);
        self.last_page = None;
        match call::serve(self.instance, number, arguments) {
            After::Resume(result) => self.user.set_result(result),
            After::End(end) => return Some(end),
            After::Flush { len } => return self.flush(len, on_interrupt),
            After::Machine(request) => return self.machine(request, on_interrupt),
        }
        None
    }

    /// Lets so much of the result go.
    #[cold]
    fn flush(&mut self, len: u64, on_interrupt: &mut OnInterrupt) -> Option<End> {
        let mut end = None;
        let mut left_len = 0;
        if let Some(leaving) = &mut self.leaving {
            leaving.ready_len = leaving.ready_len.max(len);
            let has_left = leaving.go_on(&mut self.instance.space);
            left_len = leaving.left_len;
            // Nobody else takes it.
            if has_left && leaving.is_on_front() {
                end = self.interrupt(on_interrupt);
            }
        }
        self.user.set_result(left_len);
        end.or_else(|| self.abandoned())
    }

    /// The end, if the client has left that the result was on the way to.
    fn abandoned(&self) -> Option<End> {
        let is_abandoned = self.leaving.as_ref().is_some_and(Leaving::is_abandoned);
        is_abandoned.then_some(End::Fault(Fault::Abandoned))
    }

    /// Does what a host image asked its core for.
    #[cold]
    fn machine(&mut self, request: Request, on_interrupt: &mut OnInterrupt) -> Option<End> {
        let Some(host) = &mut self.instance.host else {
            self.user.set_result(CallError::UnknownCall.to_result());
            return None;
        };
        match request {
            Request::Reflect(reflection) => {
                host.reflection = reflection;
                if reflection.code.len == 0 {
                    host.alarm_ns = 0;
                }
                self.user.reflect(&reflection);
            }
            Request::ThreadPointer(base) => self.user.set_thread_pointer(base),
            Request::Alarm(at_ns) => {
                host.alarm_ns = at_ns;
                self.arm();
            }
            Request::Sleep(until_ns) => {
                if let Some(end) = self.sleep(until_ns, on_interrupt) {
                    return Some(end);
                }
            }
            Request::Freeze { at } => return Some(self.freeze(at)),
        }
        self.user.set_result(0);
        None
    }

    fn freeze(&mut self, at: Moment) -> End {
        let Instance { space, host, written, limits, .. } = &mut *self.instance;
        let reflection = host.as_ref().map(|host| host.reflection).unwrap_or_default();
        let processor = self.user.freeze(&reflection, *written, at).map_err(Refusal::from);
        match processor.and_then(|processor| space.freeze(processor)) {
            Ok(mut template) => {
                let reports = host.as_mut().and_then(|host| host.reports.as_mut());
                if let Some(reports) = reports {
                    template.set_entropy(core::mem::take(&mut reports.entropy));
                }
                self.frozen = Some(Arc::new(template));
                End::Frozen { at }
            }
            Err(_) => End::Fault(Fault::Memory { memory_mb: limits.memory_mb, address: 0 }),
        }
    }

    /// Waits. The core belongs to the invocation; serving the network goes on where it does so.
    fn sleep(&mut self, until_ns: u64, on_interrupt: &mut OnInterrupt) -> Option<End> {
        let alarm_ns = self.alarm_ns().unwrap_or(u64::MAX);
        loop {
            let now_ns = clock::now_ns();
            let until_ns = until_ns.min(alarm_ns).min(self.budget.deadline_ns);
            if now_ns >= until_ns {
                break;
            }
            self.budget.interrupt(now_ns, on_interrupt);
            if let Some(leaving) = &mut self.leaving
                && leaving.go_on(&mut self.instance.space)
                && leaving.is_on_front()
            {
                continue;
            }
            if let Some(end) = self.abandoned() {
                return Some(end);
            }
            clock::set_alarm(self.budget.again_ns.min(until_ns));
            interrupt::halt();
        }
        self.interrupt(on_interrupt)
    }

    fn page_fault(&mut self, address: u64, access: Access) -> Option<End> {
        trace::record(Event::Page, address);
        self.usage.page_faults = self.usage.page_faults.saturating_add(1);
        let instruction = self.user.instruction();
        let page = Some((address, access, instruction));
        let refusal = match self.instance.space.resolve(address, access) {
            // Providing the page did not help: the access is refused for another reason.
            Ok(()) if page == self.last_page => Refusal::NotAllowed,
            Ok(()) => {
                self.last_page = page;
                return None;
            }
            Err(refusal) => refusal,
        };
        let memory_mb = self.instance.limits.memory_mb;
        let fault = match refusal {
            // The limit is the kernel's business, not the image's.
            Refusal::OutOfMemory => {
                return Some(End::Fault(Fault::Memory { memory_mb, address }));
            }
            Refusal::StackOverflow => Fault::StackOverflow { address, instruction },
            _ => Fault::Page { access, address, instruction },
        };
        self.deliver_or_end(PAGE_FAULT, address, fault)
    }

    fn exception(&mut self, vector: u8) -> Option<End> {
        let exception = Exception::from_vector(vector).unwrap_or(Exception::GeneralProtection);
        let instruction = self.user.instruction();
        let fault = Fault::Exception { exception, instruction };
        self.deliver_or_end(u64::from(vector), 0, fault)
    }

    /// Lets the image handle an exception of code that it hosts, or ends the invocation.
    fn deliver_or_end(&mut self, vector: u64, address: u64, fault: Fault) -> Option<End> {
        let is_wanted = self.instance.host.as_ref().is_some_and(|host| host.wants(vector));
        if is_wanted && self.deliver(vector, address) { None } else { Some(End::Fault(fault)) }
    }

    /// Continues at the image's handler. Returns false if that cannot be.
    #[cold]
    fn deliver(&mut self, vector: u64, address: u64) -> bool {
        let Instance { space, host: Some(host), .. } = &mut *self.instance else { return false };
        if host.is_own_code(self.user.instruction()) {
            return false;
        }
        let reflection = host.reflection;
        let frame = self.user.upcall_frame(vector, address).to_bytes_after_alarm();
        if space.write(reflection.frame + size_of::<u64>() as u64, &frame).is_err() {
            return false;
        }
        self.last_page = None;
        self.user.enter_handler(reflection.exception_handler, reflection.frame);
        true
    }

    fn interrupt(&mut self, on_interrupt: &mut OnInterrupt) -> Option<End> {
        self.since = Since::Others;
        let now_ns = clock::now_ns();
        if now_ns >= self.budget.deadline_ns {
            let Instance { host, limits, .. } = &*self.instance;
            let instruction = host.is_none().then(|| self.user.instruction());
            let fault = Fault::Deadline { timeout_ms: limits.timeout_ms, instruction };
            return Some(End::Fault(fault));
        }
        machine_check::poll(now_ns);
        self.budget.interrupt(now_ns, on_interrupt);
        if let Some(leaving) = &mut self.leaving {
            leaving.go_on(&mut self.instance.space);
        }
        if let Some(end) = self.abandoned() {
            return Some(end);
        }
        let end = self.alarm_ns().filter(|at_ns| *at_ns <= now_ns).and_then(|_| self.alarm());
        self.arm();
        end
    }

    /// The alarm is due: an upcall, or a note of it for the image itself.
    #[cold]
    fn alarm(&mut self) -> Option<End> {
        let host = self.instance.host.as_mut()?;
        host.alarm_ns = 0;
        let frame = host.reflection.frame;
        let instruction = self.user.instruction();
        let is_told = if host.is_own_code(instruction) {
            self.instance.space.write(frame, &1_u64.to_le_bytes()).is_ok()
        } else {
            self.deliver(UPCALL_ALARM, 0)
        };
        let fault = Fault::Page { access: Access::Write, address: frame, instruction };
        if is_told { None } else { Some(End::Fault(fault)) }
    }
}
