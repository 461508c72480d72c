//! Debian's packages: which are needed, and how to get them without installing them.
//!
//! The machine's own apt says where packages come from and checks their signatures. They are
//! fetched once; to get newer ones, delete the folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LabError;
use crate::programs::find_program;

/// The package that always depends on the newest kernel for clouds, and how that one's name begins.
const KERNEL: &str = "linux-image-cloud-amd64";
const KERNEL_IMAGE: &str = "linux-image-";
/// Programs that are wanted together with the libraries they need.
const RUNTIMES: [&str; 2] = ["crun", "runc"];
const PROGRAMS: [&str; 3] = ["apt-cache", "apt-get", "dpkg-deb"];

/// Unpacked packages.
#[derive(Clone, Debug)]
pub struct Packages {
    /// Where they are unpacked, as if it were the root of a system.
    pub root: PathBuf,
    /// Their names and versions as `NAME_VERSION_ARCHITECTURE`, sorted.
    pub names: Vec<String>,
}

/// Fetches and unpacks what the guest needs into `folder`, unless that was done before. `say` hears
/// what is about to be done.
///
/// # Errors
/// [`LabError::NoDebian`] on computers without apt; what apt says when it fails.
pub fn ensure(folder: &Path, say: impl Fn(&str)) -> Result<Packages, LabError> {
    let (root, archives) = (folder.join("root"), folder.join("archives"));
    if !root.is_dir() {
        if let Some(program) = PROGRAMS.into_iter().find(|name| find_program(name).is_none()) {
            return Err(LabError::NoDebian { program });
        }
        let names = needed()?;
        say(&format!("Fetching {} Debian packages for the Linux guest with apt", names.len()));
        fetch(&archives, &names)?;
        unpack(&archives, &root)?;
    }
    let debs = debs(&archives)?;
    let names = debs.iter().filter_map(|deb| Some(unescape(deb.file_stem()?.to_str()?)));
    Ok(Packages { root, names: names.collect() })
}

/// The kernel, the runtimes and all they depend on.
fn needed() -> Result<BTreeSet<String>, LabError> {
    // A kernel's other dependencies are what installs it and makes it boot from a disk.
    let kernel = depends(&[KERNEL.to_owned()])?
        .into_iter()
        .find(|name| name.starts_with(KERNEL_IMAGE))
        .ok_or_else(|| LabError::NoPackage { package: KERNEL.to_owned() })?;
    let mut needed = BTreeSet::from([kernel]);
    let mut new: Vec<String> = RUNTIMES.map(str::to_owned).into();
    while !new.is_empty() {
        needed.extend(new.iter().cloned());
        new = depends(&new)?;
        new.retain(|name| !needed.contains(name));
    }
    Ok(needed)
}

/// What some packages depend on directly.
fn depends(packages: &[String]) -> Result<Vec<String>, LabError> {
    let mut command = Command::new("apt-cache");
    command.args(["depends", "--important"]).args(packages);
    match output(command) {
        Ok(text) => Ok(dependencies(&text)),
        Err(LabError::Failed { .. }) => {
            Err(LabError::NoPackage { package: packages.join("` or `") })
        }
        Err(error) => Err(error),
    }
}

/// The dependencies in what `apt-cache depends` prints: of alternatives the first.
fn dependencies(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut alternative = false;
    for line in text.lines() {
        let Some((kind, name)) = line.split_once("Depends: ") else {
            continue;
        };
        // A name in brackets is no package but what several provide.
        if !alternative && !name.starts_with('<') {
            found.push(name.trim().to_owned());
        }
        alternative = kind.trim_start().starts_with('|');
    }
    found.sort();
    found.dedup();
    found
}

fn fetch(archives: &Path, names: &BTreeSet<String>) -> Result<(), LabError> {
    make_empty(archives)?;
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "download"]).args(names).current_dir(archives);
    output(command).map(drop)
}

fn unpack(archives: &Path, root: &Path) -> Result<(), LabError> {
    let half = root.with_extension("half");
    make_empty(&half)?;
    for deb in debs(archives)? {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(deb).arg(&half);
        output(command)?;
    }
    fs::rename(&half, root).map_err(LabError::file(root))
}

/// What an interrupted run has left may be of other versions.
fn make_empty(folder: &Path) -> Result<(), LabError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(LabError::file(folder))?;
    }
    fs::create_dir_all(folder).map_err(LabError::file(folder))
}

/// The fetched packages, sorted.
fn debs(archives: &Path) -> Result<Vec<PathBuf>, LabError> {
    let entries = fs::read_dir(archives).map_err(LabError::file(archives))?;
    let mut debs: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    debs.retain(|path| path.extension().is_some_and(|kind| kind == "deb"));
    debs.sort();
    Ok(debs)
}

/// A file's name may not contain the colon of a version.
fn unescape(name: &str) -> String {
    name.replace("%3a", ":")
}

/// Runs a command to its end and returns what it prints.
pub(super) fn output(mut command: Command) -> Result<String, LabError> {
    // Translated, `Depends` would be called otherwise.
    let output = command.env("LC_ALL", "C").output();
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    let output = output.map_err(LabError::file(Path::new(command.get_program())))?;
    if !output.status.success() {
        return Err(LabError::Failed {
            command: words.join(" "),
            status: output.status,
            message: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_alternatives_the_first_is_taken_and_brackets_none() {
        let text = "crun\n  Depends: libc6\n |Depends: libsystemd0\n  Depends: libelogind0\n  \
                    PreDepends: libyajl2\n  Depends: <virtual>\nrunc\n  Depends: libc6\n";
        assert_eq!(dependencies(text), ["libc6", "libsystemd0", "libyajl2"]);
    }

    #[test]
    fn a_failing_program_is_named_with_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no >&2; exit 3"]);
        let error = output(command).expect_err("it fails").to_string();
        assert!(error.contains("sh -c") && error.ends_with("no"), "{error}");
    }
}
