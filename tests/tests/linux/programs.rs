//! The programs: built by this computer's compilers, and run on it.

use std::io::{Cursor, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::{fs, thread};

use tempfile::TempDir;
use xtask::prerequisites::ensure_programs;
use zip::write::SimpleFileOptions;

/// What compiles and what is run, by Debian package.
const PROGRAMS: [(&str, &str); 4] = [
    ("musl-gcc", "musl-tools"),
    ("gcc", "gcc"),
    ("go", "golang-go"),
    ("busybox", "busybox-static"),
];
const BUSYBOX: &str = "/bin/busybox";

/// A program in a folder that goes with it.
pub struct Program {
    pub path: PathBuf,
    _folder: TempDir,
}

impl Program {
    pub fn file(&self) -> Vec<u8> {
        fs::read(&self.path).expect("it was built")
    }

    fn build(command: impl FnOnce(&Path) -> Command) -> Self {
        ensure();
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("program");
        let status = command(&path).env("GOCACHE", folder.path().join("cache")).status();
        assert!(status.expect("the compiler starts").success());
        Self { path, _folder: folder }
    }
}

fn ensure() {
    static ENSURED: Once = Once::new();
    ENSURED.call_once(|| {
        ensure_programs(&PROGRAMS, |text| eprintln!("{text}")).expect("the compilers can be had");
    });
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/linux").join(name)
}

/// The probe, linked statically by this compiler.
pub fn c(compiler: &str) -> Program {
    Program::build(|path| {
        let mut command = Command::new(compiler);
        command.args(["-static", "-O1", "-pthread", "-o"]).arg(path).arg(source("probe.c"));
        command.arg("-lm");
        command
    })
}

/// The probe, linked statically and to no fixed address.
pub fn movable() -> Program {
    Program::build(|path| {
        let mut command = Command::new("gcc");
        command.args(["-static-pie", "-fPIE", "-O1", "-pthread", "-o"]).arg(path);
        command.arg(source("probe.c")).arg("-lm");
        command
    })
}

/// The program that the emulator freezes at its input, linked statically by this compiler.
pub fn frozen(compiler: &str) -> Program {
    Program::build(|path| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/linux-emulator/programs/freeze.c");
        let mut command = Command::new(compiler);
        command.args(["-static", "-O1", "-w", "-pthread", "-o"]).arg(path).arg(source);
        command
    })
}

/// The probe as compilers link it unless told otherwise.
pub fn dynamic() -> Vec<u8> {
    Program::build(|path| {
        let mut command = Command::new("gcc");
        command.args(["-pthread", "-o"]).arg(path).arg(source("probe.c")).arg("-lm");
        command
    })
    .file()
}

/// The program in Go.
pub fn go() -> Program {
    Program::build(|path| {
        let mut command = Command::new("go");
        command.args(["build", "-o"]).arg(path).arg(source("answer.go"));
        command.envs([("CGO_ENABLED", "0"), ("GO111MODULE", "off")]);
        command
    })
}

/// An archive in which `exec` leads to BusyBox by the name of an applet, and BusyBox.
pub fn busybox_as(applet: &str) -> (Vec<u8>, PathBuf) {
    ensure();
    let mut bytes = Vec::new();
    let mut zip = zip::ZipWriter::new(Cursor::new(&mut bytes));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("busybox", options).expect("a file in the archive");
    zip.write_all(&fs::read(BUSYBOX).expect("BusyBox is installed")).expect("its bytes");
    zip.add_symlink(applet, "busybox", options).expect("a link in the archive");
    zip.add_symlink("exec", applet, options).expect("a link in the archive");
    zip.finish().expect("a whole archive");
    (bytes, PathBuf::from(BUSYBOX))
}

/// What a program prints here.
#[track_caller]
pub fn on_this_computer(program: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new(program);
    // An empty input is no argument there.
    command.arg0("program").args(arguments.iter().filter(|argument| !argument.is_empty()));
    if program == Path::new(BUSYBOX) {
        command.arg0("busybox");
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    let output = thread::scope(|scope| {
        // Who does not read all of it closes its end.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("the program ends")
    });
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}
