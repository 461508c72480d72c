//! The runtimes that the operator wants from the registry: when to ask for them, and how they are.
//!
//! ```text
//! awaited ─fetched▶ starts ─▶ here        here: asked about once in a while, as long as the node
//!    │ ▲                │                       is looked after anyway
//!    │ └── away         └▶ unusable       absent, unusable: asked for again
//!    └─▶ absent
//! ```
//!
//! One at a time is fetched and started, before the node says that it is ready. What the registry
//! does not have, or what does not start, does not keep the node from the rest.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Answers;
use crate::api::{self, Reject};
use crate::registry::{Digest, Runtime};
use crate::state::Now;
use crate::state::store::{RuntimeStand, Stand};
use crate::store::{Fetched, Found, Item, Outcome, Store, StoreReject, Task};
use limits::{RUNTIME_ABSENT_MS, RUNTIME_FRESH_MS, STORE_AWAY_MS};

const NS_PER_MS: u64 = 1_000_000;

/// See the head of this file.
pub struct Supply {
    list: Vec<Wanted>,
    /// One of them is fetched, or starts.
    is_busy: bool,
}

struct Wanted {
    name: Box<str>,
    stand: Stand,
    /// Which manifest the node has of it.
    etag: Option<Digest>,
    /// Which one starts.
    starts: Option<Digest>,
    /// When the registry is to be asked.
    due_ns: u64,
}

impl Supply {
    /// Those of the configuration.
    pub fn new(names: &[Box<str>]) -> Self {
        let wanted = |name: &str| Wanted {
            name: name.into(),
            stand: Stand::Awaited,
            etag: None,
            starts: None,
            due_ns: 0,
        };
        Self { list: names.iter().map(|name| wanted(name)).collect(), is_busy: false }
    }

    /// Whether the registry has spoken of each, and what it has was tried.
    pub fn is_settled(&self) -> bool {
        self.list.iter().all(|wanted| wanted.stand != Stand::Awaited)
    }

    /// How each of them is.
    pub fn stands(&self) -> impl Iterator<Item = RuntimeStand> {
        self.list.iter().map(|wanted| (wanted.name.clone(), wanted.stand))
    }

    /// When the registry is to be asked next. Of what is here it is asked when something else is to
    /// be done: a node that nobody uses sleeps.
    pub fn next_ns(&self) -> Option<u64> {
        let missing = self.list.iter().filter(|wanted| wanted.stand != Stand::Here);
        missing.map(|wanted| wanted.due_ns).min().filter(|_| !self.is_busy)
    }

    /// Asks the registry for the next one, if it is time.
    pub fn begin(&mut self, store: &mut Store, now_ns: u64) {
        if self.is_busy {
            return;
        }
        let due = self.list.iter_mut().find(|wanted| wanted.due_ns <= now_ns);
        let Some(wanted) = due else { return };
        let item = Item::Runtime(wanted.name.clone());
        match store.begin(item, Task::Fetch(wanted.etag), now_ns) {
            Ok(_) => self.is_busy = true,
            Err(_) => wanted.due_ns = now_ns + STORE_AWAY_MS * NS_PER_MS,
        }
    }

    /// The registry has the one that is here, or something newer came up.
    pub fn unchanged(&mut self, name: &str, now_ns: u64) {
        self.is_busy = false;
        let Some(wanted) = self.find(name) else { return };
        wanted.due_ns = now_ns + RUNTIME_FRESH_MS * NS_PER_MS;
    }

    /// The registry could not be asked, or the node had no room: what is here stays.
    pub fn failed(&mut self, name: &str, now_ns: u64) {
        self.is_busy = false;
        let Some(wanted) = self.find(name) else { return };
        wanted.due_ns = now_ns + STORE_AWAY_MS * NS_PER_MS;
    }

    /// The registry has none. Returns whether the one that is here came from there.
    pub fn absent(&mut self, name: &str, now_ns: u64) -> bool {
        self.is_busy = false;
        self.gone(name, now_ns)
    }

    /// It was taken out of the registry here. Returns whether it came from there.
    pub fn gone(&mut self, name: &str, now_ns: u64) -> bool {
        let Some(wanted) = self.find(name) else { return false };
        wanted.due_ns = now_ns + RUNTIME_ABSENT_MS * NS_PER_MS;
        wanted.starts = None;
        let is_of_store = wanted.etag.take().is_some();
        wanted.stand = Stand::Absent;
        is_of_store
    }

