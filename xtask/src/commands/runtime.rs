//! `cargo xtask runtime`: what a node needs to run functions in a language.

use anyhow::Result;
use clap::{Args, ValueEnum};
use xtask::runtime::Language;
use xtask::workspace;

use crate::progress::say;

/// Build a runtime into target/runtimes/LANGUAGE.zip, for nodes to run source code with.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The language.
    #[arg(value_enum)]
    language: Named,
}

/// A language, as it is called on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Named {
    /// CPython of the distribution, with its whole library: functions of the kind python:3.
    Python,
    /// QuickJS: functions of the kind javascript.
    Javascript,
    /// Node.js as it is installed: functions of the kind nodejs:20, or what its version is.
    Nodejs,
}

impl Named {
    /// The recipe.
    pub const fn language(self) -> Language {
        match self {
            Self::Python => Language::Python,
            Self::Javascript => Language::JavaScript,
            Self::Nodejs => Language::NodeJs,
        }
    }

    /// The recipe, whose archive is there and up to date.
    pub fn ready(self) -> Result<Language> {
        let language = self.language();
        language.ready(say)?;
        Ok(language)
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let language = arguments.language.language();
    let runtime = language.build(say)?;
    let file = workspace::display(&runtime.file);
    println!("{:.1} MiB  {file}  {}", runtime.len as f64 / f64::from(1 << 20), runtime.what);
    println!("SHA-256  {}", runtime.digest);
    println!("Functions of the kind {}. On a node that runs, with the admin key:", language.kind());
    println!("  curl -u $ADMIN -T {file} $NODE/api/v1/runtimes/{}", language.kind());
    Ok(())
}
