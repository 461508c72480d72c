//! Random bytes: ChaCha with eight rounds, more than anybody has broken, seeded from what the
//! processor and the machine have.
//!
//! Activation ids and the seeds of actions come from here, so they cannot be guessed from one
//! another.
#![forbid(unsafe_code)]

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

#[cfg(any(test, target_os = "none"))]
mod seed;

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
mod hardware {
    use core::sync::atomic::{AtomicU64, Ordering};

    use spin::Once;

    use super::Random;
    use super::seed::{PROCESSOR_WORDS, is_sound, seed};
    use crate::arch::{clock, cpu};
    use crate::device::probe::Entropy;

    static DEVICE: Once<Option<Entropy>> = Once::new();

    /// Takes what a device gave, if there is one, and says in the log where randomness comes from.
    /// Before the first generator is made.
    pub fn initialise(device: Option<Entropy>) {
        let device = DEVICE.call_once(|| device);
        match (processor(), device) {
            (Some(_), Some(_)) => log::info!("random: RDRAND and virtio-rng"),
            (Some(_), None) => log::info!("random: RDRAND"),
            (None, Some(_)) => log::info!("random: virtio-rng"),
            (None, None) => log::warn!(
                "neither a working RDRAND nor virtio-rng: ids and seeds come from the jitter \
                 of the clock, and may be guessed"
            ),
        }
    }

    fn processor() -> Option<[u64; PROCESSOR_WORDS]> {
        let mut words = [0; PROCESSOR_WORDS];
        for word in &mut words {
            *word = cpu::hardware_random()?;
        }
        is_sound(&words).then_some(words)
    }

    impl Random {
        /// A generator with a seed of its own, from RDRAND, the entropy device and the jitter of
        /// the time stamp counter. RDSEED is not asked: RDRAND is seeded from the same source.
        #[must_use]
        pub fn from_hardware() -> Self {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let device = DEVICE.get().and_then(Option::as_ref);
            let device = device.map_or(&[][..], |entropy| &entropy[..]);
            Self::from_seed(seed(number, device, processor(), clock::cycles))
        }
    }
}
#[cfg(target_os = "none")]
pub use hardware::initialise;
