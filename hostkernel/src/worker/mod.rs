//! A core that runs invocations: take one, run it to completion, hand in its end, sleep.
//!
//! [`Worker::run`] is one invocation from its reservation to its outcome, on one page. The kernel
//! gets the core back in between only when the action asks for something, breaks a rule or is
//! interrupted; it then goes on with the same action or ends it, never with another.
#![forbid(unsafe_code)]

mod leaving;
mod run;

use alloc::sync::Arc;
use alloc::vec::Vec;

use action_abi::host::{FEATURE_FSGSBASE, HostContext};

use crate::arch::interrupt::{self, Arrived};
use crate::arch::user::{UserContext, reflection_of, written_of};
use crate::arch::{clock, cpu, machine_check};
use crate::crash;
use crate::entropy;
use leaving::Leaving;
use memory::core_area;
use memory::{AddressSpace, Frozen, PageBuffer, Refusal, Reservation, Skeleton, Template, frames};
use node::call::{Host, Instance};
use node::dispatch::{
    Completion, Dispatcher, End, Fault, Invocation, Log, Patience, Timing, Usage,
};
use node::mitigation::Since;
use node::random::Random;
use node::registry::{Namespace, Variables, frames_to_run};
use node::trace::{self, Event};
use run::{Budget, Run};
pub use run::{NEVER, OnInterrupt, Resume, go_on};

