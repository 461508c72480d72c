//! Greets whom its input names, as an ordinary program does: with the standard library.

#![forbid(unsafe_code)]

use std::io::{Read, stdin};

fn main() -> std::io::Result<()> {
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    let name = input.split_once(r#""name":""#).and_then(|(_, rest)| rest.split_once('"'));
    let name = name.map_or("everybody", |(name, _)| name);
    print!(r#"{{"greeting":"Hello, {name}!"}}"#);
    Ok(())
}
