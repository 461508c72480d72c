//! Who waits for the registry: requests for an action that it has to be asked about, and changes
//! that it has to take before they are made here.
//!
//! A request that waits is kept whole, and handled anew when the registry has spoken; a change is
//! made, and answered, when the registry has taken it. Many who want the same action wait for one
//! errand. Who leaves takes the request along; a change that was begun is made all the same.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::super::slots::Slots;
use super::{Answers, respond};
use crate::api::{self, Change, Deed, Installed, Reject, Subject, Wanted};
use crate::http::{Headers, Request};
use crate::net::Network;
use crate::registry::{Action, Digest, Full, Namespace};
use crate::settings::Settings;
use crate::state::statistics::Reason;
use crate::state::store::StoreCounts;
use crate::state::{Node, Now};
use crate::store::{
    Done, ErrandId, Found, Item, Key, Look, Outcome, Parcel, Store, StoreReject, Task,
};
use limits::{EVICTIONS_MAX, STORE_PATIENCE_MS};

const NS_PER_MS: u64 = 1_000_000;

/// See the head of this file.
pub struct Storage {
    store: Store,
    waiting: Vec<Waiting>,
    deeds: Vec<Doing>,
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
struct Doing {
    errand: ErrandId,
    deed: Deed,
    /// Whose connection waits for it.
    slot: Option<u32>,
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
            waiting: Vec::new(),
            deeds: Vec::new(),
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
            Wanted::List(namespace) => match self.store.list(&namespace, now_ns) {
                Ok(errand) => (What::List(errand), None),
                // What the node has is better than nothing.
                Err(_) => return Admit::Now(request),
            },
            Wanted::Action { key, is_change } => {
                let is_held = node.registry().get(&key.0, key.1.as_str()).is_some();
                let patience_ns = now_ns + STORE_PATIENCE_MS * NS_PER_MS;
                match self.store.look(&key, is_held, is_change, client, now_ns) {
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
    fn begin(
        &mut self,
        deed: Deed,
        slot: Option<u32>,
        now: Now,
    ) -> Result<(), Box<(Deed, StoreReject)>> {
        let action = deed.action();
        let item = Item::Action((action.namespace.clone(), action.name.clone()));
        let task = match &deed.change {
            Change::Put(action) => Task::Put(Parcel::of_action(action)),
            Change::Delete(_) => Task::Delete,
        };
        match self.store.begin(item.clone(), task, now.monotonic_ns) {
            Ok(errand) => {
                self.store.outdate(&item);
                self.has_begun = true;
                self.deeds.push(Doing { errand, deed, slot });
                Ok(())
            }
            Err(reject) => Err(Box::new((deed, reject))),
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
    fn install(
        &mut self,
        node: &mut Node,
        action: Arc<Action>,
        etag: Digest,
        now: Now,
    ) -> Result<(), Full> {
        let key = (action.namespace.clone(), action.name.clone());
        for _ in 0..EVICTIONS_MAX {
            let full = match node.registry.insert(Arc::clone(&action)) {
                Ok(()) => {
                    self.store.hold(key, etag, now.monotonic_ns);
                    return Ok(());
                }
                Err(full) => full,
            };
            let of: Option<&Namespace> = matches!(full, Full::Code(_)).then_some(&key.0);
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
        if storage.store.is_idle() && storage.waiting.is_empty() {
            return None;
        }
        let Storage { store, done, has_begun, .. } = storage;
        *has_begun = false;
        let next_ns = store.poll(network, now.monotonic_ns, |ended| done.push(ended));
        let ended = core::mem::take(done);
        let is_any = !ended.is_empty();
        for done in ended {
            self.errand_done(slots, done, is_late, now);
        }
        self.hurry(slots, is_late, now);
        // What was just handled may have begun another errand.
        let again_ns = is_any.then_some(now.monotonic_ns);
        let patience_ns = self.storage.as_ref().and_then(|storage| storage.next_ns());
        [next_ns, again_ns, patience_ns].into_iter().flatten().min()
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
        let Some(Item::Action(key)) = done.item else {
            return self.list_done(slots, done, is_late, now);
        };
        match done.result {
            Ok(Found::One(Outcome::Fetched(fetched))) => {
                let (etag, id) = (fetched.etag, self.random.id());
                match api::install(&self.node, &key, fetched, now, id) {
                    Ok(Installed::Ready(action)) => {
                        self.fetched(slots, key, etag, Ok(action), is_late, now);
                    }
                    Ok(Installed::Prepares(admission)) => {
                        if let Err(reject) = self.submit_unseen(admission) {
                            self.refuse_all(slots, &key, &reject, now);
                        }
                    }
                    Err(reject) => self.refuse_all(slots, &key, &reject, now),
                }
            }
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

    /// An action of the registry can be used, or not.
    pub fn fetched(
        &mut self,
        slots: &mut Slots,
        key: Key,
        etag: Digest,
        action: Result<Arc<Action>, Reject>,
        is_late: bool,
        now: Now,
    ) {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage.as_deref_mut() else { return };
        let installed = action.and_then(|action| Ok(storage.install(node, action, etag, now)?));
        match installed {
            Ok(()) => self.resume_all(slots, key, is_late, now),
            Err(reject) => self.refuse_all(slots, &key, &reject, now),
        }
    }

    fn resume_all(&mut self, slots: &mut Slots, key: Key, is_late: bool, now: Now) {
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

    fn refuse_all(&mut self, slots: &mut Slots, key: &Key, reject: &Reject, now: Now) {
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
        if let Ok(Found::List(mut names)) = done.result {
            names.sort_unstable();
            names.dedup();
            self.node.listed = Some(names);
        }
        self.resume(slots, waiting, is_late, now);
        self.node.listed = None;
    }

    /// Has the registry take a change; who waits for it is answered then.
    pub fn begin_deed(&mut self, slots: &mut Slots, deed: Deed, slot: Option<u32>, now: Now) {
        let Some(storage) = self.storage.as_deref_mut() else { return };
        if let Err(refused) = storage.begin(deed, slot, now) {
            let (deed, reject) = *refused;
            self.answer_deed(slots, slot, deed, Err(reject), now);
        }
    }

    fn deed_done(
        &mut self,
        slots: &mut Slots,
        doing: Doing,
        result: Result<Found, StoreReject>,
        now: Now,
    ) {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage.as_deref_mut() else { return };
        let Doing { deed, slot, .. } = doing;
        let result = result.map(|found| match (&deed.change, found) {
            (Change::Put(action), Found::One(Outcome::Kept(etag))) => {
                // Without room for it here it is fetched when somebody wants it.
                let _ = storage.install(node, Arc::clone(action), etag, now);
            }
            (Change::Delete(action), _) => {
                node.registry.remove(&action.namespace, action.name.as_str());
                node.statistics.forget(action);
            }
            (Change::Put(_), _) => {}
        });
        self.answer_deed(slots, slot, deed, result, now);
    }

    fn answer_deed(
        &mut self,
        slots: &mut Slots,
        slot: Option<u32>,
        deed: Deed,
        result: Result<(), StoreReject>,
        now: Now,
    ) {
        let action = deed.action();
        // The request's own path is no longer there: the usual one stands for it.
        let path = format!("/api/v1/namespaces/{}/actions/{}", action.namespace, action.name);
        // One that the client made up is no number, and not told.
        let id = u128::from_str_radix(deed.request_id.text(), 16).unwrap_or(0);
        let response = deed.answer(result).unwrap_or_else(|refusal| {
            self.node.statistics.rejected(Reason::Store);
            refusal
        });
        let Some(index) = slot else { return };
        let slot = slots.get(index);
        slot.progress_ns = now.monotonic_ns;
        let subject = Subject::Request { path: &path, headers: Headers::default(), id };
        respond(&mut self.node, slot, response, subject, now);
        slots.touch(index);
    }
}
