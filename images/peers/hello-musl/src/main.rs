//! Prints the greeting of `images/hello`, as an ordinary program does: with the standard library.

#![forbid(unsafe_code)]

use std::io::{Write, stdout};

fn main() -> std::io::Result<()> {
    stdout().write_all(br#"{"greeting":"Hello, World!"}"#)
}
