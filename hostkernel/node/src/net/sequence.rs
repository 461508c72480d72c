//! Where the numbers of a connection begin, so that nobody who does not see them can guess them
//! (RFC 6528): a clock, and a function of the client's address and port with a secret of this boot.
//!
//! smoltcp takes these numbers from a generator that is made for tests: three of its numbers tell
//! all later ones. It is the only thing that decides them, and can be given any seed. So every
//! connect is read by an interface of its own whose generator was wound back by two steps, of which
//! an interface takes the first for itself, from the number that is wanted.

use crate::random::Keyed;

/// The clock of RFC 6528 ticks every four microseconds.
const TICK_NS: u64 = 4_000;

/// The secret.
pub struct Sequences(Keyed);

impl Sequences {
    /// Sequences with this secret.
    pub fn new(secret: Keyed) -> Self {
        Self(secret)
    }

    /// Where the connection begins that a client, as a number, wants now.
    pub fn first(&self, client: u64, now_ns: u64) -> u32 {
        (self.0.word(client) as u32).wrapping_add((now_ns / TICK_NS) as u32)
    }
}

// smoltcp's generator, `src/rand.rs` of the version that is pinned: a linear congruence with these
// constants, of whose state 32 bits are shown, here bits 29 to 60 because the upper three are zero.
const FACTOR: u64 = 0xbb2e_fcec_3c39_611d;
const ADDEND: u64 = 0x7590_ef39;
const SHOWN_SHIFT: u32 = 29;
/// Its inverse modulo 2^64: each step doubles the number of right bits, and three are right.
const INVERSE: u64 = {
    let mut inverse = FACTOR;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};
const _: () = assert!(INVERSE.wrapping_mul(FACTOR) == 1);

/// A seed of smoltcp's generator whose second number is this one; `noise` fills the bits that are
/// not shown. The first is no zero in its lower half when folded, for which it would be skipped.
pub fn seed_for(number: u32, noise: u64) -> u64 {
    let back = |state: u64| state.wrapping_sub(ADDEND).wrapping_mul(INVERSE);
    let mut hidden = noise & ((1 << SHOWN_SHIFT) - 1);
    loop {
        let first = back(u64::from(number) << SHOWN_SHIFT | hidden);
        let shown = (first >> (SHOWN_SHIFT - (first >> 61) as u32)) as u32;
        if (shown ^ shown >> 16) as u16 != 0 {
            return back(first);
        }
        hidden ^= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_client_secret_and_time() {
        let sequences = |secret: u8| Sequences::new(Keyed::new([secret; 32]));
        let first = sequences(1).first(77, 1_000_000);
        assert_eq!(first, sequences(1).first(77, 1_003_999));
        assert_eq!(first.wrapping_add(1), sequences(1).first(77, 1_004_000));
        assert_ne!(first, sequences(2).first(77, 1_000_000));
        let other = sequences(1).first(78, 1_000_000);
        assert!(first.abs_diff(other) > 1000, "{first} and {other}");
    }
}
