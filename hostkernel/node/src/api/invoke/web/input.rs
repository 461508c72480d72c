//! From an HTTP request to the JSON that an exported action gets.
//!
//! ```text
//! bound parameters  <  __ow_method, __ow_headers, __ow_path  <  query  <  body
//! ```
//!
//! What is further to the right wins. A body that is no JSON object and no form is `__ow_body`; so
//! is every body with the annotation `raw-http`, and then the query is `__ow_query`.

use alloc::borrow::Cow;
use alloc::string::ToString as _;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::charset::Charset;
use super::content_type::ContentType;
use crate::api::answer::error::Reject;
use crate::api::request::Parts;
use crate::api::request::query::Form;
use crate::document::{Document, contiguous, keeping_reserve};
use crate::http::Headers;
use crate::json::{ESCAPED_LEN, Json, Quoted, base64, write_escaped, write_escaped_lossy};
use crate::registry::{Action, KeyValues, Namespace};
use limits::TARGET_LEN_MAX;
use memory::PageBuffer;

/// Names that say where a request came from; a request must not say it itself.
const RESERVED: [&str; 6] =
    ["__ow_method", "__ow_headers", "__ow_path", "__ow_user", "__ow_query", "__ow_body"];

/// A body as the action sees it.
enum Payload<'a> {
    None,
    /// The members of an object.
    Object(Json<'a>),
    Form(Form),
    /// Another JSON value.
    Value(Json<'a>),
    Text(&'a [u8]),
    /// Text in another set than UTF-8.
    Encoded(Charset, &'a [u8]),
    Bytes,
}

/// Composes the input of an invocation. `user` is whose key the request carries.
pub fn compose(
    action: &Action,
    parts: &Parts<'_>,
    body: PageBuffer,
    path: &str,
    user: Option<&Namespace>,
) -> Result<PageBuffer, Reject> {
    let max = parts.body_len_max;
    if body.len() > max {
        return Err(Reject::InputTooLong { max });
    }
    let is_raw = action.annotations.is_raw;
    let text = contiguous(&body)?;
    let payload = payload(&body, &text, parts.headers, is_raw)?;
    let query = if is_raw { Form::default() } else { Form::read(parts.query.text().into())? };
    let mut names = Names {
        bound: &action.parameters,
        bound_named: vec![false; action.parameters.len()],
        query_named: vec![false; query.len()],
        query: &query,
        is_final: action.annotations.is_final,
    };
    names.claim_all(&payload)?;
    let composed = Document::compose(|out| {
        write_metadata(out, parts, path, user)?;
        // What these say of the request is not for the action's owner to say.
        for ((key, value), named) in action.parameters.iter().zip(&names.bound_named) {
            if !named && !RESERVED.contains(&key.trim_matches('"')) {
                write!(out, ",{key}:{value}")?;
            }
        }
        for ((name, value), named) in query.iter().zip(&names.query_named) {
            if !named {
                write!(out, ",{}:{}", Quoted(name), Quoted(value))?;
            }
        }
        if is_raw {
            write!(out, ",\"__ow_query\":{}", Quoted(parts.query.text()))?;
        }
        write_payload(out, &payload, &body, is_raw)?;
        out.write_str("}")
    })?;
    if composed.len() > max { Err(Reject::InputTooLong { max }) } else { Ok(composed) }
}

/// Reads a body by its content type.
fn payload<'a>(
    body: &PageBuffer,
    text: &'a [u8],
    headers: Headers<'_>,
    is_raw: bool,
) -> Result<Payload<'a>, Reject> {
    if text.is_empty() {
        return Ok(Payload::None);
    }
    let kind = ContentType::of(headers.get("content-type").unwrap_or_default());
    if kind.is_json() && !is_raw {
        let json = Json::read(text)?;
        json.check()?;
        return Ok(if json.is_object() { Payload::Object(json) } else { Payload::Value(json) });
    }
    if kind.is("application/x-www-form-urlencoded") && !is_raw {
        return Ok(Payload::Form(Form::read(keeping_reserve(|| body.to_vec())?)?));
    }
    // JSON that is not to be read is bytes, as it always was in `OpenWhisk`.
    let is_text = kind.is_text() && !kind.is("application/json");
    Ok(match kind.charset().and_then(Charset::named) {
        _ if !is_text => Payload::Bytes,
        Some(charset) => Payload::Encoded(charset, text),
        None if kind.is_utf8() => Payload::Text(text),
        // What it says is not known here.
        None => Payload::Bytes,
    })
}

/// Which parameters are named by something that wins over them.
struct Names<'a> {
    bound: &'a KeyValues,
    bound_named: Vec<bool>,
    query: &'a Form,
    query_named: Vec<bool>,
    /// Bound parameters are not for requests to set.
    is_final: bool,
}

