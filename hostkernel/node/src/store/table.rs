//! What is known of each action in the registry: which one the node has, how long ago that was
//! confirmed, when it was used last, and which names the registry does not have.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::item::Key;
use crate::registry::{Action, Digest, Namespace, Registry};
use limits::{EVICTION_LOOKS_MAX, STORE_ABSENT_MAX};

/// See the head of this file.
#[derive(Default)]
pub struct Table {
    held: BTreeMap<Key, Held>,
    /// By when each was put here, so that the first are the oldest; and until when it holds.
    absent: BTreeMap<Key, u64>,
    /// Those that are held by when each was used, as it was known when it was put here: later uses
    /// are looked up.
    order: BTreeMap<u64, Key>,
    clock: u64,
}

/// An action that the node has, and the registry had.
struct Held {
    etag: Digest,
    confirmed_ns: u64,
    used: u64,
    /// Its place in the order.
    place: u64,
}

impl Table {
    /// Which manifest the node has of an action.
    pub fn etag(&self, key: &Key) -> Option<Digest> {
        self.held.get(key).map(|held| held.etag)
    }

    /// The registry confirmed this at that time, if the node has one of it.
    pub fn confirmed_ns(&self, key: &Key) -> Option<u64> {
        self.held.get(key).map(|held| held.confirmed_ns)
    }

    /// Whether the registry is known not to have it.
    pub fn is_absent(&self, key: &Key, now_ns: u64) -> bool {
        self.absent.get(key).is_some_and(|until_ns| *until_ns > now_ns)
    }

    /// An action is used.
    pub fn touch(&mut self, key: &Key) {
        self.clock += 1;
        if let Some(held) = self.held.get_mut(key) {
            held.used = self.clock;
        }
    }

    /// The node has this of an action, and the registry too.
    pub fn hold(&mut self, key: Key, etag: Digest, now_ns: u64) {
        self.absent.remove(&key);
        self.clock += 1;
        let (used, confirmed_ns) = (self.clock, now_ns);
        let place = self.held.get(&key).map_or(used, |held| held.place);
        if place == used {
            self.order.insert(place, key.clone());
        }
        self.held.insert(key, Held { etag, confirmed_ns, used, place });
    }

    /// The registry still has it.
    pub fn confirm(&mut self, key: &Key, now_ns: u64) {
        if let Some(held) = self.held.get_mut(key) {
            held.confirmed_ns = now_ns;
        }
    }

    /// The node does not have it any more.
    fn drop(&mut self, key: &Key) {
        if let Some(held) = self.held.remove(key) {
            self.order.remove(&held.place);
        }
    }

    /// The registry does not have it.
    pub fn note_absent(&mut self, key: Key, until_ns: u64, now_ns: u64) {
        self.drop(&key);
        if self.absent.len() >= STORE_ABSENT_MAX {
            self.absent.retain(|_, until_ns| *until_ns > now_ns);
        }
        if self.absent.len() < STORE_ABSENT_MAX {
            self.absent.insert(key, until_ns);
        }
    }

    /// Forgets that it is not there.
    pub fn note_present(&mut self, key: &Key) {
        self.absent.remove(key);
    }

    /// Takes the action out of the registry of the node that was not used for longest: one of this
    /// namespace, if it is that which has too much. What runs stays.
    pub fn evict(
        &mut self,
        registry: &mut Registry,
        of: Option<&Namespace>,
    ) -> Option<Arc<Action>> {
        for _ in 0..EVICTION_LOOKS_MAX {
            let (at, key) = self.order.pop_first()?;
            let Some(held) = self.held.get_mut(&key) else { continue };
            let action = registry.get(&key.0, key.1.as_str());
            let Some(action) = action else {
                self.held.remove(&key);
                continue;
            };
            let is_meant = of.is_none_or(|namespace| *namespace == key.0);
            // The registry's own, and nobody else's.
            let is_resting = Arc::strong_count(action) == 1;
            if held.used == at && is_meant && is_resting {
                self.held.remove(&key);
                return registry.remove(&key.0, key.1.as_str());
            }
            // Either it was used since it was put here, or it is not to go: then it is looked at
            // again behind all that are there now.
            if held.used == at {
                self.clock += 1;
                held.used = self.clock;
            }
            held.place = held.used;
            self.order.insert(held.place, key);
        }
        None
    }

    /// How many actions the node has that the registry had.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Name, Share};

    fn key(number: usize) -> Key {
        let name = alloc::format!("name-{number}");
        (Namespace::new("guest"), Name::new(&name).expect("a good name"))
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let mut table = Table::default();
        let etag = Digest([0; 32]);
        for round in 0..10 {
            for number in 0..10 {
                table.hold(key(number), etag, round);
                table.touch(&key(number));
                table.hold(key(number), etag, round);
                assert_eq!(table.order.len(), table.held());
            }
            (0..10).for_each(|number| table.note_absent(key(number), 1, 0));
            assert_eq!((table.held(), table.order.len()), (0, 0));
        }
        // What the node lost otherwise goes when it is looked at.
        let mut registry = Registry::new(Share::UNBOUNDED);
        (0..10).for_each(|number| table.hold(key(number), etag, 0));
        assert!(table.evict(&mut registry, None).is_none());
        assert_eq!((table.held(), table.order.len()), (0, 0));
    }
}
