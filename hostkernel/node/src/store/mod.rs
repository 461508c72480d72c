//! The store: where actions are kept, if not in this node's memory alone.
//!
//! An OCI registry keeps code and names, and every node of a fleet asks it. What is here decides
//! *when* to ask, runs the errands, and says what came of them; what an action is and whether it
//! can be used is decided above, by the same path as for a deploy.
//!
//! ```text
//! look: fresh ─▶ use it                       put, delete: begin ─▶ poll … take
//!       stale ─▶ begin a fetch, one for all who wait ─▶ poll … take
//! ```

mod credentials;
mod errand;
mod item;
pub mod manifest;
pub mod names;
mod reject;
mod running;
mod table;
mod tags;

pub use self::errand::{Fetched, Outcome, Task};
pub use self::item::{Item, Key, Parcel};
pub use self::reject::StoreReject;
pub use self::table::Table;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;

use self::credentials::Credentials;
use self::errand::Errand;
use self::running::{Running, Step, Work};
use self::tags::Tags;
use crate::client::url::Url;
use crate::client::{Client, Failure};
use crate::net::Network;
use crate::registry::{Digest, Namespace};
use crate::settings::Settings;
use crate::state::store::{FetchOutcome, StoreCounts, Stored};
use limits::{
    ERRANDS_MAX, ERRANDS_SHARE_FACTOR, ERRANDS_UNKNOWN_MAX, ERRANDS_UNKNOWN_SHARE_FACTOR,
    STORE_ABSENT_MS, STORE_AWAY_MS,
};

const NS_PER_MS: u64 = 1_000_000;

/// Names an errand. No two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrandId(u64);

/// What is known of an action before it is used.
#[derive(Debug)]
pub enum Look {
    /// It can be used as the node has it.
    Fresh,
    /// It is to be used as the node has it: the registry cannot be asked.
    Stale,
    /// The registry is asked.
    Asked,
    /// There is none.
    Absent,
    /// The registry cannot be asked, and the node has none.
    Away(StoreReject),
}

/// What an errand has come to.
#[derive(Debug)]
pub struct Done {
    /// Which.
    pub id: ErrandId,
    /// What it was about; `None` for a list.
    pub item: Option<Item>,
    /// The node had the action as the registry had it.
    pub was_held: bool,
    /// What came of it.
    pub result: Result<Found, StoreReject>,
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// Of one action, or runtime.
    One(Outcome),
    /// Which actions a namespace has.
    List(Stored),
}

/// See the head of this file.
pub struct Store {
    base: Url,
    prefix: Box<str>,
    fresh_ns: u64,
    client: Client,
    credentials: Credentials,
    errands: Vec<Running>,
    /// There is more than one tenant.
    is_shared: bool,
    next_id: u64,
    /// What is known of each action.
    pub table: Table,
    /// The registry is left alone until then.
    away_until_ns: u64,
    /// Whether it answered last.
    is_away: bool,
    /// What was counted.
    pub counts: StoreCounts,
}

impl Store {
    /// The store of the configuration, if there is one, for one tenant or several.
    #[must_use]
    pub fn new(settings: &Settings, is_shared: bool) -> Option<Self> {
        let store = settings.store.as_ref()?;
        Some(Self {
            base: Url { host: store.host.clone(), port: store.port, target: String::new() },
            prefix: store.prefix.clone(),
            fresh_ns: settings.store_fresh_ms * NS_PER_MS,
            client: Client::default(),
            credentials: Credentials::new(settings.store_auth.as_ref()),
            errands: Vec::new(),
            is_shared,
            next_id: 0,
            table: Table::default(),
            away_until_ns: 0,
            is_away: false,
            counts: StoreCounts::default(),
        })
    }

