//! Python: the distribution's interpreter, as an executable that starts our launcher, and the whole
//! standard library with its extensions.
//!
//! The modules are compiled for the place where they will be, and not checked against their source
//! any more, so that an import reads one file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{RuntimeError, file_error, output, run};
use super::libraries::{self, FOLDER, ROOT};
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
/// What the interpreter needs besides its own archive.
const LINKED: [&str; 3] = ["-l:libexpat.so.1", "-l:libz.so.1", "-lm"];

/// An installed Python that has what it takes.
struct Installed {
    /// `python3.11`.
    name: String,
    /// The interpreter as a library to link.
    archive: PathBuf,
}

/// Puts a runtime's files into `stage`. Says what is in it.
pub(super) fn stage(stage: &Path, say: impl Fn(&str)) -> Result<String, RuntimeError> {
    ensure_programs(&[("cc", "gcc")], &say)?;
    if installed().is_none() {
        ensure_python(&say)?;
    }
    let python = installed().ok_or_else(|| RuntimeError::Missing {
        what: "libpython3.11.a or a newer one".to_owned(),
        package: "libpython3-dev",
    })?;
    say("Linking the interpreter and compiling its library");
    let sources = sources(Language::Python);
    copy(&sources.join("launcher.py"), &stage.join("launcher.py"))?;
    let program = stage.join("exec");
    link(&python, &sources.join("main.c"), &program)?;
    let library = stage.join(FOLDER).join(&python.name);
    copy_library(&Path::new("/usr/lib").join(&python.name), &library)?;
    copy(&sources.join(SERVER), &library.join(SERVER))?;
    let mut programs = vec![program];
    for entry in fs::read_dir(library.join(EXTENSIONS)).map_err(file_error(&library))? {
        programs.push(entry.map_err(file_error(&library))?.path());
    }
    libraries::collect(&programs, stage)?;
    PROMISED.iter().try_for_each(|name| libraries::add(name, stage))?;
    compile(&python, stage)?;
    let mut version = Command::new(interpreter(&python));
    version.arg("--version");
    Ok(format!("C{}", output(version)?.trim()))
}

fn interpreter(python: &Installed) -> PathBuf {
    Path::new("/usr/bin").join(&python.name)
}

/// The newest Python that the distribution installed with what it takes to link it.
fn installed() -> Option<Installed> {
    MINORS.rev().find_map(|minor| {
        let name = format!("python3.{minor}");
        let configuration = format!("config-3.{minor}-x86_64-linux-gnu");
        let library = Path::new("/usr/lib").join(&name);
        let archive = library.join(configuration).join(format!("lib{name}.a"));
        let headers = Path::new("/usr/include").join(&name).join("Python.h");
        let python = Installed { name, archive };
        let is_whole = [&python.archive, &headers, &interpreter(&python), &library.join("json")];
        is_whole.iter().all(|path| path.exists()).then_some(python)
    })
}

/// Links the interpreter with our `main`. Extensions find the interpreter's functions in it. One
/// with its symbols stays beside the archive.
fn link(python: &Installed, source: &Path, program: &Path) -> Result<(), RuntimeError> {
    let linked = Language::Python.interpreter_with_symbols();
    let headers = format!("-I/usr/include/{}", python.name);
    let [loader, search] = libraries::link_arguments();
    let paths = [source, &python.archive, &linked, program];
    let [source, archive, linked, program] = &paths.map(|path| path.display().to_string());
    let mut arguments = vec!["-O2", "-no-pie", "-Wall", "-Wextra", "-Werror", &headers];
    arguments.extend(["-o", linked, source, "-Wl,-E", archive]);
    arguments.extend(LINKED);
    arguments.extend([&*loader, &*search]);
    run("cc", &arguments)?;
    run("strip", &["-o", program, linked])
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

fn compile(python: &Installed, stage: &Path) -> Result<(), RuntimeError> {
    let interpreter = interpreter(python).display().to_string();
    let library = stage.join(FOLDER).display().to_string();
    let stage = stage.display().to_string();
    let modes = ["-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"];
    run(&interpreter, &[&modes[..], &["-s", &stage, "-p", ROOT, &library]].concat())
}
