//! From request to core: placement, bounded per-core queues, and the way back.
//!
//! A core that takes invocations is a *worker*. Each has a bounded queue; [`Dispatcher::submit`]
//! picks the worker with the least outstanding work. A worker that runs dry takes unstarted work
//! from the others, oldest first; so may the front's core when it has nothing else to do, but only
//! what waits behind something that runs. What was started never moves. Completions come back
//! through one queue that can hold everything outstanding, so a worker never waits for anybody.
//! Where a result leaves before the end it goes through an [`Outlet`] of its own, of which the
//! front is told through another queue.

mod backlog;
pub mod idle;
pub mod invocation;
pub mod log;
#[cfg(test)]
mod model;
mod outlet;
mod patience;
mod sleeper;
pub mod turns;

use alloc::vec::Vec;
use core::sync::atomic::{self, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;

pub use backlog::Backlog;
pub use invocation::{
    ActivationId, Completion, End, Exception, Fault, Invocation, Reports, Ticket, Timing, Usage,
};
pub use log::Log;
pub use outlet::Outlet;
pub use patience::Patience;

use sleeper::Sleeper;

use crate::dispatch::idle::IdleClock;
use crate::registry::frames_to_run;
use crate::trace::{self, Event};
use limits::{AHEAD_MAX, AHEAD_NS};
use memory::PageBuffer;

/// The queues between the front (network and API, on one core) and the workers.
///
/// What travels is moved into and out of the queues' slots: nothing is allocated on the way.
pub struct Dispatcher {
    workers: Vec<WorkerQueue>,
    completions: ArrayQueue<Completion>,
    // Whose outlets the front has not looked at.
    news: ArrayQueue<Ticket>,
    // Submitted, and completion not yet taken: at most what `completions` holds.
    in_flight: AtomicUsize,
    // Frames that what waits in the queues needs to run.
    frames_wanted: AtomicUsize,
    front: Sleeper,
    front_core: usize,
    front_idle: IdleClock,
    wake: fn(core: usize),
}

/// What one core has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLoad {
    /// Which core.
    pub core: usize,
    /// What waits in its queue, if it has one.
    pub queued: Option<usize>,
    /// For how long it was halted since the boot.
    pub idle_ns: u64,
}

struct WorkerQueue {
    core: usize,
    queue: ArrayQueue<Invocation>,
    // Submitted and not yet complete, whoever runs it.
    outstanding: AtomicUsize,
    sleeper: Sleeper,
    idle: IdleClock,
}

