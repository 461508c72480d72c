//! `cargo xtask deploy`: an ELF file, or a crate that becomes one, onto a running node.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use xtask::build;
use xtask::prerequisites::{ACTION_TARGET, ensure_targets};

use super::NodeArguments;
use crate::progress::say;

/// Upload an action to a running node: an ELF file, or the folder of an action crate.
#[derive(Args, Debug)]
pub struct Arguments {
    /// An ELF file, or a folder with a Cargo.toml, which is built first.
    #[arg(value_name = "FILE|CRATE_DIR")]
    source: PathBuf,
    /// Name of the action; that of the program if absent.
    name: Option<String>,
    /// Time limit of an invocation in milliseconds.
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// Memory limit of an invocation in MB.
    #[arg(long, value_name = "MB")]
    memory: Option<u64>,
    #[command(flatten)]
    node: NodeArguments,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (file, program) = if arguments.source.is_dir() {
        ensure_targets(&[ACTION_TARGET], say)?;
        let program = build::action_crate(&arguments.source)?;
        (program.file, program.name)
    } else {
        let stem = arguments.source.file_stem().unwrap_or_default();
        (arguments.source.clone(), stem.to_string_lossy().into_owned())
    };
    let elf = fs::read(&file).with_context(|| {
        format!("{} cannot be read; name an ELF file or a crate folder", file.display())
    })?;
    let name = arguments.name.as_ref().unwrap_or(&program);
    let options = hk::DeployOptions {
        overwrite: true,
        timeout_ms: arguments.timeout,
        memory_mb: arguments.memory,
    };
    let client = arguments.node.client();
    let action = client.deploy(name, &elf, &options)?;
    say(&format!("Deployed {} {} ({} bytes)", action.name, action.version, elf.len()));
    println!("curl -d '{{}}' {}/function/{name}", client.base_url());
    Ok(())
}
