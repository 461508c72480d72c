//! `cargo xtask invoke`: one blocking invocation; the result to stdout, the rest to stderr.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use super::NodeArguments;

/// Invoke an action on a running node and print its result.
///
/// The action's log and timing go to stderr. The exit status is 0 only if the action succeeded.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the action.
    name: String,
    /// Its input, a JSON object.
    #[arg(value_name = "JSON", default_value = "{}")]
    input: String,
    #[command(flatten)]
    node: NodeArguments,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let input: Value = serde_json::from_str(&arguments.input).with_context(|| {
        format!(
            "the input {:?} is not JSON; quote it for the shell: '{{\"a\":1}}'",
            arguments.input
        )
    })?;
    let invocation = arguments.node.client().invoke(&arguments.name, &input)?;
    for line in &invocation.activation.logs {
        eprintln!("{line}");
    }
    eprintln!("{}", invocation.timing);
    println!("{}", invocation.result());
    if !invocation.succeeded() {
        bail!("{} failed ({:?})", arguments.name, invocation.activation.response.status);
    }
    Ok(())
}
