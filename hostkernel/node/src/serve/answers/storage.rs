//! Who waits for the registry: requests for an action that it has to be asked about, and changes
//! that it has to take before they are made here.
//!
//! A request that waits is kept whole, and handled anew when the registry has spoken; a change is
//! made, and answered, when the registry has taken it. Many who want the same action wait for one
//! errand. Who leaves takes the request along; a change that was begun is made all the same.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::super::slots::Slots;
use super::coming::Coming;
use super::supply::Supply;
use super::{Answers, respond};
use crate::api::{self, Deed, Reject, Subject, Wanted};
use crate::http::Request;
use crate::net::Network;
use crate::registry::{Action, Digest, Full, Namespace, Registry, Runtime};
use crate::settings::Settings;
use crate::state::store::StoreCounts;
use crate::state::{Node, Now};
use crate::store::{Done, ErrandId, Found, Item, Key, Look, Outcome, Store, StoreReject};
use limits::{COMING_MAX, EVICTIONS_MAX, STORE_PATIENCE_MS};

const NS_PER_MS: u64 = 1_000_000;

/// See the head of this file.
pub struct Storage {
    store: Store,
    /// The runtimes that come from it.
    pub supply: Supply,
    waiting: Vec<Waiting>,
    deeds: Vec<Doing>,
    pub coming: Vec<Coming>,
    /// When one of these was looked at last.
    pub sliced_ns: u64,
    done: Vec<Done>,
    /// An errand was begun since they were moved on.
    has_begun: bool,
}

/// A request that waits for the registry to speak of an action, or of all.
struct Waiting {
    what: What,
    slot: u32,
    request: Request,
    id: u128,
    /// When it is handled with what the node has, if it has it.
    until_ns: Option<u64>,
}

#[derive(PartialEq, Eq)]
enum What {
    Action(Key),
    List(ErrandId),
}

/// A change that the registry has to take.
pub struct Doing {
    errand: ErrandId,
    pub deed: Deed,
    /// Whose connection waits for it.
    pub slot: Option<u32>,
}

/// What is to become of a request.
enum Admit {
    /// It is handled now.
    Now(Request),
    /// It waits.
    Later,
    /// It is refused.
    Refuse(Request, Reject),
}

impl Storage {
    /// The one of the configuration, if there is one.
    pub fn new(settings: &Settings, is_shared: bool) -> Option<Self> {
        let store = Store::new(settings, is_shared)?;
        Some(Self {
            store,
            supply: Supply::new(&settings.runtimes),
            waiting: Vec::new(),
            deeds: Vec::new(),
            coming: Vec::new(),
            sliced_ns: 0,
            done: Vec::new(),
            has_begun: false,
        })
    }

    /// Looks whether a request has to wait.
    fn admit(
        &mut self,
        node: &Node,
        request: Request,
        (slot, client): (u32, Option<Ipv4Addr>),
        id: u128,
        now: Now,
    ) -> Admit {
        let now_ns = now.monotonic_ns;
        let (what, until_ns) = match api::wanted(node, &request) {
            Wanted::Nothing => return Admit::Now(request),
            Wanted::List(namespace, wanted) => match self.store.list(&namespace, wanted, now_ns) {
                Ok(errand) => (What::List(errand), None),
                // What the node has is better than nothing.
                Err(_) => return Admit::Now(request),
            },
            Wanted::Action { key, is_change } => {
                let is_held = node.registry().get(&key.0, key.1.as_str()).is_some();
                let patience_ns = now_ns + STORE_PATIENCE_MS * NS_PER_MS;
                let look = if self.coming.iter().any(|coming| coming.key == key) {
                    Look::Asked
                } else if !is_held && self.coming.len() >= COMING_MAX {
                    Look::Away(StoreReject::Busy)
                } else {
                    self.store.look(&key, is_held, is_change, client, now_ns)
                };
                match look {
                    Look::Fresh | Look::Stale | Look::Absent => return Admit::Now(request),
                    Look::Away(reject) => return Admit::Refuse(request, Reject::Store(reject)),
                    Look::Asked => {
                        let until_ns = (is_held && !is_change).then_some(patience_ns);
                        (What::Action(key), until_ns)
                    }
                }
            }
        };
        self.has_begun = true;
        self.waiting.push(Waiting { what, slot, request, id, until_ns });
        Admit::Later
    }

    /// Has the registry take a change.
    pub fn begin(
        &mut self,
        deed: Deed,
        slot: Option<u32>,
        now: Now,
    ) -> Result<(), Box<(Deed, StoreReject)>> {
        let item = deed.change.item();
        match self.store.begin(item.clone(), deed.change.task(), now.monotonic_ns) {
            Ok(errand) => {
                self.outdate(&item);
                self.has_begun = true;
                self.deeds.push(Doing { errand, deed, slot });
                Ok(())
            }
            Err(reject) => Err(Box::new((deed, reject))),
        }
    }

