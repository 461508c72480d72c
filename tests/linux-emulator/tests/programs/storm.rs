//! Calls at random, by seed: whatever a program passes, it is the program that ends, with Linux's
//! words for it, and never the library OS.

use tempfile::TempDir;

use crate::freeze::emulated;
use crate::{compile, image};

/// Programs that are run; each makes some thousand calls.
const SEEDS: u32 = 48;
/// What the emulator says of an image that faulted, and the image of itself.
const FAILURES: [&str; 2] = ["the image faulted", "the Linux library OS failed"];

#[test]
fn calls_that_lie_end_only_who_makes_them() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = compile(&folder, "musl-gcc", "storm");
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        let (run, log) = emulated(&[], &program, &["argument"], &format!("seed {seed}"));
        if FAILURES.iter().any(|failure| log.contains(failure)) {
            failures.push(format!("seed {seed}: {}: {log}", run.status));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
