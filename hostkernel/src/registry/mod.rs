//! The registry: which action a name means, namespace by namespace.
//!
//! Actions are immutable and shared. Replacing or deleting one takes it out of the table;
//! invocations that hold it keep its image until the last of them has ended. Nothing here parses,
//! verifies or runs anything: [`crate::api`] fills the table with what passed its checks.
#![forbid(unsafe_code)]

mod action;
mod key_values;
mod name;

pub use action::{Action, Digest, Version};
pub use key_values::KeyValues;
pub use name::{Name, NameReject, Namespace};

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use core::fmt;

use crate::config::ACTIONS_MAX;

/// The node holds [`ACTIONS_MAX`] actions already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node already holds {ACTIONS_MAX} actions, as many as it can")
    }
}

/// All deployed actions.
///
/// Trees rather than hash tables: listing is ordered, growth never stops the node to rehash, names
/// chosen by an attacker cannot degrade it, and the logarithm of 100,000 is small.
#[derive(Debug, Default)]
pub struct Registry {
    namespaces: BTreeMap<Namespace, BTreeMap<Name, Arc<Action>>>,
    len: usize,
}

impl Registry {
    /// A registry without actions.
    #[must_use]
    pub const fn new() -> Self {
        Self { namespaces: BTreeMap::new(), len: 0 }
    }

    /// The action of this name.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, name: &str) -> Option<&Arc<Action>> {
        self.namespaces.get(namespace)?.get(name)
    }

    /// Puts an action in its place, instead of the one that may be there.
    ///
    /// # Errors
    /// [`Full`] if it would be one more than [`ACTIONS_MAX`]; then nothing changes.
    pub fn insert(&mut self, action: Arc<Action>) -> Result<(), Full> {
        if self.is_full() && self.get(&action.namespace, action.name.as_str()).is_none() {
            return Err(Full);
        }
        let actions = self.namespaces.entry(action.namespace.clone()).or_default();
        match actions.entry(action.name.clone()) {
            Entry::Occupied(mut place) => drop(place.insert(action)),
            Entry::Vacant(place) => {
                place.insert(action);
                self.len += 1;
            }
        }
        Ok(())
    }

    /// Takes an action out.
    pub fn remove(&mut self, namespace: &Namespace, name: &str) -> Option<Arc<Action>> {
        let removed = self.namespaces.get_mut(namespace)?.remove(name)?;
        self.len -= 1;
        Some(removed)
    }

    /// The actions of a namespace, by name.
    pub fn list(&self, namespace: &Namespace) -> impl Iterator<Item = &Arc<Action>> {
        self.namespaces.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// How many actions a namespace has.
    #[must_use]
    pub fn count(&self, namespace: &Namespace) -> usize {
        self.namespaces.get(namespace).map_or(0, BTreeMap::len)
    }

    /// How many actions the node has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no action at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a new name would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= ACTIONS_MAX
    }
}

#[cfg(test)]
mod tests;
