//! What the operator decided: who may use the node, and what an action may use that says nothing.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use super::tenants::Tenants;
use crate::registry::{Limits, Namespace};
use crate::settings::AccessSettings;
use limits::{BODY_MB_DEFAULT, LOGS_MB_MAX, MEMORY_MB_DEFAULT, TIMEOUT_MS_DEFAULT};
use memory::Template;

/// What the operator decided: who may use the node, and what.
#[derive(Debug)]
pub struct Policy {
    /// Who may use it.
    pub tenants: Tenants,
    /// The namespace `/function/` serves, if it serves any.
    pub public_namespace: Option<Namespace>,
    /// Limits of actions that name none.
    pub limits_default: Limits,
    /// The most memory the node can give one invocation.
    pub memory_mb_max: u64,
    /// Longest input and longest result of an invocation, in bytes.
    pub body_len_max: usize,
    /// The image that hosts what is not native, if the kernel has one.
    pub host: Option<Arc<Template>>,
    /// Whether a registry keeps the actions: what changes them ends there.
    pub has_store: bool,
    /// The node's number among others; 0 if it has none.
    pub node: u16,
    /// Version and build of the node, as text.
    pub build: Cow<'static, str>,
}

impl Policy {
    /// The development default for a node that can give an invocation `memory_mb_max`.
    #[must_use]
    pub fn development(memory_mb_max: u64) -> Self {
        Self::new(&AccessSettings::default(), memory_mb_max)
    }

    /// What the operator decided, for such a node.
    #[must_use]
    pub fn new(access: &AccessSettings, memory_mb_max: u64) -> Self {
        let tenants = Tenants::new(access);
        Self {
            public_namespace: access.public.as_deref().and_then(|name| tenants.namespace(name)),
            tenants,
            limits_default: Limits {
                timeout_ms: TIMEOUT_MS_DEFAULT,
                memory_mb: MEMORY_MB_DEFAULT.min(memory_mb_max),
                logs_mb: LOGS_MB_MAX,
            },
            memory_mb_max,
            body_len_max: (BODY_MB_DEFAULT as usize) << 20,
            host: None,
            has_store: false,
            node: 0,
            build: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        }
    }
}
