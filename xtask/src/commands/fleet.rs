//! `cargo xtask fleet`: nodes behind a balancer, with their actions in a registry.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::fleet::{self, Fleet};
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::Machine;
use xtask::workspace;

use super::build;
use crate::interrupt::Interrupt;
use crate::progress::say;

/// How long it is called before and after something happens to a node.
const AROUND: Duration = Duration::from_secs(5);
/// Clients that call meanwhile.
const CLIENTS: usize = 4;
const GLANCE: Duration = Duration::from_millis(200);

/// Start a registry, nodes that share it, and HAProxy in front; print the address, and stay.
///
/// docker-registry and HAProxy are those of Debian, and are installed if they are missing. What is
/// deployed stays in target/fleet.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Number of nodes.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=16))]
    nodes: u16,
    /// Memory of each in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(64..))]
    memory: u32,
    /// Port of 127.0.0.1 at which the fleet is reached.
    #[arg(long, default_value_t = xtask::qemu::NODE_PORT)]
    port: u16,
    /// Cut the power of a node under load, say what became of the calls, and end.
    #[arg(long)]
    kill_one: bool,
    /// Restart all nodes under load, one after the other, say what became of the calls, and end.
    #[arg(long)]
    roll: bool,
    /// Restart them again and again until there were so many calls.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "roll")]
    calls: u64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure_qemu(say)?;
    fleet::ensure(say)?;
    let actions = build::everything()?;
    let interrupt = Interrupt::listen().context("signals cannot be received")?;
    let folder = workspace::target().join("fleet");
    let machine = Machine::new(workspace::kernel()).memory_mib(arguments.memory);
    let count = usize::from(arguments.nodes);
    let mut fleet = Fleet::start(&folder, machine, count, arguments.port, say)?;
    for action in &actions {
        let elf = fs::read(&action.file).context("the samples were just built")?;
        let options = hk::DeployOptions { memory_mb: Some(16), ..hk::DeployOptions::default() };
        fleet.client().deploy(&action.name, &elf, &options)?;
    }
    let url = fleet.url();
    println!("\n  curl -d '{{\"name\":\"you\"}}' {url}/function/hello\n");
    if arguments.kill_one {
        judge(
            "a node whose power was cut",
            under_load(&mut fleet, |fleet, _| {
                fleet.kill(0);
                Ok(())
            }),
        )?;
        fleet.restart(0)?;
    }
    if arguments.roll {
        let rolled = under_load(&mut fleet, |fleet, calls| {
            loop {
                fleet.roll(say)?;
                if calls.load(Ordering::Relaxed) >= arguments.calls {
                    return Ok(());
                }
            }
        });
        judge("restarts of all nodes", rolled)?;
    }
    if arguments.kill_one || arguments.roll {
        return Ok(());
    }
    say("The fleet runs. Ctrl-C ends it.");
    while !interrupt.raised() {
        thread::sleep(GLANCE);
    }
    Ok(())
}

type Calls = (u64, Vec<String>, Result<(), fleet::FleetError>);

fn under_load(
    fleet: &mut Fleet,
    during: impl FnOnce(&mut Fleet, &AtomicU64) -> Result<(), fleet::FleetError>,
) -> Calls {
    fleet.under_load("/function/hello", CLIENTS, |fleet, calls| {
        thread::sleep(AROUND);
        let result = during(fleet, calls);
        thread::sleep(AROUND);
        result
    })
}

fn judge(what: &str, (calls, failures, result): Calls) -> Result<()> {
    result?;
    say(&format!("{calls} calls during {what}, {} failed", failures.len()));
    match failures.first() {
        None => Ok(()),
        Some(first) => bail!("the first that failed: {first}"),
    }
}
