//! `cargo xtask build`: the kernel and the sample actions, at fixed places.

use std::fs;
use std::path::Path;

use anyhow::Result;
use clap::Args;
use xtask::build::{self, Program};
use xtask::prerequisites::{ACTION_TARGET, KERNEL_TARGET, ensure_targets};
use xtask::workspace;

use crate::progress::say;

/// Build the kernel into target/hostkernel.elf and the actions into target/actions/NAME.elf.
#[derive(Args, Debug)]
pub struct Arguments {}

/// Runs the command.
pub fn run(_: &Arguments) -> Result<()> {
    let actions = everything()?;
    println!("{}  {}", size(&workspace::kernel()), workspace::display(&workspace::kernel()));
    for action in actions {
        println!("{}  {}", size(&action.file), workspace::display(&action.file));
    }
    Ok(())
}

/// Builds everything a node needs and returns the sample actions.
pub fn everything() -> Result<Vec<Program>> {
    ensure_targets(&[KERNEL_TARGET, ACTION_TARGET], say)?;
    say("Building the kernel");
    build::kernel()?;
    say("Building the sample actions");
    Ok(build::actions()?)
}

fn size(file: &Path) -> String {
    let bytes = fs::metadata(file).map_or(0, |file| file.len());
    format!("{:>7.1} KiB", bytes as f64 / 1024.0)
}
