//! The environment variables of an action: settings and secrets of its owner.
//!
//! They are kept as the one block that instances get, so that the kernel has one copy of a secret
//! and no more: an invocation shares it, the worker copies it into the instance's own pages, and
//! whoever lets go of it last overwrites it.
//!
//! A name has one variable. What the node tells a program itself has names that nobody else may
//! use: no owner can forge a request, and no request can take the place of an owner's setting.

mod list;

pub use list::{Reader, write_parameters};

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::KeyValues;
use crate::json::{Json, JsonReject};
use limits::{VARIABLE_NAME_LEN_MAX, VARIABLES_LEN_MAX, VARIABLES_MAX};
use memory::OutOfFrames;

/// The variables of one action.
#[derive(Default)]
pub struct Variables {
    /// `NAME=value` strings, each ended by a NUL byte.
    block: Zeroizing<Vec<u8>>,
    /// Where they are, in the order they were first given.
    entries: Vec<Entry>,
    /// Those that are `OpenWhisk`'s parameters with `"init":true`, as JSON.
    parameters: KeyValues,
}

#[derive(Clone, Copy)]
struct Entry {
    start: u16,
    name_end: u16,
    /// Where its NUL byte is.
    end: u16,
    kind: VariableKind,
}

/// How a variable was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// For everybody who may see the action.
    Plain,
    /// Never shown again.
    Secret,
    /// As a parameter with `"init":true`, which is shown among the parameters.
    Parameter,
}

/// What a deploy wants of one variable.
pub struct VariableChange {
    /// Which.
    pub name: Box<str>,
    /// What becomes of it.
    pub what: VariableFate,
}

/// What becomes of a variable.
pub enum VariableFate {
    /// It has this value.
    Set {
        /// The value.
        value: Zeroizing<Vec<u8>>,
        /// Whether it is never to be shown again.
        is_secret: bool,
    },
    /// It stays as it is: documents that were read can be sent back.
    Keep,
    /// It goes.
    Remove,
}

/// Why variables are refused.
#[derive(Debug, PartialEq, Eq)]
pub enum VariableReject {
    /// No name of a variable.
    Name,
    /// The node sets this one itself.
    Reserved(Box<str>),
    /// No value of a variable.
    Value(Box<str>),
    /// To be kept, but there is none.
    Unknown(Box<str>),
    /// Too many, or too long together.
    TooLong,
    /// The heap has no room.
    NoMemory,
}

/// Names of CGI that the node sets; [`VariableReject::Reserved`].
const OF_REQUESTS: [&str; 11] = [
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
];

impl Variables {
    /// What is left of `before` after `changes`, and these parameters, if there are new ones.
    ///
    /// # Errors
    /// [`VariableReject`]
    pub fn amended(
        before: Option<&Self>,
        parameters: Option<&KeyValues>,
        changes: &[VariableChange],
    ) -> Result<Self, VariableReject> {
        let mut new = Self::default();
        let mut block = Vec::new();
        block.try_reserve_exact(VARIABLES_LEN_MAX).map_err(|_| VariableReject::NoMemory)?;
        new.block = Zeroizing::new(block);
        let is_changed = |name: &str| changes.iter().any(|change| *change.name == *name);
        for (name, value, kind) in before.into_iter().flat_map(Self::iter) {
            let is_replaced = kind == VariableKind::Parameter && parameters.is_some();
            if !is_replaced && !is_changed(name) {
                new.push(name, value, kind)?;
            }
        }
        for (key, value) in parameters.into_iter().flat_map(KeyValues::iter) {
            let (name, value) = of_parameter(key, value)?;
            if !is_changed(&name) {
                new.remove(&name);
                new.push(&name, &value, VariableKind::Parameter)?;
            }
        }
        for VariableChange { name, what } in changes {
            let unknown = || VariableReject::Unknown(name.clone());
            new.remove(name);
            match what {
                VariableFate::Set { value, is_secret } => {
                    let is_secret = *is_secret;
                    let kind = if is_secret { VariableKind::Secret } else { VariableKind::Plain };
                    new.push(name, value, kind)?;
                }
                VariableFate::Keep => {
                    let mut found = before.into_iter().flat_map(Self::iter);
                    let found = found.find(|(known, ..)| *known == &**name);
                    let (_, value, kind) = found.ok_or_else(unknown)?;
                    new.push(name, value, kind)?;
                }
                VariableFate::Remove => {}
            }
        }
        let given = parameters.or(before.map(|before| &before.parameters));
        new.keep_parameters(given)?;
        new.trim()?;
        Ok(new)
    }

    /// Notes the JSON of those parameters that are variables still.
    fn keep_parameters(&mut self, given: Option<&KeyValues>) -> Result<(), VariableReject> {
        let is_kept = |key: &str| {
            let kept = self.iter().filter(|(.., kind)| *kind == VariableKind::Parameter);
            let key = Json::read(key.as_bytes()).ok();
            let key = key.and_then(|key| key.string(VARIABLE_NAME_LEN_MAX).ok());
            key.is_some_and(|key| kept.into_iter().any(|(name, ..)| *key == *name))
        };
        let items: Vec<_> =
            given.into_iter().flat_map(KeyValues::iter).filter(|(key, _)| is_kept(key)).collect();
        self.parameters =
            KeyValues::from_items(&items).map_err(|OutOfFrames| VariableReject::NoMemory)?;
        Ok(())
    }

    /// Gives back what was reserved and not used.
    fn trim(&mut self) -> Result<(), VariableReject> {
        let mut block = Vec::new();
        block.try_reserve_exact(self.block.len()).map_err(|_| VariableReject::NoMemory)?;
        block.extend_from_slice(&self.block);
        self.block = Zeroizing::new(block);
        Ok(())
    }

