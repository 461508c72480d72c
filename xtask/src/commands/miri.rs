//! `cargo xtask miri`: the host tests of memory bookkeeping under an interpreter that knows what
//! undefined behaviour is.

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::prerequisites::{NIGHTLY, ensure_nightly};
use xtask::{build, lifeline, workspace};

use crate::progress::say;

/// Where the tests are, and which of them are run unless others are named: all of memory's but
/// those of the map of memory, which is arithmetic and takes longest, and those of an action's
/// calls.
const TESTS: [(&str, &[&str]); 2] =
    [("hostkernel-memory", &["--skip", "map::tests"]), ("hostkernel-node", &["call::"])];

/// A page table's entries are atomics, the frame below them is zeroed as plain bytes. Miri 0.1 of
/// May 2026 falls over that when it also plays delayed stores, which these tests do not need.
/// Property tests ask for the working directory, which is the computer's.
const FLAGS: &str = "-Zmiri-disable-weak-memory-emulation -Zmiri-disable-isolation";
/// Cases of each property: a hundred times slower than they run by themselves.
const CASES: &str = "4";

/// Run host tests of the kernel under Miri: by default those of memory and of an action's calls.
///
/// Needs a nightly Rust toolchain with the components miri and rust-src; what is missing is
/// installed with rustup. Takes some minutes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Parts of the names of tests.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure_nightly(&["miri", "rust-src"], say)?;
    say("Running tests under Miri");
    for (package, default) in TESTS {
        let mut command = build::cargo_of(NIGHTLY);
        command
            .args(["miri", "test", "--package", package, "--lib", "--target-dir"])
            .arg(workspace::target().join("miri"))
            .env("MIRIFLAGS", FLAGS)
            .env("PROPTEST_CASES", CASES)
            .arg("--");
        if arguments.filters.is_empty() {
            command.args(default);
        } else {
            command.args(&arguments.filters);
        }
        if !lifeline::status(command).context("Miri could not be started")?.success() {
            bail!("Miri found something, or the tests did not build; see above");
        }
    }
    Ok(())
}
