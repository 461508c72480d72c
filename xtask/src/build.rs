//! How the kernel and the actions are compiled.
//!
//! Cargo does the work; [`hk::build`] knows the flags of actions. This module copies the results to
//! the two places people and tests expect: `target/hostkernel.elf` and `target/actions/NAME.elf`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hk::build::program;
pub use hk::build::{BuildError, PROFILE as ACTION_PROFILE, Program};
use serde_json::Value;

use crate::lifeline;
use crate::prerequisites::{BIOS_TARGET, KERNEL_TARGET, UEFI_TARGET};
use crate::workspace;

/// The folder under `images/` whose programs run on Linux: no actions, and a workspace of its own.
const PEERS: &str = "peers";
/// The folder under `images/` of the Linux library OS, and its package: no action, but what hosts
/// Linux programs.
pub const LINUX: &str = "linux";
/// Tells the kernel's build which file is the image that hosts payloads.
const HOST_IMAGE_VARIABLE: &str = "HOSTKERNEL_HOST_IMAGE";

/// Target of static Linux programs, and the C compiler for it.
pub const MUSL_TARGET: &str = "x86_64-unknown-linux-musl";
/// See [`MUSL_TARGET`].
pub const MUSL_COMPILER: &str = "musl-gcc";

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    move |cause| BuildError::File { path: path.to_path_buf(), cause }
}

/// The Cargo that runs us, in the workspace root.
#[must_use]
pub fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = lifeline::command(program);
    cargo.current_dir(workspace::root());
    cargo
}

/// The Cargo of another toolchain, in the workspace root.
#[must_use]
pub fn cargo_of(toolchain: &str) -> Command {
    let mut cargo = lifeline::command("rustup");
    cargo.args(["run", toolchain, "cargo"]).current_dir(workspace::root());
    cargo
}

/// Builds the kernel into `target/hostkernel.elf`.
///
/// # Errors
/// [`BuildError`]
pub fn kernel() -> Result<PathBuf, BuildError> {
    kernel_with(&[], &workspace::target(), workspace::kernel())
}

/// Builds the kernel with its tests into `target/hostkernel-selftest.elf`.
///
/// # Errors
/// [`BuildError`]
pub fn test_kernel() -> Result<PathBuf, BuildError> {
    // A target folder of its own: switching features back and forth would rebuild each time.
    let target = workspace::target().join("selftest");
    kernel_with(&["--features", "selftest"], &target, workspace::test_kernel())
}

/// Builds the Linux library OS into `target/linux.elf`.
///
/// # Errors
/// [`BuildError`]
pub fn linux_image() -> Result<PathBuf, BuildError> {
    let built = linux_image_with(&[], "linux-build")?;
    let result = workspace::linux_image();
    copy(&built.file, &result)?;
    Ok(result)
}

/// Builds the Linux library OS as [`linux_image`] does, with the names of its functions and its
/// lines.
///
/// # Errors
/// [`BuildError`]
pub fn linux_image_with_symbols() -> Result<Program, BuildError> {
    linux_image_with(&symbols_in_actions(), "linux-symbols")
}

fn linux_image_with(options: &[String], folder: &str) -> Result<Program, BuildError> {
    let what = "The Linux library OS";
    let mut command = cargo();
    command
        .args(["build", "--package", LINUX, "--bin", LINUX, "--features", "image"])
        .args(["--profile", ACTION_PROFILE, "--target", KERNEL_TARGET])
        .args(without_paths(KERNEL_TARGET))
        .args(options)
        .arg("--target-dir")
        .arg(workspace::target().join(folder));
    let missing = BuildError::NoProgram { what: what.to_owned() };
    programs(command, what)?.into_iter().next().ok_or(missing)
}

/// Arguments that leave names and lines in what is compiled as actions are.
fn symbols_in_actions() -> [String; 4] {
    let setting = |setting: &str| format!("profile.{ACTION_PROFILE}.{setting}");
    let option = || "--config".to_owned();
    [option(), setting("strip=false"), option(), setting("debug=\"line-tables-only\"")]
}

