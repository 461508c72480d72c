//! What languages and libraries do with the calls: each of these programs goes through the library
//! of its language, and writes the same as on this computer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use xtask::prerequisites::{ensure_files, ensure_programs, ensure_targets};
use xtask::workspace;

use crate::matrix::Line;
use crate::tree::{self, Tree};
use crate::{image, source};

/// Where Debian puts static libraries.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
const MUSL: &str = "x86_64-unknown-linux-musl";
/// An argument, so that the input does not become one.
const ARGUMENTS: [&str; 1] = ["argument"];

/// Compares a program under the library OS with itself on this computer.
#[track_caller]
fn same(name: &str, made_of: &str, program: &Path, what: &str) {
    image();
    let mut line = Line::new(name, made_of, program);
    line.run(program, program, &ARGUMENTS);
    line.shows(what);
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
fn streams_memory_threads_and_signals_of_c() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    for (compiler, name) in [("musl-gcc", "C with musl"), ("gcc", "C with glibc")] {
        let words = [compiler, "-static", "-O1", "-w", "-pthread"];
        let program = compiled(&folder, &words, "library.c", &["-lm"]);
        let made_of = format!("`library.c` by `{compiler} -static`");
        let what = "stdio, 20,000 turns of `malloc`, floats, `setjmp`, pthreads, signals";
        same(name, &made_of, &program, what);
    }
}

#[test]
fn exceptions_streams_and_threads_of_cxx() {
    ensure_programs(&[("g++", "g++")], say).expect("the compiler can be had");
    let folder = TempDir::new().expect("a temporary folder");
    for (shape, name) in [("-static", "C++17"), ("-static-pie", "C++17, static-pie")] {
        let compiler = ["g++", "-std=c++17", "-O1", "-pthread", shape];
        let program = compiled(&folder, &compiler, "library.cc", &[]);
        let made_of = format!("`library.cc` by `g++ {shape}`");
        same(name, &made_of, &program, "exceptions through frames and threads, streams, `regex`");
    }
}

#[test]
fn collections_threads_and_panics_of_rust() {
    let folder = TempDir::new().expect("a temporary folder");
    let targets = [(MUSL, "Rust for musl"), ("x86_64-unknown-linux-gnu", "Rust for glibc")];
    ensure_targets(&targets.map(|(target, _)| target), say).expect("the targets can be had");
    for (target, name) in targets {
        let options = ["--edition=2024", "-O", "-C", "target-feature=+crt-static"];
        let compiler = [&["rustc", "--target", target], &options[..]].concat();
        let program = compiled(&folder, &compiler, "library.rs", &[]);
        let what = "collections, threads, channels, caught panics, files, time";
        same(name, "`library.rs` by `rustc -O`, `crt-static`", &program, what);
    }
}

#[test]
fn maps_threads_and_a_panic_of_zig() {
    let folder = workspace::target().join("linux-programs/zig");
    let zig = folder.join("ziglang/zig");
    if !zig.is_file() {
        let packages = ["install", "--quiet", "--no-deps", "ziglang==0.17.0", "--target"];
        let mut command = Command::new("python3");
        command.args(["-m", "pip"]).args(packages).arg(&folder);
        assert!(command.status().expect("Python starts").success());
    }
    let program = folder.join("program");
    let status = Command::new(zig)
        .args(["build-exe", "-target", "x86_64-linux-musl", "-O", "ReleaseSafe"])
        .arg(format!("-femit-bin={}", program.display()))
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .arg(source("library.zig"))
        .status();
    assert!(status.expect("the compiler starts").success());
    let what = "maps, sorting, errors, threads, an arena, a panic with its trace";
    same("Zig 0.17", "`library.zig` by PyPI's `ziglang`", &program, what);
}

#[test]
fn scripts_of_lua() {
    let library = format!("{LIBRARIES}/liblua5.4.a");
    ensure_files(&[(&library, "liblua5.4-dev")], say).expect("Lua can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let compiler = ["gcc", "-static", "-O1", "-w"];
    let program = compiled(&folder, &compiler, "library_lua.c", &["-llua5.4", "-lm", "-ldl"]);
    let what = "coroutines, patterns, errors, files, the collector";
    same("Lua 5.4", "`library_lua.c` and Debian's `liblua5.4.a`", &program, what);
}

#[test]
fn scripts_of_quickjs() {
    image();
    ensure_targets(&[MUSL], say).expect("the target can be had");
    let target = workspace::target().join("linux-programs/quickjs");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--target", MUSL])
        .arg("--manifest-path")
        .arg(source("quickjs/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    assert!(status.expect("Cargo starts").success());
    let program = target.join(MUSL).join("release/run-by-quickjs");
    let what = "classes, generators, maps, big integers, promises, errors";
    same("QuickJS", "crate `rquickjs` 0.9, for musl", &program, what);
}

#[test]
fn databases_of_sqlite() {
    let library = format!("{LIBRARIES}/libsqlite3.a");
    ensure_files(&[(&library, "libsqlite3-dev")], say).expect("SQLite can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let compiler = ["gcc", "-static", "-O1", "-w"];
    let libraries = ["-lsqlite3", "-lm", "-pthread"];
    let program = compiled(&folder, &compiler, "library_sqlite.c", &libraries);
    let what = "in memory and on files in `/tmp`, with a rollback journal and a write-ahead log";
    same("SQLite 3.40", "`library_sqlite.c` and Debian's `libsqlite3.a`", &program, what);
}

/// The interpreter without its modules in C, which are libraries; its library is in the archive.
#[test]
fn python_linked_statically() {
    image();
    let files = [
        ("/usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a", "libpython3.11-dev"),
        ("/usr/lib/x86_64-linux-gnu/libexpat.a", "libexpat1-dev"),
        ("/usr/lib/x86_64-linux-gnu/libz.a", "zlib1g-dev"),
        (tree::PYTHON, "python3.11"),
    ];
    ensure_files(&files, say).expect("Python can be had");
    let folder = TempDir::new().expect("a temporary folder");
    let libraries = ["-lpython3.11", "-lexpat", "-lz", "-lm", "-ldl", "-lutil"];
    let compiler = ["gcc", "-static", "-O1", "-w", "-s", "-Wl,-w"];
    let program = compiled(&folder, &compiler, "library_python.c", &libraries);
    let archive = folder.path().join("python.zip");
    let mut tree = Tree::new(&archive);
    tree.add("exec", &fs::read(&program).expect("it was compiled"), 0o755);
    tree.take_folder(Path::new(tree::PYTHON_LIBRARY));
    let script = fs::read_to_string(source("library.py")).expect("the script is there");
    tree.finish();
    let mut line = Line::new(
        "CPython 3.11, static",
        "Debian's `libpython3.11.a`, its library in the zip",
        &program,
    );
    line.run(&archive, &program, &["-I", "-c", &script, "argument"]);
    line.shows("61 built-in modules, `json`, `re`, `dataclasses`, `zlib`, threads, files");
}
