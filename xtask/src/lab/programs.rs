//! How the programs in `images/peers` are compiled: static, so that the guest needs nothing else
//! for them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::LabError;
use crate::build::{self, BuildError, Program};
use crate::prerequisites::{ACTION_TARGET, ensure_programs, ensure_targets};
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

/// A program that runs on Linux, and on a node as it is: greets whom its input names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosted {
    /// C with musl.
    CMusl,
    /// C with glibc.
    CGlibc,
    /// Rust with its standard library, on musl.
    RustMusl,
    /// Go with its JSON.
    Go,
}

impl Hosted {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] = [Self::CMusl, Self::RustMusl, Self::CGlibc, Self::Go];
    /// What they are given.
    pub const INPUT: &[u8] = br#"{"name":"you"}"#;
    /// What they say to it.
    pub const GREETING: &[u8] = br#"{"greeting":"Hello, you!"}"#;
    /// Programs that build them, by Debian package.
    const COMPILERS: [(&str, &str); 3] =
        [("musl-gcc", "musl-tools"), ("gcc", "gcc"), ("go", "golang-go")];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CMusl => "c-musl",
            Self::CGlibc => "c-glibc",
            Self::RustMusl => "rust-musl",
            Self::Go => "go",
        }
    }

    /// Compiles it, static.
    ///
    /// # Errors
    /// As [`build()`].
    pub fn build(self, say: impl Fn(&str)) -> Result<PathBuf, LabError> {
        let compiler = match self {
            Self::CMusl => "musl-gcc",
            Self::CGlibc => "gcc",
            Self::Go => "go",
            Self::RustMusl => {
                ensure_targets(&[MUSL_TARGET], &say)?;
                let what = "The Rust program for Linux";
                let built = build::programs(cargo_for("build", &["hello-input"]), what)?;
                let missing = BuildError::NoProgram { what: what.to_owned() };
                return Ok(built.first().ok_or(missing)?.file.clone());
            }
        };
        ensure_programs(&Self::COMPILERS, &say)?;
        let folder = workspace::target().join("lab/hosted");
        fs::create_dir_all(&folder).map_err(LabError::file(&folder))?;
        let program = folder.join(self.name());
        let source = sources().join("hosted");
        let mut command = Command::new(compiler);
        match self {
            Self::Go => command.args(["build", "-trimpath", "-o"]).arg(&program).arg("hello.go"),
            _ => command.args(["-static", "-O2", "-o"]).arg(&program).arg("hello.c"),
        };
        let status = command.current_dir(source).env("CGO_ENABLED", "0").status();
        match status.map_err(LabError::file(&program))?.success() {
            true => Ok(program),
            false => Err(LabError::unusable(&program, "could not be compiled")),
        }
    }
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
    cargo_for(subcommand, &["peer-server", "hello-musl", "hello-input"])
}

fn cargo_for(subcommand: &str, packages: &[&str]) -> Command {
    let mut cargo = build::cargo();
    cargo
        .env(MUSL_FLAGS_VARIABLE, MUSL_FLAGS)
        .env(MUSL_COMPILER.0, MUSL_COMPILER.1)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args([subcommand, "--locked", "--profile", build::ACTION_PROFILE])
        .args(["--target", MUSL_TARGET])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .arg("--manifest-path")
        .arg(sources().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace::target().join("peers"));
    cargo
}
