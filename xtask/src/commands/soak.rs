//! `cargo xtask soak`: mixed use of a node for as long as one likes, every answer checked, and
//! everything back at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Machine, Node};
use xtask::trial::{self, soak};
use xtask::workspace;

use super::build;
use crate::progress::{Spinner, say};

const BOOT_TIMEOUT: Duration = Duration::from_secs(300);
/// Three runtimes, with what is deployed on them.
const LANGUAGES_MEMORY_MIB: u32 = 2048;
/// Invocations between two lines of progress where there is no terminal.
const INVOCATIONS_PER_LINE: u64 = 50_000;

/// Use nodes of several sizes heavily: 32 clients invoke, fault, time out, leave, deploy, delete.
///
/// Every answer is checked against what it must be. At the end memory, heap, connections and
/// actions must be what they were at the start. The same seed makes the same choices.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Invocations on each node.
    #[arg(long, value_name = "N", default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    invocations: u64,
    /// Cores of the nodes, one after the other.
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [2, 4],
        value_parser = clap::value_parser!(u32).range(1..=256))]
    cores: Vec<u32>,
    /// Memory of the nodes in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    memory: u32,
    /// Where all choices come from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Nothing but calls of five Linux programs in turn.
    #[arg(long)]
    linux: bool,
    /// Nothing but calls of 40 functions in three languages, of four tenants, each of which marks
    /// all that it reaches and looks for the marks of others. Takes 2 GiB of memory.
    #[arg(long, conflicts_with = "linux")]
    languages: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { invocations, seed, linux, languages, .. } = *arguments;
    let mix = if linux { soak::Mix::Linux } else { soak::Mix::Everything };
    ensure_qemu(say)?;
    build::everything()?;
    for &cores in &arguments.cores {
        let mut machine =
            Machine::new(workspace::kernel()).cores(cores).memory_mib(arguments.memory);
        if languages {
            let memory_mib = arguments.memory.max(LANGUAGES_MEMORY_MIB);
            machine = machine.memory_mib(memory_mib).kernel_words(trial::languages::kernel_words());
        }
        let node = boot(machine)?;
        let name = format!("{invocations} invocations on {cores} core(s), seed {seed}");
        let spinner = Spinner::new(&name);
        let start = Instant::now();
        let rate = |done: u64| done as f64 / start.elapsed().as_secs_f64();
        let progress = |done: u64| {
            spinner.detail(&format!("{done} done, {:.0} a second", rate(done)));
            if done.is_multiple_of(INVOCATIONS_PER_LINE) {
                say(&format!("{done} done, {:.0} a second", rate(done)));
            }
        };
        let books = match languages {
            true => trial::languages::run(&node, seed, invocations, say, progress),
            false => soak::run(&node, soak::Plan { seed, invocations, mix }, say, progress),
        };
        let books = books.with_context(|| node.report().to_string())?;
        trial::finish(&node)?;
        drop(spinner);
        println!("{name}: all answered as they must be, {:.0} a second", rate(invocations));
        println!("  before and after: {books}");
    }
    Ok(())
}

/// Boots a machine with the action that shows whether it works.
pub(super) fn boot(machine: Machine) -> Result<Node> {
    let spinner = Spinner::new("Booting the node");
    let node = machine.boot()?;
    node.wait_ready(BOOT_TIMEOUT)?;
    drop(spinner);
    trial::prepare(&node)?;
    Ok(node)
}
