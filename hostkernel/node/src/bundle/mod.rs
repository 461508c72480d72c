//! The boot bundle: configuration, runtimes and actions that a node boots with, in a cpio archive.
//!
//! ```text
//! config                        key=value lines, see `settings`
//! runtimes/NAME                 the archive of a runtime; started before there are actions
//! actions/NAMESPACE/NAME        an image, or the code of a function; NAME.elf is the same
//! actions/NAMESPACE/NAME.json   kind, limits, annotations, parameters: what `PUT` takes, without
//!                               the code
//! ```
//!
//! What is wrong is reported, by path, and the rest is served. But who gets in may stand in what
//! could not be read, so that then the development key does not open the node, see
//! [`Bundle::is_whole`].

pub mod cpio;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use self::cpio::{Broken, EntryKind};
use crate::api::{Boot, Reject, deploy_at_boot, start_at_boot};
use crate::state::Node;
use limits::{BUNDLE_DOCUMENT_LEN_MAX, CODE_LEN_MAX, RUNTIME_LEN_MAX};
use memory::PageBuffer;

/// What a bundle holds.
#[derive(Debug, Default)]
pub struct Bundle<'a> {
    /// The file `config`.
    pub config: Option<&'a [u8]>,
    /// Archives by name, each with its path.
    runtimes: BTreeMap<&'a str, (&'a str, &'a [u8])>,
    /// Files by namespace and name of their action.
    actions: BTreeMap<(&'a str, &'a str), Files<'a>>,
    /// What is wrong with it.
    pub problems: Vec<Problem<'a>>,
}

/// What there is of an action.
#[derive(Debug, Default)]
struct Files<'a> {
    code: Option<(&'a str, &'a [u8])>,
    document: Option<(&'a str, &'a [u8])>,
}

/// How much of a bundle a node has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Runtimes that wait for code.
    pub runtimes: usize,
    /// Actions that can be invoked.
    pub actions: usize,
}

/// What is refused, and why.
#[derive(Debug)]
pub struct Problem<'a> {
    /// The path in the bundle; empty if it is all from here on.
    pub path: &'a str,
    /// Why.
    pub reason: Reason,
}

/// Why something in a bundle is refused.
#[derive(Debug)]
pub enum Reason {
    /// The archive cannot be read.
    Broken(Broken),
    /// A bundle has nothing of this path.
    Path,
    /// It is there twice.
    Twice,
    /// It says something about an action that is not there.
    NoCode,
    /// It is too long.
    TooLong,
    /// No such namespace is configured.
    NoNamespace,
    /// The API would refuse it, too.
    Reject(Reject),
}

impl<'a> Bundle<'a> {
    /// Finds out what is in an archive.
    #[must_use]
    pub fn read(archive: &'a [u8]) -> Self {
        let mut bundle = Self::default();
        for entry in cpio::entries(archive) {
            match entry {
                Ok(entry) if entry.kind == EntryKind::Folder => {}
                Ok(entry) => bundle.add(entry),
                Err(broken) => bundle.refuse("", Reason::Broken(broken)),
            }
        }
        let lonely = bundle.actions.values().filter(|files| files.code.is_none());
        let paths: Vec<_> = lonely.filter_map(|files| Some(files.document?.0)).collect();
        paths.into_iter().for_each(|path| bundle.refuse(path, Reason::NoCode));
        bundle
    }

    /// A bundle of which only this is known: it is longer than
    /// [`BUNDLE_LEN_MAX`](limits::BUNDLE_LEN_MAX).
    #[must_use]
    pub fn too_long() -> Self {
        let mut bundle = Self::default();
        bundle.refuse("", Reason::TooLong);
        bundle
    }