    /// What is known of an action that somebody at this address wants to use, or to change: then
    /// what was confirmed a moment ago is not enough.
    pub fn look(
        &mut self,
        key: &Key,
        is_held: bool,
        is_change: bool,
        client: Option<Ipv4Addr>,
        now_ns: u64,
    ) -> Look {
        self.table.touch(key);
        let confirmed_ns = self.table.confirmed_ns(key).filter(|_| is_held && !is_change);
        if confirmed_ns.is_some_and(|at_ns| now_ns < at_ns + self.fresh_ns) {
            self.counts.hits += 1;
            return Look::Fresh;
        }
        if !is_change && !is_held && self.table.is_absent(key, now_ns) {
            return Look::Absent;
        }
        let is_it = |running: &Running| {
            running.is_fetch
                && !running.is_outdated
                && running.work.item().is_some_and(|item| item.is_action(key))
        };
        if self.errands.iter().any(is_it) {
            return Look::Asked;
        }
        // One errand finds out whether it is back; nobody else waits for that.
        let is_left_alone = now_ns < self.away_until_ns || self.is_away && !self.errands.is_empty();
        let asker = client.filter(|_| !is_held && !is_change);
        let reject = if is_left_alone {
            StoreReject::Away(Failure::Unreachable)
        } else if asker.is_some_and(|asker| !self.admits(asker)) {
            StoreReject::Busy
        } else {
            let etag = self.table.etag(key).filter(|_| is_held);
            match self.begin_for(Item::Action(key.clone()), Task::Fetch(etag), asker, now_ns) {
                Ok(_) if !(self.is_away && is_held && !is_change) => return Look::Asked,
                Ok(_) => StoreReject::Away(Failure::Unreachable),
                Err(reject) => reject,
            }
        };
        if is_held && !is_change {
            self.counts.stale += 1;
            return Look::Stale;
        }
        Look::Away(reject)
    }

    /// Begins an errand.
    ///
    /// # Errors
    /// [`StoreReject::Busy`], [`StoreReject::Name`].
    pub fn begin(&mut self, item: Item, task: Task, now_ns: u64) -> Result<ErrandId, StoreReject> {
        self.begin_for(item, task, None, now_ns)
    }

    fn begin_for(
        &mut self,
        item: Item,
        task: Task,
        asker: Option<Ipv4Addr>,
        now_ns: u64,
    ) -> Result<ErrandId, StoreReject> {
        let is_fetch = matches!(task, Task::Fetch(_));
        let errand = Errand::new(&self.prefix, item, task)?;
        self.add(Work::One(Box::new(errand)), is_fetch, asker, now_ns)
    }

    /// Whether somebody may ask for one more name that the node does not have. Anybody can make
    /// such names up: they leave room for those that mean something, and for other clients.
    fn admits(&self, asker: Ipv4Addr) -> bool {
        let unknown = self.errands.iter().filter_map(|running| running.asker);
        let own = unknown.clone().filter(|other| *other == asker).count();
        let left = ERRANDS_UNKNOWN_MAX.saturating_sub(unknown.count());
        own < ERRANDS_UNKNOWN_SHARE_FACTOR * left
    }

    /// Whether a tenant may have one more.
    fn has_room(&self, namespace: Option<&Namespace>) -> bool {
        let left = ERRANDS_MAX.saturating_sub(self.errands.len());
        let all = self.errands.iter().map(|running| running.work.namespace());
        let own = all.filter(|other| *other == namespace).count();
        left > 0 && (!self.is_shared || own < ERRANDS_SHARE_FACTOR * left)
    }

    /// Asks which actions a namespace has, and for the names of those in a range.
    ///
    /// # Errors
    /// [`StoreReject::Busy`], [`StoreReject::Away`].
    pub fn list(
        &mut self,
        namespace: &Namespace,
        wanted: Range<usize>,
        now_ns: u64,
    ) -> Result<ErrandId, StoreReject> {
        if now_ns < self.away_until_ns {
            return Err(StoreReject::Away(Failure::Unreachable));
        }
        let tags = Tags::new(&self.prefix, namespace, wanted);
        self.add(Work::List(Box::new(tags)), false, None, now_ns)
    }

