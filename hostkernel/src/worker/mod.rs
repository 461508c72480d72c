//! A core that runs invocations: take one, run it to completion, hand in its end, sleep.
//!
//! [`Worker::run`] is one invocation from its reservation to its outcome, on one page. The kernel
//! gets the core back in between only when the action asks for something, breaks a rule or is
//! interrupted; it then goes on with the same action or ends it, never with another.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use crate::arch::interrupt::{self, Arrived};
use crate::arch::user::{Stop, UserContext};
use crate::arch::{clock, machine_check};
use crate::crash;
use crate::entropy;
use memory::core_area;
use memory::{AddressSpace, PageBuffer, Refusal, Reservation, Skeleton, frames};
use node::call::{self, After, Instance};
use node::dispatch::{
    Completion, Dispatcher, End, Exception, Fault, Invocation, Log, Patience, Timing, Usage,
};
use node::mitigation::Since;
use node::random::Random;
use node::registry::Limits;
use node::registry::{Namespace, frames_to_run};
use node::trace::{self, Event};

const NS_PER_MS: u64 = 1_000_000;

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
struct Budget {
    /// When it ends.
    deadline_ns: u64,
    /// What others took of the core meanwhile; the deadline is as much later.
    lost_ns: u64,
}

impl Budget {
    /// Does what an interrupt is for, and sets the core's alarm.
    fn interrupt(&mut self, interrupted_ns: u64, on_interrupt: &mut OnInterrupt) {
        let resume = on_interrupt(Arrived::take(), interrupted_ns);
        let lost_ns = resume.at_ns.saturating_sub(interrupted_ns);
        self.lost_ns += lost_ns;
        self.deadline_ns += lost_ns;
        clock::set_alarm(resume.again_ns.min(self.deadline_ns));
    }
}

/// The worker of one core.
pub struct Worker {
    core: usize,
    random: Random,
    /// Whose invocation ran here last.
    tenant: Option<Namespace>,
    /// Page tables of the last instance, for the next.
    skeleton: Skeleton,
}

impl Worker {
    /// The worker of the calling core.
    #[must_use]
    pub fn new() -> Self {
        Self {
            core: core_area::core_id(),
            random: entropy::generator(),
            tenant: None,
            skeleton: Skeleton::new().unwrap_or_default(),
        }
    }

    /// Takes and runs invocations forever.
    pub fn serve(&mut self, dispatcher: &Dispatcher, mut patience: Patience) -> ! {
        loop {
            while self.step(dispatcher, &mut go_on) {}
            let is_wanted = || dispatcher.has_work();
            if frames::zero_ahead(is_wanted) || patience.look(clock::now_ns, is_wanted) {
                continue;
            }
            let slept_ns = clock::now_ns();
            dispatcher.idle(self.core).begin(slept_ns);
            dispatcher.sleep_worker(self.core, interrupt::halt);
            let _woken = Arrived::take();
            let woken_ns = clock::now_ns();
            dispatcher.idle(self.core).end(woken_ns);
            machine_check::poll(woken_ns);
            patience.waited(woken_ns.saturating_sub(slept_ns));
        }
    }

    /// Runs one invocation, if there is one. Returns whether there was.
    pub fn step(&mut self, dispatcher: &Dispatcher, on_interrupt: OnInterrupt) -> bool {
        let Some(invocation) = dispatcher.take(self.core) else { return false };
        let completion = self.run(invocation, on_interrupt);
        dispatcher.complete(self.core, completion);
        true
    }

    /// Runs one invocation.
    pub fn run(&mut self, invocation: Invocation, on_interrupt: OnInterrupt) -> Completion {
        trace::record(Event::Start, invocation.id.0 as u64);
        let taken_ns = clock::now_ns();
        let mut completion = Completion {
            id: invocation.id,
            ticket: invocation.ticket,
            end: End::NotStarted,
            output: PageBuffer::new(),
            log: Log::default(),
            timing: Timing {
                queue_ns: taken_ns.saturating_sub(invocation.admitted_ns),
                ..Timing::default()
            },
            permit: invocation.permit,
            usage: Usage { core: self.core as u32, ..Usage::default() },
        };
        let pages = frames_to_run(invocation.limits.memory_mb);
        let Ok(reservation) = Reservation::new(pages - self.skeleton.frames()) else {
            return completion;
        };
        let tenant = completion.permit.namespace();
        // With the same tenant as before the front and other kernel code ran meanwhile.
        let mut since = Since::Others;
        if self.tenant.as_ref() != Some(tenant) {
            self.tenant = Some(tenant.clone());
            since = Since::Tenant;
        }
        crash::set_running(invocation.id.0);
        let Invocation { template, limits, input, environment, .. } = invocation;
        let entry = template.entry();
        let skeleton = core::mem::take(&mut self.skeleton);
        let mut instance = Instance {
            space: AddressSpace::empty(template, input, reservation, skeleton),
            log: Log::default(),
            limits,
            clock: || clock::wall_ns().unwrap_or(0),
            written: 0,
            output: PageBuffer::new(),
        };
        match self.load(&mut instance.space, limits, environment) {
            Ok(start_cycles) => {
                let argument = instance.space.context_address();
                let stack = instance.space.stack_range();
                let mut user = UserContext::new(entry, stack.address + stack.len, argument);
                trace::record(Event::Enter, entry);
                let started_ns = clock::to_ns(start_cycles);
                let deadline_ns = started_ns + limits.timeout_ms * NS_PER_MS;
                let mut budget = Budget { deadline_ns, lost_ns: 0 };
                completion.timing.started_ns = started_ns;
                completion.timing.load_ns = started_ns - taken_ns;
                let usage = &mut completion.usage;
                completion.end = execute(
                    &mut instance,
                    &mut user,
                    since,
                    usage,
                    started_ns,
                    &mut budget,
                    on_interrupt,
                );
                let end_cycles = clock::cycles();
                let passed_ns = clock::to_ns(end_cycles) - started_ns;
                completion.timing.run_ns = passed_ns;
                usage.cycles = end_cycles - start_cycles;
                if budget.lost_ns > 0 {
                    let lost_cycles = clock::to_cycles(budget.lost_ns);
                    completion.timing.run_ns = passed_ns.saturating_sub(budget.lost_ns);
                    usage.cycles = usage.cycles.saturating_sub(lost_cycles);
                }
                usage.frames = (pages - instance.space.frames_left()) as u32;
                usage.frames_peak = (pages - instance.space.frames_left_min()) as u32;
                usage.pages_touched = instance.space.pages() as u32;
                completion.output = core::mem::take(&mut instance.output);
                completion.log = core::mem::take(&mut instance.log);
            }
            Err(_) => {
                let fault = Fault::Memory { memory_mb: limits.memory_mb, address: 0 };
                completion.end = End::Fault(fault);
            }
        }
        self.skeleton = instance.space.end();
        crash::set_running(0);
        completion
    }

