//! Functions that are web servers: programs that were frozen where they wait for a connection.
//!
//! The request goes to them as HTTP/1.1, its head in the environment and its body as the input, so
//! that no byte of it is moved; their library OS puts the two together behind a socket. What they
//! answer has become header fields and a body by then, as CGI has them, so that the node reads
//! nothing from servers that it does not read from others.

use alloc::vec::Vec;

use super::shape::Form;
use crate::api::answer::error::Reject;
use crate::api::request::Parts;
use crate::digits::push_decimal;
use crate::http::{Headers, Method};
use crate::registry::Action;
use limits::ENVIRONMENT_LEN_MAX;

/// The variable with the request's head. It is the first one.
const VARIABLE: &[u8] = b"HOSTKERNEL_REQUEST=";
/// Likewise, of a request that is answered before the server is frozen.
const VARIABLE_WARM: &[u8] = b"HOSTKERNEL_WARM=";
/// Who makes such requests.
const WARM_AGENT: &str = "hostkernel";

/// Fields of a request that are not for the server: those about the connection (RFC 9110, 7.6.1),
/// those that the node writes itself, and `Expect`, which has been met.
const OWN: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-prefix",
];

/// How an action that makes header fields does so.
#[must_use]
pub fn form(action: &Action, method: Method) -> Form {
    match action.template.is_server() {
        true => Form::Server { is_head: method == Method::Head },
        false => Form::Cgi,
    }
}

/// The variable with the head of the request that warms up a server, an action of this name.
#[must_use]
pub fn warming_head(name: &str, path: &str) -> Vec<u8> {
    let mut out = Vec::from(VARIABLE_WARM);
    out.extend_from_slice(b"GET ");
    push_text(&mut out, path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    push(&mut out, "Host", &["localhost"]);
    push(&mut out, "User-Agent", &[WARM_AGENT]);
    push(&mut out, "X-Forwarded-Host", &["localhost"]);
    push(&mut out, "X-Forwarded-Proto", &["http"]);
    push(&mut out, "X-Forwarded-Prefix", &["/function/", name]);
    out.extend_from_slice(b"Connection: close\r\n\r\n\0");
    out
}

/// Puts the variable with the head of the request in front of an environment. `path` is what
/// follows the function's name.
pub fn describe(
    environment: &mut Vec<u8>,
    parts: &Parts<'_>,
    action: &Action,
    path: &str,
    body_len: usize,
) -> Result<(), Reject> {
    environment.splice(..0, head(parts, action, path, body_len));
    if environment.len() > ENVIRONMENT_LEN_MAX {
        return Err(Reject::EnvironmentTooLong);
    }
    Ok(())
}

fn head(parts: &Parts<'_>, action: &Action, path: &str, body_len: usize) -> Vec<u8> {
    let mut out = Vec::from(VARIABLE);
    let query = parts.query.text();
    push_text(&mut out, parts.method.name());
    out.push(b' ');
    push_text(&mut out, if path.is_empty() { "/" } else { path });
    if !query.is_empty() {
        out.push(b'?');
        push_text(&mut out, query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = parts.headers.get("host").filter(|host| !host.is_empty()).unwrap_or("localhost");
    push(&mut out, "Host", &[host]);
    for (name, value) in parts.headers.iter().filter(|(name, _)| is_for(parts.headers, name)) {
        push(&mut out, name, &[value]);
    }
    for (name, value) in [("X-Forwarded-Host", host), ("X-Forwarded-Proto", "http")] {
        // A balancer in front knows better.
        if parts.headers.get(name).is_none() {
            push(&mut out, name, &[value]);
        }
    }
    push(&mut out, "X-Forwarded-Prefix", &["/function/", action.name.as_str()]);
    if body_len > 0 || matches!(parts.method, Method::Post | Method::Put | Method::Patch) {
        out.extend_from_slice(b"Content-Length: ");
        push_decimal(&mut out, body_len as u64);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n\0");
    out
}

/// Whether a field is for the server.
fn is_for(headers: Headers<'_>, name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other.trim_ascii());
    let connection = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let is_named = connection.flat_map(|(_, value)| value.split(',')).any(is);
    !is_named && !OWN.iter().any(|own| is(own))
}

fn push(out: &mut Vec<u8>, name: &str, value: &[&str]) {
    push_text(out, name);
    out.extend_from_slice(b": ");
    value.iter().for_each(|piece| push_text(out, piece));
    out.extend_from_slice(b"\r\n");
}

/// A NUL would end the variable, a line break the field. The parser refuses both; this is where
/// they would do harm.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|byte| !matches!(byte, b'\0' | b'\r' | b'\n')));
}
