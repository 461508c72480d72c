//! `ANY /function/NAME`: raw bytes in, raw bytes out, no key.

use alloc::string::String;

use super::actions::find;
use super::error::{Reject, error};
use super::invoke::{self, Pending, Shape};
use super::outcome::reason;
use super::respond;
use super::{Node, Parts, Reply};
use crate::config::{INPUT_LEN_MAX, SNIFF_LEN_MAX};
use crate::dispatch::Completion;
use crate::http::{Body, Line, Response};
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
    environment.push_str("__OW_METHOD=");
    environment.push_str(parts.method.name());
    environment.push_str("\0__OW_PATH=");
    push_without_nul(&mut environment, path);
    environment.push_str("\0__OW_QUERY=");
    push_without_nul(&mut environment, query);
    environment.push('\0');
    Ok(invoke::prepare(action, parts, body, environment, Shape::Function))
}

/// A NUL would end the variable. The parser refuses it; this is where it would do harm.
fn push_without_nul(out: &mut String, value: &str) {
    if value.bytes().any(|byte| byte == 0) {
        out.extend(value.split('\0'));
    } else {
        out.push_str(value);
    }
}

/// The answer to an invocation that ran.
pub fn complete(pending: &mut Pending, completion: Completion) -> Response {
    let fields = pending.take_fields();
    let request_id = pending.request_id();
    if let Some(reason) = reason(completion.end) {
        return error(502, &reason, request_id);
    }
    let kind = content_type(completion.output.chunk_at(0));
    let body = Body::Pages(completion.output);
    let mut response = respond::plain_with(fields, 200, kind, body, request_id);
    response.headers.push_line(respond::ANY_ORIGIN);
    response
}

/// What bytes seem to be, by the first of them.
fn content_type(first: &[u8]) -> Line {
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
