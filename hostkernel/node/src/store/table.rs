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
    /// Those that are held, by when each was used last.
    order: BTreeMap<u64, Key>,
    clock: u64,
}

/// An action that the node has, and the registry had.
struct Held {
    etag: Digest,
    confirmed_ns: u64,
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
        let Some(held) = self.held.get_mut(key) else { return };
        if let Some(key) = self.order.remove(&held.place) {
            held.place = self.clock;
            self.order.insert(held.place, key);
        }
    }

    /// The node has this of an action, and the registry too.
    pub fn hold(&mut self, key: Key, etag: Digest, now_ns: u64) {
        self.absent.remove(&key);
        self.drop(&key);
        self.clock += 1;
        let place = self.clock;
        self.order.insert(place, key.clone());
        self.held.insert(key, Held { etag, confirmed_ns: now_ns, place });
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
        let mut from = 0;
        for _ in 0..EVICTION_LOOKS_MAX {
            let (place, key) = self.order.range(from..).next()?;
            let key = key.clone();
            from = place + 1;
            let is_meant = of.is_none_or(|namespace| *namespace == key.0);
            // The registry's own, and nobody else's.
            match registry.get(&key.0, key.1.as_str()).map(Arc::strong_count) {
                None => self.drop(&key),
                Some(1) if is_meant => {
                    self.drop(&key);
                    return registry.remove(&key.0, key.1.as_str());
                }
                Some(_) => {}
            }
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
