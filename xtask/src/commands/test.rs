//! `cargo xtask test`: everything that can show a mistake, from quick to slow.

use std::env;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::prerequisites::{
    BIOS_TARGET, KERNEL_TARGET, UEFI_TARGET, ensure_files, ensure_ovmf, ensure_programs,
    ensure_qemu, ensure_targets,
};
use xtask::qemu::{Machine, NIC_VARIABLE, SELFTEST_PASSED};
use xtask::{build, lifeline};

use super::{build as build_command, check};
use crate::progress::{Spinner, say};

/// Numbers of cores the in-kernel tests run on.
const KERNEL_TEST_CORES: [u32; 3] = [1, 2, 4];
/// Longest time one run of the in-kernel tests may take, on a busy host and under emulation.
const KERNEL_TEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Nodes the system tests run at the same time, unless `RUST_TEST_THREADS` says otherwise.
const NODES_MAX: usize = 4;
/// What Cargo puts before the test programs it starts.
const RUNNER_VARIABLE: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";

/// Run all tests: checks, host tests, in-kernel tests in QEMU, system tests over the network.
///
/// The words check, host, kernel and system select parts; any other word is a filter for the names
/// of host and system tests. Without a part, a filter runs those two. The words isolation and boot
/// run the table of attacks and that of machines, which are also in system, and print a line for
/// each.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Parts (check, host, kernel, system, isolation, boot) and filters.
    #[arg(value_name = "PART|FILTER")]
    words: Vec<String>,
    /// Boot every machine of the table, not only some; in system tests, build every crate of the
    /// table in docs/actions.md.
    #[arg(long)]
    all: bool,
    /// Network card of the nodes in system tests, as QEMU calls it, for instance e1000e; microvm
    /// keeps its own.
    #[arg(long, value_name = "DEVICE")]
    nic: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Part {
    Check,
    Host,
    // From here on with QEMU.
    Kernel,
    System,
    Isolation,
    Boot,
}

const PARTS: [(&str, Part); 6] = [
    ("check", Part::Check),
    ("host", Part::Host),
    ("kernel", Part::Kernel),
    ("system", Part::System),
    ("isolation", Part::Isolation),
    ("boot", Part::Boot),
];
/// What runs if no part is named. Attacks and machines are among the system tests.
const PARTS_DEFAULT: [Part; 4] = [Part::Check, Part::Host, Part::Kernel, Part::System];
/// The test that runs the table of attacks, in the test program `faults`.
const ATTACKS: &str = "every_attack_ends_as_the_table_says_and_the_next_invocation_succeeds";
/// The tests that run the tables of machines, in the test programs `machines`, `boot`, `places`
/// and, with `--all`, `bochs`.
const MACHINES: [&str; 4] = [
    "a_card_serves_wherever_it_is_and_however_it_is_dressed",
    "every_machine_boots_answers_and_switches_itself_off",
    "an_image_starts_a_node_from_every_drive_under_both_firmwares",
    "an_image_starts_a_node_in_bochs",
];
/// What Bochs begins with, and the packages that have it.
const BOCHS_FIRMWARE: [(&str, &str); 2] = [
    ("/usr/share/bochs/BIOS-bochs-latest", "bochsbios"),
    ("/usr/share/bochs/VGABIOS-lgpl-latest", "vgabios"),
];
/// Tells those tests to try `all`.
const BOOT_VARIABLE: &str = "HOSTKERNEL_BOOT";
/// Tells the test of the table of crates to try `all`.
const CRATES_VARIABLE: &str = "HOSTKERNEL_TEST_ALL_CRATES";

/// What a part came to.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (parts, filters) = select(&arguments.words);
    if parts.iter().any(|part| *part >= Part::Kernel) {
        ensure_qemu(say)?;
    }
    let mut lines = Vec::new();
    let mut failures = 0;
    for (name, part) in PARTS.into_iter().filter(|(_, part)| parts.contains(part)) {
        let begin = Instant::now();
        let result = run_part(part, &filters, arguments);
        let seconds = begin.elapsed().as_secs();
        lines.push(match result {
            Ok(Tally { passed, failed: 0 }) if part == Part::Check => {
                format!("{name:9} {passed} checks passed ({seconds} s)")
            }
            Ok(Tally { passed, failed: 0 }) => {
                format!("{name:9} {passed} passed ({seconds} s)")
            }
            Ok(Tally { passed, failed }) => {
                failures += 1;
                format!("{name:9} {failed} FAILED, {passed} passed ({seconds} s)")
            }
            Err(error) => {
                failures += 1;
                eprintln!("error: {error:#}");
                format!("{name:9} FAILED: {}", error.to_string().lines().next().unwrap_or_default())
            }
        });
    }
    println!("\nSummary");
    for line in lines {
        println!("  {line}");
    }
    if failures > 0 {
        bail!("not everything passed; the details are above");
    }
    Ok(())
}

