//! Hash tables as in `std`: keys that a client chooses do not fall into one bucket, since how they
//! are spread is another matter in each invocation.

use core::hash::BuildHasher;

use foldhash::fast::{FixedState, FoldHasher};

use super::context::context;

/// A hash table.
pub type HashMap<K, V> = hashbrown::HashMap<K, V, Seeded>;
/// A hash set.
pub type HashSet<T> = hashbrown::HashSet<T, Seeded>;

/// Makes hashers whose seed is the invocation's.
#[derive(Clone, Debug)]
pub struct Seeded(FixedState);

impl Default for Seeded {
    fn default() -> Self {
        let (seed, _) = context().random_seed.split_first_chunk().expect("a seed has 32 bytes");
        Self(FixedState::with_seed(u64::from_le_bytes(*seed)))
    }
}

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// `new` and `with_capacity`, which `std` has for its own tables only.
pub trait Table {
    /// An empty one.
    #[must_use]
    fn new() -> Self;
    /// An empty one with room for so many.
    #[must_use]
    fn with_capacity(capacity: usize) -> Self;
}

impl<K, V> Table for HashMap<K, V> {
    fn new() -> Self {
        Self::default()
    }

    fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, Seeded::default())
    }
}

impl<T> Table for HashSet<T> {
    fn new() -> Self {
        Self::default()
    }

    fn with_capacity(capacity: usize) -> Self {
        Self::with_capacity_and_hasher(capacity, Seeded::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_used_as_those_of_std() {
        let mut map: HashMap<&str, u32> = HashMap::new();
        for word in "a b a".split(' ') {
            *map.entry(word).or_default() += 1;
        }
        assert_eq!((map["a"], map.get("b"), map.len()), (2, Some(&1), 2));
        let set: HashSet<u8> = [1, 2, 1].into_iter().collect();
        assert_eq!(set.len(), 2);
        assert!(HashSet::<u8>::with_capacity(10).capacity() >= 10);
    }
}