impl Names<'_> {
    fn claim_all(&mut self, payload: &Payload<'_>) -> Result<(), Reject> {
        for (name, _) in self.query.iter() {
            self.claim_bound(name, &Quoted(name).to_string())?;
        }
        match payload {
            Payload::Form(form) => {
                for (name, _) in form.iter() {
                    self.claim(name, &Quoted(name).to_string())?;
                }
            }
            Payload::Object(object) => {
                let mut outcome = Ok(());
                object.members(|name, _| {
                    if outcome.is_ok() {
                        outcome = self.claim_member(name);
                    }
                })?;
                outcome?;
            }
            _ => {}
        }
        Ok(())
    }

    fn claim_member(&mut self, name: Json<'_>) -> Result<(), Reject> {
        // A longer one is nobody else's.
        match name.string(ESCAPED_LEN * TARGET_LEN_MAX) {
            Ok(Cow::Borrowed(decoded)) => self.claim(decoded, name.text()),
            Ok(Cow::Owned(decoded)) => self.claim(&decoded, &Quoted(&decoded).to_string()),
            Err(_) => Ok(()),
        }
    }

    /// A name in the body, as it is and as JSON.
    fn claim(&mut self, name: &str, quoted: &str) -> Result<(), Reject> {
        let named = self.query.position(name);
        if let Some(named) = named.and_then(|position| self.query_named.get_mut(position)) {
            *named = true;
        }
        self.claim_bound(name, quoted)
    }

    fn claim_bound(&mut self, name: &str, quoted: &str) -> Result<(), Reject> {
        if RESERVED.contains(&name) {
            return Err(Reject::ReservedParameters);
        }
        let named = self.bound.position(quoted);
        if let Some(named) = named.and_then(|position| self.bound_named.get_mut(position)) {
            if self.is_final {
                return Err(Reject::ReservedParameters);
            }
            *named = true;
        }
        Ok(())
    }
}

fn write_metadata(
    out: &mut Document,
    parts: &Parts<'_>,
    path: &str,
    user: Option<&Namespace>,
) -> fmt::Result {
    out.write_str("{\"__ow_method\":\"")?;
    for letter in parts.method.name().chars() {
        out.write_char(letter.to_ascii_lowercase())?;
    }
    out.write_str("\",\"__ow_headers\":{")?;
    let mut separator = "";
    for (name, values) in parts.headers.grouped() {
        write!(out, "{separator}\"")?;
        for letter in name.chars() {
            // The characters of field names need no escapes.
            out.write_char(letter.to_ascii_lowercase())?;
        }
        out.write_str("\":\"")?;
        let mut between = "";
        for value in values {
            out.write_str(between)?;
            write_escaped(out, value)?;
            between = Headers::between(name);
        }
        out.write_str("\"")?;
        separator = ",";
    }
    write!(out, "}},\"__ow_path\":{}", Quoted(path))?;
    if let Some(user) = user {
        write!(out, ",\"__ow_user\":{}", Quoted(user.as_str()))?;
    }
    Ok(())
}

fn write_payload(
    out: &mut Document,
    payload: &Payload<'_>,
    body: &PageBuffer,
    is_raw: bool,
) -> fmt::Result {
    match payload {
        Payload::None if is_raw => out.write_str(",\"__ow_body\":\"\""),
        Payload::None => Ok(()),
        Payload::Object(object) => {
            let inside = object.text().trim_ascii();
            let inside = inside.get(1..inside.len().saturating_sub(1)).unwrap_or_default();
            if inside.trim_ascii().is_empty() { Ok(()) } else { write!(out, ",{inside}") }
        }
        Payload::Form(form) => form
            .iter()
            .try_for_each(|(name, value)| write!(out, ",{}:{}", Quoted(name), Quoted(value))),
        Payload::Value(value) => write!(out, ",\"__ow_body\":{}", value.text()),
        Payload::Text(text) => {
            out.write_str(",\"__ow_body\":\"")?;
            write_escaped_lossy(out, text)?;
            out.write_str("\"")
        }
        Payload::Encoded(charset, text) => {
            out.write_str(",\"__ow_body\":\"")?;
            let mut utf8 = [0; 4];
            for byte in *text {
                write_escaped(out, charset.decode(*byte).encode_utf8(&mut utf8))?;
            }
            out.write_str("\"")
        }
        Payload::Bytes => {
            out.write_str(",\"__ow_body\":\"")?;
            base64::write(out, body)?;
            out.write_str("\"")
        }
    }
}
