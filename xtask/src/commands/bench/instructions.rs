//! `cargo xtask bench instructions`: what an invocation costs.
//!
//! Wall time under emulation means nothing, so what is counted are the instructions the guest
//! executes. A plugin in QEMU counts them, see `tests/instruction-counter`.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use xtask::connection::Connection;
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Accelerator, Machine, Node};
use xtask::{build, workspace};

use super::super::build as build_command;
use crate::progress::{Spinner, say};

/// The file the plugin counts in: its length, and the distance of two cores' counters.
const COUNTERS_LEN: usize = 256 * STRIDE;
const STRIDE: usize = 64;
/// Invocations before anything is counted: they fill caches and translate the code.
const WARM_UP: u64 = 300;
/// After the last answer a node still frees memory and acknowledges; then it sleeps.
const QUIET: Duration = Duration::from_millis(300);

/// Count the guest's instructions per invocation of `hello`, network card in to network card out.
///
/// Sends N and then 3 N invocations, one after the other on one connection. The difference divided
/// by 2 N is free of everything that does not grow with the number of invocations.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Number of cores of the node.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=255))]
    cores: u32,
    /// Invocations in the small batch; the large one has three times as many.
    #[arg(long, value_name = "N", default_value_t = 1000,
        value_parser = clap::value_parser!(u64).range(1..))]
    invocations: u64,
    /// How often to measure; the median counts.
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Let guest time follow the number of instructions instead of the clock on the wall: slower,
    /// and waiting loops in the guest cost the same on every computer.
    #[arg(long)]
    icount: bool,
    /// Words for the kernel's command line.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    cmdline: Option<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    ensure_qemu(say)?;
    let actions = build_command::everything()?;
    say("Building the instruction counter");
    let plugin = build::instruction_counter()?;
    let counters = Counters::create(workspace::target().join("bench/instructions"))?;

    let mut machine = Machine::new(workspace::kernel())
        .cores(arguments.cores)
        .accelerator(Accelerator::Tcg)
        .argument("-plugin")
        .argument(format!("{},counters={}", plugin.display(), counters.file.display()));
    if arguments.icount {
        machine = machine.argument("-icount").argument("shift=0,sleep=on");
    }
    if let Some(words) = &arguments.cmdline {
        machine = machine.kernel_words(words);
    }
    let node = super::boot(machine)?;
    super::deploy(&node, &actions, "hello", "hello")?;
    println!("Command: {}", command(arguments));
    println!("QEMU: {}\n", node.command_line());
    let result = measure(&node, &counters, arguments);
    if result.is_err() {
        eprintln!("{}", node.report());
    }
    node.power_off();
    result
}

fn measure(node: &Node, counters: &Counters, arguments: &Arguments) -> Result<()> {
    let cores = arguments.cores as usize;
    let (few, many) = (arguments.invocations, 3 * arguments.invocations);
    let mut invoker = Invoker::new(node)?;
    let spinner = Spinner::new("Counting");
    invoker.invoke(WARM_UP)?;
    thread::sleep(QUIET);
    let mut rounds = Vec::new();
    for round in 1..=arguments.rounds {
        spinner.detail(&format!("round {round} of {}", arguments.rounds));
        let mut count = |invocations| {
            let before = counters.read(cores)?;
            invoker.invoke(invocations)?;
            thread::sleep(QUIET);
            let after = counters.read(cores)?;
            Ok::<_, anyhow::Error>(
                after.iter().zip(before).map(|(after, before)| after - before).collect(),
            )
        };
        let small: Vec<u64> = count(few)?;
        let large: Vec<u64> = count(many)?;
        let slope = |core: usize| (large[core] as f64 - small[core] as f64) / (many - few) as f64;
        rounds.push((0..cores).map(slope).collect::<Vec<f64>>());
    }
    drop(spinner);

    print!("{:>8} {:>12}", "round", "all cores");
    for core in 0..cores {
        print!(" {:>12}", format!("core {core}"));
    }
    println!();
    let row = |name: &str, figures: &[f64]| {
        print!("{name:>8} {:>12.0}", figures.iter().sum::<f64>());
        for figure in figures {
            print!(" {figure:>12.0}");
        }
        println!();
    };
    for (index, round) in rounds.iter().enumerate() {
        row(&(index + 1).to_string(), round);
    }
    rounds.sort_by(|one, other| one.iter().sum::<f64>().total_cmp(&other.iter().sum::<f64>()));
    let median = &rounds[rounds.len() / 2];
    ensure!(median.iter().sum::<f64>() > 0.0, "the plugin in QEMU has counted nothing");
    row("median", median);
    println!("\n{:.0} guest instructions per invocation of hello", median.iter().sum::<f64>());
    Ok(())
}

fn command(arguments: &Arguments) -> String {
    let mut command = format!(
        "cargo xtask bench instructions --cores {} --invocations {} --rounds {}",
        arguments.cores, arguments.invocations, arguments.rounds
    );
    if arguments.icount {
        command.push_str(" --icount");
    }
    if let Some(words) = &arguments.cmdline {
        command.push_str(&format!(" --cmdline '{words}'"));
    }
    command
}

/// Sends the same request again and again on one connection.
struct Invoker {
    connection: Connection,
    request: Vec<u8>,
}

impl Invoker {
    fn new(node: &Node) -> Result<Self> {
        let body = r#"{"name":"you"}"#;
        let request = format!(
            "POST /function/hello HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let connection = Connection::open(node.address()).context("connecting to the node")?;
        Ok(Self { connection, request: request.into_bytes() })
    }

    fn invoke(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.connection.send(&self.request).context("sending a request")?;
            let response = self.connection.receive().context("waiting for an answer")?;
            ensure!(response.status == 200, "{}: {}", response.status, response.text());
        }
        Ok(())
    }
}

/// The file in which the plugin counts.
struct Counters {
    file: PathBuf,
}

impl Counters {
    fn create(file: PathBuf) -> Result<Self> {
        if file.to_string_lossy().contains(',') {
            bail!("QEMU takes no comma in the path {}", file.display());
        }
        fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
        fs::write(&file, vec![0; COUNTERS_LEN])?;
        Ok(Self { file })
    }

    fn read(&self, cores: usize) -> Result<Vec<u64>> {
        let bytes = fs::read(&self.file)?;
        let word = |line: &[u8]| Some(u64::from_ne_bytes(*line.first_chunk()?));
        let words: Option<Vec<u64>> = bytes.chunks(STRIDE).take(cores).map(word).collect();
        words.context("the file of the instruction counter is too short")
    }
}
