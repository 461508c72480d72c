//! Under which conditions figures were measured: without them they mean nothing.

use std::env;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::prerequisites::QEMU;
use crate::qemu::{Accelerator, QEMU_VARIABLE};
use crate::workspace;

/// What to know of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The command that repeats it.
    pub command: String,
    /// When it began, in UTC.
    pub date: String,
    /// The commit, with `-dirty` behind it if the sources were changed.
    pub commit: String,
    /// The computer's processor.
    pub processor: String,
    /// How many of them.
    pub cores: usize,
    /// Processes that wanted one of them, over the last minute before the run and at its end.
    pub load: (f64, f64),
    /// What executed the machines whose time was measured. Instructions are counted in `tcg`.
    pub accelerator: String,
    /// QEMU.
    pub qemu: String,
    /// The processor of the machines, node and peers alike.
    pub guest_processor: String,
    /// The network between load generator and machine.
    pub network: String,
    /// The compiler of kernel and actions.
    pub compiler: String,
    /// The Debian packages in the Linux guest; none if it was not there.
    pub guest_packages: Vec<String>,
}

impl Conditions {
    /// What can be known before anything runs.
    #[must_use]
    pub fn now(command: String, guest_processor: &str, network: &str) -> Self {
        let qemu = env::var_os(QEMU_VARIABLE).unwrap_or_else(|| QEMU.into());
        let engine = Accelerator::Auto.resolve();
        let commit = ["describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"];
        Self {
            command,
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            commit: first_line(Command::new("git").current_dir(workspace::root()).args(commit)),
            processor: processor(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            load: (load(), 0.0),
            accelerator: engine.map_or_else(|error| error.to_string(), |it| it.name().to_owned()),
            qemu: first_line(Command::new(qemu).arg("--version")),
            guest_processor: guest_processor.to_owned(),
            network: network.to_owned(),
            compiler: first_line(Command::new("rustc").arg("--version")),
            guest_packages: Vec::new(),
        }
    }

    /// Notes what the end of a run shows.
    pub fn finish(&mut self) {
        self.load.1 = load();
    }
}

/// What a program says first, or that it says nothing.
fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    model.map_or_else(|| "unknown".to_owned(), |model| model.trim().to_owned())
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_known_here() {
        let conditions = Conditions::now("cargo xtask bench".to_owned(), "max", "tap");
        assert!(conditions.date.ends_with('Z'), "{}", conditions.date);
        assert!(conditions.cores > 0);
        assert_eq!(first_line(&mut Command::new("/no/such/program")), "unknown");
    }
}
