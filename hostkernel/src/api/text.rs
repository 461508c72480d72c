//! Numbers as text for what is composed on every invocation.
//!
//! `core::fmt` is general: a number that is padded costs it several hundred instructions. An
//! invocation has a dozen numbers in its headers and environment, so these are written by hand.

use alloc::string::String;

/// Appends a number.
pub fn push_decimal(out: &mut String, number: u64) {
    push_digits(out, number, 1);
}

/// Appends nanoseconds as milliseconds with three decimals.
pub fn push_milliseconds(out: &mut String, ns: u64) {
    push_decimal(out, ns / 1_000_000);
    out.push('.');
    push_digits(out, ns / 1000 % 1000, 3);
}

/// Appends a number with zeros in front of it if it has less than `digits_min` digits.
fn push_digits(out: &mut String, mut number: u64, digits_min: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    push_ascii(out, &digits[start.min(digits.len() - digits_min)..]);
}

/// Appends an id as 32 hexadecimal digits.
pub fn push_id(out: &mut String, id: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 32];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(id.to_be_bytes()) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    push_ascii(out, &digits);
}

fn push_ascii(out: &mut String, digits: &[u8]) {
    out.push_str(core::str::from_utf8(digits).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut String)) -> String {
        let mut out = String::from("x");
        push(&mut out);
        out.split_off(1)
    }

    proptest! {
        #[test]
        fn it_is_what_fmt_writes(number: u64, id: u128, shift in 0..64_u32) {
            let number = number >> shift;
            prop_assert_eq!(text(|out| push_decimal(out, number)), format!("{number}"));
            prop_assert_eq!(text(|out| push_id(out, id)), format!("{id:032x}"));
            let us = number / 1000;
            prop_assert_eq!(
                text(|out| push_milliseconds(out, number)),
                format!("{}.{:03}", us / 1000, us % 1000)
            );
        }
    }

    #[test]
    fn zero_has_a_digit() {
        assert_eq!(text(|out| push_decimal(out, 0)), "0");
        assert_eq!(text(|out| push_decimal(out, u64::MAX)), "18446744073709551615");
        assert_eq!(text(|out| push_milliseconds(out, 999)), "0.000");
    }
}
