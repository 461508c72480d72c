//! Python: the distribution's interpreter as it is, our launcher as a script for it, and the whole
//! standard library with its extensions.
//!
//! As it is, because what it is as a library to link was compiled with less care: a fifth more
//! instructions for the same script.
//!
//! The modules are compiled for the place where they will be, and not checked against their source
//! any more, so that an import reads one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{RuntimeError, file_error, output, run};
use super::libraries::{self, FOLDER, LOADER, LOADER_FOLDER, ROOT};
use super::{Language, copy, sources};
use crate::prerequisites::{ensure_programs, ensure_python};

/// Oldest and newest minor version that the launcher is for.
const MINORS: std::ops::RangeInclusive<u32> = 11..=14;
/// Parts of the library for people at a screen, for tests, and for building Python.
const LEFT_OUT: [&str; 11] = [
    "__phello__",
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "test",
    "tests",
    "tkinter",
    "turtle.py",
    "turtledemo",
];
/// Extensions likewise, by how their names begin.
const EXTENSIONS_LEFT_OUT: [&str; 11] = [
    "_ctypes_test",
    "_curses",
    "_dbm",
    "_gdbm",
    "_test",
    "_tkinter",
    "_xx",
    "nis.",
    "ossaudiodev",
    "readline",
    "xx",
];
/// Where extensions are in the library.
const EXTENSIONS: &str = "lib-dynload";
/// What packages with extensions may take for granted, of what the manylinux platforms promise (PEP
/// 600): the libraries of compilers, and those that have become empty parts of the C library.
const PROMISED: [&str; 6] = [
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
];
/// What servers do anew in each process, a module like those of the library.
const SERVER: &str = "hostkernel_server.py";
/// What the launcher's first line calls the interpreter. The library is looked for from there.
const PROGRAM: &str = "cpython";

/// Puts a runtime's files into `stage`. Says what is in it.
pub(super) fn stage(stage: &Path, say: impl Fn(&str)) -> Result<String, RuntimeError> {
    ensure_programs(&[("cc", "gcc")], &say)?;
    if installed().is_none() {
        ensure_python(&say)?;
    }
    let name = installed().ok_or_else(|| RuntimeError::Missing {
        what: "Python 3.11 or a newer one".to_owned(),
        package: "python3",
    })?;
    say("Copying the interpreter and compiling its library");
    let sources = sources(Language::Python);
    copy(&sources.join("launcher.py"), &stage.join("exec"))?;
    let program = stage.join(PROGRAM);
    copy(&interpreter(&name), &program)?;
    let library = stage.join(FOLDER).join(&name);
    copy_library(&Path::new("/usr/lib").join(&name), &library)?;
    copy(&sources.join(SERVER), &library.join(SERVER))?;
    let mut programs = vec![program];
    for entry in fs::read_dir(library.join(EXTENSIONS)).map_err(file_error(&library))? {
        programs.push(entry.map_err(file_error(&library))?.path());
    }
    libraries::collect(&programs, stage)?;
    PROMISED.iter().try_for_each(|name| libraries::add(name, stage))?;
    copy(&stage.join(FOLDER).join(LOADER), &stage.join(LOADER_FOLDER).join(LOADER))?;
    compile(&name, stage)?;
    let mut version = Command::new(interpreter(&name));
    version.arg("--version");
    Ok(format!("C{}", output(version)?.trim()))
}

fn interpreter(name: &str) -> PathBuf {
    Path::new("/usr/bin").join(name)
}

/// The name of the newest Python that the distribution installed with its library: `python3.11`.
fn installed() -> Option<String> {
    MINORS.rev().map(|minor| format!("python3.{minor}")).find(|name| {
        let library = Path::new("/usr/lib").join(name).join("json");
        interpreter(name).exists() && library.exists()
    })
}

fn copy_library(from: &Path, to: &Path) -> Result<(), RuntimeError> {
    for entry in fs::read_dir(from).map_err(file_error(from))? {
        let entry = entry.map_err(file_error(from))?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if LEFT_OUT.contains(&&*name) || name.starts_with("config-") {
            continue;
        }
        let is_extension = from.ends_with(EXTENSIONS);
        let is_left_out = || EXTENSIONS_LEFT_OUT.iter().any(|start| name.starts_with(start));
        if path.is_dir() {
            copy_library(&path, &to.join(name))?;
        } else if if is_extension { !is_left_out() } else { name.ends_with(".py") } {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn compile(name: &str, stage: &Path) -> Result<(), RuntimeError> {
    let interpreter = interpreter(name).display().to_string();
    let library = stage.join(FOLDER).display().to_string();
    let stage = stage.display().to_string();
    let modes = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"];
    run(&interpreter, &[&modes[..], &["-s", &stage, "-p", ROOT, &library]].concat())
}
