//! Deploys under way: a slice of one of them at a time, between everything else.
//!
//! Namespaces take turns, and of one namespace the oldest goes first: whoever deploys much waits
//! for himself. A slice counts for whose turn it is on the cores, too.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::api::Deploying;
use crate::registry::{Holding, Namespace};
use limits::{DEPLOY_SLICE_INTERVAL_NS, DEPLOY_SLICE_NS, DEPLOYS_MAX, DEPLOYS_SHARE_FACTOR};

/// All of them.
pub struct Deploys {
    list: Vec<Deploy>,
    /// There is more than one tenant.
    is_shared: bool,
    /// Whose turn it was last.
    last: Option<Namespace>,
    next_ns: u64,
}

/// One, and the slot of the connection that waits for it.
pub struct Deploy {
    pub slot: u32,
    pub deploying: Box<Deploying>,
    pub holding: Holding,
}

impl Deploys {
    pub fn new(is_shared: bool) -> Self {
        Self { list: Vec::with_capacity(DEPLOYS_MAX), is_shared, last: None, next_ns: 0 }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether a namespace may have one more.
    pub fn admits(&self, namespace: &Namespace) -> bool {
        let own = self.list.iter().filter(|it| it.deploying.namespace == *namespace).count();
        let left = DEPLOYS_MAX - self.list.len();
        left > 0 && (!self.is_shared || own < DEPLOYS_SHARE_FACTOR * left)
    }

    /// Takes one more that [`admits`](Self::admits) was asked about.
    pub fn enter(&mut self, deploy: Deploy) {
        self.list.push(deploy);
    }

    /// Forgets that of a connection that is gone.
    pub fn abandon(&mut self, slot: u32) {
        self.list.retain(|deploy| deploy.slot != slot);
    }

    /// When the next slice is due.
    pub fn next_ns(&self) -> Option<u64> {
        (!self.list.is_empty()).then_some(self.next_ns)
    }

    /// The one whose turn it is, if it is time, and its place.
    pub fn next(&mut self, now_ns: u64) -> Option<(usize, &mut Deploy)> {
        if self.list.is_empty() || now_ns < self.next_ns {
            return None;
        }
        self.next_ns = now_ns + DEPLOY_SLICE_INTERVAL_NS;
        let place = self.place();
        let deploy = self.list.get_mut(place)?;
        let namespace = &deploy.deploying.namespace;
        namespace.use_ns(DEPLOY_SLICE_NS);
        self.last = Some(namespace.clone());
        Some((place, deploy))
    }

    /// The oldest of the namespace that comes next behind the last one, by name.
    fn place(&self) -> usize {
        let names = || self.list.iter().map(|deploy| &deploy.deploying.namespace);
        let later = names().filter(|name| self.last.as_ref().is_none_or(|last| *name > last));
        let next = later.min().or_else(|| names().min());
        names().position(|name| Some(name) == next).unwrap_or(0)
    }

    /// Takes the one at this place out.
    pub fn remove(&mut self, place: usize) -> Deploy {
        self.list.remove(place)
    }
}
