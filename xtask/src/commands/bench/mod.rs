//! `cargo xtask bench`: figures about a node, beside its peers on Linux.
//!
//! [`laboratory`] boots each [`machine`], each suite is a file of its own, and [`recorder`] keeps
//! what they find. What makes and compares reports is in [`xtask::lab`].

mod boot;
mod fetch;
mod growth;
mod hosted;
mod instructions;
pub(super) mod laboratory;
mod languages;
mod latency;
pub(super) mod machine;
mod many;
mod memory;
pub mod pages;
mod recorder;
mod simultaneous;
mod throughput;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use xtask::lab::compare::{Verdict, compare};
use xtask::lab::{Report, Solo5, plot, table};
use xtask::workspace;

use crate::progress::say;
use laboratory::Laboratory;
use recorder::Recorder;

/// The name of ours in reports.
const SUBJECT: &str = "hostkernel";

/// Measure a node, and beside it Linux on the same machine doing the same.
///
/// Peers are an empty answer, a process, containers by crun and runc, WebAssembly by wasmtime, and
/// a Solo5 unikernel if one is given. Wall time under emulation only means something as a ratio
/// within one run; instructions mean the same everywhere.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What to measure; everything if no suite is named.
    #[arg(long = "suite", value_name = "NAME", value_delimiter = ',', num_args = 1..)]
    suites: Vec<Suite>,
    /// Few repetitions and small sizes: to see that it works, not for figures to quote.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also what takes many minutes: 100,000 copies of `hello` in 4 GiB.
    #[arg(long)]
    full: bool,
    /// Only the node, without the Linux guest.
    #[arg(long)]
    no_peers: bool,
    /// Cores of the machines, where a suite does not say otherwise.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=255))]
    cores: u32,
    /// Write all figures and the conditions to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures into this folder, as SVG.
    #[arg(long, value_name = "FOLDER")]
    plots: Option<PathBuf>,
    /// Compare with the file of an earlier run.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// The program that starts a Solo5 unikernel: solo5-hvt or solo5-spt.
    #[arg(long, value_name = "FILE", requires = "solo5_image")]
    solo5_tender: Option<PathBuf>,
    /// A Solo5 unikernel that prints the greeting and ends.
    #[arg(long, value_name = "FILE", requires = "solo5_tender")]
    solo5_image: Option<PathBuf>,
    /// Let the guest's time follow its instructions where they are counted: slower, and waiting
    /// loops cost the same on every computer.
    #[arg(long)]
    icount: bool,
    /// Words for the node's kernel command line.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    cmdline: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Guest instructions of a request, and of an instance without network
    Instructions,
    /// Guest instructions of Linux programs, on a node and as processes
    Hosted,
    /// One request at a time, in full percentiles
    Latency,
    /// Answers in a second, by connections
    Throughput,
    /// Instructions while one thing grows
    Growth,
    /// Many starts at the same moment
    Simultaneous,
    /// Of deployed actions and of live instances
    Memory,
    /// Until ready, and until the first answer
    Boot,
    /// Functions in source code; only if it is named
    Languages,
    /// Actions out of a registry, with nothing cached; only if it is named
    Fetch,
    /// More actions in a registry than a node has room for; only if it is named
    Many,
}

impl Suite {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Gets what it needs from outside, where the machines' network is not.
    fn prepare(self) -> Result<()> {
        match self {
            Self::Languages => languages::prepare(),
            _ => Ok(()),
        }
    }

