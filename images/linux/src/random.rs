//! Randomness: ChaCha with eight rounds, seeded afresh for every instance.
#![forbid(unsafe_code)]

use alloc::boxed::Box;

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

/// Bytes of a seed.
pub const SEED_LEN: usize = 32;

/// A generator that is made when it is first asked.
#[derive(Debug, Default)]
pub struct Random {
    seed: [u8; SEED_LEN],
    generator: Option<Box<ChaCha8Rng>>,
    /// Bytes drawn since the last seed.
    pub drawn: u64,
}

impl Random {
    /// A generator without a seed.
    #[must_use]
    pub const fn new() -> Self {
        Self { seed: [0; SEED_LEN], generator: None, drawn: 0 }
    }

    /// Begins a new stream.
    pub fn seed(&mut self, seed: [u8; SEED_LEN]) {
        *self = Self { seed, generator: None, drawn: 0 };
    }

    /// Fills the bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let seed = self.seed;
        let generator = self.generator.get_or_insert_with(|| Box::new(ChaCha8Rng::from_seed(seed)));
        generator.fill_bytes(bytes);
        self.drawn += bytes.len() as u64;
    }
}
