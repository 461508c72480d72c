//! `cargo xtask run`: from a fresh clone to a running node that has answered.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use xtask::build::Program;
use xtask::bundle;
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Accelerator, Machine, MachineKind, Node, PowerOff};
use xtask::runtime::Language;
use xtask::symbols::{self, Symboliser};
use xtask::workspace;

use super::build;
use super::bundle::refuse;
use super::runtime::Named;
use crate::interrupt::Interrupt;
use crate::progress::{Spinner, say};

/// How long to wait for news before looking at other things.
const GLANCE: Duration = Duration::from_millis(200);
/// How long an answer may take while the node is introduced.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a runtime may take to start, under emulation.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(330);
/// The action that is called once, and its input.
const FIRST_ACTION: &str = "hello";
const FIRST_INPUT: &str = r#"{"name":"you"}"#;

/// Build everything, boot a node in QEMU, deploy the sample actions, call one, and stay.
///
/// Installs what is missing: the Rust targets with rustup, QEMU with apt-get on Debian and Ubuntu.
/// Ctrl-C powers the node off cleanly; a second one cuts its power.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Number of processor cores. Core 0 serves the network, the others run actions.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=255))]
    cores: u32,
    /// Memory of the machine in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512,
        value_parser = clap::value_parser!(u32).range(16..))]
    memory: u32,
    /// Port of 127.0.0.1 at which the node is reached; 0 chooses a free one.
    #[arg(long, default_value_t = xtask::qemu::NODE_PORT)]
    port: u16,
    /// Machine type: PCI Express, conventional PCI, or virtio over MMIO.
    #[arg(long, default_value = "q35",
        value_parser = PossibleValuesParser::new(["q35", "pc", "microvm"])
            .try_map(|name| name.parse::<MachineKind>()))]
    machine: MachineKind,
    /// Network card, as QEMU calls it: virtio-net-pci, e1000e, e1000, e1000-82545em; on microvm
    /// virtio-net-device.
    #[arg(long, value_name = "DEVICE")]
    nic: Option<String>,
    /// What runs the guest's instructions: KVM where it works, QEMU's emulator (tcg), or KVM.
    #[arg(long, default_value = "auto",
        value_parser = PossibleValuesParser::new(["auto", "tcg", "kvm"])
            .try_map(|name| name.parse::<Accelerator>()))]
    accel: Accelerator,
    /// Words for the kernel's command line, for instance "ip=dhcp loglevel=debug".
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    cmdline: Option<String>,
    /// Settings, key=value a line, handed over by fw_cfg; `cargo xtask config` lists the keys.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A boot bundle, see `cargo xtask bundle`.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Give the node a runtime for source code, which is built if need be. May be repeated.
    #[arg(long = "runtime", value_enum, value_name = "LANGUAGE")]
    runtimes: Vec<Named>,
    /// Key to deploy the samples with, UUID:KEY, if the settings have another than the default.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Wait before the first instruction for a debugger on this port of 127.0.0.1.
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true,
        default_missing_value = "1234")]
    gdb: Option<u16>,
    /// Record every network frame in this file, for Wireshark or tcpdump.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// End after the first answer, with status 0.
    #[arg(long)]
    once: bool,
    /// How long the node may take to become ready, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    boot_timeout: u64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    // What can be refused is refused before minutes of building.
    if let Some(nic) = arguments.nic.as_deref().filter(|nic| !arguments.machine.takes(nic)) {
        bail!("{} has no place for the network card {nic}", arguments.machine.name());
    }
    machine(arguments).check()?;
    let port = check_settings(arguments)?;
    ensure_qemu(say)?;
    let actions = build::everything()?;
    let runtimes =
        arguments.runtimes.iter().map(|named| named.ready()).collect::<Result<Vec<_>>>()?;

    let interrupt = Interrupt::listen().context("signals cannot be received")?;
    let node = machine(arguments).node_port(port).boot()?;
    if let Some(port) = arguments.gdb {
        say(&format!(
            "The machine waits for a debugger: gdb {} -ex 'target remote 127.0.0.1:{port}'",
            workspace::display(&workspace::kernel())
        ));
    }
    wait_ready(&node, arguments, &interrupt)?;
    let mut log = LogPrinter::new();
    let introduced = introduce(&node, &actions, &runtimes, arguments.key.as_deref());
    let result = introduced.and_then(|()| {
        if arguments.once {
            return Ok(());
        }
        say("The node runs; its log follows. Ctrl-C powers it off.");
        follow(&node, &mut log, &interrupt)
    });
    if let Err(error) = result {
        bail!("{error:#}\n{}", node.report());
    }
    power_off(&node);
    if !arguments.once {
        log.print(&node, Duration::ZERO)?;
    }
    if node.serial().contains(symbols::RECORD) {
        bail!("the node crashed; its record is in its log");
    }
    Ok(())
}

/// Says what is wrong with what the node is told, and at which port it will serve.
fn check_settings(arguments: &Arguments) -> Result<u16> {
    let read = |file: &Option<PathBuf>| {
        let read = |file: &PathBuf| {
            fs::read(file).with_context(|| format!("reading {}", workspace::display(file)))
        };
        file.as_ref().map(read).transpose()
    };
    let (config, bundled) = (read(&arguments.config)?, read(&arguments.bundle)?);
    let words = arguments.cmdline.as_deref().unwrap_or_default();
    let mut errors = bundle::check_words(words);
    errors.extend(config.iter().flat_map(|config| bundle::check_config(config)));
    errors.extend(bundled.iter().flat_map(|bundled| bundle::check(bundled).errors));
    refuse(&errors)?;
    Ok(bundle::settings(bundled.as_deref(), config.as_deref(), words).port)
}

