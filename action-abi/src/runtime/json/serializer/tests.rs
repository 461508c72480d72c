//! Values as `serde_json` writes them, in windows of all lengths.

use std::collections::BTreeMap;

use super::*;

const WINDOW_LEN: usize = 1 << 16;

fn ours(value: &impl Serialize) -> Result<String, Error> {
    let mut output = Output::for_test(WINDOW_LEN);
    append(value, &mut output)?;
    Ok(String::from_utf8_lossy(output.as_bytes()).into_owned())
}

fn check(value: impl Serialize) {
    let theirs = serde_json::to_string(&value).expect("has a JSON form");
    assert_eq!(ours(&value).as_deref(), Ok(theirs.as_str()));
}

#[derive(Serialize)]
enum Variants {
    Unit,
    Newtype(u8),
    Tuple(u8, Option<char>),
    Struct { left: bool, right: &'static str },
    EmptyTuple(),
    EmptyStruct {},
}

#[derive(Serialize)]
struct Newtype<T>(T);

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    First,
}

#[test]
fn integers_and_booleans() {
    check((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    check((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, 0, -1, true, false));
}

#[test]
fn floats_read_back_as_the_same_number() {
    let mut bits = 1_u64;
    for _ in 0..20_000 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let value = f64::from_bits(bits);
        if value.is_finite() {
            let text = ours(&value).expect("fits");
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
    }
}

#[test]
fn common_floats_look_as_usual() {
    check([0.0, -0.0, 1.0, 0.1, -2.5, 1e15, 0.0001, 1e-300, f64::MIN_POSITIVE]);
    check([0.1_f32, 1.5, 16_777_216.0]);
    assert_eq!(ours(&[1e16, -1e300, 1e-5]).as_deref(), Ok("[1e16,-1e300,1e-5]"));
    check([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    check(f32::NAN);
}

#[test]
fn every_character_below_256_and_some_above() {
    check((0..=255).map(char::from).collect::<String>());
    check((0..=255).map(char::from).collect::<Vec<char>>());
    check("\u{2028}\u{FFFF}\u{1F980}\u{10FFFF} \\\"/ ends with a space ");
}

#[test]
fn what_must_be_escaped_is_found_wherever_it_is() {
    for len in 0..40 {
        for at in 0..len {
            for special in ["\"", "\\", "\n", "\0", "\u{1f}", "\u{7f}", "\u{80}"] {
                let text = ["x".repeat(at).as_str(), special, &"!#[]~".repeat(len)].concat();
                check(&text[..]);
                check([special, &text, special].concat());
            }
        }
    }
}

#[test]
fn every_shape_of_the_data_model() {
    check(Variants::Unit);
    check(Variants::Newtype(1));
    check(Variants::Tuple(1, Some('x')));
    check(Variants::Struct { left: true, right: "r" });
    check(Variants::EmptyTuple());
    check(Variants::EmptyStruct {});
    check([Some(Newtype("a")), None]);
    check(((), Vec::<u8>::new(), BTreeMap::<String, u8>::new(), [[1], [2]]));
    check(Newtype(vec![Variants::Tuple(1, None), Variants::Newtype(2)]));
    check(serde_json::json!({"a": [1, {"b": null}], "c\n": "d", "e": {}, "f": []}));
}

#[test]
fn bytes_are_an_array_of_numbers() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&[0, 128, 255])
        }
    }
    check(Bytes);
}

#[test]
fn keys_are_strings() {
    check(BTreeMap::from([("b\"", 1), ("a", 2)]));
    check(BTreeMap::from([(-1, 1), (2, 2)]));
    check(BTreeMap::from([(true, 1)]));
    check(BTreeMap::from([('x', 1)]));
    check(BTreeMap::from([(Key::First, 1)]));
}

#[test]
fn other_keys_are_refused() {
    assert_eq!(ours(&BTreeMap::from([((), 1)])), Err(Error::Key));
    assert_eq!(ours(&BTreeMap::from([(None::<u8>, 1)])), Err(Error::Key));
    assert_eq!(ours(&BTreeMap::from([([1, 2], 1)])), Err(Error::Key));
    assert_eq!(ours(&BTreeMap::from([(Some([1]), 1)])), Err(Error::Key));
}

#[test]
fn displayed_text_is_escaped() {
    struct Shown;
    impl Serialize for Shown {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}\n{}", "a\"", 5))
        }
    }
    check(Shown);
}

/// At every window length: either the whole text, or an error that names the bound.
#[test]
fn a_short_window_is_an_error_wherever_it_ends() {
    let value = (serde_json::json!({"a": [1.5, "x\ny", null]}), Variants::Tuple(1, Some('x')));
    let whole = ours(&value).expect("fits");
    for window_len in 0..whole.len() {
        let mut output = Output::for_test(window_len);
        assert_eq!(append(&value, &mut output), Err(Error::Full(OutputFull { window_len })));
    }
    let mut output = Output::for_test(whole.len());
    assert_eq!(append(&value, &mut output), Ok(()));
}