    /// What came of it starts.
    pub fn starts(&mut self, name: &str, etag: Digest) {
        if let Some(wanted) = self.find(name) {
            wanted.starts = Some(etag);
        }
    }

    /// What was started has ended. Returns whether it still is the one that is wanted.
    pub fn has_started(&mut self, name: &str, etag: Digest) -> bool {
        self.is_busy = false;
        let starting = self.find(name).and_then(|wanted| wanted.starts.take_if(|it| *it == etag));
        starting.is_some()
    }

    /// It cannot be used; the one before, if there is one, can.
    pub fn unusable(&mut self, name: &str, now_ns: u64) {
        self.is_busy = false;
        let Some(wanted) = self.find(name) else { return };
        wanted.due_ns = now_ns + RUNTIME_FRESH_MS * NS_PER_MS;
        if wanted.stand != Stand::Here {
            wanted.stand = Stand::Unusable;
        }
    }

    /// It is here as the registry has it.
    pub fn here(&mut self, name: &str, etag: Digest, now_ns: u64) {
        let Some(wanted) = self.find(name) else { return };
        (wanted.stand, wanted.etag, wanted.starts) = (Stand::Here, Some(etag), None);
        wanted.due_ns = now_ns + RUNTIME_FRESH_MS * NS_PER_MS;
    }

    fn find(&mut self, name: &str) -> Option<&mut Wanted> {
        self.list.iter_mut().find(|wanted| *wanted.name == *name)
    }
}

impl Answers<'_> {
    /// The registry has spoken of a runtime, or not.
    pub fn runtime_done(&mut self, name: &str, result: Result<Found, StoreReject>, now: Now) {
        let now_ns = now.monotonic_ns;
        let Some(storage) = self.storage.as_deref_mut() else { return };
        let supply = &mut storage.supply;
        match result {
            Ok(Found::One(Outcome::Fetched(fetched))) => self.start_runtime(name, fetched, now),
            Ok(Found::One(Outcome::Absent)) => {
                if supply.absent(name, now_ns) {
                    self.node.registry.remove_runtime(name);
                    log::warn!("runtime: {name} is no longer in the store");
                }
            }
            Ok(_) => supply.unchanged(name, now_ns),
            Err(reject) if reject.status() == 503 => supply.failed(name, now_ns),
            Err(reject) => {
                log::error!("runtime: {name}: {reject}");
                supply.unusable(name, now_ns);
            }
        }
    }

    fn start_runtime(&mut self, name: &str, fetched: Fetched, now: Now) {
        let (etag, id) = (fetched.etag, self.random.id());
        let started = api::start_fetched(&self.node, name, fetched, now, id)
            .and_then(|admission| self.submit_unseen(admission));
        match started {
            Ok(()) => {
                if let Some(storage) = self.storage.as_deref_mut() {
                    storage.supply.starts(name, etag);
                }
            }
            Err(reject) => self.runtime_refused(name, &reject, now),
        }
    }

    /// A runtime of the registry waits for code, or why not.
    pub fn supplied(
        &mut self,
        name: &str,
        etag: Digest,
        runtime: Result<Arc<Runtime>, Reject>,
        now: Now,
    ) {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage.as_deref_mut() else { return };
        if !storage.supply.has_started(name, etag) {
            // Somebody has put another one here, or taken it away.
            return;
        }
        let installed =
            runtime.and_then(|runtime| Ok(storage.install_runtime(node, &runtime, etag, now)?));
        match installed {
            Ok(()) => log::info!("runtime: {name} came from the store and waits for code"),
            Err(reject) => self.runtime_refused(name, &reject, now),
        }
    }

    /// What may end by itself is tried again soon.
    fn runtime_refused(&mut self, name: &str, reject: &Reject, now: Now) {
        let Some(storage) = self.storage.as_deref_mut() else { return };
        log::error!("runtime: {name} cannot be used: {reject}");
        match reject {
            Reject::QueueFull | Reject::NotStarted | Reject::NoMemory => {
                storage.supply.failed(name, now.monotonic_ns);
            }
            _ => storage.supply.unusable(name, now.monotonic_ns),
        }
    }
}