/// Every queue is full. Nothing ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Dispatcher {
    /// Queues for the workers on `cores`, each `queue_len` long; the front runs on `front_core`.
    /// `wake` interrupts a core that sleeps.
    #[must_use]
    pub fn new(cores: &[usize], front_core: usize, queue_len: usize, wake: fn(usize)) -> Self {
        let worker = |&core: &usize| WorkerQueue {
            core,
            queue: ArrayQueue::new(queue_len),
            outstanding: AtomicUsize::new(0),
            sleeper: Sleeper::new(core),
            idle: IdleClock::default(),
        };
        Self {
            workers: cores.iter().map(worker).collect(),
            // What is queued, and one running on each worker and on the front's core.
            completions: ArrayQueue::new(cores.len() * (queue_len + 1) + 1),
            news: ArrayQueue::new(2 * (cores.len() * (queue_len + 1) + 1)),
            in_flight: AtomicUsize::new(0),
            frames_wanted: AtomicUsize::new(0),
            front: Sleeper::new(front_core),
            front_core,
            front_idle: IdleClock::default(),
            wake,
        }
    }

    /// The longest queues, up to `wanted`, with which those of all workers take no more than
    /// `heap_len` bytes, if an invocation takes `more_len` elsewhere.
    #[must_use]
    pub fn queue_len(wanted: usize, workers: usize, heap_len: usize, more_len: usize) -> usize {
        let place_len = size_of::<Invocation>() + size_of::<Completion>() + 4 * size_of::<usize>();
        wanted.min(heap_len / (place_len + more_len) / workers.max(1)).max(1)
    }

    /// How many invocations can be under way.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.completions.capacity()
    }

    /// Whether a worker would run dry soon, if nothing is handed on now, with invocations that take
    /// so long. There is always one that waits: a core that has nothing else to do may take it.
    #[must_use]
    pub fn is_hungry(&self, mean_ns: u64) -> bool {
        let outstanding =
            self.workers.iter().map(|worker| worker.outstanding.load(Ordering::Relaxed));
        let least = outstanding.min().unwrap_or(0) as u64;
        least <= 1 || least < AHEAD_MAX && least.saturating_mul(mean_ns) <= AHEAD_NS
    }

    /// Invocations that may wait, here and elsewhere.
    #[must_use]
    pub fn places(&self) -> usize {
        self.workers.iter().map(|worker| worker.queue.capacity()).sum()
    }

    /// Frames that all invocations need which wait here, if they ran at once.
    #[must_use]
    pub fn frames_wanted(&self) -> usize {
        self.frames_wanted.load(Ordering::Relaxed)
    }

    /// Invocations that wait here.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.workers.iter().map(|worker| worker.queue.len()).sum()
    }

    /// Queues an invocation on the worker with the least outstanding work. For the front only.
    ///
    /// # Errors
    /// [`QueueFull`]; the invocation is dropped. That is so, too, while the front has not taken so
    /// many completions that one more could find no place.
    pub fn submit(&self, invocation: Invocation) -> Result<(), QueueFull> {
        trace::record(Event::Admit, invocation.id.0 as u64);
        let load = |worker: &&WorkerQueue| worker.outstanding.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(load) else {
            return Err(QueueFull);
        };
        // Only the front adds to it and takes from it, so it does not grow in between.
        if self.in_flight.load(Ordering::Relaxed) == self.completions.capacity() {
            return Err(QueueFull);
        }
        // Counted first: whoever takes it may complete it before we go on.
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        worker.outstanding.fetch_add(1, Ordering::Relaxed);
        let frames = frames_to_run(invocation.limits.memory_mb);
        self.frames_wanted.fetch_add(frames, Ordering::Relaxed);
        if worker.queue.push(invocation).is_err() {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            self.frames_wanted.fetch_sub(frames, Ordering::Relaxed);
            worker.outstanding.fetch_sub(1, Ordering::Relaxed);
            return Err(QueueFull);
        }
        worker.sleeper.notify(self.wake);
        Ok(())
    }

    /// The next invocation for the worker on `core`: its own oldest, else the oldest of the worker
    /// with the longest queue. A core that is no worker gets what waits behind another invocation;
    /// what a worker is about to run is left to it.
    #[must_use]
    pub fn take(&self, core: usize) -> Option<Invocation> {
        let taken = self.take_from(core);
        if let Some(invocation) = &taken {
            let frames = frames_to_run(invocation.limits.memory_mb);
            self.frames_wanted.fetch_sub(frames, Ordering::Relaxed);
        }
        taken
    }

    #[inline]
    fn take_from(&self, core: usize) -> Option<Invocation> {
        let Some(own) = self.workers.iter().find(|worker| worker.core == core) else {
            return self.take_waiting();
        };
        if let Some(invocation) = own.queue.pop() {
            return Some(invocation);
        }
        let other = self.workers.iter().max_by_key(|worker| worker.queue.len())?;
        if core::ptr::eq(other, own) {
            return None;
        }
        let invocation = other.queue.pop()?;
        other.outstanding.fetch_sub(1, Ordering::Relaxed);
        own.outstanding.fetch_add(1, Ordering::Relaxed);
        Some(invocation)
    }

    fn take_waiting(&self) -> Option<Invocation> {
        let waiting = self.workers.iter().filter(|worker| worker.has_waiting());
        let worker = waiting.max_by_key(|worker| worker.queue.len())?;
        let invocation = worker.queue.pop()?;
        worker.outstanding.fetch_sub(1, Ordering::Relaxed);
        Some(invocation)
    }

    /// Whether invocations are queued for this core.
    #[must_use]
    pub fn is_worker(&self, core: usize) -> bool {
        self.workers.iter().any(|worker| worker.core == core)
    }

    /// Hands in the end of what `core` took.
    pub fn complete(&self, core: usize, completion: Completion) {
        trace::record(Event::End, completion.id.0 as u64);
        if let Some(worker) = self.workers.iter().find(|worker| worker.core == core) {
            worker.outstanding.fetch_sub(1, Ordering::Relaxed);
        }
        let pushed = self.completions.push(completion);
        assert!(pushed.is_ok(), "the completion queue holds everything in flight");
        if !self.is_front(core) {
            self.front.notify(self.wake);
        }
    }

    /// Puts a piece of the result of an invocation into its outlet. `core` is the one that runs it.
    pub fn let_out(&self, core: usize, (ticket, outlet): (Ticket, &Outlet), piece: PageBuffer) {
        if outlet.put(piece) {
            // Each outlet is in there once, and one more time at most that belongs to what ended.
            let pushed = self.news.push(ticket);
            debug_assert!(pushed.is_ok(), "the queue holds all that can be told");
        }
        if !self.is_front(core) {
            self.front.notify(self.wake);
        }
    }

    /// Whose outlet has something that the front has not looked at.
    #[must_use]
    pub fn news(&self) -> Option<Ticket> {
        if outlet::is_any() { self.news.pop() } else { None }
    }

    /// Interrupts a core for an invocation that it runs.
    pub fn wake_core(&self, core: usize) {
        if !self.is_front(core) {
            (self.wake)(core);
        }
    }

    /// Whether this is the front's core.
    #[must_use]
    pub fn is_front(&self, core: usize) -> bool {
        core == self.front_core
    }

    /// The next completion, for the front.
    #[must_use]
    pub fn completed(&self) -> Option<Completion> {
        let completion = self.completions.pop()?;
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        Some(completion)
    }

    /// Invocations submitted whose completion the front has not taken.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Where a core keeps how long it was halted. All that is neither a worker nor the front share
    /// one with the front.
    pub fn idle(&self, core: usize) -> &IdleClock {
        let worker = self.workers.iter().find(|worker| worker.core == core);
        worker.map_or(&self.front_idle, |worker| &worker.idle)
    }

    /// What the cores have to do, the front's first.
    pub fn cores(&self, now_ns: u64) -> impl Iterator<Item = CoreLoad> {
        let front = (!self.is_worker(self.front_core)).then_some((self.front_core, None));
        let workers = self.workers.iter().map(|worker| (worker.core, Some(worker.queue.len())));
        front.into_iter().chain(workers).map(move |(core, queued)| CoreLoad {
            core,
            queued,
            idle_ns: self.idle(core).total_ns(now_ns),
        })
    }

    /// Lets the worker on `core` sleep by `sleep`, unless there is work for it. `sleep` must return
    /// when the core is woken, also if that happened just before.
    pub fn sleep_worker(&self, core: usize, sleep: impl FnOnce()) {
        if let Some(worker) = self.workers.iter().find(|worker| worker.core == core) {
            worker.sleeper.sleep(|| self.has_work(), sleep);
        }
    }

    /// Whether any queue holds an invocation.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.workers.iter().any(|worker| !worker.queue.is_empty())
    }

    /// Whether a completion waits for the front, or a piece of a result.
    #[must_use]
    pub fn has_result(&self) -> bool {
        !self.completions.is_empty() || outlet::is_any() && !self.news.is_empty()
    }

    /// Lets results wake the front, which runs an action, from now on. Returns false if one is
    /// there already.
    pub fn arm_front(&self) -> bool {
        self.front.arm(|| self.has_result())
    }

    /// Ends that.
    pub fn disarm_front(&self) {
        self.front.disarm();
    }

    /// Lets the front sleep by `sleep`, unless a result waits.
    pub fn sleep_front(&self, sleep: impl FnOnce()) {
        self.front.sleep(|| self.has_result(), sleep);
    }
}

