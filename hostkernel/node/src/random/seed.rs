//! What a generator begins with.

use sha2::{Digest as _, Sha256};

/// Words of the processor's generator that go into a seed: twice as much as there is in one.
pub const PROCESSOR_WORDS: usize = 8;
/// Readings of the clock that are mixed in: beside the processor's generator, and instead of it.
const JITTER_READINGS: [usize; 2] = [64, 1024];

/// A seed from everything there is. Nobody who knows all but one of the sources knows the seed.
///
/// `number` is another one for each seed, `device` what a device gave the node, the same for all.
pub fn seed(
    number: u64,
    device: &[u8],
    processor: Option<[u64; PROCESSOR_WORDS]>,
    clock: impl Fn() -> u64,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    hash.update((device.len() as u64).to_le_bytes());
    hash.update(device);
    processor.iter().flatten().for_each(|word| hash.update(word.to_le_bytes()));
    for _ in 0..JITTER_READINGS[usize::from(processor.is_none())] {
        hash.update(clock().to_le_bytes());
    }
    hash.finalize().into()
}

/// Whether these can come from a generator that works. Broken ones repeat themselves.
pub fn is_sound(words: &[u64; PROCESSOR_WORDS]) -> bool {
    (1..words.len()).all(|index| !words[..index].contains(&words[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_changes_the_seed() {
        let words = [1, 2, 3, 4, 5, 6, 7, 8];
        let seeds = [
            seed(0, &[], None, || 0),
            seed(1, &[], None, || 0),
            seed(0, &[0], None, || 0),
            seed(0, &[1], None, || 0),
            seed(0, &[], Some(words), || 0),
            seed(0, &[], Some([0; 8]), || 0),
            seed(0, &[], None, || 1),
            seed(0, &[1], Some(words), || 0),
        ];
        for (index, one) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn a_generator_that_repeats_itself_is_none() {
        assert!(is_sound(&[0, 1, 2, 3, 4, 5, 6, 7]));
        assert!(!is_sound(&[u64::MAX; 8]), "as some processors do after a suspend");
        assert!(!is_sound(&[0, 1, 2, 3, 4, 5, 6, 0]));
    }
}
