//! Where this machine's random bytes come from: RDRAND, a device, the jitter of the clock.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;

use crate::arch::{clock, cpu};
use crate::device::probe::Entropy;
use node::random::Random;
use node::random::seed::{PROCESSOR_WORDS, is_sound, seed};

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

/// Whether the processor has a source of its own that works.
#[must_use]
pub fn has_processor() -> bool {
    processor().is_some()
}

fn processor() -> Option<[u64; PROCESSOR_WORDS]> {
    let mut words = [0; PROCESSOR_WORDS];
    for word in &mut words {
        *word = cpu::hardware_random()?;
    }
    is_sound(&words).then_some(words)
}

/// A generator with a seed of its own, from RDRAND, the entropy device and the jitter of
/// the time stamp counter. RDSEED is not asked: RDRAND is seeded from the same source.
#[must_use]
pub fn generator() -> Random {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let device = DEVICE.get().and_then(Option::as_ref);
    let device = device.map_or(&[][..], |entropy| &entropy[..]);
    Random::from_seed(seed(number, device, processor(), clock::cycles))
}