    fn push(&mut self, name: &str, value: &[u8], kind: VariableKind) -> Result<(), VariableReject> {
        check_name(name)?;
        if value.contains(&0) {
            return Err(VariableReject::Value(name.into()));
        }
        let len = name.len().saturating_add(value.len()).saturating_add(2);
        let start = self.block.len();
        if self.entries.len() == VARIABLES_MAX || len > VARIABLES_LEN_MAX - start {
            return Err(VariableReject::TooLong);
        }
        self.entries.try_reserve(1).map_err(|_| VariableReject::NoMemory)?;
        let narrow = |offset: usize| u16::try_from(offset).expect("a block is below 64 KiB");
        let entry = Entry {
            start: narrow(start),
            name_end: narrow(start + name.len()),
            end: narrow(start + len - 1),
            kind,
        };
        self.block.extend_from_slice(name.as_bytes());
        self.block.push(b'=');
        self.block.extend_from_slice(value);
        self.block.push(0);
        self.entries.push(entry);
        Ok(())
    }

    /// Takes a variable out, if there is one of this name.
    fn remove(&mut self, name: &str) {
        let Some(at) = self.iter().position(|(known, ..)| known == name) else { return };
        let gone = self.entries.remove(at);
        let (start, end) = (usize::from(gone.start), usize::from(gone.end) + 1);
        self.block.copy_within(end.., start);
        let (len, removed) = (self.block.len(), gone.end + 1 - gone.start);
        self.block[len - usize::from(removed)..].fill(0);
        self.block.truncate(len - usize::from(removed));
        for entry in self.entries.iter_mut().filter(|entry| entry.start > gone.start) {
            entry.start -= removed;
            entry.name_end -= removed;
            entry.end -= removed;
        }
    }

    /// What an instance is given.
    #[must_use]
    pub fn block(&self) -> &[u8] {
        &self.block
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Name, value and kind of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8], VariableKind)> {
        self.entries.iter().map(|entry| {
            let (start, name_end) = (usize::from(entry.start), usize::from(entry.name_end));
            let name = self.block.get(start..name_end).unwrap_or_default();
            let value = self.block.get(name_end + 1..usize::from(entry.end)).unwrap_or_default();
            (str::from_utf8(name).unwrap_or_default(), value, entry.kind)
        })
    }

    /// Those that are parameters.
    #[must_use]
    pub fn parameters(&self) -> &KeyValues {
        &self.parameters
    }

    /// What they take of the kernel heap.
    #[must_use]
    pub fn heap_len(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        size_of::<Self>() + self.block.len() + entries + self.parameters.heap_len()
    }
}

/// Name and value of a parameter: its text, or as JSON what is none.
fn of_parameter(key: &str, value: &str) -> Result<(Box<str>, Zeroizing<Vec<u8>>), VariableReject> {
    let name = Json::read(key.as_bytes()).ok();
    let name = name.and_then(|name| name.string(VARIABLES_LEN_MAX).ok());
    let name: Box<str> = (&*name.ok_or(VariableReject::Name)?).into();
    let Ok(json) = Json::read(value.as_bytes()) else { return Err(VariableReject::Value(name)) };
    let text = match json.is_string() {
        false => Cow::Borrowed(json.text().trim_ascii()),
        true => match json.string(VARIABLES_LEN_MAX) {
            Ok(text) => text,
            Err(JsonReject::StringTooLong) => return Err(VariableReject::TooLong),
            Err(_) => return Err(VariableReject::Value(name)),
        },
    };
    if text.len() > VARIABLES_LEN_MAX {
        return Err(VariableReject::TooLong);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(text.len()).map_err(|_| VariableReject::NoMemory)?;
    bytes.extend_from_slice(text.as_bytes());
    Ok((name, Zeroizing::new(bytes)))
}

/// Whether an owner may use this name.
fn check_name(name: &str) -> Result<(), VariableReject> {
    let is_name = (1..=VARIABLE_NAME_LEN_MAX).contains(&name.len())
        && !name.contains(|letter: char| letter == '=' || letter.is_control());
    if !is_name {
        return Err(VariableReject::Name);
    }
    // `HTTP_PROXY` is no field that the node hands on, but a setting of many libraries.
    let is_field = name.starts_with("HTTP_") && name != "HTTP_PROXY";
    let is_ours = ["__OW_", "HOSTKERNEL_"].iter().any(|ours| name.starts_with(ours));
    let is_fixed = ["PORT", "TRACEPARENT", "TRACESTATE"].contains(&name);
    match is_field || is_ours || is_fixed || OF_REQUESTS.contains(&name) {
        true => Err(VariableReject::Reserved(name.into())),
        false => Ok(()),
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, ..)| name)).finish()
    }
}

impl fmt::Debug for VariableChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for VariableReject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "An environment variable is called by 1 to {VARIABLE_NAME_LEN_MAX} bytes without \
                 '=' and control characters."
            ),
            Self::Reserved(name) => {
                write!(f, "The environment variable '{name}' is set by the node itself.")
            }
            Self::Value(name) => {
                write!(f, "The value of the environment variable '{name}' is not text without NUL.")
            }
            Self::Unknown(name) => write!(
                f,
                "The environment variable '{name}' is to be kept, but the action has none of \
                 this name."
            ),
            Self::TooLong => write!(
                f,
                "The environment exceeds the limit of {VARIABLES_MAX} variables or \
                 {VARIABLES_LEN_MAX} bytes."
            ),
            Self::NoMemory => f.write_str("The node has no memory for the environment now."),
        }
    }
}

#[cfg(test)]
mod tests;