impl WorkerQueue {
    /// Whether something of its queue must wait for something else.
    fn has_waiting(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) > 1 && !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Limits;
    use crate::registry::{Namespace, Permit};
    use alloc::sync::Arc;
    use memory::LoadPlan;
    use memory::{PageBuffer, Template, install_for_test};

    /// One of this namespace with this ticket.
    pub fn invocation_of(namespace: &Namespace, ticket: u32) -> Invocation {
        let permit = namespace.admit(0).expect("there are no quotas");
        Invocation { ticket: Ticket(ticket), permit, ..invocation(0) }
    }

    fn invocation(number: u128) -> Invocation {
        install_for_test();
        let plan = LoadPlan { entry: 0, segments: Vec::new(), is_host: false };
        let template = Template::build(&plan, PageBuffer::new()).expect("the arena is large");
        Invocation {
            id: ActivationId(number),
            ticket: Ticket(0),
            permit: permit(),
            template: Arc::new(template),
            limits: Limits { timeout_ms: 1, memory_mb: 1, logs_mb: 0 },
            input: PageBuffer::new(),
            environment: Vec::new(),
            variables: None,
            payload: None,
            output_len_max: 0,
            outlet: None,
            admitted_ns: 0,
        }
    }

    fn permit() -> Permit {
        Namespace::new("guest").admit(0).expect("there are no quotas")
    }

    fn completion(number: u128) -> Completion {
        Completion {
            id: ActivationId(number),
            ticket: Ticket(0),
            end: End::Exit(0),
            output: PageBuffer::new(),
            log: Log::default(),
            timing: Timing::default(),
            permit: permit(),
            usage: Usage::default(),
            reports: None,
            frozen: None,
            environment: Vec::new(),
        }
    }