const NS_PER_MS: u64 = 1_000_000;
/// The variable that says when an invocation must have ended.
const DEADLINE: &[u8] = b"__OW_DEADLINE=";

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
        let idle = dispatcher.idle(self.core);
        loop {
            while dispatcher.has_work() && self.step(dispatcher, &mut go_on) {}
            let is_wanted = || dispatcher.has_work();
            if frames::zero_ahead(is_wanted) || patience.look(clock::now_ns, is_wanted) {
                continue;
            }
            let slept_ns = clock::now_ns();
            idle.begin(slept_ns);
            dispatcher.sleep_worker(self.core, interrupt::halt);
            let _woken = Arrived::take();
            let woken_ns = clock::now_ns();
            idle.end(woken_ns);
            machine_check::poll(woken_ns);
            patience.waited(woken_ns.saturating_sub(slept_ns));
        }
    }

    /// Runs one invocation, if there is one. Returns whether there was.
    pub fn step(&mut self, dispatcher: &Dispatcher, on_interrupt: OnInterrupt) -> bool {
        let Some(invocation) = dispatcher.take(self.core) else { return false };
        let completion = self.run_for(Some(dispatcher), invocation, on_interrupt);
        dispatcher.complete(self.core, completion);
        true
    }

    /// Runs one invocation, whose result comes as a whole.
    pub fn run(&mut self, invocation: Invocation, on_interrupt: OnInterrupt) -> Completion {
        self.run_for(None, invocation, on_interrupt)
    }

    /// The same; by way of a dispatcher the result can leave before the end.
    fn run_for(
        &mut self,
        dispatcher: Option<&Dispatcher>,
        invocation: Invocation,
        on_interrupt: OnInterrupt,
    ) -> Completion {
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
            reports: None,
            frozen: None,
            environment: invocation.environment,
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
        let Invocation { template, limits, input, payload, output_len_max, .. } = invocation;
        let variables = invocation.variables;
        let leaving = invocation.outlet.zip(dispatcher).map(|(outlet, dispatcher)| {
            Leaving::new(dispatcher, outlet, completion.ticket, self.core)
        });
        let entry = template.entry();
        let host = template.is_host().then(|| Arc::clone(&template));
        let skeleton = core::mem::take(&mut self.skeleton);
        let mut instance = Instance {
            space: AddressSpace::empty(template, input, reservation, skeleton),
            log: Log::default(),
            limits,
            clock: || clock::wall_ns().unwrap_or(0),
            written: 0,
            output: PageBuffer::new(),
            host: None,
        };
        let frozen = host.as_ref().and_then(|template| template.frozen());
        let is_ready = match &host {
            Some(template) => become_host(&mut instance, template, payload),
            None => Ok(()),
        };
        let environment = (&mut completion.environment, variables);
        match is_ready.and_then(|()| self.load(&mut instance, frozen, environment, output_len_max))
        {
            Ok((start_cycles, number)) => {
                let mut user = match frozen {
                    None => start(&instance, entry),
                    Some(frozen) => UserContext::resume(frozen.processor(), number),
                };
                trace::record(Event::Enter, entry);
                let started_ns = clock::to_ns(start_cycles);
                let deadline_ns = started_ns + limits.timeout_ms * NS_PER_MS;
                let mut budget = Budget { deadline_ns, lost_ns: 0, again_ns: NEVER };
                completion.timing.started_ns = started_ns;
                completion.timing.load_ns = started_ns - taken_ns;
                let usage = &mut completion.usage;
                let run = Run::new(&mut instance, &mut user, since, usage, &mut budget);
                (completion.end, completion.frozen) =
                    run.execute(started_ns, leaving, on_interrupt);
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
                completion.reports = instance.host.take().and_then(|host| host.reports);
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
    /// which the invocation's run time counts, which is what its context says, and the number of
    /// the instance, if it has one.
    fn load(
        &mut self,
        Instance { space, limits, host, .. }: &mut Instance,
        frozen: Option<&Frozen>,
        (environment, variables): (&mut Vec<u8>, Option<Arc<Variables>>),
        output_len_max: usize,
    ) -> Result<(u64, u64), Refusal> {
        let heap_len = limits.memory_mb << 20;
        space.lay_out(heap_len, output_len_max)?;
        space.set_kernel_entry(core_area::kernel_entry());
        let start_cycles = clock::cycles();
        let start_ns = clock::to_ns(start_cycles);
        let start_wall_ns = clock::wall_ns_at(start_ns);
        if let Some(now_ns) = start_wall_ns {
            let deadline_ms = now_ns / NS_PER_MS + limits.timeout_ms;
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(deadline_ms).as_bytes();
            let len = DEADLINE.len() + digits.len() + 1;
            environment.try_reserve(len).map_err(|_| Refusal::OutOfMemory)?;
            environment.extend_from_slice(DEADLINE);
            environment.extend_from_slice(digits);
            environment.push(0);
        }
        let variables = variables.as_deref().map_or(&[][..], Variables::block);
        let mut context = action_abi::Context {
            version: action_abi::ABI_VERSION,
            len: size_of::<action_abi::Context>() as u32,
            input: space.input_range(),
            output: space.output_range(),
            environment: action_abi::Range {
                address: space.context_address() + size_of::<action_abi::Context>() as u64,
                len: (environment.len() + variables.len()) as u64,
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
        let Some(host) = host else {
            space.place_context(&context.to_bytes(), environment, variables)?;
            return Ok((start_cycles, 0));
        };
        context.version = action_abi::HOST_VERSION;
        context.len = size_of::<HostContext>() as u32;
        context.environment.address = space.context_address() + size_of::<HostContext>() as u64;
        let number = frozen.filter(|_| !host.is_preparing).map_or(0, Frozen::next_instance);
        let context = HostContext {
            common: context,
            payload: action_abi::Range { address: 0, len: space.payload_len() },
            features: if cpu::has_fsgsbase() { FEATURE_FSGSBASE } else { 0 },
            instance: number,
            arguments: action_abi::Range::default(),
        };
        space.place_context(&context.to_bytes(), environment, variables)?;
        Ok((start_cycles, number))
    }
}

/// Makes of an instance that of a host image: one that prepares, one that goes on from there, or
/// one that goes on from there to prepare more.
#[cold]
fn become_host(
    instance: &mut Instance,
    template: &Template,
    payload: Option<Arc<PageBuffer>>,
) -> Result<(), Refusal> {
    let mut host = Host { is_preparing: payload.is_some(), ..Host::default() };
    if let Some(payload) = payload {
        instance.space.set_payload(payload)?;
    }
    if let Some(frozen) = template.frozen() {
        host.reflection = reflection_of(frozen.processor());
        instance.written = written_of(frozen.processor());
    }
    instance.host = Some(host);
    Ok(())
}

/// The registers with which an instance starts.
fn start(instance: &Instance, entry: u64) -> UserContext {
    let argument = instance.space.context_address();
    let stack = instance.space.stack_range();
    UserContext::new(entry, stack.address + stack.len, argument)
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}
