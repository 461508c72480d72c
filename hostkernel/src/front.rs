//! The loop of core 0: network, API and power; also actions, on a machine with one core all of them
//! and otherwise, unless configured, what would have to wait for another core.
#![forbid(unsafe_code)]

mod sources;

use alloc::boxed::Box;
use alloc::format;

use self::sources::Sources;
use crate::arch::clock;
use crate::arch::interrupt::{self, Arrived};
use crate::boot::host_image;
use crate::console;
use crate::device::{power, screen, time};
use crate::entropy;
use crate::worker::{NEVER, Resume, Worker};
use limits::{
    CONNECTION_LEN, CONNECTIONS_HEAP_DIVISOR, CONNECTIONS_MAX, EXCHANGE_BODIES_MIN,
    EXCHANGE_LEN_MIN, EXCHANGE_MEMORY_DIVISOR, EXCHANGE_MEMORY_DIVISOR_MIN, FRONT_SLICE_MIN_NS,
    HELD_FREE_LEN, HELD_STEP_LEN, PAGE_LEN, REGISTRY_HEAP_DIVISOR,
};
use memory::core_area;
use memory::{frames, heap};
use node::dispatch::turns::{Turn, Turns};
use node::dispatch::{Dispatcher, Patience};
use node::net::nic::Nic;
use node::registry::{Share, frames_to_run};
use node::serve::Service;
use node::settings::Settings;
use node::state::records::Records;
use node::state::status::{Figures, StatusLine};
use node::state::tenants::Tenants;
use node::state::{Node, Now, Policy};
use node::wall::Correction;
use node::wall::trust::{Opinion, Reading};

/// Core 0's state.
pub struct Front {
    service: Service<'static>,
    dispatcher: &'static Dispatcher,
    /// If this core runs actions, too. Boxed, since it is taken out while it does.
    worker: Option<Box<Worker>>,
    /// Set from a poll until an action that comes right after it begins: when to poll again.
    polled: Option<Polled>,
    patience: Patience,
    sources: Sources,
    turns: Turns,
    announced: bool,
    /// If there is a screen to show it.
    status: Option<StatusLine>,
}

/// When the front wants to be called again at the latest, as a poll has said.
struct Polled {
    next_ns: Option<u64>,
}

impl Front {
    /// A front on `nic`. `deploy` puts on the node what came with the boot; when it is done,
    /// `frames_later` more frames will be free.
    pub fn new(
        nic: Box<dyn Nic>,
        settings: &Settings,
        dispatcher: &'static Dispatcher,
        runs_actions: bool,
        frames_later: usize,
        deploy: impl FnOnce(&mut Node, u64),
    ) -> Self {
        let connections_max =
            CONNECTIONS_MAX.min(heap::len() / CONNECTIONS_HEAP_DIVISOR / CONNECTION_LEN);
        let helps = runs_actions && !dispatcher.is_worker(core_area::core_id());
        let at_once = dispatcher.workers() + usize::from(helps);
        // Before the share of others: what it takes is gone for good.
        let namespaces = Tenants::new(&settings.access).count();
        let records = Records::for_memory(frames::installed(), namespaces);
        let host = host_image::template();
        let available = frames::available() + frames_later;
        let records = records.expect("a machine has memory for its records");
        let mut policy = policy(settings, at_once, available);
        policy.host = host;
        // Each connection, and each invocation, has room for a little that is not counted.
        let uncounted_len = (connections_max + dispatcher.places()) * HELD_FREE_LEN;
        let share = share(available, uncounted_len, settings.body_len_max);
        // One of those is never more than there is room for.
        policy.body_len_max = settings.body_len_max.min(share.exchange_len / EXCHANGE_BODIES_MIN)
            / HELD_STEP_LEN
            * HELD_STEP_LEN;
        log::info!("inputs and results: at most {} KiB", policy.body_len_max >> 10);
        if share.frames < frames_to_run(policy.memory_mb_max) {
            log::warn!("memory is short: not even one action with the largest limit can run");
        }
        let mut node = Node::new(policy, share, records);
        node.log_to(console::syslog());
        deploy(&mut node, now().wall_ms);
        let service = Service::new(
            nic,
            settings,
            connections_max,
            node,
            dispatcher,
            entropy::generator(),
            clock::now_ns(),
        );
        log::info!("at most {connections_max} connections");
        let worker = runs_actions.then(|| Box::new(Worker::new()));
        let patience = Patience::new(settings.poll_ns());
        let status = screen::is_open().then(|| StatusLine::new(settings.port));
        Self {
            service,
            dispatcher,
            worker,
            polled: None,
            patience,
            sources: Sources::default(),
            turns: Turns::default(),
            announced: false,
            status,
        }
    }

