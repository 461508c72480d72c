//! Randomness: ChaCha with eight rounds, seeded afresh for every instance.
#![forbid(unsafe_code)]

use chacha20::ChaCha8;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};

/// Bytes of a seed.
pub const SEED_LEN: usize = 32;
/// Bytes of a stream's number.
const NUMBER_LEN: usize = 12;

/// A generator that is made when it is first asked, and makes a block of 64 bytes when one is
/// needed: most programs draw less than one.
#[derive(Debug, Default)]
pub struct Random {
    seed: [u8; SEED_LEN],
    stream: Option<ChaCha8>,
    /// Streams that came to their end, each after 256 GiB.
    ended: u32,
    /// Bytes drawn since the last seed.
    pub drawn: u64,
}

impl Random {
    /// A generator without a seed.
    #[must_use]
    pub const fn new() -> Self {
        Self { seed: [0; SEED_LEN], stream: None, ended: 0, drawn: 0 }
    }

    /// Begins a new stream.
    pub fn seed(&mut self, seed: [u8; SEED_LEN]) {
        *self = Self { seed, ..Self::new() };
    }

    /// Fills the bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.drawn += bytes.len() as u64;
        if self.stream().try_write_keystream(bytes).is_err() {
            self.ended = self.ended.wrapping_add(1);
            self.stream = None;
            // A stream that begins has more than any buffer takes.
            let _ = self.stream().try_write_keystream(bytes);
        }
    }

    fn stream(&mut self) -> &mut ChaCha8 {
        let Self { seed, ended, .. } = *self;
        self.stream.get_or_insert_with(|| {
            let mut number = [0; NUMBER_LEN];
            number[..size_of::<u32>()].copy_from_slice(&ended.to_le_bytes());
            ChaCha8::new(&seed.into(), &number.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_stream_however_it_is_drawn() {
        let mut whole = [0; 300];
        let mut random = Random::new();
        random.seed([7; SEED_LEN]);
        random.fill(&mut whole);
        random.seed([7; SEED_LEN]);
        let mut pieces = [0; 300];
        for piece in pieces.chunks_mut(13) {
            random.fill(piece);
        }
        assert_eq!(whole, pieces);
        assert_eq!(random.drawn, 300);
        random.seed([8; SEED_LEN]);
        random.fill(&mut pieces);
        assert_ne!(whole, pieces);
    }

    #[test]
    fn behind_the_end_of_a_stream_another_begins() {
        use chacha20::cipher::StreamCipherSeek as _;
        let mut random = Random::new();
        random.fill(&mut [0; 8]);
        let mut first = [0; 64];
        random.seed([0; SEED_LEN]);
        random.fill(&mut first);
        random.stream().seek((1_u64 << 38) - 64);
        let mut next = [0; 128];
        random.fill(&mut next);
        assert_eq!(random.ended, 1);
        assert_ne!(next[..64], first);
        assert_ne!(next, [0; 128]);
    }
}
