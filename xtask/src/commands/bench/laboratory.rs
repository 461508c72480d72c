//! The machines that are measured: alike but for the kernel they boot.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use xtask::build;
use xtask::fleet::Registry;
use xtask::lab::conditions::Conditions;
use xtask::lab::guest::TUNED_CPU;
use xtask::lab::{self, Call, Counters, Guest, Peer, Plan, Solo5};
use xtask::prerequisites::ensure_qemu;
use xtask::qemu::{Entered, Machine, Network, Tap, TapError, free_port};
use xtask::workspace;

use super::super::build as build_command;
use super::machine::{Running, Shape, Subject, System};
use super::{Arguments, SUBJECT};
use crate::progress::{Spinner, say};

/// How long a machine may take to boot: Linux, emulated, every instruction counted.
const BOOT_TIMEOUT: Duration = Duration::from_secs(300);
/// Open files that the suites need: connections, and some for everything else.
const FILES: u64 = 4096;

/// Everything that is built, and how to measure.
pub struct Laboratory {
    /// Few repetitions and small sizes.
    pub quick: bool,
    /// Also what takes many minutes.
    pub full: bool,
    /// Cores of a machine, where a suite does not say otherwise.
    pub cores: u32,
    icount: bool,
    words: Option<String>,
    has_solo5: bool,
    kernel: PathBuf,
    /// The sample actions: names and images.
    actions: Vec<(String, Vec<u8>)>,
    plugin: PathBuf,
    guest: Option<Guest>,
    tap: Option<Tap>,
    /// Machines that counted so far: each has a file of its own.
    counted: Cell<u32>,
}

impl Laboratory {
    /// Builds what is needed.
    pub fn open(arguments: &Arguments) -> Result<Self> {
        ensure_qemu(say)?;
        let mut actions = Vec::new();
        for program in build_command::everything()? {
            actions.push((program.name, fs::read(program.file)?));
        }
        let kernel = kernel()?;
        say("Building the instruction counter");
        let plugin = build::instruction_counter()?;
        let solo5 = arguments.solo5();
        let guest = match arguments.no_peers {
            true => None,
            false => Some(guest(solo5.clone())?),
        };
        raise_open_files()?;
        Ok(Self {
            quick: arguments.quick,
            full: arguments.full,
            cores: arguments.cores,
            icount: arguments.icount,
            words: arguments.cmdline.clone(),
            has_solo5: solo5.is_some(),
            kernel,
            actions,
            plugin,
            guest,
            tap: tap()?,
            counted: Cell::new(0),
        })
    }

    /// Goes where the machines can be reached, until the value is dropped.
    pub fn enter(&self) -> Result<Option<Entered>> {
        let Some(tap) = &self.tap else { return Ok(None) };
        // A machine that boots does not answer yet; ask again soon, not after a second.
        tap.ip(&format!("ntable change name arp_cache dev {} retrans 20", Tap::DEVICE))?;
        Ok(Some(tap.namespace().enter()?))
    }

    /// What to note beside the figures.
    pub fn conditions(&self, command: String) -> Conditions {
        let network = if self.tap.is_some() { "tap" } else { "user-mode" };
        let mut conditions = Conditions::now(command, TUNED_CPU, network);
        if let Some(guest) = &self.guest {
            conditions.guest_packages = guest.packages().to_vec();
        }
        conditions
    }