/// Splits the words of the command line into parts and filters.
fn select(words: &[String]) -> (Vec<Part>, Vec<String>) {
    let part_of =
        |word: &String| PARTS.iter().find(|(name, _)| name == word).map(|(_, part)| *part);
    let mut parts: Vec<_> = words.iter().filter_map(part_of).collect();
    let filters: Vec<_> = words.iter().filter(|word| part_of(word).is_none()).cloned().collect();
    if parts.is_empty() {
        parts = match filters.is_empty() {
            true => PARTS_DEFAULT.to_vec(),
            false => vec![Part::Host, Part::System],
        };
    }
    (parts, filters)
}

fn run_part(part: Part, filters: &[String], arguments: &Arguments) -> Result<Tally> {
    let nic = arguments.nic.as_deref();
    match part {
        Part::Check => check::everything().map(|passed| Tally { passed, failed: 0 }),
        Part::Host => host(filters),
        Part::Kernel => kernel(),
        Part::System => system(filters, nic, arguments.all),
        Part::Isolation => isolation(nic),
        Part::Boot => boot(filters, arguments.all),
    }
}

fn host(filters: &[String]) -> Result<Tally> {
    let mut tools = cargo_test();
    for package in check::host_packages()? {
        if package != "system-tests" {
            tools.args(["--package", &package]);
        }
    }
    tools.args(["--features", "action-abi/runtime"]);
    let mut tally = run_tests(tools, filters)?;
    // The portable half of the kernel; its binary exists for bare metal only.
    let mut library = cargo_test();
    library.args(["--package", "hostkernel", "--lib"]);
    tally.add(&run_tests(library, filters)?);
    Ok(tally)
}

/// Builds all that system tests boot.
fn ensure_bootable() -> Result<()> {
    build_command::everything()?;
    ensure_targets(&[BIOS_TARGET, UEFI_TARGET], say)?;
    build::boot_programs()?;
    ensure_ovmf(say)?;
    Ok(())
}

fn system(filters: &[String], nic: Option<&str>, all: bool) -> Result<Tally> {
    ensure_bootable()?;
    let mut command = cargo_test();
    command.args(["--package", "system-tests", "--lib", "--tests"]);
    command.envs(nic.map(|nic| (NIC_VARIABLE, nic)));
    if all {
        command.env(CRATES_VARIABLE, "all");
    }
    end_with_cargo(&mut command);
    if env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.env("RUST_TEST_THREADS", cores.min(NODES_MAX).to_string());
    }
    let mut tally = run_tests(command, filters)?;
    let mut examples = cargo_test();
    examples.args(["--package", "system-tests", "--doc"]);
    tally.add(&run_tests(examples, filters)?);
    Ok(tally)
}

/// Runs the attack table; it prints its cases itself, and last how many there were.
fn isolation(nic: Option<&str>) -> Result<Tally> {
    build_command::everything()?;
    let mut command = cargo_test();
    command.args(["--package", "system-tests", "--test", "faults"]);
    command.args(["--", "--exact", ATTACKS, "--nocapture"]);
    command.envs(nic.map(|nic| (NIC_VARIABLE, nic)));
    end_with_cargo(&mut command);
    let mut tally: Option<Tally> = None;
    let succeeded = watch(command, |line| {
        if let Some(count) = line.strip_prefix("attacks: ") {
            tally = parse_count_line(count);
        }
    })?;
    match tally {
        Some(tally) if succeeded || tally.failed > 0 => Ok(tally),
        _ => bail!("the table did not run to its end; what went wrong is above"),
    }
}

/// Runs the tables of machines, or those a filter names; they print a line for each.
fn boot(filters: &[String], all: bool) -> Result<Tally> {
    ensure_bootable()?;
    let mut command = cargo_test();
    command.args(["--package", "system-tests", "--test", "machines", "--test", "boot"]);
    command.args(["--test", "places"]);
    end_with_cargo(&mut command);
    if all {
        // Of the packages with a window for it, this one needs the fewest others.
        ensure_programs(&[("bochs", "bochs-term")], say)?;
        // Its package takes QEMU's instead where that is there, which Bochs does not find.
        ensure_files(&BOCHS_FIRMWARE, say)?;
        command.args(["--features", "bochs", "--test", "bochs"]).env(BOOT_VARIABLE, "all");
    }
    let is_wanted =
        |table: &&str| filters.is_empty() || filters.iter().any(|filter| table.contains(filter));
    let tables: Vec<_> = MACHINES.into_iter().filter(is_wanted).collect();
    if tables.is_empty() {
        bail!("no table of machines has such a name; there are {}", MACHINES.join(", "));
    }
    let words = ["--nocapture", "--exact"].into_iter().chain(tables).map(String::from);
    run_tests(command, &words.collect::<Vec<_>>())
}

/// Tests that boot nodes must not run on when Cargo is killed. Examples in the documentation do
/// not, and their harness prints a warning when it is wrapped.
fn end_with_cargo(command: &mut Command) {
    if !lifeline::runner().is_empty() {
        command.env(RUNNER_VARIABLE, lifeline::runner().join(" "));
    }
}

