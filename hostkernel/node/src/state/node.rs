//! The node as requests see it: what they read and change.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::boot_times::BootTimes;
use super::machine::MachineCounts;
use super::policy::Policy;
use super::records::Records;
use super::spare::SpareBuffers;
use super::statistics::{Statistics, Traffic};
use super::store::{RuntimeStand, StoreCounts, Stored};
use super::uploads::Uploads;
use crate::dispatch::CoreLoad;
use crate::http::date::DateField;
use crate::journal::syslog::Queue;
use crate::mitigation::Report;
use crate::registry::{Books, Holding, Namespace, OverBudget, Purpose, Registry, Share};

/// What requests read and change.
#[derive(Debug)]
pub struct Node {
    /// The deployed actions.
    pub(crate) registry: Registry,
    /// What is held for whom.
    pub(crate) books: Books,
    exchange_len: usize,
    /// What is kept of invocations that ended.
    pub(crate) records: Records,
    /// Memory for environments.
    pub(crate) spare: SpareBuffers,
    /// What the operator decided.
    pub(crate) policy: Policy,
    /// Whether load balancers should send requests.
    pub(crate) readiness: Readiness,
    /// What is counted of requests.
    pub(crate) statistics: Statistics,
    /// What a registry has, while a list of it is answered.
    pub(crate) listed: Option<Stored>,
    /// What was pushed and has no name yet.
    pub(crate) uploads: Uploads,
    /// What the log server is told, if there is one.
    pub(crate) syslog: Option<Arc<Queue>>,
    /// What the parts of the node around the API hold, at the time of a request that asks for it.
    pub(crate) load: Load,
    /// When an answer is made.
    pub(crate) date: DateField,
}

/// What the parts of the node around the API hold.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Open connections.
    pub connections: usize,
    /// The most there can be.
    pub connections_max: usize,
    /// Clients that asked to connect and found no room.
    pub connects_dropped: u64,
    /// Answers given up for others of their namespace, before their clients had taken them.
    pub answers_dropped: u64,
    /// Invocations admitted and not yet answered.
    pub in_flight: usize,
    /// Deploys whose code is being read.
    pub deploys: usize,
    /// Invocations among them that wait for their tenant's turn.
    pub backlog: usize,
    /// Requests since the boot, the one under way included.
    pub requests: u64,
    /// What each core has to do.
    pub cores: Vec<CoreLoad>,
    /// What went through the network card.
    pub traffic: Traffic,
    /// How long the boot took.
    pub boot_times: BootTimes,
    /// What is done about the processor's leaks.
    pub mitigations: Option<Report>,
    /// When the kernel was entered, by the wall clock, in milliseconds; as it was told first.
    pub started_ms: Option<u64>,
    /// Whether a time server has set the wall clock.
    pub clock_is_synchronised: bool,
    /// By how much the wall clock was wrong at the last look at a better one.
    pub clock_offset_ns: i64,
    /// Answers of a time server that were not followed.
    pub clock_answers_doubted: u64,
    /// What the machine itself was heard of.
    pub machine: MachineCounts,
    /// What is counted of the registry, if there is one.
    pub store: Option<StoreCounts>,
    /// How the runtimes are that are wanted from it.
    pub runtimes: Vec<RuntimeStand>,
}

impl Node {
    /// A node that is about to boot: without an action, nothing counted.
    #[must_use]
    pub fn new(policy: Policy, share: Share, records: Records) -> Self {
        let is_shared = policy.tenants.are_several();
        Self {
            registry: Registry::new(share),
            books: Books::new(is_shared),
            uploads: Uploads::new(is_shared),
            exchange_len: share.exchange_len,
            records,
            policy,
            readiness: Readiness::Booting,
            statistics: Statistics::default(),
            spare: SpareBuffers::new(),
            listed: None,
            syslog: None,
            date: DateField::default(),
            load: Load::default(),
        }
    }

    /// What all namespaces may hold together: code on its way has what no image has of their share.
    #[must_use]
    pub fn budget_len(&self, purpose: Purpose) -> usize {
        match purpose {
            // Half each, so that neither can keep the other out.
            Purpose::Request | Purpose::Answer => self.exchange_len / 2,
            Purpose::Deploy => self.registry.room_len(),
        }
    }

    /// Whether a namespace may hold so many bytes more.
    #[must_use]
    pub fn may_hold(&self, namespace: &Namespace, purpose: Purpose, more_len: usize) -> bool {
        self.books.admits(namespace, purpose, more_len, self.budget_len(purpose))
    }

    /// Whether a namespace would have too much of what answers may hold with another one of this
    /// length.
    pub(crate) fn is_greedy(&self, namespace: &Namespace, more_len: usize) -> bool {
        let budget_len = self.budget_len(Purpose::Answer);
        self.books.is_greedy(namespace, Purpose::Answer, more_len, budget_len)
    }

    /// Lets what is held grow, if there is room.
    ///
    /// # Errors
    /// [`OverBudget`]; then it is as it was.
    pub(crate) fn hold(&self, holding: &mut Holding, len: usize) -> Result<(), OverBudget> {
        let Some((_, purpose)) = holding.owner() else { return Ok(()) };
        self.books.grow(holding, len, self.budget_len(purpose))
    }

    /// Tells a log server from now on, by way of this queue.
    pub fn log_to(&mut self, syslog: Option<Arc<Queue>>) {
        self.syslog = syslog;
    }

    /// Notes how long everything before the kernel's start took.
    pub fn set_boot_times(&mut self, times: BootTimes) {
        self.load.boot_times = times;
    }

    /// Notes what is done about the processor's leaks.
    pub fn set_mitigations(&mut self, report: Report) {
        self.load.mitigations = Some(report);
    }

    /// Notes when the node was ready, since the kernel's start. Returns how long the boot took.
    pub fn booted(&mut self, ready_ns: u64) -> BootTimes {
        self.load.boot_times.kernel_ns = Some(ready_ns);
        self.load.boot_times
    }

    /// Notes by how much the wall clock was wrong when a time server was asked.
    pub fn clock_was_corrected(&mut self, error_ns: i64) {
        (self.load.clock_is_synchronised, self.load.clock_offset_ns) = (true, error_ns);
    }

    /// Notes that the wall clock did not follow an answer of a time server.
    pub fn clock_answer_was_doubted(&mut self) {
        self.load.clock_answers_doubted += 1;
    }

    /// When the kernel was entered, by the wall clock. What was told once stays, however the clock
    /// is corrected: another value would say that the node has been restarted.
    pub(crate) fn started_ms(&mut self, now: Now) -> Option<u64> {
        if self.load.started_ms.is_none() && now.wall_ms != 0 {
            self.load.started_ms = now.wall_ms.checked_sub(now.monotonic_ns / 1_000_000);
        }
        self.load.started_ms
    }

    /// What is counted of the machine, for whoever hears it.
    pub fn machine_mut(&mut self) -> &mut MachineCounts {
        &mut self.load.machine
    }

    /// What was counted.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The deployed actions.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What the operator decided.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether load balancers should send requests.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// Requests since the boot.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.load.requests
    }
}

/// Whether a node should be sent requests. It answers them in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet.
    Booting,
    /// It waits for runtimes of the registry.
    Preparing,
    /// Yes.
    Ready,
    /// No more.
    Draining,
}

/// The time at which something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, in nanoseconds since boot.
    pub monotonic_ns: u64,
    /// Wall clock, in milliseconds since 1970-01-01 UTC; 0 if the node has none.
    pub wall_ms: u64,
}
