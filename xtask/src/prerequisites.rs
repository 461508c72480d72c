//! What must be installed, and how to install it.
//!
//! Missing on a fresh machine may be compiler targets, which rustup adds, and programs such as
//! QEMU, which apt installs on Debian and Ubuntu. Everywhere else the error names the package.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lifeline;
pub use crate::programs::find_program;
use crate::qemu::QEMU_VARIABLE;

pub use hk::build::TARGET as ACTION_TARGET;

/// QEMU's program.
pub const QEMU: &str = "qemu-system-x86_64";
/// Target of the kernel.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";
/// Toolchain of what the pinned compiler cannot do: fuzzing and Miri.
pub const NIGHTLY: &str = "nightly";

/// Targets of what starts the kernel from an image.
pub const BIOS_TARGET: &str = KERNEL_TARGET;
/// See [`BIOS_TARGET`].
pub const UEFI_TARGET: &str = "x86_64-unknown-uefi";
/// Where distributions put firmware for UEFI, in one file that QEMU takes as its BIOS.
const OVMF: [&str; 4] = [
    "/usr/share/ovmf/OVMF.fd",
    "/usr/share/edk2/ovmf/OVMF.stateless.fd",
    "/usr/share/edk2/x64/OVMF.4m.fd",
    "/usr/share/qemu/ovmf-x86_64.bin",
];

/// How other package managers call QEMU: program to look for, and the command to install.
const QEMU_ELSEWHERE: [(&str, &str); 4] = [
    ("dnf", "sudo dnf install qemu-system-x86-core"),
    ("pacman", "sudo pacman -S qemu-system-x86"),
    ("zypper", "sudo zypper install qemu-x86"),
    ("apk", "doas apk add qemu-system-x86_64"),
];

/// Why something is still missing.
#[derive(Debug, thiserror::Error)]
pub enum PrerequisiteError {
    /// It can be installed, but only by hand.
    #[error("{what} is missing; install it with `{install}` and try again")]
    Install {
        /// What is missing.
        what: String,
        /// The command to type.
        install: String,
    },
    /// An installation command failed.
    #[error("`{command}` failed{}; run it by hand to see why, then try again", 
            .cause.as_ref().map(|error| format!(" ({error})")).unwrap_or_default())]
    Failed {
        /// The command.
        command: String,
        /// Why it could not even start.
        cause: Option<io::Error>,
    },
}

/// Makes sure the compiler can build for all of `targets`. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if a target is missing and rustup cannot add it.
pub fn ensure_targets(targets: &[&str], say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    let libraries = compiler_libraries();
    for target in targets {
        if libraries.as_ref().is_some_and(|folder| folder.join(target).join("lib").is_dir()) {
            continue;
        }
        if find_program("rustup").is_none() {
            return Err(PrerequisiteError::Install {
                what: format!("the Rust standard library for {target}"),
                install: format!("rustup target add {target}"),
            });
        }
        say(&format!("Adding the Rust target {target} with rustup"));
        run(&["rustup", "target", "add", target])?;
    }
    Ok(())
}

/// Makes sure there is a nightly toolchain, and adds what it lacks of `components`. `say` hears
/// what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if the toolchain is missing, or rustup cannot add a component.
pub fn ensure_nightly(components: &[&str], say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    // Hundreds of megabytes that only few need: installed by who wants it, not by us.
    let missing = || PrerequisiteError::Install {
        what: "a nightly Rust toolchain".to_owned(),
        install: format!("rustup toolchain install {NIGHTLY} --profile minimal"),
    };
    let libraries = libraries_of(&["rustup", "run", NIGHTLY, "rustc"]).ok_or_else(missing)?;
    let installed = fs::read_to_string(libraries.join("components")).unwrap_or_default();
    let has = |component: &str| {
        installed
            .lines()
            .any(|line| line == component || line.starts_with(&format!("{component}-")))
    };
    for component in components.iter().filter(|component| !has(component)) {
        say(&format!("Adding {component} to the {NIGHTLY} toolchain with rustup"));
        run(&["rustup", "component", "add", component, "--toolchain", NIGHTLY])?;
    }
    Ok(())
}

/// Makes sure cargo-fuzz is installed. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if it cannot be installed.
pub fn ensure_cargo_fuzz(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    if find_program("cargo-fuzz").is_some() {
        return Ok(());
    }
    say("cargo-fuzz is not installed; installing it with `cargo install --locked cargo-fuzz`");
    run(&["rustup", "run", NIGHTLY, "cargo", "install", "--locked", "cargo-fuzz"])
}

/// Where the compiler keeps its libraries, one folder a target.
fn compiler_libraries() -> Option<PathBuf> {
    libraries_of(&["rustc"])
}

fn libraries_of(compiler: &[&str]) -> Option<PathBuf> {
    let [program, arguments @ ..] = compiler else { return None };
    let output =
        Command::new(program).args(arguments).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    Some(Path::new(sysroot.trim()).join("lib/rustlib"))
}

/// Makes sure QEMU is installed. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if it is missing and cannot be installed from here.
pub fn ensure_qemu(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    let chosen = env::var_os(QEMU_VARIABLE);
    if find_program(chosen.as_deref().unwrap_or(OsStr::new(QEMU))).is_some() {
        return Ok(());
    }
    if let Some(chosen) = chosen {
        return Err(PrerequisiteError::Install {
            what: format!("{} (named by {QEMU_VARIABLE})", chosen.display()),
            install: format!("unset {QEMU_VARIABLE}"),
        });
    }
    if find_program("apt-get").is_none() {
        return Err(PrerequisiteError::Install {
            what: QEMU.to_owned(),
            install: install_elsewhere(|name| find_program(name).is_some()).to_owned(),
        });
    }
    apt_install(&["qemu-system-x86"], QEMU, say)
}

