//! `cargo xtask bundle`: configuration and actions in one file for a node to boot with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use xtask::bundle::{self, Contents};

use crate::progress::say;

/// Make a boot bundle, and check it as a node would.
///
/// QEMU and other virtual machine monitors take it as -initrd, `cargo xtask run` as --bundle.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The bundle to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    parts: Parts,
}

/// What a node is to have when it starts.
#[derive(Args, Debug)]
pub struct Parts {
    /// Settings, key=value a line; `cargo xtask config` lists the keys.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// An image, or a .json file with limits, annotations and parameters of the action of that
    /// name. Without a name: that of the file, in the namespace guest. May be repeated.
    #[arg(long = "action", value_name = "[NAMESPACE/NAME=]FILE")]
    actions: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let archive = arguments.parts.archive()?;
    let out = arguments.out.display();
    fs::write(&arguments.out, &archive).with_context(|| format!("writing {out}"))?;
    say(&format!("{out}: {} actions, {} bytes", arguments.parts.actions.len(), archive.len()));
    Ok(())
}

impl Parts {
    /// The archive, if a node would take it.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let mut contents = Contents::default();
        if let Some(file) = &self.config {
            contents.config = Some(read(file)?);
        }
        for action in &self.actions {
            let (path, file) = place(action)?;
            contents.actions.push((path, read(file)?));
        }
        let archive = contents.archive().context("making the archive")?;
        let findings = bundle::check(&archive);
        findings.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        refuse(&findings.errors)?;
        Ok(archive)
    }
}

/// Ends the command if there is something that a node would not take.
pub fn refuse(errors: &[String]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    bail!("a node would not take this:\n{}", errors.join("\n"))
}

/// The path below `actions/`, and the file to put there.
fn place(action: &str) -> Result<(String, &Path)> {
    let (name, file) = match action.split_once('=') {
        Some((name, file)) => (Some(name), Path::new(file)),
        None => (None, Path::new(action)),
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let path = match name {
        None => format!("guest/{stem}"),
        Some(name) if name.split('/').count() == 2 => name.to_owned(),
        Some(name) => bail!("{name} is not of the form NAMESPACE/NAME"),
    };
    let is_document = file.extension().is_some_and(|kind| kind == "json");
    Ok((if is_document { path + ".json" } else { path }, file))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_by_hand_or_by_their_file() {
        for (argument, path, file) in [
            ("a/hello.elf", "guest/hello", "a/hello.elf"),
            ("a/hello.json", "guest/hello.json", "a/hello.json"),
            ("b/c=a/hello.elf", "b/c", "a/hello.elf"),
            ("b/c=a/hello.json", "b/c.json", "a/hello.json"),
        ] {
            assert_eq!(place(argument).expect("good"), (path.to_owned(), Path::new(file)));
        }
        assert!(place("c=hello.elf").is_err() && place("a/b/c=hello.elf").is_err());
    }
}