    /// Something changes here: what is on its way may be older.
    pub fn outdate(&mut self, item: &Item) {
        self.store.outdate(item);
        for coming in self.coming.iter_mut().filter(|coming| item.is_action(&coming.key)) {
            coming.is_outdated = true;
        }
    }

    /// Forgets whose connection waits: it is gone.
    pub fn leave(&mut self, slot: u32) {
        self.waiting.retain(|waiting| waiting.slot != slot);
        for doing in self.deeds.iter_mut().filter(|doing| doing.slot == Some(slot)) {
            doing.slot = None;
        }
    }

    /// Whether there is an errand that nobody has moved on yet.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Requests and changes that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.deeds.len()
    }

    /// What was counted, and how things stand.
    pub fn counts(&self) -> StoreCounts {
        StoreCounts {
            waiting: self.waiting(),
            held: self.store.table.held(),
            is_away: self.store.is_away(),
            ..self.store.counts
        }
    }

    /// Puts an action that the registry has into its place, where others make room for it.
    pub fn install(
        &mut self,
        node: &mut Node,
        action: Arc<Action>,
        etag: Digest,
        now: Now,
    ) -> Result<(), Full> {
        let key = (action.namespace.clone(), action.name.clone());
        let insert = |registry: &mut Registry| registry.insert(Arc::clone(&action));
        self.put_in(node, &key.0, insert)?;
        self.store.hold(key, etag, now.monotonic_ns);
        Ok(())
    }

    /// The same with a runtime.
    pub fn install_runtime(
        &mut self,
        node: &mut Node,
        runtime: &Arc<Runtime>,
        etag: Digest,
        now: Now,
    ) -> Result<(), Full> {
        let owner = node.registry.runtimes().owner().clone();
        let insert = |registry: &mut Registry| registry.insert_runtime(Arc::clone(runtime));
        self.put_in(node, &owner, insert)?;
        self.supply.here(&runtime.name, etag, now.monotonic_ns);
        Ok(())
    }

    /// Inserts what is a namespace's until there is room for it.
    fn put_in(
        &mut self,
        node: &mut Node,
        namespace: &Namespace,
        insert: impl Fn(&mut Registry) -> Result<(), Full>,
    ) -> Result<(), Full> {
        for _ in 0..EVICTIONS_MAX {
            let full = match insert(&mut node.registry) {
                Ok(()) => return Ok(()),
                Err(full @ Full::Runtimes) => return Err(full),
                Err(full) => full,
            };
            let of = matches!(full, Full::Code(_)).then_some(namespace);
            let Some(victim) = self.store.table.evict(&mut node.registry, of) else {
                return Err(full);
            };
            node.statistics.forget(&victim);
            self.store.counts.evicted += 1;
        }
        Err(Full::Frames)
    }

    /// When a request that waits is to be handled with what there is.
    fn next_ns(&self) -> Option<u64> {
        self.waiting.iter().filter_map(|waiting| waiting.until_ns).min()
    }

    /// Takes one request that waits for this.
    fn take(&mut self, what: &What) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.what == *what)?;
        Some(self.waiting.remove(at))
    }

    fn take_deed(&mut self, errand: ErrandId) -> Option<Doing> {
        let at = self.deeds.iter().position(|doing| doing.errand == errand)?;
        Some(self.deeds.swap_remove(at))
    }
}

