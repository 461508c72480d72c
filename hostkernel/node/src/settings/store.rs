//! Where actions are kept: `http://HOST[:PORT]/PREFIX`; and which runtimes are fetched from there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::registry::check_runtime_name;
use limits::{HOST_LEN_MAX, RUNTIMES_MAX, STORE_PREFIX_LEN_MAX};

/// A registry, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its name or address.
    pub host: Box<str>,
    /// Its TCP port.
    pub port: u16,
    /// What the names of repositories begin with.
    pub prefix: Box<str>,
}

impl Store {
    /// Reads an address. Its path is part of the names of repositories, which have small letters,
    /// digits, and single signs between.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (authority, prefix) = value.strip_prefix("http://")?.split_once('/')?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, super::number::number(port, 1..=u16::MAX.into())?),
            None => (authority, 80),
        };
        let is_label = |label: &str| {
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.bytes().all(is_inner)
        };
        let is_component = |component: &str| {
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let words = component.split(['.', '_', '-']);
            words.into_iter().all(|word| !word.is_empty() && word.bytes().all(is_word))
        };
        let is_good = host.len() <= HOST_LEN_MAX
            && host.split('.').all(is_label)
            && prefix.len() <= STORE_PREFIX_LEN_MAX
            && prefix.split('/').all(is_component);
        is_good.then(|| Self { host: host.into(), port, prefix: prefix.into() })
    }
}

/// Reads names of runtimes, none of them twice.
pub(super) fn parse_runtimes(value: &str) -> Option<Vec<Box<str>>> {
    let mut names: Vec<Box<str>> = Vec::new();
    for name in value.split(',') {
        let is_new = names.iter().all(|other| **other != *name);
        if !is_new || names.len() == RUNTIMES_MAX || check_runtime_name(name).is_err() {
            return None;
        }
        names.push(name.into());
    }
    Some(names)
}
