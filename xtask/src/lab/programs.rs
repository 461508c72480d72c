//! How the programs in `images/peers` are compiled: static, so that the guest needs nothing else
//! for them.

use std::path::PathBuf;
use std::process::Command;

use super::LabError;
use crate::build::{self, BuildError, Program};
use crate::prerequisites::{ACTION_TARGET, ensure_targets};
use crate::workspace;

/// Target of programs with a C library.
const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";
const MUSL_FLAGS_VARIABLE: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS";
/// The linker and the C library that come with Rust, and fixed addresses: nothing to relocate at
/// each start.
const MUSL_FLAGS: &str = "-Crelocation-model=static -Clinker=rust-lld -Clinker-flavor=ld.lld \
                          -Clink-self-contained=yes";
/// The C compiler of a few lines in one dependency, which are the same for every C library.
const MUSL_COMPILER: (&str, &str) = ("CC_x86_64_unknown_linux_musl", "cc");

/// The guest's programs, compiled.
#[derive(Clone, Debug)]
pub struct Programs {
    /// First process and server.
    pub server: PathBuf,
    /// Greets with two system calls.
    pub hello_assembly: PathBuf,
    /// Greets with the standard library.
    pub hello_musl: PathBuf,
    /// Greets as a WebAssembly module, in text form.
    pub hello_module: PathBuf,
}

/// The folder of the sources.
fn sources() -> PathBuf {
    workspace::root().join("images/peers")
}

/// Compiles what has changed. `say` hears what is about to be done.
///
/// # Errors
/// [`LabError::Build`], or [`LabError::Prerequisite`] if a target is missing.
pub fn build(say: impl Fn(&str)) -> Result<Programs, LabError> {
    ensure_targets(&[MUSL_TARGET, ACTION_TARGET], &say)?;
    say("Building the Linux guest's programs (the first time takes minutes)");
    let assembly = build::action_crate(&sources().join("hello-assembly"))?;
    let what = "The Linux guest's programs";
    let built = build::programs(musl_cargo("build"), what)?;
    let find = |name: &str| {
        let program = built.iter().find(|program: &&Program| program.name == name);
        let program = program.ok_or(BuildError::NoProgram { what: what.to_owned() })?;
        Ok::<_, LabError>(program.file.clone())
    };
    Ok(Programs {
        server: find("peer-server")?,
        hello_assembly: assembly.file,
        hello_musl: find("hello-musl")?,
        hello_module: sources().join("hello.wat"),
    })
}

/// A Cargo command for the programs with a C library.
#[must_use]
pub fn musl_cargo(subcommand: &str) -> Command {
    let mut cargo = build::cargo();
    cargo
        .env(MUSL_FLAGS_VARIABLE, MUSL_FLAGS)
        .env(MUSL_COMPILER.0, MUSL_COMPILER.1)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args([subcommand, "--locked", "--profile", build::ACTION_PROFILE])
        .args(["--target", MUSL_TARGET, "--package", "peer-server", "--package", "hello-musl"])
        .arg("--manifest-path")
        .arg(sources().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace::target().join("peers"));
    cargo
}