    fn add(
        &mut self,
        work: Work,
        is_fetch: bool,
        asker: Option<Ipv4Addr>,
        now_ns: u64,
    ) -> Result<ErrandId, StoreReject> {
        if !self.has_room(work.namespace()) {
            return Err(StoreReject::Busy);
        }
        self.next_id += 1;
        let id = ErrandId(self.next_id);
        let mut running = Running::new(id, work, is_fetch, now_ns);
        running.asker = asker;
        self.errands.push(running);
        Ok(id)
    }

    /// Something is changed here: what is being fetched of it may be older.
    pub fn outdate(&mut self, item: &Item) {
        for running in &mut self.errands {
            running.is_outdated |= running.is_fetch && running.work.item() == Some(item);
        }
    }

    /// Whether the registry answered when it was asked last.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.is_away
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.errands.is_empty() && self.client.is_idle()
    }

    /// Moves on; `done` hears of every errand that has ended. Returns when to be called again.
    pub fn poll(
        &mut self,
        network: &mut Network,
        now_ns: u64,
        mut done: impl FnMut(Done),
    ) -> Option<u64> {
        let mut next_ns = None;
        // Twice: what has ended makes room for another, which is begun at once.
        for _ in 0..2 {
            let client_ns = self.client.poll(network, now_ns);
            next_ns = client_ns;
            let mut index = 0;
            while index < self.errands.len() {
                let Self { base, client, credentials, errands, .. } = self;
                match errands[index].step(base, credentials, client, now_ns) {
                    Step::Waits => index += 1,
                    Step::Works => {
                        next_ns = Some(now_ns);
                        index += 1;
                    }
                    Step::Ended(result) => done(self.end(index, result, now_ns)),
                }
            }
        }
        next_ns
    }

    fn end(&mut self, index: usize, result: Result<Found, StoreReject>, now_ns: u64) -> Done {
        let running = self.errands.swap_remove(index);
        let is_away = result.as_ref().is_err_and(StoreReject::is_away);
        if is_away != self.is_away {
            match &result {
                Err(reject) => log::warn!("store: {reject}"),
                Ok(_) => log::info!("store: the registry answers again"),
            }
        }
        self.is_away = is_away;
        self.away_until_ns = if is_away { now_ns + STORE_AWAY_MS * NS_PER_MS } else { 0 };
        let item = running.work.item().cloned();
        if running.is_fetch {
            let (outcome, len) = match &result {
                Ok(Found::One(Outcome::Fetched(fetched))) => {
                    (FetchOutcome::Fetched, fetched.code.len())
                }
                Ok(Found::One(Outcome::Absent)) => (FetchOutcome::Absent, 0),
                Ok(_) => (FetchOutcome::Unchanged, 0),
                Err(_) => (FetchOutcome::Failed, 0),
            };
            self.counts.fetch(outcome, now_ns.saturating_sub(running.begun_ns), len);
        }
        // What was changed here meanwhile was asked for before that.
        let result = match result {
            Ok(Found::One(_)) if running.is_outdated => Ok(Found::One(Outcome::Unchanged)),
            result => result,
        };
        let key = match &item {
            Some(Item::Action(key)) => Some(key),
            _ => None,
        };
        let was_held = key.is_some_and(|key| self.table.etag(key).is_some());
        if let (Some(key), Ok(Found::One(outcome))) = (key, &result) {
            match outcome {
                Outcome::Unchanged if !running.is_outdated => self.table.confirm(key, now_ns),
                Outcome::Absent | Outcome::Gone => {
                    let until_ns = now_ns + STORE_ABSENT_MS * NS_PER_MS;
                    self.table.note_absent(key.clone(), until_ns, now_ns);
                }
                _ => self.table.note_present(key),
            }
        }
        Done { id: running.id, item, was_held, result }
    }

    /// The node has an action as the registry has it.
    pub fn hold(&mut self, key: Key, etag: Digest, now_ns: u64) {
        self.table.hold(key, etag, now_ns);
    }
}

#[cfg(test)]
mod tests;