fn machine(arguments: &Arguments) -> Machine {
    let mut machine = Machine::new(workspace::kernel())
        .kind(arguments.machine)
        .cores(arguments.cores)
        .memory_mib(arguments.memory)
        .accelerator(arguments.accel)
        .port(arguments.port);
    if let Some(nic) = &arguments.nic {
        machine = machine.nic(nic);
    }
    if let Some(words) = &arguments.cmdline {
        machine = machine.kernel_words(words);
    }
    if let Some(file) = &arguments.config {
        machine = machine.file("config", file);
    }
    if let Some(file) = &arguments.bundle {
        machine = machine.bundle(file);
    }
    if let Some(port) = arguments.gdb {
        machine = machine.gdb(port);
    }
    if let Some(file) = &arguments.pcap {
        machine = machine.capture(file);
    }
    machine
}

fn wait_ready(node: &Node, arguments: &Arguments, interrupt: &Interrupt) -> Result<()> {
    let spinner = Spinner::new("Booting the node");
    let timeout = match arguments.gdb {
        // Whoever steps through the boot takes the time it takes.
        Some(_) => Duration::from_secs(u64::from(u32::MAX)),
        None => Duration::from_secs(arguments.boot_timeout),
    };
    node.wait_ready_unless(timeout, || {
        spinner.detail(&node.serial_tail(1));
        interrupt.raised()
    })?;
    Ok(())
}

/// Deploys the sample actions, calls the first one, installs runtimes and shows how to go on.
fn introduce(
    node: &Node,
    actions: &[Program],
    runtimes: &[Language],
    key: Option<&str>,
) -> Result<()> {
    let mut client = node.client().with_timeout(ANSWER_TIMEOUT);
    if let Some(key) = key {
        client = client.with_key(key);
    }
    for action in actions {
        let elf = fs::read(&action.file)
            .with_context(|| format!("reading {}", workspace::display(&action.file)))?;
        client
            .deploy(&action.name, &elf, &hk::DeployOptions::default())
            .with_context(|| format!("deploying {}", action.name))?;
    }
    let names: Vec<_> = actions.iter().map(|action| action.name.as_str()).collect();
    say(&format!("Deployed {}", names.join(", ")));

    for language in runtimes {
        let (kind, file) = (language.kind(), language.file());
        say(&format!("Starting the runtime {kind}"));
        let archive =
            fs::read(&file).with_context(|| format!("reading {}", workspace::display(&file)))?;
        client
            .clone()
            .with_timeout(RUNTIME_TIMEOUT)
            .install_runtime(&kind, &archive)
            .with_context(|| format!("starting {kind}"))?;
    }

    let begin = Instant::now();
    let reply = client.call(FIRST_ACTION, FIRST_INPUT.as_bytes())?;
    let round_trip = begin.elapsed().as_secs_f64() * 1e3;
    if reply.status != 200 {
        bail!("{FIRST_ACTION} answered with status {}: {}", reply.status, reply.text().trim_end());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "\n  {FIRST_ACTION} → {}", reply.text().trim_end())?;
    writeln!(out, "  {} (round trip {round_trip:.1} ms)\n", reply.timing)?;
    writeln!(out, "  curl -d '{FIRST_INPUT}' {}/function/{FIRST_ACTION}\n", node.base_url())?;
    Ok(())
}

/// Prints the node's log until somebody or something ends it.
fn follow(node: &Node, log: &mut LogPrinter, interrupt: &Interrupt) -> Result<()> {
    loop {
        log.print(node, GLANCE)?;
        if interrupt.raised() {
            return Ok(());
        }
        match node.exit_status() {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("QEMU ended by itself ({status})"),
            None => {}
        }
    }
}

/// Remembers how much of the node's log was printed.
struct LogPrinter {
    position: usize,
    symboliser: Symboliser,
}

impl LogPrinter {
    fn new() -> Self {
        Self { position: 0, symboliser: Symboliser::new(workspace::kernel()) }
    }

    /// Prints what is new; waits for it up to `timeout`.
    fn print(&mut self, node: &Node, timeout: Duration) -> Result<()> {
        let chunk = node.serial_log().after(self.position, timeout);
        self.position = chunk.next;
        let mut out = io::stdout().lock();
        out.write_all(self.symboliser.pass(&chunk.text).as_bytes())
            .and_then(|()| out.flush())
            .context("printing the log")
    }
}

fn power_off(node: &Node) {
    let spinner = Spinner::new("Powering the node off");
    let end = node.power_off();
    drop(spinner);
    match end {
        PowerOff::Clean => say("The node has switched itself off."),
        PowerOff::AlreadyOff => say("The machine had reset or switched itself off."),
        PowerOff::Quit | PowerOff::Killed => {
            say("The node did not react to its power button; its power was cut.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: Arguments,
    }

    fn checked(words: &str) -> Result<u16> {
        check_settings(&Line::parse_from(["run", "--cmdline", words]).run)
    }

    #[test]
    fn a_mistake_is_refused_before_anything_is_built() {
        for words in ["hostkernel.auth=nonsense", "hostkernel.autg=a:b", "hostkernel.port=0x50"] {
            let error = checked(words).expect_err(words).to_string();
            assert!(error.contains(words.split('=').next().unwrap_or_default()), "{error}");
        }
    }

    #[test]
    fn the_node_is_looked_for_where_its_settings_put_it() {
        assert_eq!(checked("hostkernel.port=8080").expect("a port"), 8080);
        assert_eq!(checked("loglevel=debug").expect("the usual one"), xtask::qemu::NODE_PORT);
    }
}
