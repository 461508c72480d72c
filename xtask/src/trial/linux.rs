//! The Linux programs of the soak, which all greet whom their input names: four that compilers
//! make, and a script in an archive with what runs it.

use std::fs;
use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use super::Find;
use super::session::{Limits, Session};
use crate::lab::programs::Hosted;
use crate::prerequisites::ensure_programs;

/// Their names as actions.
pub const NAMES: [&str; 5] = [
    Hosted::CMusl.name(),
    Hosted::RustMusl.name(),
    Hosted::CGlibc.name(),
    Hosted::Go.name(),
    SCRIPT,
];
const SCRIPT: &str = "script";
/// Enough for each of them.
const LIMITS: Limits = Limits { timeout_ms: 60_000, memory_mb: 32 };
const BUSYBOX: &str = "/bin/busybox";
/// The input is an argument as well, which `awk` would take for a file if it read any.
const GREETS: &str = r#"#!/bin/awk -f
BEGIN { split(ARGV[1], part, "\""); printf "{\"greeting\":\"Hello, %s!\"}", part[4] }
"#;

/// Compiles them and deploys them. `say` hears what is about to be done.
///
/// # Errors
/// A [`Find`] if one cannot be made, or the node refuses it.
pub fn deploy(session: &mut Session, say: impl Fn(&str)) -> Result<(), Find> {
    for hosted in Hosted::ALL {
        let made = hosted.build(&say).map_err(|error| Find::new(error.to_string()))?;
        let file = fs::read(&made).map_err(|error| Find::new(error.to_string()))?;
        accepted(session, hosted.name(), &file)?;
    }
    ensure_programs(&[("busybox", "busybox-static")], &say)
        .map_err(|error| Find::new(error.to_string()))?;
    let busybox = fs::read(BUSYBOX).map_err(|error| Find::new(error.to_string()))?;
    let archive = script(&busybox).map_err(|error| Find::new(error.to_string()))?;
    accepted(session, SCRIPT, &archive)
}

fn accepted(session: &mut Session, name: &str, file: &[u8]) -> Result<(), Find> {
    let answer = session.deploy(name, file, LIMITS)?;
    match answer.status {
        200 => Ok(()),
        status => Err(Find::new(format!("deploying {name}: {status} {}", answer.text()))),
    }
}

/// An archive with a script and its interpreter.
fn script(busybox: &[u8]) -> Result<Vec<u8>, ZipError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    zip.start_file("bin/busybox", options)?;
    zip.write_all(busybox)?;
    zip.add_symlink("bin/awk", "busybox", options)?;
    zip.start_file("exec", options)?;
    zip.write_all(GREETS.as_bytes())?;
    Ok(zip.finish()?.into_inner())
}
