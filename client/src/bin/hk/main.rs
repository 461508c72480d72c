//! `hk`: deploy, invoke and watch actions on hostkernel nodes.
//!
//! Results go to stdout, everything else to stderr. Each command is a file in `commands`; what they
//! print with `--json`, and the exit codes, are promised in `docs/client.md`.

#![forbid(unsafe_code)]

mod commands;
mod complete;
mod config;
mod environment;
mod failure;
mod input;
mod output;
mod places;
mod target;
mod terminal;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::CompleteEnv;
use clap_complete::env::Shells;

use failure::Failure;
use places::Places;
use target::{Target, TargetArguments};

/// Deploy, invoke and watch actions on hostkernel nodes.
#[derive(Debug, Parser)]
#[command(name = "hk", version, max_term_width = 100, after_help = failure::EXIT_CODES)]
struct Arguments {
    /// Print JSON, one documented shape a command.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(commands::new::Arguments),
    Deploy(commands::deploy::Arguments),
    Invoke(commands::invoke::Arguments),
    #[command(visible_alias = "ls")]
    List(commands::actions::ListArguments),
    Get(commands::actions::GetArguments),
    Env(commands::env::Arguments),
    #[command(visible_alias = "rm")]
    Delete(commands::actions::DeleteArguments),
    Activations(commands::activations::Arguments),
    Activation(commands::activation::Arguments),
    Logs(commands::logs::Arguments),
    Trace(commands::trace::Arguments),
    Top(commands::top::Arguments),
    Bench(commands::bench::Arguments),
    Status(commands::status::Arguments),
    Drain(commands::drain::Arguments),
    Node(commands::node::Arguments),
    Fleet(commands::fleet::Arguments),
    Roll(commands::fleet::RollArguments),
    /// Print a script that makes a shell complete commands, actions and nodes.
    Completions {
        /// Which shell.
        #[arg(value_parser = PossibleValuesParser::new(Shells::builtins().names()))]
        shell: String,
    },
}

/// What every command that talks to a node needs.
struct Context {
    client: hk::Client,
    target: Target,
    places: Places,
    json: bool,
}

fn main() -> ExitCode {
    // Does nothing unless a shell asks.
    CompleteEnv::with_factory(Arguments::command).complete();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(arguments.json),
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Node(command) => {
            return commands::node::run(command, &arguments.target, arguments.json);
        }
        Command::Fleet(command) => {
            return commands::fleet::run(command, &arguments.target, arguments.json);
        }
        Command::Roll(command) => {
            return commands::fleet::roll(command, &arguments.target, arguments.json);
        }
        Command::New(command) => return commands::new::run(command, arguments.json),
        Command::Completions { shell } => return completions(shell),
        _ => {}
    }
    let target = arguments.target.resolve()?;
    let (client, places) = (target.client(), Places::new());
    let context = Context { client, target, places, json: arguments.json };
    let done = match &arguments.command {
        Command::Deploy(command) => commands::deploy::run(command, &context),
        Command::Invoke(command) => commands::invoke::run(command, &context),
        Command::List(command) => commands::actions::list(command, &context),
        Command::Get(command) => commands::actions::get(command, &context),
        Command::Env(command) => commands::env::run(command, &context),
        Command::Delete(command) => commands::actions::delete(command, &context),
        Command::Activations(command) => commands::activations::run(command, &context),
        Command::Activation(command) => commands::activation::run(command, &context),
        Command::Logs(command) => commands::logs::run(command, &context),
        Command::Trace(command) => commands::trace::run(command, &context),
        Command::Top(command) => commands::top::run(command, &context),
        Command::Bench(command) => commands::bench::run(command, &context),
        Command::Status(command) => commands::status::run(command, &context),
        Command::Drain(command) => commands::drain::run(command, &context),
        Command::New(_)
        | Command::Node(_)
        | Command::Fleet(_)
        | Command::Roll(_)
        | Command::Completions { .. } => Ok(()),
    };
    done.map_err(|failure| context.target.explain(failure))
}

/// The script asks this program for every word: only it knows what is deployed.
fn completions(shell: &str) -> Result<(), Failure> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(shell) {
        shell
            .write_registration("COMPLETE", "hk", "hk", "hk", &mut script)
            .map_err(|error| Failure::usage(error.to_string()))?;
    }
    output::bytes(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
