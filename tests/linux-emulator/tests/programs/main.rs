//! Linux programs under the library OS and on this computer: what they write must be the same, byte
//! for byte, and so must be how they end.
//!
//! The programs in `programs/calls_*.c` are tables: each line calls Linux and prints the answer and
//! the error.

mod dynamic;
mod freeze;
mod libraries;
mod linux;
mod matrix;
mod storm;
mod tree;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use xtask::build;
use xtask::prerequisites::{KERNEL_TARGET, ensure_programs, ensure_targets};

/// What the programs read.
const INPUT: &[u8] = b"{\"name\": \"you\"}\nsecond line\n";
/// Compilers of C, by the library they link.
const C_COMPILERS: [&str; 2] = ["musl-gcc", "gcc"];
/// What the shell adds to a signal's number, as the library OS does.
const STATUS_SIGNAL: i32 = 128;

/// The image, built once.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let say = |text: &str| eprintln!("{text}");
        ensure_targets(&[KERNEL_TARGET], say).expect("the target can be had");
        let programs = [
            ("musl-gcc", "musl-tools"),
            ("gcc", "gcc"),
            ("go", "golang-go"),
            ("busybox", "busybox-static"),
        ];
        ensure_programs(&programs, say).expect("the compilers can be had");
        build::linux_image().expect("the image builds")
    })
}

/// What a run left.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    output: String,
    status: i32,
}

fn run(mut command: Command, input: &[u8]) -> (Run, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    // Who does not read all of it closes its end.
    let _ = stdin.write_all(input);
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the program ends");
    let status = status.code().or_else(|| status.signal().map(|signal| STATUS_SIGNAL + signal));
    let run = Run {
        output: String::from_utf8_lossy(&stdout).into_owned(),
        status: status.expect("a code or a signal"),
    };
    (run, String::from_utf8_lossy(&stderr).into_owned())
}

/// Runs a payload under the library OS.
fn hosted(payload: &Path, arguments: &[&str]) -> (Run, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linux-emulator"));
    command.arg(image()).arg(payload).args(arguments);
    run(command, INPUT)
}

fn native(program: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command, INPUT).0
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

/// Compiles a C program statically.
fn compile(folder: &TempDir, compiler: &str, name: &str) -> PathBuf {
    compile_with(folder, compiler, &["-static"], name)
}

/// Compiles a C program.
fn compile_with(folder: &TempDir, compiler: &str, flags: &[&str], name: &str) -> PathBuf {
    let program = folder.path().join(format!("{name}-{compiler}"));
    let status = Command::new(compiler)
        .args(flags)
        .args(["-O1", "-w", "-pthread", "-o"])
        .arg(&program)
        .arg(source(&format!("{name}.c")))
        .status();
    assert!(status.expect("the compiler starts").success());
    program
}
