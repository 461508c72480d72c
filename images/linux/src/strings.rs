//! Strings one behind the other, each with its NUL: arguments, environments.
//!
//! They are looked through in every instance, and this image is compiled without vectors, so eight
//! bytes are looked at together.
#![forbid(unsafe_code)]

/// Bytes that are looked at together.
const WORD: usize = size_of::<u64>();
/// The highest bit of each byte.
const HIGH: u64 = u64::from_ne_bytes([0x80; WORD]);

/// Tells where each NUL is, in order.
#[inline]
pub fn for_each_end(bytes: &[u8], mut each: impl FnMut(usize)) {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // In each byte the highest bit alone, if the byte is zero: no sum carries into the next.
        let mut zeros = !(((word & !HIGH) + !HIGH) | word) & HIGH;
        while zeros != 0 {
            each(at + zeros.trailing_zeros() as usize / 8);
            zeros &= zeros - 1;
        }
        at += WORD;
    }
    for (index, byte) in rest.iter().enumerate() {
        if *byte == 0 {
            each(at + index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_end_is_found_whatever_is_around_it(
            bytes in prop::collection::vec(
                prop_oneof![Just(0_u8), Just(1), Just(0x7f), Just(0x80), Just(0x81), any::<u8>()],
                0..60,
            ),
        ) {
            let mut ends = Vec::new();
            for_each_end(&bytes, |end| ends.push(end));
            let expected: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == 0).collect();
            prop_assert_eq!(ends, expected);
        }
    }
}
