//! `cargo xtask symbolise`: functions and lines for the addresses of a crash record.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use xtask::symbols::Symboliser;
use xtask::workspace;

/// Explain the crash records in a log: the backtrace's addresses as functions and lines of source.
///
/// Prints the log as it is, with the explanation behind each `backtrace:` line. `cargo xtask run`
/// does the same with the log of its node.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The log, for instance what a serial console recorded; standard input if absent or `-`.
    #[arg(value_name = "FILE")]
    log: Option<PathBuf>,
    /// The kernel that crashed, as an ELF file with line tables; target/hostkernel.elf if absent.
    #[arg(long, value_name = "ELF")]
    kernel: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut log: Box<dyn BufRead> = match &arguments.log {
        Some(file) if file.as_os_str() != "-" => Box::new(BufReader::new(
            File::open(file).with_context(|| format!("opening {}", file.display()))?,
        )),
        _ => Box::new(io::stdin().lock()),
    };
    let kernel = arguments.kernel.clone().unwrap_or_else(workspace::kernel);
    let mut symboliser = Symboliser::new(kernel);
    let mut out = io::stdout().lock();
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line).context("reading the log")? > 0 {
        let text = symboliser.pass(&String::from_utf8_lossy(&line));
        out.write_all(text.as_bytes()).context("printing the log")?;
        line.clear();
    }
    Ok(())
}