    fn run(self, laboratory: &Laboratory, recorder: &mut Recorder) -> Result<()> {
        match self {
            Self::Instructions => instructions::run(laboratory, recorder),
            Self::Hosted => hosted::run(laboratory, recorder),
            Self::Latency => latency::run(laboratory, recorder),
            Self::Throughput => throughput::run(laboratory, recorder),
            Self::Growth => growth::run(laboratory, recorder),
            Self::Simultaneous => simultaneous::run(laboratory, recorder),
            Self::Memory => memory::run(laboratory, recorder),
            Self::Boot => boot::run(laboratory, recorder),
            Self::Languages => languages::run(laboratory, recorder),
            Self::Fetch => fetch::run(laboratory, recorder),
            Self::Many => many::run(laboratory, recorder),
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    // Before hours of measuring rather than after them.
    let old = arguments.compare.as_deref().map(Report::read).transpose()?;
    let laboratory = Laboratory::open(arguments)?;
    arguments.suites().into_iter().try_for_each(Suite::prepare)?;
    let _inside = laboratory.enter()?;
    let mut recorder = Recorder::new(laboratory.conditions(arguments.command()));
    let mut failed = Vec::new();
    for suite in arguments.suites() {
        recorder.begin(&suite.name());
        // One suite that fails does not take the figures of the others with it.
        if let Err(error) = suite.run(&laboratory, &mut recorder) {
            eprintln!("error in {}: {error:#}", suite.name());
            failed.push(suite.name());
        }
    }
    let report = recorder.finish();
    println!("Command: {}", report.conditions.command);
    println!("{}", table::report(&report));
    if let Some(file) = &arguments.json {
        report.write(file)?;
        say(&format!("Wrote {}", workspace::display(file)));
    }
    if let Some(folder) = &arguments.plots {
        for file in plot::write(&report, folder)? {
            say(&format!("Wrote {}", workspace::display(&file)));
        }
    }
    if let Some(old) = old {
        print_comparison(&report, &old);
    }
    if failed.is_empty() { Ok(()) } else { bail!("no figures from: {}", failed.join(", ")) }
}

fn print_comparison(report: &Report, old: &Report) {
    let comparisons = compare(report, old);
    println!("\n{}", table::comparison(&comparisons));
    let own: Vec<_> = comparisons.iter().filter(|it| it.row.subject == SUBJECT).collect();
    let worse = own.iter().filter(|it| it.verdict == Verdict::Worse).count();
    println!("{worse} of {} figures of {SUBJECT} are worse.", own.len());
    let (then, now) = (&old.conditions, &report.conditions);
    println!("Then: {}, load {:.1} to {:.1}", then.commit, then.load.0, then.load.1);
    println!("Now:  {}, load {:.1} to {:.1}", now.commit, now.load.0, now.load.1);
    println!("Peers do not change: where they are worse, the computer was busier.");
}

impl Arguments {
    fn suites(&self) -> Vec<Suite> {
        let all = Suite::value_variants();
        all.iter()
            .copied()
            .filter(|it| match self.suites.is_empty() {
                // They build what is not needed otherwise.
                true => !matches!(it, Suite::Languages | Suite::Fetch | Suite::Many),
                false => self.suites.contains(it),
            })
            .collect()
    }

    fn solo5(&self) -> Option<Solo5> {
        let (tender, image) = (self.solo5_tender.clone()?, self.solo5_image.clone()?);
        Some(Solo5 { tender, image })
    }

    /// What to type to measure the same again.
    fn command(&self) -> String {
        let mut words = vec!["cargo xtask bench".to_owned()];
        if !self.suites.is_empty() {
            let names: Vec<_> = self.suites().into_iter().map(Suite::name).collect();
            words.push(format!("--suite {}", names.join(",")));
        }
        let flags = [
            ("--quick", self.quick),
            ("--full", self.full),
            ("--no-peers", self.no_peers),
            ("--icount", self.icount),
        ];
        words.extend(flags.iter().filter(|flag| flag.1).map(|flag| flag.0.to_owned()));
        words.push(format!("--cores {}", self.cores));
        if let Some(Solo5 { tender, image }) = self.solo5() {
            let name = |file: PathBuf| file.file_name().unwrap_or_default().display().to_string();
            let (tender, image) = (name(tender), name(image));
            words.push(format!("--solo5-tender {tender} --solo5-image {image}"));
        }
        words.extend(self.cmdline.iter().map(|cmdline| format!("--cmdline '{cmdline}'")));
        words.join(" ")
    }
}
