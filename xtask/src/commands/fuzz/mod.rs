//! `cargo xtask fuzz`: random and mutated bytes at a boundary of the kernel, on this computer or
//! on a live node.

mod live;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use xtask::prerequisites::{NIGHTLY, ensure_cargo_fuzz, ensure_nightly};
use xtask::{build, lifeline, workspace};

use crate::progress::say;

/// All targets. Those that are not `live` are programs of `fuzz/`.
const TARGETS: [&str; 13] = [
    "elf",
    "zip",
    "layers",
    "http",
    "answer",
    "api",
    "calls",
    "bundle",
    "files",
    "wire",
    "live-images",
    "live-http",
    "live-calls",
];
/// Longest input, in bytes. What the targets make of an input is longer where that matters.
const INPUT_LEN_MAX: u32 = 4096;
/// Longest time one input may take: whatever takes longer is a find.
const INPUT_TIMEOUT: Duration = Duration::from_secs(10);

/// Fuzz a boundary of the kernel: image files, archives, layers of images, HTTP, the API, calls of
/// an action, boot bundles, the wire.
///
/// The targets live-images, live-http and live-calls do so on a node in QEMU, over the network and
/// from inside: the same seed tries the same cases, and a find ends the run with its seed and case.
///
/// The others run the kernel's code on this computer, under libFuzzer.
/// Starts from the seeds in fuzz/corpus/TARGET; what is learnt is kept in target/fuzz/corpus and
/// used again. A find ends the run: the input is in fuzz/artifacts/TARGET, and the last lines say
/// how to repeat it. Needs a nightly Rust toolchain and cargo-fuzz; what is missing is installed.
#[derive(Args, Debug)]
pub struct Arguments {
    /// elf: image files. zip: archives with one. http: bytes of connections. answer: those of other
    /// servers. api: requests. calls: calls of an action. bundle: boot bundles, settings, SMBIOS
    /// tables. files: archives as trees for Linux programs, and calls on them. wire: frames, and
    /// what DHCP and time servers answer.
    #[arg(value_name = "TARGET", value_parser = PossibleValuesParser::new(TARGETS))]
    target: String,
    /// How long, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..))]
    time: u32,
    /// Processes at the same time.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    jobs: u32,
    /// Where all choices come from; for the live targets.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { target, time, jobs, seed } = arguments;
    if let Ok(target) = live::Target::from_str(target, false) {
        return live::run(target, *time, *seed);
    }
    ensure_nightly(&[], say)?;
    ensure_cargo_fuzz(say)?;
    let root = workspace::root();
    let results = workspace::target().join("fuzz");
    let learnt = results.join("corpus").join(target);
    fs::create_dir_all(&learnt).with_context(|| format!("making {}", learnt.display()))?;
    let mut command = build::cargo_of(NIGHTLY);
    command
        .args(["fuzz", "run", "--fuzz-dir", "fuzz", "--jobs", &jobs.to_string(), "--target-dir"])
        .arg(results.join("build"))
        .arg(target)
        // What is learnt goes to the first folder; the second is only read.
        .arg(&learnt)
        .arg(root.join("fuzz/corpus").join(target))
        .arg("--")
        .arg(format!("-max_total_time={time}"))
        .arg(format!("-max_len={INPUT_LEN_MAX}"))
        .arg(format!("-timeout={}", INPUT_TIMEOUT.as_secs()))
        .args(["-print_final_stats=1", "-verbosity=1"]);
    say(&format!("Fuzzing {target} for {time} s"));
    let status = lifeline::status(command).context("cargo-fuzz could not be started")?;
    if !status.success() {
        bail!("{target}: something was found, or the target did not build; see above");
    }
    say(&format!("{target}: nothing found"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_seeds() {
        for target in TARGETS.iter().filter(|target| **target != "live-calls") {
            let folder = workspace::root().join("fuzz/corpus").join(target);
            let seeds = fs::read_dir(&folder).map_or(0, Iterator::count);
            assert!(seeds > 0, "{} has none", folder.display());
        }
    }
}
