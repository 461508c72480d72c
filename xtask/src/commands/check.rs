//! `cargo xtask check`: what must hold before a commit.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use xtask::build::{LINUX, action_cargo, action_packages, cargo};
use xtask::prerequisites::{
    ACTION_TARGET, BIOS_TARGET, KERNEL_TARGET, UEFI_TARGET, ensure_targets,
};
use xtask::{lifeline, tidy, workspace};

use crate::progress::say;

/// Check formatting, lints, documentation, and the rules of size and unsafe zones.
#[derive(Args, Debug)]
pub struct Arguments {}

/// Runs the command.
pub fn run(_: &Arguments) -> Result<()> {
    let passed = everything()?;
    say(&format!("All {passed} checks passed."));
    Ok(())
}

/// Runs all checks, also after one has failed, and returns how many there are.
pub fn everything() -> Result<u64> {
    ensure_targets(&[KERNEL_TARGET, ACTION_TARGET, UEFI_TARGET], say)?;
    let mut passed = 0;
    let mut failed = Vec::new();
    say("tidy");
    match tidy() {
        Ok(()) => passed += 1,
        Err(error) => {
            eprintln!("{error:#}");
            failed.push("tidy");
        }
    }
    for (name, command) in cargo_checks()? {
        say(name);
        if lifeline::status(command).context("Cargo could not be started")?.success() {
            passed += 1;
        } else {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed checks: {}", failed.join(", "));
    }
    Ok(passed)
}

fn tidy() -> Result<()> {
    let report = tidy::check(&workspace::root())?;
    for finding in report.warnings {
        eprintln!("warning: {finding}");
    }
    for finding in &report.violations {
        eprintln!("error: {finding}");
    }
    match report.violations.len() {
        0 => Ok(()),
        count => bail!("{count} violation(s) of the rules in xtask/src/tidy"),
    }
}

fn cargo_checks() -> Result<Vec<(&'static str, Command)>> {
    let mut checks = Vec::new();

    let mut format = cargo();
    format.args(["fmt", "--all", "--", "--check"]);
    checks.push(("format", format));

    let packages = host_packages()?;
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let features = ["--features", "action-abi/runtime,system-tests/bochs"];

    let mut host = cargo();
    host.args(["clippy", "--all-targets"]).args(packages.clone()).args(features);
    checks.push(("lints: host programs", deny_warnings(host)));

    let mut library = cargo();
    library.args(["clippy", "--package", "hostkernel", "--lib", "--profile", "test"]);
    checks.push(("lints: portable half of the kernel, with tests", deny_warnings(library)));

    let on_metal = ["--package", "hostkernel", "--target", KERNEL_TARGET];
    let mut kernel = cargo();
    kernel.arg("clippy").args(on_metal);
    checks.push(("lints: kernel", deny_warnings(kernel)));

    let mut kernel_tests = cargo();
    kernel_tests.arg("clippy").args(on_metal).args(["--features", "selftest"]);
    checks.push(("lints: kernel with its tests", deny_warnings(kernel_tests)));

    let [bios, uefi] = [("boot-bios", BIOS_TARGET), ("boot-uefi", UEFI_TARGET)].map(boot_lints);
    checks.push(("lints: BIOS stage", bios));
    checks.push(("lints: UEFI loader", uefi));

    let actions = action_packages()?;
    if !actions.is_empty() {
        let mut command = action_cargo("clippy", &workspace::target().join("action-build"));
        for package in actions {
            command.arg("--package").arg(package);
        }
        // Tested as a host program, and linked into an image: it must do without the host.
        command.args(["--package", "linux-files"]);
        checks.push(("lints: sample actions", deny_warnings(command)));
    }

    let mut linux = cargo();
    linux
        .args(["clippy", "--package", LINUX, "--bin", LINUX, "--features", "image"])
        .args(["--target", KERNEL_TARGET]);
    checks.push(("lints: Linux library OS", deny_warnings(linux)));

    checks.push(("lints: fuzz targets", fuzz_lints()));

    let mut host_docs = cargo();
    host_docs.args(["doc", "--no-deps", "--document-private-items"]).args(packages).args(features);
    checks.push(("documentation: host programs", host_docs));

    let mut kernel_docs = cargo();
    kernel_docs.args(["doc", "--no-deps", "--document-private-items", "--lib"]).args(on_metal);
    checks.push(("documentation: kernel", kernel_docs));

    for (_, command) in &mut checks {
        // These pages are for those who work on the code, and contain the private items.
        command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links");
    }
    Ok(checks)
}

fn boot_lints((package, target): (&str, &str)) -> Command {
    let mut command = cargo();
    command.args(["clippy", "--package", package, "--target", target]);
    deny_warnings(command)
}

/// They are run now and then and by another compiler, so nothing else notices that one does not
/// compile any more. What they are linked with is not needed to see that.
fn fuzz_lints() -> Command {
    let mut command = cargo();
    command
        .args(["clippy", "--locked", "--bins", "--manifest-path", "fuzz/Cargo.toml"])
        .arg("--target-dir")
        .arg(workspace::target().join("fuzz/check"))
        .env("CUSTOM_LIBFUZZER_PATH", workspace::target().join("fuzz/libfuzzer.a"));
    deny_warnings(command)
}

fn deny_warnings(mut command: Command) -> Command {
    command.args(["--", "-D", "warnings"]);
    command
}

/// The workspace's packages that run on this computer: neither the kernel, nor what starts it, nor
/// actions, which are the folders of `images/`. What lies deeper is a library they share.
pub fn host_packages() -> Result<Vec<String>> {
    let mut command = cargo();
    command
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let output = command.output().context("Cargo could not be started")?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .context("Cargo does not understand the workspace; its message is above")?;
    let images = workspace::root().join("images");
    let packages = metadata["packages"].as_array().context("Cargo lists no packages")?;
    let name = |package: &Value| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        let name = package["name"].as_str()?;
        let on_metal = ["hostkernel", "boot-bios", "boot-uefi"].contains(&name);
        // The library OS is an image, but most of it is a library too.
        let is_action = manifest.ancestors().nth(2) == Some(images.as_path()) && name != LINUX;
        (!is_action && !on_metal).then(|| name.to_owned())
    };
    Ok(packages.iter().filter_map(name).collect())
}
