//! `ANY /function/NAME`: raw bytes in, raw bytes out, no key.
//!
//! With the annotation `cgi`, or as a web server, the action knows all of the request, and says
//! what is sent besides bytes.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::environment::environment;
use crate::api::answer::error::{Reject, error};
use crate::api::answer::respond;
use crate::api::invoke::admission::Reply;
use crate::api::invoke::admission::{Pending, prepare};
use crate::api::invoke::cgi::{self, Taken};
use crate::api::invoke::outcome::reason;
use crate::api::invoke::server;
use crate::api::invoke::shape::{Form, Shape};
use crate::api::invoke::web::check_secret;
use crate::api::lookup::find;
use crate::api::request::Parts;
use crate::api::request::RequestId;
use crate::api::request::route::Route;
use crate::dispatch::Completion;
use crate::http::{Body, FieldLine, Fields, Method, Response};
use crate::state::Node;
use limits::SNIFF_LEN_MAX;
use memory::PageBuffer;

/// Admits an invocation whose input is the body as it is. Bound parameters are left out: there is
/// nothing to merge them into.
pub fn admit(
    node: &mut Node,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
    path: &str,
) -> Result<Reply, Reject> {
    let Node { registry, policy, spare, .. } = node;
    let public = policy.public_namespace.as_ref().ok_or(Reject::NotFound)?;
    let action = find(registry, public, name)?;
    let form = match action.makes_fields {
        true => server::form(action, parts.method),
        false => Form::Bytes,
    };
    let answers_options = match form {
        Form::Bytes => false,
        Form::Cgi => action.annotations.answers_options,
        Form::Server { .. } => true,
    };
    if parts.method == Method::Options && !answers_options {
        let allow = Route::Function { name, path }.allow();
        return Ok(Reply::Respond(respond::preflight(true, allow, &parts.request_id)));
    }
    // A secret that one door asks for is asked for at the other, too.
    check_secret(action, parts, &policy.tenants)?;
    let max = parts.body_len_max;
    if body.len() > max {
        return Err(Reject::InputTooLong { max });
    }
    let query = parts.query.text();
    let mut environment = environment(spare, action, parts, path.len() + query.len());
    environment.extend_from_slice(b"__OW_METHOD=");
    environment.extend_from_slice(parts.method.name().as_bytes());
    environment.extend_from_slice(b"\0__OW_PATH=");
    push_without_nul(&mut environment, path);
    environment.extend_from_slice(b"\0__OW_QUERY=");
    push_without_nul(&mut environment, query);
    environment.push(0);
    match form {
        Form::Bytes => {}
        Form::Cgi => cgi::describe(&mut environment, parts, action, path, body.len())?,
        Form::Server { .. } => {
            server::describe(&mut environment, parts, action, path, body.len())?;
        }
    }
    prepare(action, parts, body, environment, Shape::Function(form))
}

/// A NUL would end the variable. The parser refuses it; this is where it would do harm.
fn push_without_nul(out: &mut Vec<u8>, value: &str) {
    let value = value.as_bytes();
    if value.contains(&0) {
        out.extend(value.iter().filter(|byte| **byte != 0));
    } else {
        out.extend_from_slice(value);
    }
}

/// The answer to an invocation that ran.
pub fn complete(pending: &mut Pending, completion: Completion, form: Form) -> Response {
    let mut fields = pending.take_fields();
    let request_id = pending.request_id();
    if let Some(reason) = reason(completion.end, completion.reports.as_deref()) {
        return error(502, &reason, request_id);
    }
    if form != Form::Bytes {
        return match cgi::take_fields(&mut fields, &completion.output, form) {
            Ok(taken) => respond_cgi(fields, taken, completion.output, form, request_id),
            Err(reject) => error(502, &reject.to_string(), request_id),
        };
    }
    respond_bytes(fields, completion.output, request_id)
}

/// The beginning of an answer whose result has begun to come; `None` if its header fields are not
/// all there, or not as they should be.
pub fn begin(pending: &mut Pending, first: PageBuffer, form: Form) -> Option<Response> {
    let mut fields = pending.take_fields();
    let request_id = pending.request_id();
    if form == Form::Bytes {
        return Some(respond_bytes(fields, first, request_id));
    }
    let taken = cgi::take_fields(&mut fields, &first, form).ok()?;
    Some(respond_cgi(fields, taken, first, form, request_id))
}

/// The answer that is what the action wrote.
fn respond_bytes(fields: Fields, output: PageBuffer, request_id: &RequestId) -> Response {
    let kind = content_type(output.chunk_at(0));
    let body = Body::Pages(output);
    let mut response = respond::plain_with(fields, 200, kind, body, request_id);
    response.headers.push_line(respond::ANY_ORIGIN);
    response
}

/// The answer whose fields the action made.
fn respond_cgi(
    mut fields: Fields,
    Taken { status, start, len }: Taken,
    output: PageBuffer,
    form: Form,
    request_id: &RequestId,
) -> Response {
    if let Form::Server { is_head } = form {
        // All else is the server's to say.
        respond::push_request_id(&mut fields, request_id);
        let body = if is_head { Body::Unsent(len) } else { Body::PagesFrom(output, start) };
        return Response { status, headers: fields, body };
    }
    if start < output.len() && !fields.has("content-type") {
        fields.push_line(content_type(output.chunk_at(start)));
    }
    respond::push_request_id(&mut fields, request_id);
    fields.push_default(respond::ANY_ORIGIN);
    Response { status, headers: fields, body: Body::PagesFrom(output, start) }
}

/// What bytes seem to be, by the first of them.
fn content_type(first: &[u8]) -> FieldLine {
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