/// The firmware for UEFI, if it is installed.
#[must_use]
pub fn find_ovmf() -> Option<PathBuf> {
    OVMF.iter().map(PathBuf::from).find(|file| file.is_file())
}

/// Makes sure there is firmware for UEFI. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if it is missing and cannot be installed from here.
pub fn ensure_ovmf(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    match find_ovmf() {
        Some(_) => Ok(()),
        None => install(&["ovmf"], "OVMF", say),
    }
}

/// Makes sure `ip` is installed, which sets up network devices. `say` hears what is about to be
/// done.
///
/// # Errors
/// [`PrerequisiteError`] if it is missing and cannot be installed from here.
pub fn ensure_iproute2(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    ensure_programs(&[("ip", "iproute2")], say)
}

/// Makes sure `qemu-img` is installed, which converts images. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if it is missing and cannot be installed from here.
pub fn ensure_qemu_img(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    ensure_programs(&[("qemu-img", "qemu-utils")], say)
}

/// Makes sure programs are installed, each named with the Debian package that has it. `say` hears
/// what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if one is missing and cannot be installed from here.
pub fn ensure_programs(
    programs: &[(&str, &'static str)],
    say: impl Fn(&str),
) -> Result<(), PrerequisiteError> {
    let missing: Vec<_> =
        programs.iter().filter(|(program, _)| find_program(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    install(&packages, &names.join(", "), say)
}

/// Makes sure files are there that programs are built with, each named with the Debian package that
/// has it. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if one is missing and cannot be installed from here.
pub fn ensure_files(
    files: &[(&str, &'static str)],
    say: impl Fn(&str),
) -> Result<(), PrerequisiteError> {
    let missing: Vec<_> = files.iter().filter(|(file, _)| !Path::new(file).is_file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(file, _)| *file).collect();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    install(&packages, &names.join(", "), say)
}

/// Installs the distribution's Python. `say` hears what is about to be done.
///
/// # Errors
/// [`PrerequisiteError`] if it cannot be installed from here.
pub fn ensure_python(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    install(&["python3"], "Python and its library", say)
}

fn install(
    packages: &[&'static str],
    what: &str,
    say: impl Fn(&str),
) -> Result<(), PrerequisiteError> {
    if find_program("apt-get").is_none() {
        return Err(PrerequisiteError::Install {
            what: what.to_owned(),
            install: format!("your package manager (look for {})", packages.join(", ")),
        });
    }
    apt_install(packages, what, say)
}

/// Installs the packages with the programs `what` on Debian and Ubuntu.
fn apt_install(
    packages: &[&'static str],
    what: &str,
    say: impl Fn(&str),
) -> Result<(), PrerequisiteError> {
    let install = [&["apt-get", "install", "-y", "--no-install-recommends"], packages].concat();
    let root = become_root(&install, what)?;
    let sudo = if root.contains(&"sudo") { "sudo " } else { "" };
    say(&format!(
        "{what} not installed; installing with `{sudo}apt-get update && {sudo}{}`",
        install.join(" ")
    ));
    let as_root = |words: &[&'static str]| run(&[root, words].concat());
    as_root(&["apt-get", "update"])?;
    as_root(&install)
}

/// Fetches apt's lists of packages, without which it knows none. `say` hears of it.
///
/// # Errors
/// [`PrerequisiteError`] if that fails, or is for somebody else to do.
pub fn refresh_packages(say: impl Fn(&str)) -> Result<(), PrerequisiteError> {
    let update = ["apt-get", "update"];
    let root = become_root(&update, "the list of packages")?;
    say("Fetching the lists of packages with `apt-get update`");
    run(&[root, &update].concat())
}

fn install_elsewhere(exists: impl Fn(&str) -> bool) -> &'static str {
    QEMU_ELSEWHERE
        .iter()
        .find(|(manager, _)| exists(manager))
        .map_or("your package manager (look for qemu-system-x86)", |(_, install)| install)
}

/// The words to put before a command that must run as root.
fn become_root(command: &[&str], what: &str) -> Result<&'static [&'static str], PrerequisiteError> {
    // Debian would otherwise stop to ask about keyboards and time zones.
    const AS_ROOT: &[&str] = &["sudo", "env", "DEBIAN_FRONTEND=noninteractive"];
    let own = fs::metadata("/proc/self").map(|process| process.uid());
    if own.is_ok_and(|user| user == 0) {
        return Ok(&AS_ROOT[1..]);
    }
    if find_program("sudo").is_some() {
        return Ok(AS_ROOT);
    }
    Err(PrerequisiteError::Install {
        what: what.to_owned(),
        install: format!("apt-get update && {} (as root)", command.join(" ")),
    })
}

fn run(words: &[&str]) -> Result<(), PrerequisiteError> {
    let failed = |cause| PrerequisiteError::Failed { command: words.join(" "), cause };
    let [program, arguments @ ..] = words else {
        return Err(failed(None));
    };
    let mut command = lifeline::command(program);
    command.args(arguments);
    // What an installer prints is for people; our own output stays clean for pipes.
    command.stdout(io::stderr());
    match lifeline::status(command) {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed(None)),
        Err(error) => Err(failed(Some(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_distributions_get_the_exact_package() {
        assert!(install_elsewhere(|name| name == "dnf").contains("qemu-system-x86-core"));
        assert!(install_elsewhere(|name| name == "apk").contains("apk add"));
        assert!(install_elsewhere(|_| false).contains("package manager"));
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(&["false"]).expect_err("false fails");
        assert!(error.to_string().contains("`false` failed"), "{error}");
        assert!(run(&["true"]).is_ok());
    }
}
