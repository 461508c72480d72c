//! Programs that are frozen where they first look at their input, and runtimes that are given a
//! function there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use crate::{C_COMPILERS, Run, compile, image, run};

/// Runs a payload with options of the emulator.
pub fn emulated(
    options: &[&str],
    payload: &Path,
    arguments: &[&str],
    input: &str,
) -> (Run, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linux-emulator"));
    command.args(options).arg(image()).arg(payload).args(arguments);
    command.env("ACTION_CALL", "this");
    run(command, input.as_bytes())
}

/// Two calls, the second with the input `two`.
fn twice(folder: &TempDir, payload: &Path, how: &str) -> (Run, String) {
    let second = folder.path().join("second");
    fs::write(&second, "two\nthird\n").expect("a temporary file");
    let second = second.to_str().expect("a path that is text");
    emulated(&["--at-input", "--call", second], payload, &[how], "one\n")
}

/// What each call must write, but for its random number.
fn expected(look: &str, line: &str, rest: &str) -> Vec<String> {
    let lines = format!(
        "{look}line {line}\nrest {rest}\nhelper 42\nraised 1, tid is pid 1\nanother process 1\n\
         wiped 1 kept 1\nnote written before\nenvironment CALL=this"
    );
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn each_call_is_a_fork_of_what_looked_at_the_input() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    for compiler in C_COMPILERS {
        let program = compile(&folder, compiler, "freeze");
        for (how, look) in [
            ("read", ""),
            ("poll", "poll 1\n"),
            ("select", "select 1\n"),
            ("epoll", "epoll 1\n"),
            ("explicit", "explicit 0\n"),
        ] {
            let (run, log) = twice(&folder, &program, how);
            let lines: Vec<_> = run.output.lines().collect();
            let wanted = [expected(look, "one", "none"), expected(look, "two", "third")];
            let len = wanted[0].len();
            assert_eq!(lines.len(), 2 * (len + 1), "{how} with {compiler}: {run:?} {log}");
            assert_eq!(lines[..len], wanted[0], "{how} with {compiler}; log: {log}");
            assert_eq!(lines[len + 1..2 * len + 1], wanted[1], "{how} with {compiler}: {log}");
            assert_ne!(lines[len], lines[2 * len + 1], "both drew the same numbers");
            assert!(lines[len].starts_with("random "), "{run:?}");
            assert_eq!(run.status, 0, "{log}");
            // What was written before is nobody's result.
            assert!(log.starts_with("before the freeze\nreport: 3: "), "{log}");
        }
    }
}

#[test]
fn what_never_looks_at_its_input_is_refused() {
    image();
    let folder = TempDir::new().expect("a temporary folder");
    let program = compile(&folder, "musl-gcc", "freeze");
    for (how, status, reason) in [
        ("exit", 126, "exited with status 0 before it looked at its input"),
        ("fail", 3, "exited with status 3"),
        ("crash", 139, "killed by SIGSEGV at 0x0 (null pointer)"),
        (
            "busy",
            126,
            "thread 3 \"spinner\" does not come to rest, so the program cannot be frozen",
        ),
    ] {
        let (run, log) = twice(&folder, &program, how);
        assert_eq!((run.status, run.output.as_str()), (status, ""), "{how}: {log}");
        assert!(log.contains(&format!("report: 2: {reason}")), "{how}: {log}");
    }
}

/// A runtime: an archive with the launcher.
fn runtime(folder: &TempDir) -> PathBuf {
    let launcher = compile(folder, "musl-gcc", "launcher");
    let bytes = fs::read(launcher).expect("it was compiled");
    archive(folder, "runtime.zip", &[("exec", &bytes), ("lib/data", b"x")])
}

fn archive(folder: &TempDir, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let path = folder.path().join(name);
    let mut zip = zip::ZipWriter::new(fs::File::create(&path).expect("a temporary file"));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    for (name, bytes) in files {
        zip.start_file(*name, options).expect("a file in the archive");
        zip.write_all(bytes).expect("its bytes");
    }
    zip.finish().expect("a whole archive");
    path
}

/// A call of a function of that runtime.
fn function(folder: &TempDir, code: &Path) -> (Run, String) {
    let second = folder.path().join("second");
    fs::write(&second, "{\"a\":2}").expect("a temporary file");
    let [second, code] = [&second, code].map(|path| path.to_str().expect("a path that is text"));
    let options = ["--function", code, "--init", "{\"value\":{\"main\":\"f\"}}", "--call", second];
    emulated(&options, &runtime(folder), &[], "{\"a\":1}")
}

#[test]
fn a_function_is_brought_to_a_runtime() {
    let folder = TempDir::new().expect("a temporary folder");
    let source = folder.path().join("f.txt");
    fs::write(&source, "text").expect("a temporary file");
    let zip = archive(&folder, "f.zip", &[("main.txt", b"zipped"), ("sub/other", b"y")]);
    for (code, name) in [(source, "text"), (zip, "zipped")] {
        let (run, log) = function(&folder, &code);
        assert_eq!(run.output, format!("{name}({{\"a\":1}})\n{name}({{\"a\":2}})\n"), "{log}");
        let wanted = "runtime /runtime/exec in /action, 0 files here, 2 there\n\
                      function {\"value\":{\"main\":\"f\"}}\n";
        assert_eq!(log, wanted);
    }
}

#[test]
fn a_function_that_cannot_be_prepared_says_why() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("f");
    let outside = archive(&folder, "outside.zip", &[("a/../../b", b"")]);
    let outside = fs::read(outside).expect("it was written");
    let files: [(&[u8], i32, &str, &str); 4] = [
        (b"broken", 1, "{\"error\":\"broken\"}", "exited with status 1"),
        (b"PK\x03\x04 and no more", 126, "", "the archive cannot be read: it has no directory"),
        (&outside, 126, "", "\"a/../../b\" in the archive cannot be used: its name leads out"),
        (b"", 0, "({\"a\":1})\n({\"a\":2})\n", ""),
    ];
    for (bytes, status, output, reason) in files {
        fs::write(&path, bytes).expect("a temporary file");
        let (run, log) = function(&folder, &path);
        assert_eq!((run.status, run.output.as_str()), (status, output), "{log}");
        assert!(log.contains(reason), "{log}");
    }
}