    fn add(&mut self, cpio::Entry { path, kind, content }: cpio::Entry<'a>) {
        let action = path.strip_prefix("actions/").and_then(|rest| rest.split_once('/'));
        let runtime = path.strip_prefix("runtimes/").filter(|name| !name.contains('/'));
        let actions = &mut self.actions;
        let is_first = match (action, runtime) {
            _ if kind != EntryKind::File => return self.refuse(path, Reason::Path),
            (None, None) if path == "config" => keep_first(&mut self.config, content),
            (_, Some(name)) if self.runtimes.contains_key(name) => false,
            (_, Some(name)) => self.runtimes.insert(name, (path, content)).is_none(),
            (Some((namespace, file)), _) if !file.contains('/') => {
                let document = file.strip_suffix(".json");
                let name = document.or(file.strip_suffix(".elf")).unwrap_or(file);
                let files = actions.entry((namespace, name)).or_default();
                let place = if document.is_some() { &mut files.document } else { &mut files.code };
                keep_first(place, (path, content))
            }
            _ => return self.refuse(path, Reason::Path),
        };
        if !is_first {
            self.refuse(path, Reason::Twice);
        }
    }

    fn refuse(&mut self, path: &'a str, reason: Reason) {
        self.problems.push(Problem { path, reason });
    }

    /// Whether all of it was understood. What was not may have been configuration.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }

    /// Starts the runtimes, then deploys the actions. Says what was refused; returns how many
    /// were not.
    pub fn deploy(
        &self,
        node: &mut Node,
        boot: &mut Boot<'_>,
        mut refused: impl FnMut(Problem<'a>),
    ) -> Deployed {
        let mut done = Deployed::default();
        for (name, (path, archive)) in &self.runtimes {
            match start(node, name, archive, boot) {
                Ok(()) => done.runtimes += 1,
                Err(reason) => refused(Problem { path, reason }),
            }
        }
        for ((namespace, name), files) in &self.actions {
            let Some((path, code)) = files.code else { continue };
            let document = files.document.map(|(_, document)| document);
            match deploy(node, namespace, name, code, document, boot) {
                Ok(()) => done.actions += 1,
                Err(reason) => refused(Problem { path, reason }),
            }
        }
        done
    }
}

/// Fills a place; returns false if something was there.
fn keep_first<T>(place: &mut Option<T>, value: T) -> bool {
    let is_free = place.is_none();
    place.get_or_insert(value);
    is_free
}

fn start(node: &mut Node, name: &str, archive: &[u8], boot: &mut Boot<'_>) -> Result<(), Reason> {
    if archive.len() > RUNTIME_LEN_MAX {
        return Err(Reason::TooLong);
    }
    let archive = PageBuffer::from_bytes(archive).map_err(Reject::from)?;
    Ok(start_at_boot(node, name, archive, boot)?)
}

fn deploy(
    node: &mut Node,
    namespace: &str,
    name: &str,
    code: &[u8],
    document: Option<&[u8]>,
    boot: &mut Boot<'_>,
) -> Result<(), Reason> {
    let namespace = node.policy.tenants.namespace(namespace).ok_or(Reason::NoNamespace)?;
    if code.len() > CODE_LEN_MAX || document.is_some_and(|it| it.len() > BUNDLE_DOCUMENT_LEN_MAX) {
        return Err(Reason::TooLong);
    }
    let code = PageBuffer::from_bytes(code).map_err(Reject::from)?;
    Ok(deploy_at_boot(node, &namespace, name, code, document, boot)?)
}

impl From<Reject> for Reason {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            "" => write!(f, "boot bundle: {}", self.reason),
            path => write!(f, "boot bundle: {} refused: {}", path.escape_debug(), self.reason),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken(broken) => return broken.fmt(f),
            Self::Reject(reject) => return reject.fmt(f),
            Self::Path => {
                "a bundle holds the files config, runtimes/NAME and \
                 actions/NAMESPACE/NAME[.elf|.json]"
            }
            Self::Twice => "it is there twice",
            Self::NoCode => "there is no image of that name",
            Self::TooLong => "it is too long",
            Self::NoNamespace => "there is no such namespace; hostkernel.namespace makes one",
        })
    }
}

#[cfg(test)]
mod tests;
