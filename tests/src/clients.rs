//! Programs that others wrote, run as they are.
//!
//! One that is missing is installed when a test asks for it first, and that is announced past the
//! test harness, which would show it only if the test failed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use xtask::prerequisites::{ensure_programs, find_program, refresh_packages};
use xtask::workspace;

/// Tests are threads, and installers do not like company.
static INSTALLING: Mutex<()> = Mutex::new(());

/// What sends requests elsewhere.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "proxy",
    "PROXY",
];

fn say(message: &str) {
    // A closed stderr is no reason to fail.
    let _ = writeln!(io::stderr(), "» {message}");
}

/// A command that asks no proxy.
#[must_use]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in PROXIES {
        command.env_remove(variable);
    }
    command
}

/// Makes sure programs are installed, each named with its Debian package.
///
/// # Panics
/// If one is missing and cannot be installed.
pub fn ensure(programs: &[(&str, &'static str)]) {
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    ensure_programs(programs, say).unwrap_or_else(|error| panic!("{error}"));
}

/// The folder of modules for Node.js that the lock file in `tests/npm` names.
///
/// # Panics
/// If they cannot be fetched.
#[must_use]
pub fn npm_packages() -> PathBuf {
    ensure(&[("node", "nodejs"), ("npm", "npm")]);
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let (from, to) = (workspace::root().join("tests/npm"), workspace::target().join("npm"));
    let modules = to.join("node_modules");
    let lock = "package-lock.json";
    let read = |file: PathBuf| fs::read(file).unwrap_or_default();
    // npm writes its own list when everything is there.
    let is_there = modules.join(".package-lock.json").is_file();
    if !is_there || read(to.join(lock)) != read(from.join(lock)) {
        fs::create_dir_all(&to).expect("the target folder can be written");
        for file in ["package.json", lock] {
            fs::copy(from.join(file), to.join(file)).expect("the target folder can be written");
        }
        run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]), &to);
    }
    modules
}

/// The folder of modules for Python that `tests/python` names.
///
/// # Panics
/// If they cannot be fetched.
#[must_use]
pub fn python_packages() -> PathBuf {
    ensure(&[("python3", "python3"), ("pip3", "python3-pip")]);
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let list = workspace::root().join("tests/python/requirements.txt");
    let folder = workspace::target().join("python");
    let note = folder.join("requirements.txt");
    let read = |file: &Path| fs::read(file).unwrap_or_default();
    // The note is written when everything is there.
    if read(&note) != read(&list) {
        fs::create_dir_all(&folder).expect("the target folder can be written");
        let mut install = Command::new("python3");
        install.args(["-m", "pip", "install", "--quiet", "--upgrade", "--requirement"]);
        run(install.arg(&list).arg("--target").arg(&folder), &folder);
        fs::copy(&list, &note).expect("the target folder can be written");
    }
    folder
}

/// Prometheus' checker. Of Debian's package only this one file is taken: once installed, the
/// package runs a server.
///
/// # Panics
/// If it cannot be fetched.
#[must_use]
pub fn promtool() -> PathBuf {
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = workspace::target().join("promtool");
    let own = folder.join("promtool");
    if let Some(installed) = find_program("promtool").or_else(|| find_program(&own)) {
        return installed;
    }
    let by_hand = "promtool is missing; install it with your package manager (look for prometheus)";
    assert!(find_program("apt-get").is_some(), "{by_hand}");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    let mut download = Command::new("apt-get");
    download.args(["download", "prometheus"]);
    if !try_to_run(&mut download, &folder) {
        refresh_packages(say).unwrap_or_else(|error| panic!("{error}"));
        run(&mut download, &folder);
    }
    // Moved when it is complete.
    let unpack = "dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool \
                  && mv usr/bin/promtool . && rm -r usr prometheus_*.deb";
    run(Command::new("sh").args(["-c", unpack]), &folder);
    own
}

/// Runs an installer in a folder; what it prints is for people.
fn run(command: &mut Command, folder: &Path) {
    assert!(try_to_run(command, folder), "{command:?} in {} failed", folder.display());
}

fn try_to_run(command: &mut Command, folder: &Path) -> bool {
    say(&format!("Fetching with {command:?}"));
    let status = command.current_dir(folder).stdout(io::stderr()).status();
    status.is_ok_and(|status| status.success())
}
