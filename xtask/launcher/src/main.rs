//! `cargo xtask`, for a moment: builds the real one and becomes it.
//!
//! Cargo's alias has to say whether Cargo is quiet. Quiet, the first build is a blank terminal for
//! a minute; else two lines of noise stand above every answer. This program has no dependencies, so
//! it is built in a moment, and lets Cargo speak when there will be something to wait for: when
//! xtask was never built, or not since the dependencies changed.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

fn main() -> ExitCode {
    // Cargo sets the variable when it runs us; the constant serves a binary started by hand.
    let launcher = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = launcher.ancestors().nth(2).unwrap_or(Path::new("."));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("run");
    let target = target(root);
    let stamp = target.join("xtask-launched");
    match is_long(&target.join("debug/xtask"), &root.join("Cargo.lock"), &stamp) {
        // Without it Cargo speaks the next time, too.
        true => drop(fs::write(&stamp, "")),
        false => drop(cargo.arg("--quiet")),
    }
    cargo.args(["--manifest-path"]).arg(root.join("Cargo.toml"));
    cargo.args(["--package", "xtask", "--"]).args(env::args_os().skip(1));
    let error = cargo.exec();
    eprintln!("error: Cargo could not be started: {error}");
    ExitCode::FAILURE
}

fn target(root: &Path) -> PathBuf {
    let chosen = env::var_os("CARGO_TARGET_DIR");
    chosen.map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Whether building a program will take long: it is not there, or what it depends on is younger
/// than the stamp of the last time that this was said.
fn is_long(program: &Path, lock: &Path, stamp: &Path) -> bool {
    let age = |path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let said: Option<SystemTime> = age(stamp);
    !program.exists() || said.is_none_or(|said| age(lock).is_some_and(|changed| changed > said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_build_and_new_dependencies_take_long() {
        let folder = env::temp_dir().join(format!("xtask-launcher-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let [program, lock, stamp] = ["xtask", "Cargo.lock", "stamp"].map(|name| folder.join(name));
        let touch = |path: &Path, seconds| {
            let file = fs::File::create(path).expect("a file");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(time).expect("it is ours");
        };
        let is_long = || is_long(&program, &lock, &stamp);
        touch(&lock, 10);
        touch(&stamp, 10);
        assert!(is_long(), "it is not there, perhaps because somebody lost patience");
        touch(&program, 5);
        assert!(!is_long());
        touch(&lock, 30);
        assert!(is_long());
        touch(&stamp, 40);
        assert!(!is_long(), "it is said once");
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
