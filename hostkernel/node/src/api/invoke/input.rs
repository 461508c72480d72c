//! The input of an action that takes JSON.

use alloc::vec;
use core::fmt::Write as _;

use super::merging::position;
use crate::api::answer::error::Reject;
use crate::document::{Document, contiguous};
use crate::json::Json;
use crate::registry::KeyValues;
use memory::PageBuffer;

/// The request's object over the bound parameters. Without bound parameters it is the request's own
/// bytes, in the frames they arrived in.
///
/// # Errors
/// [`Reject::InputTooLong`] if it has more than `len_max` bytes;
/// [`Reject::ReservedParameters`] if the bound parameters are final and the request names one.
pub fn json_input(
    body: PageBuffer,
    parameters: &KeyValues,
    is_final: bool,
    len_max: usize,
) -> Result<PageBuffer, Reject> {
    if body.len() > len_max {
        return Err(Reject::InputTooLong { max: len_max });
    }
    if body.is_empty() {
        return merge("{}", parameters, is_final, len_max);
    }
    let bytes = contiguous(&body)?;
    let json = Json::read(&bytes)?;
    if !parameters.is_empty() {
        return merge(json.text(), parameters, is_final, len_max);
    }
    json.members(|_, _| {})?;
    drop(bytes);
    Ok(body)
}

/// Puts the bound parameters that a request does not name in front of its members.
fn merge(
    request: &str,
    parameters: &KeyValues,
    is_final: bool,
    len_max: usize,
) -> Result<PageBuffer, Reject> {
    let mut named = vec![false; parameters.len()];
    Json::read(request.as_bytes())?.members(|name, _| {
        let position = position(parameters, name);
        if let Some(named) = position.and_then(|position| named.get_mut(position)) {
            *named = true;
        }
    })?;
    if is_final && named.contains(&true) {
        return Err(Reject::ReservedParameters);
    }
    // What has members is an object: it starts and ends with a brace.
    let own = request.trim_ascii();
    let own = own.get(1..own.len().saturating_sub(1)).unwrap_or_default().trim_ascii();
    let merged = Document::compose(|out| {
        let mut separator = "{";
        let bound = parameters.iter().zip(named).filter(|(_, named)| !named);
        for ((key, value), _) in bound {
            write!(out, "{separator}{key}:{value}")?;
            separator = ",";
        }
        let separator = if own.is_empty() && separator == "," { "" } else { separator };
        write!(out, "{separator}{own}}}")
    })?;
    let is_short = merged.len() <= len_max;
    if is_short { Ok(merged) } else { Err(Reject::InputTooLong { max: len_max }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Quoted;
    use alloc::format;
    use alloc::string::{String, ToString as _};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const LEN_MAX: usize = 1 << 20;

    fn input(body: &str, parameters: &[(&str, &str)]) -> Result<String, Reject> {
        memory::install_for_test();
        let parameters = KeyValues::from_items(parameters).expect("the heap has room");
        let body = PageBuffer::from_bytes(body.as_bytes()).expect("frames are left");
        let input = json_input(body, &parameters, false, LEN_MAX)?;
        Ok(String::from_utf8(input.to_vec().expect("room")).expect("UTF-8"))
    }

    #[test]
    fn without_bound_parameters_the_body_is_the_input() {
        for body in ["{}", " {\"a\" : 1 , \"a\":2}\n", "{\"\\u0061\":[[]]}"] {
            assert_eq!(input(body, &[]).expect("an object"), body);
        }
        assert_eq!(input("", &[]).expect("nothing is an empty object"), "{}");
    }

    #[test]
    fn the_request_wins_over_bound_parameters() {
        let bound = [(r#""b""#, "1"), (r#""a""#, "\"x\""), (r#""n\n""#, "null")];
        for (body, merged) in [
            ("", r#"{"a":"x","b":1,"n\n":null}"#),
            (" { } ", r#"{"a":"x","b":1,"n\n":null}"#),
            (r#"{"a":2}"#, r#"{"b":1,"n\n":null,"a":2}"#),
            (r#"{"\u0061":2, "z":{"b":3}}"#, r#"{"b":1,"n\n":null,"\u0061":2, "z":{"b":3}}"#),
            (r#"{"a":1,"b":2,"n\u000a":3}"#, r#"{"a":1,"b":2,"n\u000a":3}"#),
        ] {
            assert_eq!(input(body, &bound).expect("an object"), merged, "{body}");
        }
    }

    #[test]
    fn input_that_is_no_object_is_refused() {
        for parameters in [&[][..], &[(r#""a""#, "1")]] {
            for body in ["[]", "1", "\"a\"", "null", "{", "{}}", " ", "{\"a\":}", "}{", "{{}}"] {
                assert_eq!(input(body, parameters).expect_err(body).status(), 400, "{body}");
            }
            let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
            assert_eq!(input(&deep, parameters).expect_err("deep").status(), 400);
        }
    }

    #[test]
    fn merged_input_is_bounded() {
        let value = format!("\"{}\"", "x".repeat(LEN_MAX / 2));
        let body = format!("{{\"b\":{value}}}");
        assert!(input(&body, &[]).is_ok());
        assert_eq!(input(&body, &[(r#""a""#, &value)]).expect_err("too long").status(), 413);
        let long = format!("{{\"b\":\"{}\"}}", "x".repeat(LEN_MAX));
        assert_eq!(input(&long, &[]).expect_err("too long").status(), 413);
    }

    proptest! {
        #[test]
        fn merging_is_what_a_parser_would_do(
            bound in proptest::collection::btree_map("[a-c\\n\"]{0,2}", 0..9_u8, 0..4),
            request in proptest::collection::btree_map("[a-c\\n\"]{0,2}", 10..19_u8, 0..4),
        ) {
            let items: Vec<(String, String)> = bound
                .iter()
                .map(|(key, value)| (Quoted(key).to_string(), value.to_string()))
                .collect();
            let items: Vec<(&str, &str)> =
                items.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let body = serde_json::to_string(&request).expect("a map is JSON");
            let merged = input(&body, &items).expect("an object");
            let parsed: alloc::collections::BTreeMap<String, u8> =
                serde_json::from_str(&merged).expect("JSON");
            let mut expected = bound;
            expected.extend(request);
            prop_assert_eq!(parsed, expected);
        }
    }
}
