//! `cargo xtask bench`: figures about a node.

mod instructions;
mod memory;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use xtask::build::Program;
use xtask::qemu::{Machine, Node};

use crate::progress::Spinner;

const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// Measure a node.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    what: Figure,
}

#[derive(Debug, Subcommand)]
enum Figure {
    Instructions(instructions::Arguments),
    Memory(memory::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        Figure::Instructions(arguments) => instructions::run(arguments),
        Figure::Memory(arguments) => memory::run(arguments),
    }
}

/// Boots a machine and waits until it is ready.
fn boot(machine: Machine) -> Result<Node> {
    let _spinner = Spinner::new("Booting the node");
    let node = machine.boot()?;
    node.wait_ready(BOOT_TIMEOUT)?;
    Ok(node)
}

/// Deploys a sample action under a name.
fn deploy(node: &Node, actions: &[Program], sample: &str, name: &str) -> Result<()> {
    let action = actions.iter().find(|action| action.name == sample);
    let action = action.with_context(|| format!("there is no sample action `{sample}`"))?;
    node.client().deploy(name, &fs::read(&action.file)?, &hk::DeployOptions::default())?;
    Ok(())
}
