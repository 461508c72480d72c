//! Packages out of Python's and JavaScript's registries: web servers as people install them.
//!
//! They are fetched once into `target/servers`, in versions that are written down here.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::LabError;
use super::packages::output;
use crate::prerequisites::{ensure_programs, ensure_targets};
use crate::workspace;

/// For the interpreter that Debian 12 has.
const PYTHON: [&str; 5] =
    ["flask==3.1.3", "waitress==3.0.2", "gunicorn==27.0.1", "fastapi==0.165.0", "uvicorn==0.54.0"];
const NODE: [&str; 2] = ["express@5.3.0", "fastify@5.12.8"];
/// Folders that no server needs.
const LEFT_OUT: [&str; 3] = ["__pycache__", "bin", ".bin"];
/// Where an archive for the runtime `python:3` has its packages, and one for `nodejs`.
pub const VIRTUALENV: &str = "virtualenv/lib/python3.11/site-packages";
/// See [`VIRTUALENV`].
pub const NODE_MODULES: &str = "node_modules";

/// The folder with Flask, FastAPI and servers for them.
///
/// # Errors
/// What pip says when it fails; [`LabError::File`]
pub fn python(say: impl Fn(&str)) -> Result<PathBuf, LabError> {
    ensure_programs(&[("pip3", "python3-pip")], &say)?;
    let mut pip = Command::new("pip3");
    pip.args(["install", "--quiet", "--only-binary=:all:", "--implementation", "cp"]);
    pip.args(["--python-version", "3.11"]);
    installed("python", pip, "--target", &PYTHON)
}

/// The folder with Express and Fastify, below `node_modules`.
///
/// # Errors
/// What npm says when it fails; [`LabError::File`]
pub fn node(say: impl Fn(&str)) -> Result<PathBuf, LabError> {
    ensure_programs(&[("npm", "npm")], &say)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
    installed("node", npm, "--prefix", &NODE)
}

/// The server by Go's net/http that tests run, compiled.
///
/// # Errors
/// What the compiler says when it fails; [`LabError::File`]
pub fn go_server(say: impl Fn(&str)) -> Result<PathBuf, LabError> {
    ensure_programs(&[("go", "golang-go")], &say)?;
    let folder = workspace::target().join("servers/go");
    fs::create_dir_all(&folder).map_err(LabError::file(&folder))?;
    let program = folder.join("http");
    let mut compiler = Command::new("go");
    compiler.args(["build", "-trimpath", "-o"]).arg(&program).arg(sources().join("http.go"));
    compiler.env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    output(compiler)?;
    Ok(program)
}

/// The server by axum, hyper and tokio that tests run, compiled.
///
/// # Errors
/// What Cargo says when it fails; [`LabError::Prerequisite`]
pub fn axum_server(say: impl Fn(&str)) -> Result<PathBuf, LabError> {
    const TARGET: &str = "x86_64-unknown-linux-musl";
    ensure_targets(&[TARGET], &say)?;
    let folder = workspace::target().join("servers/axum");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", TARGET]);
    cargo.arg("--manifest-path").arg(sources().join("axum/Cargo.toml"));
    cargo.arg("--target-dir").arg(&folder);
    output(cargo)?;
    Ok(folder.join(TARGET).join("release/served-by-axum"))
}

fn sources() -> PathBuf {
    workspace::root().join("tests/linux-emulator/programs")
}

/// Runs an installer, if it has not run yet, and says where it put the packages.
fn installed(
    name: &str,
    mut installer: Command,
    folder_option: &str,
    wanted: &[&str],
) -> Result<PathBuf, LabError> {
    /// Threads of one process wait for each other here.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = workspace::target().join("servers").join(name);
    let mark = folder.join("complete");
    if fs::read_to_string(&mark).ok() != Some(wanted.join(" ")) {
        fs::create_dir_all(&folder).map_err(LabError::file(&folder))?;
        installer.arg(folder_option).arg(&folder).args(wanted);
        output(installer)?;
        fs::write(&mark, wanted.join(" ")).map_err(LabError::file(&mark))?;
    }
    Ok(folder)
}

/// An archive with some files, and with what is in a folder, below `at`.
///
/// # Errors
/// [`LabError::File`], [`LabError::Unusable`]
pub fn archive(files: &[(&str, &str)], packages: &Path, at: &str) -> Result<Vec<u8>, LabError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        add(&mut zip, name, text.as_bytes(), Path::new(name))?;
    }
    add_folder(&mut zip, packages, at)?;
    Ok(zip.finish().map_err(|error| LabError::unusable(packages, error))?.into_inner())
}

fn add_folder(
    zip: &mut ZipWriter<Cursor<Vec<u8>>>,
    folder: &Path,
    at: &str,
) -> Result<(), LabError> {
    let entries = fs::read_dir(folder).map_err(LabError::file(folder))?;
    for entry in entries {
        let path = entry.map_err(LabError::file(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let inside = format!("{at}/{name}");
        if path.is_dir() {
            if !LEFT_OUT.contains(&&*name) {
                add_folder(zip, &path, &inside)?;
            }
        } else {
            add(zip, &inside, &fs::read(&path).map_err(LabError::file(&path))?, &path)?;
        }
    }
    Ok(())
}

fn add(
    zip: &mut ZipWriter<Cursor<Vec<u8>>>,
    name: &str,
    bytes: &[u8],
    path: &Path,
) -> Result<(), LabError> {
    let started = zip.start_file(name, SimpleFileOptions::default());
    started.map_err(|error| LabError::unusable(path, error))?;
    zip.write_all(bytes).map_err(LabError::file(path))
}
