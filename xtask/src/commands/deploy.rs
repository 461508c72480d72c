//! `cargo xtask deploy`: an ELF file, or a crate that becomes one, onto a running node.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use hk::programs::Programs;
use hk::{Code, DeployOptions};
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
    if arguments.source.join("Cargo.toml").is_file() {
        ensure_targets(&[ACTION_TARGET], say)?;
    }
    let code = Code::open(&arguments.source)?;
    let name = arguments.name.as_ref().unwrap_or(&code.name);
    let client = arguments.node.client();
    let options = DeployOptions {
        kind: code.language.map(|language| client.kind_of(language)).transpose()?,
        timeout_ms: arguments.timeout,
        memory_mb: arguments.memory,
        ..DeployOptions::default()
    };
    let action = client.deploy(name, &code.bytes, &options)?;
    Programs::of_user().keep(&code);
    say(&format!("Deployed {} {} ({} bytes)", action.name, action.version, code.bytes.len()));
    println!("curl -d '{{}}' {}/function/{name}", client.base_url());
    Ok(())
}