fn kernel_with(options: &[&str], target: &Path, result: PathBuf) -> Result<PathBuf, BuildError> {
    let image = linux_image()?;
    let mut command = cargo();
    command
        .env(HOST_IMAGE_VARIABLE, image)
        .args(["build", "--package", "hostkernel", "--bin", "hostkernel", "--release"])
        .args(["--target", KERNEL_TARGET])
        .args(without_paths(KERNEL_TARGET))
        .args(options)
        .arg("--target-dir")
        .arg(target);
    let built = programs(command, "The kernel")?;
    let Some(program) = built.first() else {
        return Err(BuildError::NoProgram { what: "The kernel".to_owned() });
    };
    copy(&program.file, &result)?;
    Ok(result)
}

/// Builds what starts the kernel from an image, into `target/boot`: the BIOS stage, and the UEFI
/// loader.
///
/// # Errors
/// [`BuildError`]
pub fn boot_programs() -> Result<(), BuildError> {
    boot_program("boot-bios", BIOS_TARGET, &workspace::bios_stage())?;
    boot_program("boot-uefi", UEFI_TARGET, &workspace::uefi_loader())
}

fn boot_program(package: &str, target: &str, result: &Path) -> Result<(), BuildError> {
    let mut command = cargo();
    command
        .args(["build", "--package", package, "--profile", ACTION_PROFILE, "--target", target])
        .args(without_paths(target))
        .arg("--target-dir")
        .arg(workspace::target());
    let built = programs(command, package)?;
    let missing = || BuildError::NoProgram { what: package.to_owned() };
    copy(&built.first().ok_or_else(missing)?.file, result)
}

/// Arguments that keep the paths of this computer out of what is built, so that the same sources
/// give the same bytes in every folder.
fn without_paths(target: &str) -> [String; 2] {
    let home = env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
        PathBuf::from,
    );
    let registry = home.join("registry/src");
    let flag = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    let flags = serde_json::json!([flag(&workspace::root(), "."), flag(&registry, "registry")]);
    // Added to those of `.cargo/config.toml`. A list in JSON is one in TOML.
    ["--config".to_owned(), format!("target.{target}.rustflags={flags}")]
}

/// Builds all sample actions into `target/actions/NAME.elf`, sorted by name.
///
/// # Errors
/// [`BuildError`]
pub fn actions() -> Result<Vec<Program>, BuildError> {
    let packages = action_packages()?;
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = action_cargo("build", &workspace::target().join("action-build"));
    for package in &packages {
        command.arg("--package").arg(package);
    }
    let mut built = programs(command, "The sample actions")?;
    for program in &mut built {
        let result = workspace::actions().join(format!("{}.elf", program.name));
        copy(&program.file, &result)?;
        program.file = result;
    }
    built.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(built)
}

/// Builds the action crate in `folder`, which may lie anywhere.
///
/// # Errors
/// [`BuildError`]
pub fn action_crate(folder: &Path) -> Result<Program, BuildError> {
    let folder = std::path::absolute(folder).map_err(file_error(folder))?;
    let inside = folder.starts_with(workspace::root().join("images"));
    let target =
        if inside { workspace::target().join("action-build") } else { folder.join("target") };
    hk::build::action_crate(&folder, Some(&target))
}

/// Builds the command-line client `hk`.
///
/// # Errors
/// [`BuildError`]
pub fn client() -> Result<PathBuf, BuildError> {
    let what = "The client";
    let mut command = cargo();
    command.args(["build", "--package", "hk", "--bin", "hk"]);
    let built = programs(command, what)?.into_iter().next();
    built.map(|program| program.file).ok_or_else(|| BuildError::NoProgram { what: what.to_owned() })
}

/// Builds a sample action as [`actions`] does, with the names of its functions and its lines.
///
/// # Errors
/// [`BuildError`]
pub fn action_with_symbols(name: &str) -> Result<Program, BuildError> {
    let mut command = action_cargo("build", &workspace::target().join("action-symbols"));
    command.args(["--package", name, "--bin", name]).args(symbols_in_actions());
    let what = format!("The action `{name}`");
    programs(command, &what)?.into_iter().next().ok_or(BuildError::NoProgram { what })
}

