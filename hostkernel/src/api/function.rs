//! `ANY /function/NAME`: raw bytes in, raw bytes out, no key.

use super::actions::find;
use super::error::{Reject, error};
use super::invoke::{self, Pending, Shape};
use super::outcome::reason;
use super::respond;
use super::{Node, Parts, Reply};
use crate::config::{INPUT_LEN_MAX, SNIFF_LEN_MAX};
use crate::dispatch::Completion;
use crate::http::{Body, Response};
use crate::memory::PageBuffer;

/// Admits an invocation whose input is the body as it is. Bound parameters are left out: there is
/// nothing to merge them into.
pub fn admit(
    node: &Node,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
    path: &str,
) -> Result<Reply, Reject> {
    let action = find(&node.registry, &node.config.public_namespace, name)?;
    if body.len() > INPUT_LEN_MAX {
        return Err(Reject::InputTooLong);
    }
    let query = parts.query.text();
    let mut environment = invoke::environment(action, parts, path.len() + query.len());
    for (name, value) in
        [("__OW_METHOD=", parts.method.name()), ("__OW_PATH=", path), ("__OW_QUERY=", query)]
    {
        environment.push_str(name);
        // A NUL would end the variable. The parser refuses it; this is where it would do harm.
        environment.extend(value.split('\0'));
        environment.push('\0');
    }
    Ok(invoke::prepare(action, parts, body, environment, Shape::Function))
}

/// The answer to an invocation that ran.
pub fn complete(pending: &Pending, completion: Completion) -> Response {
    let request_id = pending.request_id();
    if let Some(reason) = reason(completion.end) {
        return error(502, &reason, request_id);
    }
    let kind = content_type(completion.output.chunk_at(0));
    let body = Body::Pages(completion.output);
    let mut response = respond::plain(200, kind, body, request_id);
    response.headers.push(respond::ANY_ORIGIN);
    response
}

/// What bytes seem to be, by the first of them.
fn content_type(first: &[u8]) -> &'static str {
    let start = first.get(..SNIFF_LEN_MAX).unwrap_or(first);
    if matches!(start.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return respond::JSON;
    }
    let is_text = match core::str::from_utf8(start) {
        Ok(text) => !text.contains('\0'),
        // The cut may be in the middle of a character.
        Err(error) => error.error_len().is_none() && start.len() < first.len(),
    };
    if is_text { respond::TEXT } else { respond::BYTES }
}
