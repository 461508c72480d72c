//! `cargo xtask`: build, run, test and check hostkernel, and talk to a running node.

#![forbid(unsafe_code)]

/// That of the standard library panics when nobody reads any more.
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::progress::print_line(format_args!($($argument)*))
    };
}

mod commands;
mod interrupt;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, run, test and check hostkernel; deploy and invoke actions.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(commands::run::Arguments),
    Build(commands::build::Arguments),
    BuildImage(commands::build_image::Arguments),
    Test(commands::test::Arguments),
    Check(commands::check::Arguments),
    Config(commands::config::Arguments),
    Bundle(commands::bundle::Arguments),
    Runtime(commands::runtime::Arguments),
    Deploy(commands::deploy::Arguments),
    Invoke(commands::invoke::Arguments),
    New(commands::new::Arguments),
    Bench(commands::bench::Arguments),
    Profile(commands::profile::Arguments),
    Symbolise(commands::symbolise::Arguments),
    Fuzz(commands::fuzz::Arguments),
    Fleet(commands::fleet::Arguments),
    Soak(commands::soak::Arguments),
    Miri(commands::miri::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Build(arguments) => commands::build::run(&arguments),
        Command::BuildImage(arguments) => commands::build_image::run(&arguments),
        Command::Test(arguments) => commands::test::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Config(arguments) => commands::config::run(&arguments),
        Command::Bundle(arguments) => commands::bundle::run(&arguments),
        Command::Runtime(arguments) => commands::runtime::run(&arguments),
        Command::Deploy(arguments) => commands::deploy::run(&arguments),
        Command::Invoke(arguments) => commands::invoke::run(&arguments),
        Command::New(arguments) => commands::new::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Profile(arguments) => commands::profile::run(&arguments),
        Command::Symbolise(arguments) => commands::symbolise::run(&arguments),
        Command::Fleet(arguments) => commands::fleet::run(&arguments),
        Command::Fuzz(arguments) => commands::fuzz::run(&arguments),
        Command::Soak(arguments) => commands::soak::run(&arguments),
        Command::Miri(arguments) => commands::miri::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
