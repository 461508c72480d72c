//! Why a node could not be started, or did not become ready.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::NODE_PORT;

/// What went wrong with QEMU or the node in it. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// There is no kernel or image at this path.
    #[error("there is nothing to start at {}; build it with `cargo xtask build`", .0.display())]
    NoKernel(PathBuf),
    /// There is no firmware for UEFI where packages put it.
    #[error(
        "OVMF, the firmware for UEFI, was not found; install the package `ovmf` or `edk2-ovmf`"
    )]
    NoOvmf,
    /// There is no QEMU on the path.
    #[error(
        "`{0}` was not found; `cargo xtask run` installs it on Debian and Ubuntu and says what to \
         install elsewhere"
    )]
    NoQemu(String),
    /// KVM was demanded and cannot work here.
    #[error("KVM cannot be used: {reason}; leave out `--accel kvm` to run under emulation")]
    NoKvm {
        /// What is missing.
        reason: String,
    },
    /// Somebody listens on the port the node should be reached at.
    #[error(
        "port {port} on 127.0.0.1 is taken by another program; choose another one with \
         `--port {}`, or let `--port 0` find a free one",
        suggestion(*port)
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The operating system did not start QEMU.
    #[error("QEMU could not be started: {cause}")]
    Spawn {
        /// What the operating system says.
        cause: io::Error,
    },
    /// QEMU ended before the node was ready.
    #[error("QEMU ended ({status}) before the node was ready{}\n{report}", meaning(*.status))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Command, messages and serial tail.
        report: Report,
    },
    /// QEMU does not answer on its control connection.
    #[error("QEMU runs but does not answer ({reason})\n{report}")]
    Silent {
        /// What happened instead of an answer.
        reason: String,
        /// Command, messages and serial tail.
        report: Report,
    },
    /// The node did not answer `GET /readyz` with 200 in time.
    #[error(
        "the node was not ready after {} s; its last words are below\n{report}",
        .waited.as_secs()
    )]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// Command, messages and serial tail.
        report: Report,
    },
    /// The node said that it will not serve.
    #[error("the node will not become ready: {words}\n{report}")]
    Halted {
        /// What it said.
        words: String,
        /// Command, messages and serial tail.
        report: Report,
    },
    /// The node says that it is ready, and is not where it is looked for.
    #[error(
        "the node says `{words}`, and does not answer at {address}; does it have another port or \
         address?\n{report}"
    )]
    Elsewhere {
        /// What it said.
        words: String,
        /// Where it was looked for.
        address: SocketAddr,
        /// Command, messages and serial tail.
        report: Box<Report>,
    },
    /// The wait was called off, for instance by Ctrl-C.
    #[error("interrupted before the node was ready")]
    Interrupted,
}

fn meaning(status: ExitStatus) -> &'static str {
    if status.success() { ": the machine reset or switched itself off" } else { "" }
}

fn suggestion(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(NODE_PORT)
}

/// What a reader needs to repeat and understand a failure.
#[derive(Clone, Debug)]
pub struct Report {
    /// The QEMU command, ready to paste.
    pub command_line: String,
    /// What QEMU itself said.
    pub messages: String,
    /// The last lines of the node's serial log.
    pub serial_tail: String,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "--- command\n{}", self.command_line)?;
        if !self.messages.trim().is_empty() {
            writeln!(formatter, "--- QEMU says\n{}", self.messages.trim_end())?;
        }
        match self.serial_tail.trim_end() {
            "" => write!(formatter, "--- the serial log is empty"),
            tail => write!(formatter, "--- end of the serial log\n{tail}"),
        }
    }
}