    /// What can be booted, hostkernel first.
    pub fn systems(&self) -> &'static [System] {
        match self.guest {
            Some(_) => &[System::Hostkernel, System::Linux],
            None => &[System::Hostkernel],
        }
    }

    /// Who answers on a system.
    pub fn subjects(&self, system: System) -> Vec<Subject> {
        if system == System::Hostkernel {
            return vec![Subject { name: SUBJECT, call: Call::hello(), peer: None }];
        }
        let solo5 = self.has_solo5.then_some(Peer::Solo5);
        let subject =
            |peer: Peer| Subject { name: peer.name(), call: peer.call(), peer: Some(peer) };
        Peer::ALL.into_iter().chain(solo5).map(subject).collect()
    }

    /// Boots a machine and waits until it is ready; a node gets the action `hello`.
    pub fn boot(&self, system: System, shape: Shape) -> Result<Running> {
        self.boot_with(system, shape, "")
    }

    /// The same, with these words besides on a node's command line.
    pub fn boot_with(&self, system: System, shape: Shape, words: &str) -> Result<Running> {
        let running = self.start_with(system, shape, words)?;
        let spinner = Spinner::new(&format!("Booting {system:?}, {} cores", shape.cores));
        running.node.wait_ready(BOOT_TIMEOUT)?;
        drop(spinner);
        if system == System::Hostkernel {
            running.deploy("hello", self.sample("hello")?)?;
        }
        Ok(running)
    }

    /// Starts a machine and does not wait.
    pub fn start(&self, system: System, shape: Shape) -> Result<Running> {
        self.start_with(system, shape, "")
    }

    fn start_with(&self, system: System, shape: Shape, words: &str) -> Result<Running> {
        let machine = match (system, &self.guest) {
            (System::Linux, Some(guest)) => guest.machine(),
            _ => self.node(words),
        };
        let mut machine = machine.cores(shape.cores).memory_mib(shape.memory_mib);
        if let Some(tap) = &self.tap {
            machine = machine.network(Network::Tap(tap.clone()));
        }
        let mut counters = None;
        if shape.is_counted {
            let number = self.counted.replace(self.counted.get() + 1);
            let file = folder().join(format!("counters-{number}"));
            let created = Counters::create(file)?;
            machine = created.attach(machine, &self.plugin);
            counters = Some(created);
            if self.icount {
                machine = machine.argument("-icount").argument("shift=0,sleep=on");
            }
        }
        Ok(Running { node: machine.boot()?, cores: shape.cores as usize, counters })
    }

    /// A node without an address: the network gives it one, unless it is QEMU's own.
    fn node(&self, words: &str) -> Machine {
        let own = self.words.as_deref().unwrap_or_default();
        let words = [own, words].join(" ");
        let machine = Machine::new(&self.kernel).cpu(TUNED_CPU);
        if words.trim().is_empty() { machine } else { machine.kernel_words(words.trim()) }
    }

    /// A registry that machines reach, with its files in a folder.
    pub fn registry(&self, folder: &Path) -> Result<Registry> {
        const PORT: u16 = 5000;
        Ok(match &self.tap {
            Some(tap) => Registry::start_beside(folder, PORT, tap)?,
            None => Registry::start(folder, free_port()?)?,
        })
    }

    /// The ELF file of a sample action.
    pub fn sample(&self, name: &str) -> Result<&[u8]> {
        let action = self.actions.iter().find(|(own, _)| own == name);
        let action = action.with_context(|| format!("there is no sample action `{name}`"))?;
        Ok(&action.1)
    }

    /// How often to count what costs tens of thousands of instructions.
    pub fn plan(&self) -> Plan {
        match self.quick {
            true => Plan { warm_up: 150, runs: 100, rounds: 1 },
            false => Plan { warm_up: 300, runs: 300, rounds: 3 },
        }
    }

    /// How often to count what costs millions.
    pub fn short_plan(&self) -> Plan {
        match self.quick {
            true => Plan { warm_up: 2, runs: 3, rounds: 1 },
            false => Plan { warm_up: 2, runs: 3, rounds: 3 },
        }
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        // What stays behind takes room, and nothing else.
        let _ = fs::remove_dir_all(folder());
    }
}

/// The files of this process: another one may measure at the same time.
fn folder() -> PathBuf {
    workspace::target().join(format!("bench/{}", process::id()))
}

/// A copy of the kernel: what somebody builds while we measure must not become part of it.
fn kernel() -> Result<PathBuf> {
    fs::create_dir_all(folder())?;
    let kernel = folder().join("hostkernel.elf");
    fs::copy(workspace::kernel(), &kernel)?;
    Ok(kernel)
}

fn guest(solo5: Option<Solo5>) -> Result<Guest> {
    if solo5.is_none() {
        say("No unikernel: pass one with --solo5-tender and --solo5-image");
    }
    Ok(Guest::make(&lab::Options { solo5 }, say)?)
}

/// The network of measured machines, if it can be made.
pub fn tap() -> Result<Option<Tap>> {
    match Tap::new() {
        Ok(tap) => Ok(Some(tap)),
        Err(error @ TapError::NeedsRoot) => {
            say(&format!("{error}; measuring through QEMU's user-mode network instead, whose"));
            say("latencies have long tails of their own and are not comparable");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets this process have as many connections as the suites open.
fn raise_open_files() -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < FILES {
        ensure!(hard >= FILES, "{FILES} open files are needed, and {hard} are allowed");
        setrlimit(Resource::RLIMIT_NOFILE, FILES, hard)?;
    }
    Ok(())
}
