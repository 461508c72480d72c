//! Which slot a client's connection has: a hash table with a secret.
//!
//! Clients choose their addresses and ports, so the hash depends on random numbers of this boot;
//! otherwise they could choose such that every look-up is a search.

use hashbrown::HashTable;

use crate::net::arrival::Peer;
use crate::random::Random;

/// From clients to slots.
pub struct Clients {
    table: HashTable<(Peer, u32)>,
    secret: [u64; 2],
}

impl Clients {
    /// A table for up to `capacity` clients at a time.
    pub fn new(capacity: usize, random: &mut Random) -> Self {
        // An odd factor loses nothing.
        let secret = [random.word(), random.word() | 1];
        // At most half full, a table sheds what was removed where it is: it never has to grow,
        // which could find no memory.
        Self { table: HashTable::with_capacity(2 * capacity), secret }
    }

    pub fn slot(&self, peer: Peer) -> Option<u32> {
        let found = self.table.find(hash(self.secret, peer), |(other, _)| *other == peer);
        found.map(|(_, slot)| *slot)
    }

    /// Enters a client that is not there.
    pub fn insert(&mut self, peer: Peer, slot: u32) {
        let secret = self.secret;
        self.table.insert_unique(hash(secret, peer), (peer, slot), |(peer, _)| hash(secret, *peer));
    }

    pub fn remove(&mut self, peer: Peer) {
        if let Ok(entry) =
            self.table.find_entry(hash(self.secret, peer), |(other, _)| *other == peer)
        {
            entry.remove();
        }
    }
}

/// Multiplies into 128 bits and folds: every bit of the client reaches every bit of the hash.
fn hash([addend, factor]: [u64; 2], peer: Peer) -> u64 {
    let product = u128::from(peer.number() ^ addend) * u128::from(factor);
    product as u64 ^ (product >> 64) as u64
}
