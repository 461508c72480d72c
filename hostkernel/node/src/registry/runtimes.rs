//! Runtimes: what the operator gives a node so that people can deploy source code.
//!
//! A runtime is a template that waits for the code of a function. Who deploys one names a *kind*,
//! such as `python:3.11`; it is served by the runtime `python:3`, since a kind is a family and a
//! version, and a runtime serves the versions that begin with its own. The node knows none of
//! their languages.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::{Digest, Limits, Namespace};
use limits::{KIND_LEN_MAX, RUNTIMES_MAX};
use memory::Template;

/// Whose invocations prepare runtimes: `OpenWhisk`'s name of the operator.
const OWNER: &str = "whisk.system";
/// The version that means whichever there is.
const DEFAULT: &str = "default";
/// Between family and version.
const SEPARATOR: char = ':';

/// A runtime that waits for code.
#[derive(Debug)]
pub struct Runtime {
    /// Its name: the kind of functions it runs.
    pub name: Box<str>,
    /// SHA-256 of its archive.
    pub digest: Digest,
    /// Where functions start from.
    pub template: Arc<Template>,
    /// What it was started under.
    pub limits: Limits,
    /// Wall-clock time at which it was made in milliseconds since 1970-01-01 UTC.
    pub updated_ms: u64,
}

/// The runtimes of a node.
#[derive(Debug)]
pub struct Runtimes {
    /// By name.
    list: Vec<Arc<Runtime>>,
    owner: Namespace,
}

/// A text that is no name of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeNameReject;

impl Runtimes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self { list: Vec::new(), owner: Namespace::new(OWNER) }
    }

    /// Whose invocations prepare them. It has no key, and no quota.
    #[must_use]
    pub fn owner(&self) -> &Namespace {
        &self.owner
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Runtime>> + Clone {
        self.list.iter()
    }

    /// The runtime of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Runtime>> {
        self.list.iter().find(|runtime| &*runtime.name == name)
    }

    /// The runtime for functions of this kind. Of several for `default` the last by name, which is
    /// the newest version as long as that has as many digits.
    #[must_use]
    pub fn find(&self, kind: &str) -> Option<&Arc<Runtime>> {
        self.list.iter().rev().find(|runtime| serves(&runtime.name, kind))
    }

    /// Whether one of this name would be one too many.
    #[must_use]
    pub fn is_full_for(&self, name: &str) -> bool {
        self.list.len() >= RUNTIMES_MAX && self.get(name).is_none()
    }

    /// Puts a runtime in its place; returns the one that was there.
    pub(super) fn insert(&mut self, runtime: Arc<Runtime>) -> Option<Arc<Runtime>> {
        let replaced = self.remove(&runtime.name);
        let at = self.list.partition_point(|other| other.name < runtime.name);
        self.list.insert(at, runtime);
        replaced
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<Runtime>> {
        let at = self.list.iter().position(|runtime| &*runtime.name == name)?;
        Some(self.list.remove(at))
    }
}

impl Default for Runtimes {
    fn default() -> Self {
        Self::new()
    }
}

/// Checks the name of a runtime: a family, and perhaps a version.
///
/// # Errors
/// [`RuntimeNameReject`]
pub fn check_runtime_name(name: &str) -> Result<(), RuntimeNameReject> {
    let is_word = |text: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_letter)
    };
    let (family, version) = split(name);
    let is_good = is_word(family) && version.is_none_or(|text| is_word(text) && text != DEFAULT);
    // The node's own.
    let is_taken = ["native", "linux", "blackbox", "sequence"].contains(&family);
    let fits = name.len() <= KIND_LEN_MAX;
    if is_good && fits && !is_taken { Ok(()) } else { Err(RuntimeNameReject) }
}

fn split(kind: &str) -> (&str, Option<&str>) {
    match kind.split_once(SEPARATOR) {
        Some((family, version)) => (family, Some(version)),
        None => (kind, None),
    }
}

/// Whether the runtime of this name is for functions of this kind.
fn serves(name: &str, kind: &str) -> bool {
    let ((own_family, own), (family, asked)) = (split(name), split(kind));
    if own_family != family {
        return false;
    }
    match (own, asked) {
        (_, None | Some(DEFAULT)) => true,
        (None, Some(_)) => false,
        (Some(own), Some(asked)) => {
            let rest = asked.strip_prefix(own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
    }
}

impl fmt::Display for RuntimeNameReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The name of a runtime is FAMILY or FAMILY:VERSION, of letters, digits and _ . -, at \
             most {KIND_LEN_MAX} characters, and none of the node's own kinds."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_served_by_its_family_and_the_version_it_begins_with() {
        for (name, kind) in [
            ("python:3", "python:3"),
            ("python:3", "python:3.11"),
            ("python:3", "python:default"),
            ("python:3", "python"),
            ("javascript", "javascript"),
            ("javascript", "javascript:default"),
            ("nodejs:20", "nodejs:20"),
        ] {
            assert!(serves(name, kind), "{name} for {kind}");
        }
        for (name, kind) in [
            ("python:3", "python:2"),
            ("python:3", "python:30"),
            ("python:3", "pythonx:3"),
            ("python:3.11", "python:3"),
            ("javascript", "javascript:1"),
            ("nodejs:20", "javascript"),
            ("python:3", ""),
            ("python:3", "python:"),
        ] {
            assert!(!serves(name, kind), "{name} for {kind}");
        }
    }

    #[test]
    fn names_are_a_family_and_a_version() {
        for good in ["python:3", "javascript", "nodejs:20", "a-b_c.d:1.2-x"] {
            assert_eq!(check_runtime_name(good), Ok(()), "{good}");
        }
        let long = "a".repeat(KIND_LEN_MAX + 1);
        for bad in
            ["", ":", "python:", ":3", "a:default", "native:1", "linux", "a/b", "a b", "ä", &long]
        {
            assert_eq!(check_runtime_name(bad), Err(RuntimeNameReject), "{bad}");
        }
    }
}
