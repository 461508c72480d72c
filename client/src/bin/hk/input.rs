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

/// The same, as JSON; nothing counts as `{}`.
pub fn json(text: &str) -> Result<Value, Failure> {
    let bytes = bytes(text)?;
    if bytes.trim_ascii().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!("the input is not JSON: {error}"))
            .hint("quote it for the shell, '{\"a\":1}'; @FILE reads a file, - the standard input")
    })
}

/// `key=value`; the value is JSON if it can be read as such, else a string.
pub fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
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
        assert!(pair("a").is_err());
    }

    #[test]
    fn no_input_is_an_empty_object() {
        assert_eq!(json("").ok(), Some(json!({})));
        assert_eq!(json(r#"{"a":1}"#).ok(), Some(json!({"a": 1})));
        assert!(json("{").is_err());
        assert!(json("@no/such/file").is_err());
    }
}
