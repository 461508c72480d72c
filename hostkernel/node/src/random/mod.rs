//! Random bytes: ChaCha with eight rounds, more than anybody has broken, seeded from what the
//! processor and the machine have.
//!
//! Activation ids and the seeds of actions come from here, so they cannot be guessed from one
//! another.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

pub mod seed;

/// A generator of one core.
pub struct Random(ChaCha8Rng);

impl Random {
    /// A generator with this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// 128 random bits.
    pub fn id(&mut self) -> u128 {
        u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64())
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 256 random bits.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }
}

/// A function that nobody can guess who does not know its key.
pub struct Keyed([u8; 32]);

impl Keyed {
    /// The one with this key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Its value: the first 64 bits of the key's stream with this number.
    #[must_use]
    pub fn word(&self, number: u64) -> u64 {
        let mut stream = ChaCha8Rng::from_seed(self.0);
        stream.set_stream(number);
        stream.next_u64()
    }
}
