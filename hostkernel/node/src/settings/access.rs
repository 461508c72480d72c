//! Who may do what: namespaces with their keys and quotas, the administrator, the public.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::number::number;
use crate::registry::{Name, Quotas};
use limits::{KEY_LEN_MAX, MEMORY_MB_MAX, NAMESPACE_LEN_MAX, NAMESPACES_MAX, QUOTA_MAX};

/// The namespace every node has.
pub const GUEST: &str = "guest";

/// A key as the operator wrote it, `uuid:key`. It shows up in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSettings {
    /// Its name.
    pub name: String,
    /// What opens it.
    pub key: Secret,
    /// What it may use.
    pub quotas: Quotas,
}

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// Namespaces with a key, each once.
    pub namespaces: Vec<NamespaceSettings>,
    /// What opens the administration.
    pub admin_key: Option<Secret>,
    /// The namespace that `/function/` serves without a key.
    pub public: Option<String>,
    /// Part of the configuration, perhaps with keys, could not be read: nobody gets in by default.
    pub is_closed: bool,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            admin_key: None,
            public: Some(GUEST.into()),
            is_closed: false,
        }
    }
}

impl AccessSettings {
    /// Whether nobody decided who gets in. Then the public development key opens the node.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.namespaces.is_empty() && self.admin_key.is_none() && !self.is_closed
    }

    /// Sets the key of [`GUEST`], whose quotas stay.
    pub(super) fn set_guest_key(&mut self, value: &str) -> Option<()> {
        let key = Secret::new(value)?;
        match self.namespaces.iter_mut().find(|namespace| namespace.name == GUEST) {
            Some(guest) => guest.key = key,
            None => self.set_namespace(NamespaceSettings {
                name: GUEST.into(),
                key,
                quotas: Quotas::default(),
            }),
        }
        Some(())
    }

    /// Sets a namespace, instead of the one of that name.
    pub(super) fn set_namespace(&mut self, namespace: NamespaceSettings) {
        match self.namespaces.iter_mut().find(|other| other.name == namespace.name) {
            Some(other) => *other = namespace,
            None => self.namespaces.push(namespace),
        }
    }

    /// What is wrong with all of it together.
    pub(super) fn conflict(&self) -> Option<&'static str> {
        let named = |name: &str| self.namespaces.iter().any(|namespace| namespace.name == name);
        let is_twice = |index: usize, key: &Secret| {
            let later = self.namespaces.iter().skip(index + 1);
            later.map(|namespace| &namespace.key).chain(&self.admin_key).any(|other| other == key)
        };
        if self.namespaces.len() > NAMESPACES_MAX {
            return Some("there are more namespaces than a node can have, 64");
        }
        let mut keys = self.namespaces.iter().enumerate();
        if keys.any(|(index, namespace)| is_twice(index, &namespace.key)) {
            return Some("the same key opens two things");
        }
        if self.public.as_deref().is_some_and(|public| public != GUEST && !named(public)) {
            return Some("hostkernel.public names a namespace that is not configured");
        }
        None
    }
}

impl NamespaceSettings {
    /// Reads `NAME,key=UUID:KEY` and quotas, each at most once, in any order.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split(',');
        let name = namespace_name(fields.next()?)?;
        let mut key = None;
        let mut quotas = Quotas::default();
        for field in fields {
            let (attribute, value) = field.split_once('=')?;
            let is_first = match attribute {
                "key" => key.replace(Secret::new(value)?).is_none(),
                "concurrency" => {
                    quotas.concurrency.replace(number(value, 1..=QUOTA_MAX)?).is_none()
                }
                "rate" => quotas.rate.replace(number(value, 1..=QUOTA_MAX)?).is_none(),
                "memory" => quotas.memory_mb.replace(number(value, 1..=MEMORY_MB_MAX)?).is_none(),
                "code" => quotas.code_mb.replace(number(value, 1..=QUOTA_MAX)?).is_none(),
                _ => return None,
            };
            if !is_first {
                return None;
            }
        }
        Some(Self { name, key: key?, quotas })
    }
}

/// A name that paths can carry: OpenWhisk's rule, and not the one that stands for one's own.
pub(super) fn namespace_name(text: &str) -> Option<String> {
    let is_name = Name::check(text).is_ok() && text != "_" && text.len() <= NAMESPACE_LEN_MAX;
    is_name.then(|| text.into())
}

impl Secret {
    /// Checks that a text is a key: two parts of visible ASCII with a colon between.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let (id, key) = text.split_once(':')?;
        let is_key = !id.is_empty()
            && !key.is_empty()
            && text.len() <= KEY_LEN_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(text.into()))
    }

    /// The key, for those who compare it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

const _: () = assert!(NAMESPACES_MAX == 64, "a text above says so");
