//! What languages and libraries do with the calls: each of these programs goes through the library
//! of its language, and writes the same as on this computer.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xtask::prerequisites::{ensure_files, ensure_programs, ensure_targets};

use crate::{hosted, image, native, source};

/// Where Debian puts static libraries.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// Compares a program under the library OS with itself on this computer.
#[track_caller]
fn same(program: &Path) {
    image();
    // An argument, so that the input does not become one.
    let (ours, log) = hosted(program, &["argument"]);
    let expected = native(program, &["argument"]);
    for (line, theirs) in ours.output.lines().zip(expected.output.lines()) {
        assert_eq!(line, theirs, "log: {log}");
    }
    assert_eq!(ours, expected, "log: {log}");
    assert!(expected.output.lines().count() > 5, "it did something: {expected:?}");
}

/// Compiles a source with these words before and behind its name.
fn compiled(folder: &TempDir, compiler: &[&str], name: &str, libraries: &[&str]) -> PathBuf {
    let program = folder.path().join("program");
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).arg("-o").arg(&program).arg(source(name)).args(libraries);
    assert!(command.status().expect("the compiler starts").success());
    program
}

fn say(text: &str) {
    eprintln!("{text}");
}

#[test]
fn exceptions_streams_and_threads_of_cxx() {
    ensure_programs(&[("g++", "g++")], say).expect("the compiler can be had");
    let folder = TempDir::new().expect("a temporary folder");
    for shape in ["-static", "-static-pie"] {
        let compiler = ["g++", "-std=c++17", "-O1", "-pthread", shape];
        same(&compiled(&folder, &compiler, "library.cc", &[]));
    }
}

#[test]
fn collections_threads_and_panics_of_rust() {
    let folder = TempDir::new().expect("a temporary folder");
    let targets = ["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu"];
    ensure_targets(&targets, say).expect("the targets can be had");
    for target in targets {
        let options = ["--edition=2024", "-O", "-C", "target-feature=+crt-static"];
        let compiler = [&["rustc", "--target", target], &options[..]].concat();
        same(&compiled(&folder, &compiler, "library.rs", &[]));
    }
}

#[test]
fn scripts_of_lua() {
    let library = format!("{LIBRARIES}/liblua5.4.a");
    ensure_files(&[(&library, "liblua5.4-dev")], say).expect("Lua can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let compiler = ["gcc", "-static", "-O1", "-w"];
    same(&compiled(&folder, &compiler, "library_lua.c", &["-llua5.4", "-lm", "-ldl"]));
}

#[test]
fn databases_of_sqlite() {
    let library = format!("{LIBRARIES}/libsqlite3.a");
    ensure_files(&[(&library, "libsqlite3-dev")], say).expect("SQLite can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let compiler = ["gcc", "-static", "-O1", "-w"];
    same(&compiled(&folder, &compiler, "library_sqlite.c", &["-lsqlite3", "-lm", "-pthread"]));
}
