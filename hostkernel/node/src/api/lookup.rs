//! From a segment of a path to the action it names.

use alloc::sync::Arc;

use super::answer::error::Reject;
use super::request::query::decode_segment;
use crate::registry::{Action, Name, Namespace, Registry};
use crate::state::tenants::{KeyReject, Tenant};

/// The action that a segment of a path names.
pub fn find<'a>(
    registry: &'a Registry,
    namespace: &Namespace,
    segment: &str,
) -> Result<&'a Arc<Action>, Reject> {
    let name = decode_segment(segment);
    let found = name.as_deref().and_then(|name| registry.get(namespace, name));
    // What is in the registry has a good name.
    found.ok_or_else(|| why_absent(segment, name.as_deref()))
}

/// What to say about a segment that names no action; `name` is what it decodes to.
pub fn why_absent(segment: &str, name: Option<&str>) -> Reject {
    match name.map(Name::check) {
        _ if segment.contains('/') => Reject::Packaged { deploy: false },
        None => Reject::Encoding,
        Some(Err(reject)) => reject.into(),
        Some(Ok(())) => Reject::NotFound,
    }
}

/// Whether a namespace in a path is the tenant's own; `_` always is.
///
/// # Errors
/// [`KeyReject::ForeignNamespace`], [`Reject::Encoding`].
pub fn check_namespace(tenant: &Tenant, segment: &str) -> Result<(), Reject> {
    let namespace = decode_segment(segment).ok_or(Reject::Encoding)?;
    if namespace == "_" || namespace == tenant.namespace.as_str() {
        Ok(())
    } else {
        Err(KeyReject::ForeignNamespace.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::tenants;
    use crate::state::tenants::GUEST_KEY;
    use alloc::format;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_tenant_has_one_namespace() {
        let tenants = tenants("");
        let header = format!("Basic {}", STANDARD.encode(GUEST_KEY));
        let guest = tenants.authenticate(Some(&header)).expect("the key is right");
        for own in ["_", "guest", "%5F", "gues%74"] {
            assert!(check_namespace(guest, own).is_ok(), "{own}");
        }
        for foreign in ["", "other", "Guest", "guest%00", "..", "__"] {
            let result = check_namespace(guest, foreign);
            assert!(matches!(result, Err(Reject::Key(KeyReject::ForeignNamespace))));
        }
        assert!(matches!(check_namespace(guest, "%"), Err(Reject::Encoding)));
    }
}