    /// Serves until the machine is switched off.
    pub fn serve(mut self) -> ! {
        loop {
            let mut next_ns = self.poll();
            if let Some(mut worker) = self.worker.take() {
                while self.may_run() && self.step(&mut worker, next_ns) {
                    next_ns = self.poll();
                }
                self.worker = Some(worker);
            }
            let Self { service, dispatcher, patience, sources, .. } = &mut self;
            let mut is_wanted = || service.is_pending() || dispatcher.has_result();
            if frames::zero_ahead(&mut is_wanted) || patience.look(clock::now_ns, is_wanted) {
                continue;
            }
            let idle = dispatcher.idle(core_area::core_id());
            let slept_ns = clock::now_ns();
            idle.begin(slept_ns);
            dispatcher.sleep_front(|| {
                if sources.arm(service) {
                    if let Some(next_ns) = sources.no_later(next_ns) {
                        clock::set_alarm(next_ns);
                    }
                    interrupt::halt();
                    clock::clear_alarm();
                }
                service.disarm();
            });
            let woken_ns = clock::now_ns();
            idle.end(woken_ns);
            sources::look_for_errors(woken_ns);
            patience.waited(woken_ns.saturating_sub(slept_ns));
            self.notice(Arrived::take());
        }
    }

    /// Runs one invocation, if there is one, right after a poll that said when to poll again.
    /// Returns whether there was.
    fn step(&mut self, worker: &mut Worker, next_ns: Option<u64>) -> bool {
        let dispatcher = self.dispatcher;
        self.polled = Some(Polled { next_ns });
        let ran = worker.step(dispatcher, &mut |arrived, at_ns| self.interrupted(arrived, at_ns));
        if ran {
            // A frame that arrives from now on is found by looking. If it also interrupted, that
            // would be delivered in the next action, for nothing.
            self.disarm();
        }
        ran
    }

    fn poll(&mut self) -> Option<u64> {
        let mut next_ns = self.service.poll(now());
        if let Some((reading, opinion)) = self.service.take_reading(time::wall_ns) {
            self.hear_time(reading, opinion);
            next_ns = Some(0);
        }
        let next_ns = match self.show_status() {
            Some(at_ns) => Some(next_ns.map_or(at_ns, |next_ns| next_ns.min(at_ns))),
            None => next_ns,
        };
        if !self.announced && self.service.is_ready() {
            self.announced = true;
            let ready_ns = clock::now_ns();
            let times = self.service.node_mut().booted(ready_ns);
            log::info!("boot: {times}");
            log::info!("ready after {} us", ready_ns / 1000);
        }
        if self.service.is_draining() && self.service.is_drained(clock::now_ns()) {
            log::info!("power off");
            self.service.poll(now());
            power::off();
        }
        // What was logged since the poll is sent by another one.
        if self.service.has_log() { Some(0) } else { next_ns }
    }

    /// Renews the status line when it is time. Returns when to look again at the latest.
    fn show_status(&mut self) -> Option<u64> {
        let status = self.status.as_mut()?;
        let node = self.service.node();
        let figures = Figures {
            readiness: node.readiness(),
            address: self.service.address(),
            actions: node.registry().len(),
            in_flight: self.dispatcher.outstanding(),
            requests: node.requests(),
        };
        let (is_due, next_ns) = status.update(clock::now_ns(), figures);
        if is_due {
            let mib = |frames: usize| frames * PAGE_LEN >> 20;
            let line = status.line(mib(frames::available()), mib(frames::installed()));
            screen::status(format_args!("{line}"));
        }
        Some(next_ns)
    }

    /// Follows a time server, or says why not.
    fn hear_time(&mut self, reading: Reading, opinion: Opinion) {
        let ms = |ns: i64| ns / 1_000_000;
        match opinion {
            Opinion::Believed => {}
            Opinion::Moved(ns) => {
                log::warn!("wall clock: the time server insists on {} ms more", ms(ns));
            }
            Opinion::Doubted(ns) => {
                log::warn!(
                    "wall clock: the time server says {} ms more; it is asked again",
                    ms(ns)
                );
            }
            Opinion::Refused(ns) => {
                log::error!("wall clock: the time server says {} ms more; not believed", ms(ns));
            }
        }
        match opinion.is_belief() {
            true => self.set_clock(reading),
            false => self.service.node_mut().clock_answer_was_doubted(),
        }
    }

    fn set_clock(&mut self, reading: Reading) {
        // Nothing has been admitted, so no record carries a time.
        let is_untold = self.dispatcher.outstanding() == 0
            && self.service.node().statistics().duration.count() == 0;
        let (error_ns, correction) = clock::correct_wall(reading.at_ns, reading.wall_ns, is_untold);
        let verb = match correction {
            Correction::Step => "set",
            Correction::Slew => "slewed",
        };
        let (error_us, delay_us) = (error_ns / 1000, reading.delay_ns / 1000);
        log::info!("wall clock: off by {error_us} us, {verb}; the answer took {delay_us} us");
        self.service.node_mut().clock_was_corrected(error_ns);
    }

