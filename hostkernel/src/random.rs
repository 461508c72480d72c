//! Random bytes: ChaCha with eight rounds, more than anybody has broken, seeded from what the
//! processor has.
//!
//! Activation ids and the seeds of actions come from here, so they cannot be guessed from one
//! another.
#![forbid(unsafe_code)]

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

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

#[cfg(target_os = "none")]
impl Random {
    /// A generator seeded by RDRAND; without it from the jitter of the time stamp counter, which is
    /// weak, and said so in the log at boot.
    #[must_use]
    pub fn from_hardware() -> Self {
        use crate::arch::{area, clock, cpu};
        use sha2::{Digest, Sha256};

        /// Readings of the counter that are mixed: beside a generator, and instead of one.
        const JITTER_READINGS: [usize; 2] = [64, 1024];
        let mut hash = Sha256::new();
        hash.update((area::core_id() as u64).to_le_bytes());
        if cpu::has_random() {
            for _ in 0..8 {
                hash.update(cpu::hardware_random().unwrap_or_default().to_le_bytes());
            }
        }
        for _ in 0..JITTER_READINGS[usize::from(!cpu::has_random())] {
            hash.update(clock::cycles().to_le_bytes());
        }
        Self::from_seed(hash.finalize().into())
    }
}