impl Answers<'_> {
    /// Looks whether a request has to wait for the registry. Gives it back if it has not, and was
    /// not refused.
    #[inline(never)]
    pub fn ask_store(
        &mut self,
        slots: &mut Slots,
        index: u32,
        request: Request,
        id: u128,
        now: Now,
    ) -> Option<Request> {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage else { return Some(request) };
        let client = slots.get(index).peer.map(|peer| peer.address);
        match storage.admit(node, request, (index, client), id, now) {
            Admit::Now(request) => Some(request),
            Admit::Later => None,
            Admit::Refuse(request, reject) => {
                let response = api::refuse_request(node, &request, &reject, id);
                let subject = Subject::of(&request, id);
                respond(node, slots.get(index), response, subject, now);
                None
            }
        }
    }

    /// Moves errands on, and handles what they have come to. Returns when to be called again.
    pub fn poll_store(
        &mut self,
        slots: &mut Slots,
        network: &mut Network,
        is_late: bool,
        now: Now,
    ) -> Option<u64> {
        let storage = self.storage.as_deref_mut()?;
        // A node that leaves begins nothing.
        let is_supplied = network.has_address() && !is_late;
        if is_supplied {
            storage.supply.begin(&mut storage.store, now.monotonic_ns);
        }
        if storage.store.is_idle() && storage.waiting.is_empty() && storage.coming.is_empty() {
            return storage.supply.next_ns().filter(|_| is_supplied);
        }
        let Storage { store, done, has_begun, .. } = storage;
        *has_begun = false;
        let next_ns = store.poll(network, now.monotonic_ns, |ended| done.push(ended));
        let ended = core::mem::take(done);
        let is_any = !ended.is_empty();
        for done in ended {
            self.errand_done(slots, done, is_late, now);
        }
        let coming_ns = self.go_on_coming(slots, is_late, now);
        self.hurry(slots, is_late, now);
        // What was just handled may have begun another errand.
        let again_ns = is_any.then_some(now.monotonic_ns);
        let storage = self.storage.as_ref()?;
        let supply_ns = storage.supply.next_ns().filter(|_| is_supplied);
        let times = [next_ns, again_ns, coming_ns, storage.next_ns(), supply_ns];
        times.into_iter().flatten().min()
    }

    /// Handles requests that waited long enough with what the node has.
    fn hurry(&mut self, slots: &mut Slots, is_late: bool, now: Now) {
        while let Some(storage) = self.storage.as_deref_mut()
            && let Some(at) = storage.waiting.iter().position(|waiting| {
                waiting.until_ns.is_some_and(|until_ns| until_ns <= now.monotonic_ns)
            })
        {
            let waiting = storage.waiting.remove(at);
            storage.store.counts.stale += 1;
            self.resume(slots, waiting, is_late, now);
        }
    }

    fn errand_done(&mut self, slots: &mut Slots, done: Done, is_late: bool, now: Now) {
        let Some(storage) = self.storage.as_deref_mut() else { return };
        if let Some(doing) = storage.take_deed(done.id) {
            return self.deed_done(slots, doing, done.result, now);
        }
        let key = match done.item {
            Some(Item::Action(key)) => key,
            Some(Item::Runtime(name)) => return self.runtime_done(&name, done.result, now),
            None => return self.list_done(slots, done, is_late, now),
        };
        match done.result {
            Ok(Found::One(Outcome::Fetched(fetched))) => self.arrived(key, fetched),
            Ok(found) => {
                let is_gone = matches!(found, Found::One(Outcome::Absent)) && done.was_held;
                if is_gone && let Some(gone) = self.node.registry.remove(&key.0, key.1.as_str()) {
                    self.node.statistics.forget(&gone);
                }
                self.resume_all(slots, key, is_late, now);
            }
            Err(reject) => self.fetch_failed(slots, key, reject, is_late, now),
        }
    }

    /// The registry could not be asked: what the node has is used, nothing is changed.
    fn fetch_failed(
        &mut self,
        slots: &mut Slots,
        key: Key,
        reject: StoreReject,
        is_late: bool,
        now: Now,
    ) {
        let is_held = self.node.registry.get(&key.0, key.1.as_str()).is_some();
        let reject = Reject::Store(reject);
        let what = What::Action(key);
        while let Some(storage) = self.storage.as_deref_mut()
            && let Some(waiting) = storage.take(&what)
        {
            if is_held && waiting.until_ns.is_some() {
                storage.store.counts.stale += 1;
                self.resume(slots, waiting, is_late, now);
            } else {
                self.refuse_one(slots, &waiting, &reject, now);
            }
        }
    }

    pub fn resume_all(&mut self, slots: &mut Slots, key: Key, is_late: bool, now: Now) {
        let what = What::Action(key);
        while let Some(waiting) = self.storage.as_deref_mut().and_then(|it| it.take(&what)) {
            self.resume(slots, waiting, is_late, now);
        }
    }

    /// Handles a request that waited.
    fn resume(&mut self, slots: &mut Slots, waiting: Waiting, is_late: bool, now: Now) {
        let Waiting { slot, mut request, id, .. } = waiting;
        slots.get(slot).progress_ns = now.monotonic_ns;
        self.handle(slots, slot, &mut request, id, is_late, now);
        slots.touch(slot);
    }

    pub fn refuse_all(&mut self, slots: &mut Slots, key: &Key, reject: &Reject, now: Now) {
        let what = What::Action(key.clone());
        while let Some(waiting) = self.storage.as_deref_mut().and_then(|it| it.take(&what)) {
            self.refuse_one(slots, &waiting, reject, now);
        }
    }

    fn refuse_one(&mut self, slots: &mut Slots, waiting: &Waiting, reject: &Reject, now: Now) {
        let slot = slots.get(waiting.slot);
        slot.progress_ns = now.monotonic_ns;
        let response = api::refuse_request(&mut self.node, &waiting.request, reject, waiting.id);
        let subject = Subject::of(&waiting.request, waiting.id);
        respond(&mut self.node, slot, response, subject, now);
        slots.touch(waiting.slot);
    }

    fn list_done(&mut self, slots: &mut Slots, done: Done, is_late: bool, now: Now) {
        let what = What::List(done.id);
        let Some(waiting) = self.storage.as_deref_mut().and_then(|it| it.take(&what)) else {
            return;
        };
        if let Ok(Found::List(stored)) = done.result {
            self.node.listed = Some(stored);
        }
        self.resume(slots, waiting, is_late, now);
        self.node.listed = None;
    }
}