    /// Whether this core may run an action now: it is a worker, or there is memory for all that
    /// waits in the queues at once, so that the workers will find theirs all the same. Helping must
    /// not turn a wait into a refusal. What might be called later does not count: one tenant's
    /// large limit must not keep others waiting. Nor does what a worker has just taken and reserves
    /// at this very moment.
    fn may_run(&self) -> bool {
        self.dispatcher.is_worker(core_area::core_id())
            || frames::available() >= self.dispatcher.frames_wanted()
    }

    /// An interrupt while this core runs an action, or before the action's first instruction.
    fn interrupted(&mut self, arrived: Arrived, interrupted_ns: u64) -> Resume {
        if let Some(polled) = self.polled.take()
            && self.is_fresh(&polled, arrived, interrupted_ns)
            && self.arm()
        {
            return self.resume(polled.next_ns, (interrupted_ns, interrupted_ns), true);
        }
        self.disarm();
        self.notice(arrived);
        let next_ns = self.poll();
        // What arrived since is served at the next interrupt, which comes at once, unless it is the
        // action's turn.
        let is_quiet = self.arm();
        self.resume(next_ns, (interrupted_ns, clock::now_ns()), is_quiet)
    }

    /// Whether nothing is known to have happened since a poll.
    fn is_fresh(&self, polled: &Polled, arrived: Arrived, now_ns: u64) -> bool {
        let is_due = polled.next_ns.is_some_and(|next_ns| next_ns <= now_ns);
        !is_due && arrived.is_empty() && !self.service.has_log()
    }

    /// Lets frames and completions interrupt the action. Returns false if there is one already.
    fn arm(&mut self) -> bool {
        self.sources.arm(&mut self.service) && self.dispatcher.arm_front()
    }

    fn disarm(&mut self) {
        self.service.disarm();
        self.dispatcher.disarm_front();
    }

    /// How the action goes on, without which the network had the core between these times.
    fn resume(
        &mut self,
        next_ns: Option<u64>,
        (interrupted_ns, at_ns): (u64, u64),
        is_quiet: bool,
    ) -> Resume {
        let again_ns = match self.turns.next(interrupted_ns, at_ns, !is_quiet) {
            // Work that is always due comes between what the action does, not instead of it.
            Turn::UntilInterrupt => {
                let next_ns = self.sources.no_later(next_ns).unwrap_or(NEVER);
                next_ns.max(at_ns + FRONT_SLICE_MIN_NS)
            }
            Turn::For(slice_ns) => {
                self.disarm();
                at_ns + slice_ns
            }
        };
        Resume { at_ns, again_ns }
    }

    fn notice(&mut self, arrived: Arrived) {
        if self.sources.notice(arrived, &mut self.service) {
            log::info!("power button");
            self.service.drain(clock::now_ns());
        }
    }
}

/// What of `available` frames is for what: first for requests and answers, with `uncounted_len`
/// bytes besides; the rest is for deployed actions, and for running them.
fn share(available: usize, uncounted_len: usize, body_len_max: usize) -> Share {
    let available_len = available * PAGE_LEN;
    let bodies_len = EXCHANGE_BODIES_MIN * body_len_max;
    let exchange_len = (available_len / EXCHANGE_MEMORY_DIVISOR)
        .max(bodies_len.min(available_len / EXCHANGE_MEMORY_DIVISOR_MIN))
        .max(EXCHANGE_LEN_MIN);
    Share {
        frames: available.saturating_sub((exchange_len + uncounted_len).div_ceil(PAGE_LEN)),
        heap_len: heap::len() / REGISTRY_HEAP_DIVISOR,
        exchange_len,
    }
}

fn policy(settings: &Settings, at_once: usize, available: usize) -> Policy {
    let available_mb = (available * PAGE_LEN >> 20) as u64;
    // One invocation may have most of the memory; those that name no limit can run on all cores at
    // once and leave as much again for images and requests.
    let mut config = Policy::new(&settings.access, (available_mb / 4 * 3).max(1));
    let default_mb = (available_mb / 2 / at_once as u64).max(1);
    config.limits_default.memory_mb = config.limits_default.memory_mb.min(default_mb);
    if settings.access.is_development() {
        log::warn!("the public development key is in use; set hostkernel.auth=uuid:key");
    }
    config.has_store = settings.store.is_some();
    config.node = settings.node;
    config.build = format!("{} x86_64", env!("CARGO_PKG_VERSION")).into();
    config
}

fn now() -> Now {
    let monotonic_ns = clock::now_ns();
    let wall_ns = clock::wall_ns_at(monotonic_ns);
    Now { monotonic_ns, wall_ms: wall_ns.map_or(0, |ns| ns / 1_000_000) }
}
