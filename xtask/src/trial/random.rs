//! The source of all choices: the same for the same seed.

/// SplitMix64 (Steele, Lea, Flood 2014). No statistics are needed, only repeatability.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Choices that follow from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The choices of one of many cases under a seed, which do not depend on those of others.
    #[must_use]
    pub fn of_case(seed: u64, case: u64) -> Self {
        let mut random = Self::new(seed);
        let base = random.word();
        let mut random = Self::new(base ^ case);
        Self::new(random.word())
    }

    /// Any number.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.word().is_multiple_of(times)
    }

    /// One of several.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Any bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        bytes
    }

    /// A range within `0..len`, mostly short.
    pub fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len);
        let longest = if self.one_in(4) { len } else { 16 };
        let end = start + self.below(longest + 1);
        start..end.min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_case_makes_the_same_choices_and_another_one_others() {
        let words = |case| [(); 4].map(|()| Random::of_case(7, case).word());
        assert_eq!(words(0), words(0));
        assert_ne!(words(0), words(1));
        assert_ne!(Random::of_case(7, 0).word(), Random::of_case(8, 0).word());
    }

    #[test]
    fn choices_stay_within_their_bounds() {
        let mut random = Random::new(1);
        for len in 0..100 {
            let range = random.range(len);
            assert!(range.start <= range.end && range.end <= len, "{range:?} of {len}");
            assert_eq!(random.bytes(len).len(), len);
            assert!(random.below(len) < len.max(1));
        }
    }
}
