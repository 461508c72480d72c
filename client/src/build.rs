//! How actions written in Rust are compiled. Cargo does the work; this module knows the flags.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Target of actions: hard-float, which the kernel's target is not.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Cargo profile of actions.
pub const PROFILE: &str = "action";
/// For crates that do not define the profile. Nothing can unwind in an action.
const PROFILE_SETTINGS: [&str; 2] =
    ["profile.action.inherits=\"release\"", "profile.action.panic=\"abort\""];
const FLAGS_VARIABLE: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS";

/// Why a build gave no result.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo did not start.
    #[error("Cargo could not be started: {0}; https://rustup.rs installs it")]
    NoCargo(io::Error),
    /// Cargo failed; it has said why.
    #[error("{what} did not build; the compiler's messages are above")]
    Failed {
        /// What was to be built.
        what: String,
    },
    /// Cargo succeeded without producing a program.
    #[error("{what} built, but it contains no program; an action needs a `src/main.rs`")]
    NoProgram {
        /// What was built.
        what: String,
    },
    /// A result could not be put in its place, or a folder not be read.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: io::Error,
    },
}

/// A built program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name: that of the Cargo target.
    pub name: String,
    /// The ELF file.
    pub file: PathBuf,
}

/// Compiler flags for actions: static programs at a fixed address, without a C library, linked by
/// the linker that comes with Rust.
#[must_use]
pub fn flags() -> String {
    [
        "-Crelocation-model=static",
        // Nothing is relocated at run time, so no page would be worth making read-only after it.
        "-Crelro-level=off",
        "-Clinker=rust-lld",
        "-Clinker-flavor=ld.lld",
        "-Clink-arg=--image-base=0x400000",
        "-Clink-arg=-zseparate-loadable-segments",
        // There is no operating system to ask: `action-abi` has random bytes.
        "--cfg=getrandom_backend=\"custom\"",
    ]
    .join(" ")
}

/// The Cargo that runs us, or the one on the path.
#[must_use]
pub fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Gives a Cargo command everything an action's code needs, after its subcommand.
pub fn configure(cargo: &mut Command, subcommand: &str) {
    cargo
        // By the environment, and with an explicit target: so the flags reach the action and not
        // the build scripts and macros of its dependencies, which run on this computer.
        .env(FLAGS_VARIABLE, flags())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args([subcommand, "--profile", PROFILE, "--target", TARGET]);
}

/// Builds the action crate in `folder`, which may lie anywhere, into the target folder `target`, an
/// absolute path, or where its own configuration says.
///
/// # Errors
/// [`BuildError`]
pub fn action_crate(folder: &Path, target: Option<&Path>) -> Result<Program, BuildError> {
    let mut command = cargo();
    configure(&mut command, "build");
    for setting in PROFILE_SETTINGS {
        command.args(["--config", setting]);
    }
    // Cargo's configuration follows the working directory, and other settings rebuild everything.
    command.current_dir(folder);
    if let Some(target) = target {
        command.arg("--target-dir").arg(target);
    }
    let what = format!("The action in {}", folder.display());
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(BuildError::NoCargo)?;
    let programs: Vec<_> = child.stdout.take().map(programs).into_iter().flatten().collect();
    match child.wait().is_ok_and(|status| status.success()) {
        true => programs.into_iter().next().ok_or(BuildError::NoProgram { what }),
        false => Err(BuildError::Failed { what }),
    }
}

/// The programs that Cargo announces in its messages.
fn programs(messages: impl io::Read) -> impl Iterator<Item = Program> {
    // A line that is not UTF-8 or not JSON is not Cargo's.
    let lines = BufReader::new(messages).lines().map_while(Result::ok);
    lines.filter_map(|line| program(&serde_json::from_str(&line).ok()?))
}

/// The program a message of Cargo announces, if it announces one.
#[must_use]
pub fn program(message: &Value) -> Option<Program> {
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        file: message["executable"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_artifacts_with_a_program_count() {
        let library = json!({"reason": "compiler-artifact", "target": {"name": "serde"},
            "executable": null});
        assert!(program(&library).is_none());
        let action = json!({"reason": "compiler-artifact", "target": {"name": "hello"},
            "executable": "/t/hello"});
        assert_eq!(program(&action).expect("a program").name, "hello");
        assert!(program(&json!({"reason": "build-finished"})).is_none());
    }
}
