//! Texts that are JSON and texts that are not, against `serde_json`.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use proptest::prelude::*;

fn members(text: &str) -> Result<Vec<(String, String)>, JsonReject> {
    let mut found = Vec::new();
    Json::read(text.as_bytes())?
        .members(|name, value| found.push((name.text().to_string(), value.text().to_string())))?;
    Ok(found)
}

fn decoded(quoted: &str) -> String {
    let mut text = String::new();
    let json = Json::read(quoted.as_bytes()).expect("shallow");
    json.write_decoded(&mut text).expect("a string has room");
    text
}

#[test]
fn members_are_pieces_of_the_text() {
    let text = r#" {"a" : 1, "b":{"c":[1, 2]} ,"\u0061":"x\"y", "a":null} "#;
    let found = members(text).expect("well-formed");
    let pairs: Vec<_> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        pairs,
        [
            (r#""a""#, "1"),
            (r#""b""#, r#"{"c":[1, 2]}"#),
            (r#""\u0061""#, r#""x\"y""#),
            (r#""a""#, "null")
        ]
    );
}

#[test]
fn what_is_not_an_object_is_refused() {
    for text in ["", " ", "[]", "1", "\"a\"", "null", "{", "{}x", "{} {}", "{1:2}", "{'a':1}"] {
        assert!(members(text).is_err(), "{text:?}");
    }
    for text in
        ["{\"a\":01}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":\"\n\"}", "\u{feff}{}"]
    {
        assert!(members(text).is_err(), "{text:?}");
    }
    assert!(matches!(Json::read(b"{\"a\":\"\xff\"}"), Err(JsonReject::NotUtf8)));
}

#[test]
fn nesting_is_bounded_before_anything_is_parsed() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let fits = format!("{{\"a\":{}}}", nested(JSON_DEPTH_MAX - 1));
    assert!(members(&fits).is_ok());
    let deep = format!("{{\"a\":{}}}", nested(JSON_DEPTH_MAX));
    assert!(matches!(members(&deep), Err(JsonReject::TooDeep)));
    assert!(matches!(members(&"[".repeat(1 << 20)), Err(JsonReject::TooDeep)));
    let quoted = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(500), "{".repeat(500));
    assert!(members(&quoted).is_ok(), "brackets in strings do not nest");
    let closed = format!("{{\"a\":[{}1]}}", "[1],".repeat(500));
    assert!(members(&closed).is_ok(), "brackets side by side do not nest");
}

#[test]
fn a_wrong_type_is_not_quoted_in_the_error() {
    let long = format!("\"{}\"", "x".repeat(100_000));
    let error = members(&long).expect_err("a string");
    assert!(error.to_string().len() < 100);
}

#[test]
fn scalars_are_read_strictly() {
    let json = |text| Json::read(str::as_bytes(text)).expect("shallow");
    assert_eq!(json("42").unsigned(), Some(42));
    for text in ["-1", "1.0", "1e3", "\"1\"", "18446744073709551616", "true"] {
        assert_eq!(json(text).unsigned(), None, "{text}");
    }
    assert_eq!(json("true").boolean(), Some(true));
    assert_eq!(json("\"true\"").boolean(), None);
    assert_eq!(json(r#""a\n\u00e4""#).string(99).expect("a string"), "a\nä");
    assert!(matches!(json("\"abcd\"").string(3), Err(JsonReject::StringTooLong)));
    assert!(matches!(json("\"\\ud800\"").string(9), Err(JsonReject::NotAString)));
    assert!(matches!(json("7").string(9), Err(JsonReject::NotAString)));
    assert!(json("null").is_null());
}

#[test]
fn members_are_picked_by_name_however_it_is_spelt() {
    let json = Json::read(br#"{"a":1,"\u0062":2,"c":3,"c":4,"d":null,"e\ud800":5}"#);
    let picked = json.expect("shallow").pick(["b", "c", "d", "e"]).expect("an object");
    assert_eq!(picked.map(|value| value.map(Json::text)), [Some("2"), Some("4"), None, None]);
}

#[test]
fn arrays_are_walked() {
    let mut count = 0;
    let json = Json::read(b"[1, {\"a\":[]}, \"x\"]").expect("shallow");
    json.elements(|_| count += 1).expect("well-formed");
    assert_eq!(count, 3);
    assert!(matches!(
        Json::read(b"{}").expect("shallow").elements(|_| {}),
        Err(JsonReject::NotAnArray)
    ));
}

proptest! {
    #[test]
    fn quoting_is_undone_by_reading(text in ".*") {
        let quoted = Quoted(&text).to_string();
        prop_assert_eq!(&decoded(&quoted), &text);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("JSON"), text);
    }

    #[test]
    fn strings_are_decoded_as_serde_json_does(
        text in r#"([a\u{e4}]|\\["\\/bfnrt]|\\u(00e4|d83d\\ude00|D83D|dE00|0000)){0,9}"#,
    ) {
        let quoted = format!("\"{text}\"");
        if let Ok(expected) = serde_json::from_str::<String>(&quoted) {
            prop_assert_eq!(decoded(&quoted), expected);
        } else {
            prop_assert!(decoded(&quoted).contains(char::REPLACEMENT_CHARACTER));
        }
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(json) = Json::read(&bytes) {
            let _ = json.members(|_, value| { let _ = value.string(100); });
            let _ = json.elements(|value| { let _ = value.unsigned(); });
            let _ = (json.check(), json.write_decoded(&mut String::new()));
        }
    }

    #[test]
    fn nearly_json_is_judged_as_serde_json_does(
        text in r#"[\{\}\[\]",:\\ a0-9.eE\-truefalsn]{0,24}"#,
    ) {
        let text = format!("{{{text}}}");
        let strict = serde_json::from_str::<&RawValue>(&text).is_ok();
        prop_assert_eq!(members(&text).is_ok(), strict);
    }
}