    /// Puts into an address space what is there when the action starts. Returns the cycles from
    /// which the invocation's run time counts, which is what its context says.
    fn load(
        &mut self,
        space: &mut AddressSpace,
        limits: Limits,
        mut environment: Vec<u8>,
    ) -> Result<u64, Refusal> {
        let heap_len = limits.memory_mb << 20;
        space.lay_out(heap_len)?;
        space.set_kernel_entry(core_area::kernel_entry());
        let start_cycles = clock::cycles();
        let start_ns = clock::to_ns(start_cycles);
        let start_wall_ns = clock::wall_ns_at(start_ns);
        if let Some(now_ns) = start_wall_ns {
            let deadline_ms = now_ns / NS_PER_MS + limits.timeout_ms;
            let digits = &mut itoa::Buffer::new();
            let pieces = ["__OW_DEADLINE=", digits.format(deadline_ms), "\0"];
            let len = pieces.iter().map(|piece| piece.len()).sum();
            environment.try_reserve(len).map_err(|_| Refusal::OutOfMemory)?;
            pieces.iter().for_each(|piece| environment.extend_from_slice(piece.as_bytes()));
        }
        let context = action_abi::Context {
            version: action_abi::ABI_VERSION,
            len: size_of::<action_abi::Context>() as u32,
            input: space.input_range(),
            output: space.output_range(),
            environment: action_abi::Range {
                address: space.context_address() + size_of::<action_abi::Context>() as u64,
                len: environment.len() as u64,
            },
            heap: space.heap_range(),
            stack: space.stack_range(),
            memory_limit: heap_len,
            deadline_ns: start_ns + limits.timeout_ms * NS_PER_MS,
            clock: action_abi::Clock {
                start_cycles,
                start_ns,
                scale: clock::scale(),
                start_wall_ns: start_wall_ns.unwrap_or(0),
            },
            random_seed: self.random.seed(),
        };
        space.place_context(&context.to_bytes(), &environment)?;
        Ok(start_cycles)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs the action until it ends, in whatever way.
fn execute(
    instance: &mut Instance,
    user: &mut UserContext,
    mut since: Since,
    usage: &mut Usage,
    started_ns: u64,
    budget: &mut Budget,
    mut on_interrupt: OnInterrupt,
) -> End {
    // Before the first instruction, too: on a core that serves the network this arms the card.
    budget.interrupt(started_ns, &mut on_interrupt);
    let mut last_page = None;
    let end = loop {
        let stop = user.run(&mut instance.space, since);
        since = Since::Instance;
        match stop {
            Stop::Call { number, arguments } => {
                trace::record(Event::Call, number);
                // An endless loop may count beyond, within minutes.
                usage.calls = usage.calls.saturating_add(1);
                match call::serve(instance, number, arguments) {
                    After::Resume(result) => user.set_result(result),
                    After::End(end) => break end,
                }
            }
            Stop::PageFault { address, access } => {
                trace::record(Event::Page, address);
                usage.page_faults = usage.page_faults.saturating_add(1);
                let instruction = user.instruction();
                let page = Some((address, access, instruction));
                let refusal = match instance.space.resolve(address, access) {
                    // Providing the page did not help: the access is refused for another reason.
                    Ok(()) if page == last_page => Refusal::NotAllowed,
                    Ok(()) => {
                        last_page = page;
                        continue;
                    }
                    Err(refusal) => refusal,
                };
                break End::Fault(match refusal {
                    Refusal::OutOfMemory => {
                        Fault::Memory { memory_mb: instance.limits.memory_mb, address }
                    }
                    Refusal::StackOverflow => Fault::StackOverflow { address, instruction },
                    _ => Fault::Page { access, address, instruction },
                });
            }
            Stop::Exception { vector } => {
                let exception =
                    Exception::from_vector(vector).unwrap_or(Exception::GeneralProtection);
                break End::Fault(Fault::Exception { exception, instruction: user.instruction() });
            }
            Stop::Interrupt => {
                since = Since::Others;
                let interrupted_ns = clock::now_ns();
                if interrupted_ns >= budget.deadline_ns {
                    let timeout_ms = instance.limits.timeout_ms;
                    break End::Fault(Fault::Deadline { timeout_ms });
                }
                machine_check::poll(interrupted_ns);
                budget.interrupt(interrupted_ns, &mut on_interrupt);
            }
        }
    };
    clock::clear_alarm();
    if let End::Fault(_) = end {
        trace::record(Event::Fault, user.instruction());
    }
    end
}
