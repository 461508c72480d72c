//! The nodes one has: `~/.config/hk/config.toml`.
//!
//! It holds keys, so nobody else may read it: it is made so, and refused otherwise.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap_complete::CompletionCandidate;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Rights of everybody but the owner.
const RIGHTS_OF_OTHERS: u32 = 0o077;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The node of commands that name none.
    pub default: Option<String>,
    /// By name.
    #[serde(default, rename = "node")]
    pub nodes: BTreeMap<String, Profile>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub url: String,
    pub key: Option<String>,
    pub namespace: Option<String>,
}

impl Config {
    /// Reads the file; without one there are no nodes.
    pub fn load() -> Result<Self, Failure> {
        match path() {
            Ok(path) => Self::read(&path),
            // Who has no home has no configuration.
            Err(_) => Ok(Self::default()),
        }
    }

    /// Writes the file, for its owner only.
    pub fn save(&self) -> Result<PathBuf, Failure> {
        let path = path()?;
        self.write(&path).map_err(|error| failed("written", &path, &error))?;
        Ok(path)
    }

    /// A node by name.
    pub fn profile(&self, name: &str) -> Result<&Profile, Failure> {
        self.nodes.get(name).ok_or_else(|| {
            let names: Vec<_> = self.nodes.keys().map(String::as_str).collect();
            let known = match names.as_slice() {
                [] => "there is none yet; `hk node add NAME URL` adds one".to_owned(),
                names => format!("there are {}", names.join(", ")),
            };
            Failure::usage(format!("the configuration has no node `{name}`")).hint(known)
        })
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let mode = match fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed("read", path, &error)),
        };
        let shown = path.display();
        if mode & RIGHTS_OF_OTHERS != 0 {
            let mode = mode & 0o777;
            let message = format!("{shown} holds keys, and others may use it (mode {mode:03o})");
            return Err(Failure::usage(message).hint(format!("chmod 600 {shown}")));
        }
        let text = fs::read_to_string(path).map_err(|error| failed("read", path, &error))?;
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // By way of another name: half a file never takes the place of a whole one.
        let half = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&half, path)
    }
}

fn failed(done: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} cannot be {done}: {error}", path.display()))
}

fn path() -> Result<PathBuf, Failure> {
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CONFIG_HOME")
        .or_else(|| Some(folder("HOME")?.join(".config")))
        .map(|folder| folder.join("hk/config.toml"))
        .ok_or_else(|| Failure::usage("neither XDG_CONFIG_HOME nor HOME names a folder"))
}

/// Names of nodes, for a shell that completes one.
pub fn nodes(begin: &OsStr) -> Vec<CompletionCandidate> {
    let config = Config::load().unwrap_or_default();
    let names = config.nodes.into_iter();
    matching(begin, names.map(|(name, profile)| (name, profile.url)))
}

/// What a shell is offered of names and what they are.
pub fn matching(
    begin: &OsStr,
    names: impl Iterator<Item = (String, String)>,
) -> Vec<CompletionCandidate> {
    let begin = begin.to_string_lossy();
    let names = names.filter(|(name, _)| name.starts_with(&*begin));
    names.map(|(name, help)| CompletionCandidate::new(name).help(Some(help.into()))).collect()
}
