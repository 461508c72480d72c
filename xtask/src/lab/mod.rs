//! The laboratory: hostkernel's peers on Linux, in a virtual machine of the same shape.
//!
//! [`Guest::make`] makes a Linux guest from Debian's packages and the programs in `images/peers`;
//! [`Guest::machine`] describes it to [`crate::qemu`]. It serves HTTP on the same port as a node,
//! one path for each [`Peer`], so that one load generator drives both. [`Counters`] count what
//! either executes.
//!
//! | module | what it knows |
//! |---|---|
//! | [`guest`] | what lies where in the guest, and how it boots |
//! | [`packages`] | which Debian packages are needed, and how to get them |
//! | [`programs`] | how `images/peers` is compiled |
//! | [`registries`] | web servers out of Python's and JavaScript's registries |
//! | [`elf`] | which libraries a program and which modules a driver needs |
//! | [`cpio`] | the archive the guest boots from |
//! | [`peer`] | what to ask the guest for |
//! | [`call`] | one request, and how a right answer is recognised |
//! | [`load`] | the load generator: rates and latencies |
//! | [`counters`] | instructions: the plugin's file, and figures per run |
//! | [`profile`] | instructions by address: the plugin's other file |
//! | [`image`] | actions of a chosen size that touch a chosen number of pages |
//! | [`conditions`], [`report`] | the file with the results |
//! | [`compare`], [`table`], [`plot`] | what is made of it |
//!
//! ```no_run
//! use std::time::Duration;
//! use xtask::lab::{Counters, Guest, Options, Peer, Plan, per_run};
//!
//! let guest = Guest::make(&Options::default(), |step| eprintln!("{step}"))?;
//! let counters = Counters::create("target/lab/counters".into())?;
//! let plugin = xtask::build::instruction_counter()?;
//! let machine = counters.attach(guest.machine(), &plugin).cores(2);
//! let node = machine.boot()?;
//! node.wait_ready(Duration::from_secs(300))?;
//! let mut bare = Peer::Process.bare(node.address())?;
//! let plan = Plan { warm_up: 100, runs: 200, rounds: 3 };
//! let figures = per_run(&counters, 2, plan, |runs| bare.run(runs).map(drop))?;
//! println!("{:.0} instructions", figures.median().all);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod call;
pub mod compare;
pub mod conditions;
pub mod counters;
pub mod cpio;
pub mod elf;
pub mod guest;
pub mod image;
pub mod load;
pub mod packages;
pub mod peer;
pub mod plot;
pub mod profile;
pub mod programs;
pub mod registries;
pub mod report;
pub mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

pub use call::{Call, Requests};
pub use counters::{Count, Counters, Figures, Plan, once, per_run};
pub use guest::{Guest, Options, Solo5};
pub use peer::{Bare, Peer};
pub use profile::Profile;
pub use programs::Hosted;
pub use report::{Report, Row, Unit};

use crate::build::BuildError;
use crate::prerequisites::PrerequisiteError;

/// Why the laboratory cannot work.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This computer has no Debian packages to make a guest from.
    #[error(
        "the Linux guest is made from Debian's packages, and `{program}` is not here; it needs \
         Debian 12 or newer with apt-get, apt-cache and dpkg-deb"
    )]
    NoDebian {
        /// What was looked for.
        program: &'static str,
    },
    /// apt does not know a package.
    #[error(
        "apt knows no package `{package}`; the Linux guest needs Debian's own list of packages, \
         and `apt-get update` renews it"
    )]
    NoPackage {
        /// What was asked for.
        package: String,
    },
    /// A program failed.
    #[error("`{command}` failed ({status}): {}", .message.trim_end())]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        message: String,
    },
    /// A program did not start, or a file could not be read or written.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The program or file.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The guest's programs did not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A compiler target is missing.
    #[error(transparent)]
    Prerequisite(#[from] PrerequisiteError),
    /// The guest did not answer as expected.
    #[error("the guest's answer to {path}: {reason}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What came instead.
        reason: String,
    },
}

impl LabError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::File { path: path.to_path_buf(), cause }
    }

    fn unusable(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
