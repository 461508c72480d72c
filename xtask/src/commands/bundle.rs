//! `cargo xtask bundle`: configuration, runtimes and actions in one file for a node to boot with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use hk::{Code, Language};
use xtask::bundle::{self, Contents};

use super::runtime::Named;
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
    /// A runtime for source code, which is built if need be. May be repeated.
    #[arg(long = "runtime", value_enum, value_name = "LANGUAGE")]
    runtimes: Vec<Named>,
    /// An image, source code for one of the runtimes (a file, a folder, a zip archive), or a .json
    /// file with limits, annotations and parameters of the action of that name. Without a name:
    /// that of the file, in the namespace guest. May be repeated.
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
        for named in &self.runtimes {
            let language = named.ready()?;
            contents.runtimes.push((language.kind(), read(&language.file())?));
        }
        let mut kinds = Vec::new();
        for action in &self.actions {
            let (name, file) = split(action);
            if file.extension().is_some_and(|kind| kind == "json") {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                contents.actions.push((place(name, &stem)? + ".json", read(file)?));
                continue;
            }
            let code = Code::open(file)?;
            let path = place(name, &code.name)?;
            kinds.extend(code.language.map(|language| (path.clone(), self.kind(language))));
            contents.actions.push((path, code.bytes));
        }
        for (path, kind) in kinds {
            let document = format!("{path}.json");
            contents.name_kind(&path, kind).with_context(|| format!("reading {document}"))?;
        }
        let archive = contents.archive().context("making the archive")?;
        let findings = bundle::check(&archive);
        findings.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        refuse(&findings.errors)?;
        Ok(archive)
    }

    /// The kind of source code. Of two for JavaScript Node's is the first choice, as on a node.
    fn kind(&self, language: Language) -> &'static str {
        match language {
            Language::Python => "python:default",
            Language::JavaScript if self.runtimes.contains(&Named::Nodejs) => "nodejs:default",
            Language::JavaScript => "javascript:default",
        }
    }
}

/// Ends the command if there is something that a node would not take.
pub fn refuse(errors: &[String]) -> Result<()> {
    if errors.is_empty() {
        return Ok(());
    }
    bail!("a node would not take this:\n{}", errors.join("\n"))
}

/// The name that was given by hand, and the file.
fn split(action: &str) -> (Option<&str>, &Path) {
    match action.split_once('=') {
        Some((name, file)) => (Some(name), Path::new(file)),
        None => (None, Path::new(action)),
    }
}

/// The path below `actions/` of what is called so by hand, or by itself.
fn place(name: Option<&str>, own: &str) -> Result<String> {
    match name {
        None => Ok(format!("guest/{own}")),
        Some(name) if name.split('/').count() == 2 => Ok(name.to_owned()),
        Some(name) => bail!("{name} is not of the form NAMESPACE/NAME"),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        parts: Parts,
    }

    #[test]
    fn actions_are_named_by_hand_or_by_their_file() {
        let named = |action| {
            let (name, file) = split(action);
            (place(name, "own").ok(), file)
        };
        for (argument, path, file) in [
            ("a/hello.elf", Some("guest/own"), "a/hello.elf"),
            ("b/c=a/hello.json", Some("b/c"), "a/hello.json"),
            ("c=hello.elf", None, "hello.elf"),
            ("a/b/c=hello.elf", None, "hello.elf"),
        ] {
            assert_eq!(named(argument), (path.map(str::to_owned), Path::new(file)));
        }
    }

    #[test]
    fn source_code_comes_with_its_kind() {
        let folder = std::env::temp_dir().join(format!("xtask-bundle-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is a place for files");
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("there is room");
            path.to_string_lossy().into_owned()
        };
        let (f, document) = (file("f.py", "x"), file("f.json", r#"{"limits":{"memory":9}}"#));
        let line = ["bundle", "--action", &f, "--action", &document];
        let error = Line::parse_from(line).parts.archive().expect_err("it has no runtime");
        let text = error.to_string();
        assert!(text.contains("actions/guest/f refused") && text.contains("python"), "{text}");
        fs::remove_dir_all(&folder).expect("it is ours");
    }
}
