//! Fuzzing a live node in QEMU, over the network and from inside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Machine, Node};
use xtask::trial::{Effort, calls, finish, images, requests};
use xtask::workspace;

use super::super::{build, soak};
use crate::progress::{Spinner, say};

/// Cores of the node: one for the network, the others run actions.
const CORES: u32 = 4;
/// Enough for three invocations of `storm` at once.
const MEMORY_MIB: u32 = 512;
/// Random calls of one invocation.
const CALLS: u64 = 1_000_000;

/// What is mutated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Images that are deployed and run.
    #[value(name = "live-images")]
    Images,
    /// Requests on connections of their own.
    #[value(name = "live-http")]
    Http,
    /// The calls of an action, on one worker and on all at once, in turns.
    #[value(name = "live-calls")]
    Calls,
}

/// Fuzzes a node for some seconds.
pub fn run(target: Target, time: u32, seed: u64) -> Result<()> {
    ensure_qemu(say)?;
    build::everything()?;
    let node = soak::boot(Machine::new(workspace::kernel()).cores(CORES).memory_mib(MEMORY_MIB))?;
    let time = Duration::from_secs(time.into());
    let spinner = Spinner::new(&format!("Fuzzing for {} s, seed {seed}", time.as_secs()));
    let start = Instant::now();
    let progress = |case: u64| {
        spinner.detail(&format!("case {case}, {} s", start.elapsed().as_secs()));
    };
    let result = match target {
        Target::Images => images::run(&node, seed, Effort::Time(time), progress)
            .map(|counts| format!("{counts:?}")),
        Target::Http => requests::run(&node, seed, Effort::Time(time), progress)
            .map(|counts| format!("{counts:?}")),
        Target::Calls => storms(&node, time, seed, progress).map(|counts| counts.join("\n")),
    };
    let counts = result.with_context(|| node.report().to_string())?;
    finish(&node)?;
    drop(spinner);
    println!("{counts}");
    say("Nothing found");
    Ok(())
}

/// Half of the time on one worker, half of it on all of them.
fn storms(
    node: &Node,
    time: Duration,
    seed: u64,
    progress: impl Fn(u64),
) -> Result<Vec<String>, xtask::trial::Find> {
    [1, u64::from(CORES - 1)]
        .into_iter()
        .map(|at_once| {
            let rounds = Effort::Time(time / 2);
            let plan = calls::Plan { seed, calls: CALLS, at_once, rounds };
            let counts = calls::run(node, plan, &progress)?;
            Ok(format!("{at_once} at once: {counts}"))
        })
        .collect()
}