fn kernel() -> Result<Tally> {
    ensure_targets(&[KERNEL_TARGET], say)?;
    say("Building the kernel with its tests");
    let kernel = build::test_kernel()?;
    let mut tally = Tally::default();
    for cores in KERNEL_TEST_CORES {
        let run = kernel_on(Machine::new(&kernel).cores(cores).debug_exit())
            .with_context(|| format!("in-kernel tests on {cores} core(s)"))?;
        println!(
            "in-kernel tests on {cores} core(s): {} passed, {} failed",
            run.passed, run.failed
        );
        tally.add(&run);
    }
    Ok(tally)
}

fn kernel_on(machine: Machine) -> Result<Tally> {
    let spinner = Spinner::new("Running the in-kernel tests");
    let node = machine.boot()?;
    let end = Instant::now() + KERNEL_TEST_TIMEOUT;
    let status = loop {
        spinner.detail(&node.serial_tail(1));
        if let Some(status) = node.wait_exit(Duration::from_millis(200)) {
            break status;
        }
        if Instant::now() >= end {
            let seconds = KERNEL_TEST_TIMEOUT.as_secs();
            bail!("no end after {seconds} s\n{}", node.report());
        }
    };
    drop(spinner);
    let tally = node.serial().lines().filter_map(parse_count_line).next_back();
    match tally {
        Some(tally) if status.code() == Some(SELFTEST_PASSED) && tally.failed == 0 => Ok(tally),
        Some(tally) if tally.failed > 0 => {
            eprintln!("{}", node.report());
            Ok(tally)
        }
        _ => bail!("the kernel ended early ({status})\n{}", node.report()),
    }
}

/// Reads `12 passed, 0 failed`, wherever it stands in the line: what the in-kernel tests and the
/// table of attacks end with.
fn parse_count_line(line: &str) -> Option<Tally> {
    let (before, after) = line.split_once(" passed, ")?;
    Some(Tally {
        passed: before.rsplit(' ').next()?.parse().ok()?,
        failed: after.split_once(" failed")?.0.parse().ok()?,
    })
}

fn cargo_test() -> Command {
    let mut command = build::cargo();
    command.args(["test", "--no-fail-fast"]);
    if io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    command
}

/// Runs `cargo test`, passes its output on and counts.
fn run_tests(mut command: Command, filters: &[String]) -> Result<Tally> {
    command.arg("--").args(filters);
    let mut tally = Tally::default();
    let succeeded = watch(command, |line| {
        if let Some(result) = parse_test_line(line) {
            tally.add(&result);
        }
    })?;
    if !succeeded && tally.failed == 0 {
        bail!("the tests did not build or did not finish; Cargo's messages are above");
    }
    Ok(tally)
}

/// Runs a command, passes its output on and shows each line to `look`. Returns whether it
/// succeeded.
fn watch(mut command: Command, mut look: impl FnMut(&str)) -> Result<bool> {
    command.stdout(Stdio::piped());
    let mut child = lifeline::spawn(command).context("Cargo could not be started")?;
    let output = child.pipes().stdout.take().context("Cargo has no output")?;
    let mut out = io::stdout().lock();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        writeln!(out, "{line}")?;
        look(&line);
    }
    Ok(child.wait()?.success())
}

/// Reads `test result: ok. 12 passed; 0 failed; …`, with or without colours.
fn parse_test_line(line: &str) -> Option<Tally> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |label: &str| -> Option<u64> {
        numbers.split("; ").find_map(|part| part.strip_suffix(label))?.trim().parse().ok()
    };
    Some(Tally { passed: number(" passed")?, failed: number(" failed")? })
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn parts_and_filters_are_told_apart() {
        assert_eq!(select(&[]).0, PARTS_DEFAULT);
        assert_eq!(select(&words(&["isolation"])), (vec![Part::Isolation], vec![]));
        assert_eq!(select(&words(&["kernel"])), (vec![Part::Kernel], vec![]));
        assert_eq!(select(&words(&["boot"])), (vec![Part::Boot], vec![]));
        let (parts, filters) = select(&words(&["smoke"]));
        assert_eq!(parts, [Part::Host, Part::System]);
        assert_eq!(filters, ["smoke"]);
        assert_eq!(select(&words(&["system", "smoke"])).0, [Part::System]);
    }

    #[test]
    fn the_test_harness_is_understood() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        let tally = parse_test_line(line).expect("a result");
        assert_eq!((tally.passed, tally.failed), (12, 3));
        let line = "test result: \u{1b}[32mok\u{1b}(B\u{1b}[m. 5 passed; 0 failed; 0 ignored";
        assert_eq!(parse_test_line(line).map(|tally| tally.passed), Some(5));
        assert!(parse_test_line("test a::b ... ok").is_none());
    }

    #[test]
    fn the_kernel_and_the_table_of_attacks_are_understood() {
        let tally = parse_count_line("[    0.1 INFO] 12 passed, 1 failed").expect("a result");
        assert_eq!((tally.passed, tally.failed), (12, 1));
        let tally = parse_count_line("900 passed, 0 failed").expect("a result");
        assert_eq!((tally.passed, tally.failed), (900, 0));
        assert!(parse_count_line("all passed").is_none());
    }
}
