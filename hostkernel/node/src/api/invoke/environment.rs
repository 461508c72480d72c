//! The variables that every action gets.

use alloc::vec::Vec;

use crate::api::request::Parts;
use crate::digits::push_decimal;
use crate::registry::{Action, Version};
use crate::state::SpareBuffers;
use limits::{ENVIRONMENT_FIXED_LEN, TRACESTATE_LEN_MAX};

/// The variables every action gets, with room for `more` bytes. Together they stay below
/// [`limits::ENVIRONMENT_LEN_MAX`], see the assertion there.
pub fn environment(
    spare: &mut SpareBuffers,
    action: &Action,
    parts: &Parts<'_>,
    more: usize,
) -> Vec<u8> {
    let namespace = action.namespace.as_str().as_bytes();
    let Version { major, minor, patch } = action.version;
    let state = parts.traced.then(|| parts.headers.get("tracestate")).flatten();
    let state = state.filter(|state| is_sane(state)).unwrap_or_default();
    let mut environment = spare.take(ENVIRONMENT_FIXED_LEN / 2 + state.len() + more);
    let out = &mut environment;
    out.extend_from_slice(b"__OW_ACTIVATION_ID=");
    out.extend_from_slice(parts.id_text.as_bytes());
    out.extend_from_slice(b"\0__OW_ACTION_NAME=/");
    out.extend_from_slice(namespace);
    out.push(b'/');
    out.extend_from_slice(action.name.as_str().as_bytes());
    out.extend_from_slice(b"\0__OW_ACTION_VERSION=");
    push_decimal(out, u64::from(major));
    out.push(b'.');
    push_decimal(out, u64::from(minor));
    out.push(b'.');
    push_decimal(out, u64::from(patch));
    out.extend_from_slice(b"\0__OW_NAMESPACE=");
    out.extend_from_slice(namespace);
    out.extend_from_slice(b"\0__OW_TRANSACTION_ID=");
    out.extend_from_slice(parts.request_id.as_bytes());
    out.extend_from_slice(b"\0TRACEPARENT=");
    out.extend_from_slice(parts.trace.as_bytes());
    out.push(b'\0');
    if !state.is_empty() {
        out.extend_from_slice(b"TRACESTATE=");
        out.extend_from_slice(state.as_bytes());
        out.push(b'\0');
    }
    environment
}

/// Whether a `tracestate` is text of an acceptable length.
fn is_sane(state: &str) -> bool {
    let is_text = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    state.len() <= TRACESTATE_LEN_MAX && state.bytes().all(is_text)
}
