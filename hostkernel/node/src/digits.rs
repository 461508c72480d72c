//! Numbers and ids as text for what is composed on every invocation.
//!
//! `core::fmt` is general: a number that is padded costs it several hundred instructions. An
//! invocation has a dozen numbers in its headers and environment, so these are written by hand.

use alloc::vec::Vec;

/// An id as 32 hexadecimal digits. Aligned so that `core` looks at them by words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
pub struct Hex([u8; 32]);

impl Hex {
    /// The digits of an id.
    #[must_use]
    pub fn of(id: u128) -> Self {
        let mut digits = [0; 32];
        for (eight, word) in digits.as_chunks_mut::<8>().0.iter_mut().zip([96, 64, 32, 0]) {
            *eight = hex((id >> word) as u32);
        }
        Self(digits)
    }

    /// The digits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Eight digits at a time, each in a byte of one register.
fn hex(word: u32) -> [u8; 8] {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let mut digits = u64::from(word);
    digits = (digits | digits << 16) & 0x0000_ffff_0000_ffff;
    digits = (digits | digits << 8) & 0x00ff_00ff_00ff_00ff;
    digits = (digits | digits << 4) & each(0x0f);
    // From ten on the addition reaches the next four bits.
    let is_letter = (digits + each(6)) >> 4 & each(1);
    let gap = u64::from(b'a' - b'9' - 1);
    (digits + each(b'0') + is_letter * gap).to_be_bytes()
}

/// Appends a number in hexadecimal, without leading zeros.
pub fn push_hexadecimal(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place) & 0xf) as u8;
        out.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
}

/// Appends a number in decimal digits. Most on the way of an invocation have one.
#[inline]
pub fn push_decimal(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
    } else {
        push_digits(out, number);
    }
}

#[inline(never)]
fn push_digits(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends nanoseconds as milliseconds with three decimals.
pub fn push_milliseconds(out: &mut Vec<u8>, ns: u64) {
    let us = ns / 1000;
    push_decimal(out, us / 1000);
    let thousandths = (us % 1000) as u32;
    let digit = |power| b'0' + (thousandths / power % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

/// Less than ten milliseconds, which most spans are, likewise.
#[inline]
#[must_use]
pub fn short_milliseconds(ns: u64) -> Option<[u8; 5]> {
    let us = u32::try_from(ns / 1000).ok().filter(|us| *us < 10_000)?;
    let (upper, lower) = (us / 100, us % 100);
    let digit = |number| b'0' + number as u8;
    Some([digit(upper / 10), b'.', digit(upper % 10), digit(lower / 10), digit(lower % 10)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    fn milliseconds(ns: u64) -> String {
        let mut out = b"x".to_vec();
        push_milliseconds(&mut out, ns);
        String::from_utf8(out.split_off(1)).expect("digits are text")
    }

    #[test]
    fn hexadecimal() {
        for number in [0, 1, 9, 10, 15, 16, 255, 4096, 65_536, usize::MAX] {
            let mut out = Vec::new();
            push_hexadecimal(&mut out, number);
            assert_eq!(out, alloc::format!("{number:x}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn it_is_what_fmt_writes(number: u64, id: u128, shift in 0..128_u32) {
            for id in [id, id >> shift, !(id >> shift)] {
                let (hex, text) = (Hex::of(id), format!("{id:032x}"));
                prop_assert_eq!(hex.as_str(), &text);
                prop_assert_eq!(hex.as_bytes(), text.as_bytes());
            }
            let number = number >> (shift / 2);
            let us = number / 1000;
            let text = format!("{}.{:03}", us / 1000, us % 1000);
            prop_assert_eq!(&milliseconds(number), &text);
            let short = short_milliseconds(number).map(|digits| digits.to_vec());
            prop_assert_eq!(short, (us < 10_000).then(|| text.into_bytes()));
        }
    }

    #[test]
    fn every_digit_and_the_ends_of_time() {
        let id = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        assert_eq!(Hex::of(id).as_str(), "0123456789abcdeffedcba9876543210");
        assert_eq!(milliseconds(999), "0.000");
        for us in 0..10_000 {
            let text = milliseconds(us * 1000);
            let short = short_milliseconds(us * 1000 + 999).expect("it is short");
            assert_eq!(short, text.as_bytes());
        }
        assert_eq!(short_milliseconds(10_000_000), None);
        assert_eq!(milliseconds(u64::MAX), "18446744073709.551");
    }
}