    #[test]
    fn work_spreads_and_keeps_its_order() {
        let dispatcher = Dispatcher::new(&[1, 2], 0, 2, |_| {});
        for number in 0..4 {
            dispatcher.submit(invocation(number)).expect("there is room for four");
        }
        assert!(dispatcher.submit(invocation(4)).is_err(), "both queues are full");
        let taken = |core| dispatcher.take(core).map(|invocation| invocation.id.0);
        assert_eq!([taken(1), taken(1)], [Some(0), Some(2)]);
        assert_eq!(taken(1), Some(1), "an idle worker takes the oldest of the other");
        assert_eq!(taken(2), Some(3));
        assert_eq!(taken(2), None);
        assert_eq!(dispatcher.outstanding(), 4);
        for (core, number) in [(1, 0), (1, 1), (1, 2), (2, 3)] {
            dispatcher.complete(core, completion(number));
        }
        let ids: Vec<_> =
            core::iter::from_fn(|| dispatcher.completed()).map(|done| done.id.0).collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        assert_eq!(dispatcher.outstanding(), 0);
    }

    #[test]
    fn completions_that_nobody_takes_hold_back_new_work() {
        let dispatcher = Dispatcher::new(&[1], 0, 2, |_| {});
        let mut admitted = 0;
        while dispatcher.submit(invocation(admitted)).is_ok() {
            admitted += 1;
            assert!(dispatcher.take(1).is_some());
            dispatcher.complete(1, completion(admitted));
        }
        assert_eq!(admitted, 4, "the queue, and one that runs on each core");
        assert!(dispatcher.completed().is_some());
        assert!(dispatcher.submit(invocation(admitted)).is_ok());
    }

    #[test]
    fn the_front_takes_only_what_would_have_to_wait() {
        let dispatcher = Dispatcher::new(&[1, 2], 0, 4, |_| {});
        let taken = |core| dispatcher.take(core).map(|invocation| invocation.id.0);
        for number in 0..2 {
            dispatcher.submit(invocation(number)).expect("there is room");
            assert_eq!(taken(0), None, "a worker is about to take it");
        }
        assert_eq!(taken(2), Some(1));
        dispatcher.submit(invocation(2)).expect("there is room");
        assert_eq!([taken(0), taken(0)], [Some(0), None], "the oldest of the longer queue");
        assert_eq!(taken(1), Some(2));
        dispatcher.submit(invocation(3)).expect("there is room");
        assert_eq!(taken(0), Some(3), "its worker runs another");
        for (core, number) in [(0, 0), (2, 1), (1, 2), (0, 3)] {
            dispatcher.complete(core, completion(number));
        }
        assert_eq!(core::iter::from_fn(|| dispatcher.completed()).count(), 4);
        assert_eq!(dispatcher.outstanding(), 0);
    }

    #[test]
    fn what_waits_says_how_much_memory_it_needs() {
        let dispatcher = Dispatcher::new(&[1, 2], 0, 1, |_| {});
        let each = frames_to_run(invocation(0).limits.memory_mb);
        let wanted = |count: usize| assert_eq!(dispatcher.frames_wanted(), count * each);
        wanted(0);
        for number in 0..2 {
            dispatcher.submit(invocation(number)).expect("there is room");
        }
        assert!(dispatcher.submit(invocation(2)).is_err());
        wanted(2);
        assert!(dispatcher.take(1).is_some());
        wanted(1);
        assert!(dispatcher.take(1).is_some(), "the other's");
        wanted(0);
    }

    #[test]
    fn a_completion_wakes_a_front_that_runs_an_action() {
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        let dispatcher = Dispatcher::new(&[1], 0, 2, |core| {
            assert_eq!(core, 0);
            WOKEN.fetch_add(1, Ordering::Relaxed);
        });
        for armed in [false, true] {
            dispatcher.disarm_front();
            dispatcher.submit(invocation(0)).expect("there is room");
            assert!(dispatcher.take(1).is_some());
            assert!(dispatcher.arm_front());
            if !armed {
                dispatcher.disarm_front();
            }
            dispatcher.complete(1, completion(0));
            assert!(!dispatcher.arm_front(), "it is there already");
            assert!(dispatcher.completed().is_some());
            assert_eq!(WOKEN.load(Ordering::Relaxed), usize::from(armed));
        }
    }

    #[test]
    fn nobody_sleeps_over_work() {
        let dispatcher = Dispatcher::new(&[1], 0, 2, |_| {});
        dispatcher.submit(invocation(7)).expect("there is room");
        dispatcher.sleep_worker(1, || panic!("there is work"));
        assert!(dispatcher.take(1).is_some());
        let mut slept = false;
        dispatcher.sleep_worker(1, || slept = true);
        assert!(slept);
    }
}
