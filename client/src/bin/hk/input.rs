//! What people type as input: JSON, a file, a pipe, `key=value`.

use std::fs;
use std::io::{self, Read};

use serde_json::Value;

use crate::failure::Failure;

/// The bytes of `text`, of the file in `@file`, or of stdin for `-`.
pub fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let (name, bytes) = match (text, text.strip_prefix('@')) {
        ("-", _) => {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes);
            ("the standard input", read.map(|_| bytes))
        }
        (_, Some(file)) => (file, fs::read(file)),
        _ => return Ok(text.as_bytes().to_vec()),
    };
    bytes.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))
}

/// The same, as a JSON object, which is what actions get; nothing counts as `{}`.
pub fn json(text: &str) -> Result<Value, Failure> {
    let bytes = bytes(text)?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("the input is not JSON: {error}"))
            .hint("quote it for the shell, '{\"a\":1}'; @FILE reads a file, - the standard input")
    })?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(Failure::usage("the input is JSON, but no object")
            .hint("write {\"name\": value}; --raw sends any bytes")),
    }
}

/// `key=value`; the value is JSON if it can be read as such, else a string.
pub fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() || key.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Err("the key is empty, or has a space in it; write KEY=VALUE".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_json_if_they_can_be() {
        assert_eq!(pair("a=1"), Ok(("a".to_owned(), json!(1))));
        assert_eq!(pair("a={\"b\":true}"), Ok(("a".to_owned(), json!({"b": true}))));
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), json!("b=c"))));
        for wrong in ["a", "", "=1", " =1", "a b=1", "a\n=1"] {
            assert!(pair(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn no_input_is_an_empty_object() {
        assert_eq!(json("").ok(), Some(json!({})));
        assert_eq!(json(r#"{"a":1}"#).ok(), Some(json!({"a": 1})));
        for wrong in ["{", "[1]", "7", "null", "\"text\""] {
            assert!(json(wrong).is_err(), "{wrong}");
        }
        assert!(json("@no/such/file").is_err());
    }
}