/// Builds the QEMU plugin that counts instructions.
///
/// # Errors
/// [`BuildError`]
pub fn instruction_counter() -> Result<PathBuf, BuildError> {
    let what = "The instruction counter";
    let mut command = cargo();
    command.args(["build", "--release", "--package", "instruction-counter"]);
    let library = |message: &Value| {
        if message["reason"] != "compiler-artifact" {
            return None;
        }
        let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
        let mut libraries = files.filter(|file| file.ends_with("libinstruction_counter.so"));
        libraries.next().map(PathBuf::from)
    };
    let built = artifacts(command, what, library)?;
    built.into_iter().next().ok_or_else(|| BuildError::NoProgram { what: what.to_owned() })
}

/// Builds the runtime for JavaScript, a workspace of its own.
///
/// # Errors
/// [`BuildError`]
pub fn javascript_runtime() -> Result<PathBuf, BuildError> {
    let what = "The runtime for JavaScript";
    let folder = workspace::root().join("runtimes/javascript");
    let mut command = cargo();
    command
        .current_dir(&folder)
        .env("CC_x86_64_unknown_linux_musl", MUSL_COMPILER)
        .args(["build", "--locked", "--release", "--target", MUSL_TARGET])
        .args(without_paths(MUSL_TARGET))
        .arg("--target-dir")
        .arg(workspace::target().join("runtime-build"));
    let built = programs(command, what)?.into_iter().next();
    built.map(|program| program.file).ok_or_else(|| BuildError::NoProgram { what: what.to_owned() })
}

/// A Cargo command with everything an action's code needs.
#[must_use]
pub fn action_cargo(subcommand: &str, target: &Path) -> Command {
    let mut command = cargo();
    hk::build::configure(&mut command, subcommand);
    command.arg("--target-dir").arg(target);
    command
}

/// The packages under `images/`, by the name of their folder.
///
/// # Errors
/// [`BuildError::File`] if the folder cannot be read.
pub fn action_packages() -> Result<Vec<OsString>, BuildError> {
    let images = workspace::root().join("images");
    let mut packages = Vec::new();
    for entry in fs::read_dir(&images).map_err(file_error(&images))? {
        let entry = entry.map_err(file_error(&images))?;
        if ![PEERS, LINUX].contains(&&*entry.file_name().to_string_lossy())
            && entry.path().join("Cargo.toml").is_file()
        {
            packages.push(entry.file_name());
        }
    }
    packages.sort();
    Ok(packages)
}

/// Runs Cargo and collects the programs it produced.
pub(crate) fn programs(command: Command, what: &str) -> Result<Vec<Program>, BuildError> {
    artifacts(command, what, program)
}

/// Runs Cargo and collects what `pick` finds in its messages.
fn artifacts<T>(
    mut command: Command,
    what: &str,
    pick: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, BuildError> {
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut child = lifeline::spawn(command).map_err(BuildError::NoCargo)?;
    let mut artifacts = Vec::new();
    if let Some(messages) = child.pipes().stdout.take() {
        // A line that is not UTF-8 or not JSON is not Cargo's.
        for line in BufReader::new(messages).lines().map_while(Result::ok) {
            artifacts.extend(serde_json::from_str(&line).ok().as_ref().and_then(&pick));
        }
    }
    if child.wait().is_ok_and(|status| status.success()) {
        Ok(artifacts)
    } else {
        Err(BuildError::Failed { what: what.to_owned() })
    }
}

/// Copies by way of a temporary name, so that nobody ever sees half a file.
fn copy(from: &Path, to: &Path) -> Result<(), BuildError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(file_error(folder))?;
    }
    let half = to.with_extension(format!("{}.tmp", std::process::id()));
    fs::copy(from, &half).map_err(file_error(&half))?;
    fs::rename(&half, to).map_err(file_error(to))
}
