//! What a registry keeps, and where in it: actions, and the runtimes that source code needs.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use super::manifest::{ACTION, RUNTIME, Types, describe, describe_runtime};
use super::names;
use crate::registry::{Action, Name, Namespace, Runtime};
use memory::PageBuffer;

/// Names an action.
pub type Key = (Namespace, Name);

/// One thing that a registry keeps under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An action of a namespace.
    Action(Key),
    /// A runtime, which all namespaces use.
    Runtime(Box<str>),
}

/// What is to be kept of it.
pub struct Parcel {
    /// What it is, in JSON.
    pub config: Arc<[u8]>,
    /// Its code.
    pub code: Arc<PageBuffer>,
}

impl Item {
    /// Whether it is this action.
    #[must_use]
    pub fn is_action(&self, key: &Key) -> bool {
        matches!(self, Self::Action(own) if own == key)
    }

    /// Whose it is, if it is not the operator's.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Action((namespace, _)) => Some(namespace),
            Self::Runtime(_) => None,
        }
    }

    /// Its name, as people write it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Action((_, name)) => name.as_str(),
            Self::Runtime(name) => name,
        }
    }

    pub(super) fn types(&self) -> &'static Types {
        match self {
            Self::Action(_) => &ACTION,
            Self::Runtime(_) => &RUNTIME,
        }
    }

    pub(super) fn repository(&self, prefix: &str) -> String {
        match self {
            Self::Action((namespace, _)) => names::repository(prefix, namespace.as_str()),
            Self::Runtime(_) => names::repository_of_runtimes(prefix),
        }
    }

    /// `None` if the registry cannot have one of this name.
    pub(super) fn tag(&self) -> Option<String> {
        names::tag(self.name())
    }
}

impl Parcel {
    /// That of an action.
    #[must_use]
    pub fn of_action(action: &Action) -> Self {
        let code = Arc::clone(action.template.code());
        Self { config: describe(action).into(), code }
    }

    /// That of a runtime.
    #[must_use]
    pub fn of_runtime(runtime: &Runtime) -> Self {
        let code = Arc::clone(runtime.template.code());
        Self { config: describe_runtime(runtime).into(), code }
    }
}
