//! Node.js, as it is installed, with its libraries, our launcher as a script for it, and an
//! addon that ends a process.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::{RuntimeError, output, run};
use super::libraries::{self, FOLDER, LOADER, LOADER_FOLDER};
use super::{Language, copy, sources};
use crate::prerequisites::ensure_programs;
use crate::programs::find_program;

/// Oldest and newest major version that the launcher is for.
const MAJORS: std::ops::RangeInclusive<u32> = 18..=24;
/// Where the launcher's first line says that the interpreter is.
const PROGRAM: &str = "usr/bin/node";

/// Puts a runtime's files into `stage`. Says what is in it, and which major version that is.
pub(super) fn stage(stage: &Path, say: impl Fn(&str)) -> Result<(String, u32), RuntimeError> {
    let tools = [("cc", "gcc"), ("strip", "binutils"), ("node", "nodejs")];
    ensure_programs(&tools, &say)?;
    let (node, version, major) = installed()?;
    say("Copying Node.js and its libraries");
    let program = stage.join(PROGRAM);
    copy(&node, &program)?;
    libraries::collect(std::slice::from_ref(&program), stage)?;
    copy(&stage.join(FOLDER).join(LOADER), &stage.join(LOADER_FOLDER).join(LOADER))?;
    let symbols = Language::NodeJs.interpreter_with_symbols();
    copy(&program, &symbols)?;
    run("strip", &[&program.display().to_string()])?;
    let sources = sources(Language::NodeJs);
    copy(&sources.join("launcher.js"), &stage.join("exec"))?;
    let paths = [stage.join("quick.node"), sources.join("quick.c")];
    let [addon, source] = paths.map(|path| path.display().to_string());
    let warnings = ["-Wall", "-Wextra", "-Werror"];
    let shape = ["-O2", "-s", "-shared", "-fPIC", "-o", &addon, &source];
    run("cc", &[&warnings[..], &shape].concat())?;
    Ok((format!("Node.js {version}"), major))
}

/// The program, its version, and the major one.
fn installed() -> Result<(PathBuf, String, u32), RuntimeError> {
    let missing = || RuntimeError::Missing {
        what: format!("Node.js {} to {}", MAJORS.start(), MAJORS.end()),
        package: "nodejs",
    };
    let node = find_program("node").ok_or_else(missing)?;
    let node = node.canonicalize().map_err(|_| missing())?;
    let mut version = Command::new(&node);
    version.arg("--version");
    let version = output(version)?.trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|it| it.parse().ok());
    let major = major.filter(|major| MAJORS.contains(major)).ok_or_else(missing)?;
    Ok((node, version, major))
}
