//! Reading and deleting actions, and the document that describes one.

use alloc::format;
use alloc::sync::Arc;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Parts;
use super::auth::Tenant;
use super::error::Reject;
use super::json::Quoted;
use super::query::{Query, decode_segment};
use super::respond::{self, Document};
use crate::http::{Body, Response};
use crate::registry::Limits;
use crate::registry::{Action, KeyValues, Name, Namespace, Registry};
use crate::state::statistics::Statistics;
use limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use memory::PageBuffer;

/// How much of an action a document tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What lists tell.
    Summary,
    /// All but the code.
    WithoutCode,
    /// All.
    WithCode,
}

/// `GET …/actions/NAME`
pub fn get(
    registry: &Registry,
    tenant: &Tenant,
    parts: &Parts<'_>,
    name: &str,
) -> Result<Response, Reject> {
    let action = find(registry, &tenant.namespace, name)?;
    let detail =
        if parts.query.flag("code", true)? { Detail::WithCode } else { Detail::WithoutCode };
    describe(action, detail, parts)
}

/// `DELETE …/actions/NAME`
pub fn delete(
    registry: &mut Registry,
    statistics: &mut Statistics,
    tenant: &Tenant,
    parts: &Parts<'_>,
    name: &str,
) -> Result<Response, Reject> {
    let action = Arc::clone(find(registry, &tenant.namespace, name)?);
    // Composed first: if there is no memory for it, nothing is deleted.
    let response = describe(&action, Detail::WithoutCode, parts)?;
    registry.remove(&tenant.namespace, action.name.as_str());
    statistics.forget(&action);
    Ok(response)
}

/// `GET …/actions`
pub fn list(registry: &Registry, tenant: &Tenant, parts: &Parts<'_>) -> Result<Response, Reject> {
    let namespace = &tenant.namespace;
    if parts.query.flag("count", false)? {
        return Ok(count("actions", registry.count(namespace), parts));
    }
    let (limit, skip) = limit_and_skip(parts.query)?;
    let pages = Document::compose(|out| {
        let mut separator = "[";
        for action in registry.list(namespace).skip(skip).take(limit) {
            fmt::Write::write_str(out, separator)?;
            write_action(out, action, Detail::Summary)?;
            separator = ",";
        }
        fmt::Write::write_str(out, if separator == "[" { "[]" } else { "]" })
    })?;
    Ok(respond::api(200, Body::Pages(pages), &parts.request_id))
}

/// How many entries of a list are asked for, and how many in front of them are not.
pub fn limit_and_skip(query: Query<'_>) -> Result<(usize, usize), Reject> {
    let limit = match query.number("limit")? {
        None => LIST_LIMIT_DEFAULT,
        Some(0) => LIST_LIMIT_MAX,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= LIST_LIMIT_MAX)
            .ok_or(Reject::ListLimit(limit))?,
    };
    let skip = usize::try_from(query.number("skip")?.unwrap_or(0)).unwrap_or(usize::MAX);
    Ok((limit, skip))
}

/// `GET /api/v1/namespaces`
pub fn namespaces(tenant: &Tenant, parts: &Parts<'_>) -> Result<Response, Reject> {
    let text = format!("[{}]", Quoted(tenant.namespace.as_str()));
    Ok(respond::api(200, respond::text(text), &parts.request_id))
}

/// The list of a collection that has nothing in it.
pub fn empty_list(collection: &'static str, parts: &Parts<'_>) -> Result<Response, Reject> {
    if parts.query.flag("count", false)? {
        return Ok(count(collection, 0, parts));
    }
    Ok(respond::api(200, Body::Static(b"[]"), &parts.request_id))
}

/// The answer that counts a collection.
pub fn count(collection: &str, count: usize, parts: &Parts<'_>) -> Response {
    let text = format!("{{\"{collection}\":{count}}}");
    respond::api(200, respond::text(text), &parts.request_id)
}

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
fn why_absent(segment: &str, name: Option<&str>) -> Reject {
    match name.map(Name::check) {
        _ if segment.contains('/') => Reject::Packaged { deploy: false },
        None => Reject::Encoding,
        Some(Err(reject)) => reject.into(),
        Some(Ok(())) => Reject::NotFound,
    }
}

/// The answer that describes an action.
pub fn describe(action: &Action, detail: Detail, parts: &Parts<'_>) -> Result<Response, Reject> {
    let pages = Document::compose(|out| write_action(out, action, detail))?;
    Ok(respond::api(200, Body::Pages(pages), &parts.request_id))
}

fn write_action(out: &mut impl fmt::Write, action: &Action, detail: Detail) -> fmt::Result {
    write!(
        out,
        "{{\"namespace\":{},\"name\":{},\"version\":\"{}\",\"publish\":{},\"exec\":{{",
        Quoted(action.namespace.as_str()),
        Quoted(action.name.as_str()),
        action.version,
        action.publish,
    )?;
    if detail != Detail::Summary {
        write!(out, "\"kind\":{},", Quoted(&action.kind))?;
    }
    if detail == Detail::WithCode {
        out.write_str("\"code\":\"")?;
        write_base64(out, action.template.code())?;
        out.write_str("\",")?;
    }
    out.write_str("\"binary\":true},\"annotations\":[")?;
    write_annotations(out, &action.annotations, &action.kind)?;
    if detail != Detail::Summary {
        write!(out, "],\"parameters\":[{}", action.parameters.items())?;
    }
    let Limits { timeout_ms, memory_mb, logs_mb } = action.limits;
    write!(
        out,
        "],\"limits\":{{\"timeout\":{timeout_ms},\"memory\":{memory_mb},\"logs\":{logs_mb},\
         \"concurrency\":1}},\"updated\":{}}}",
        action.updated_ms
    )
}

/// The client's annotations, and the one that every action has.
fn write_annotations(out: &mut impl fmt::Write, own: &KeyValues, kind: &str) -> fmt::Result {
    out.write_str(own.items())?;
    if !own.is_empty() {
        out.write_str(",")?;
    }
    write!(out, "{{\"key\":\"exec\",\"value\":{}}}", Quoted(kind))
}

/// Bytes that are encoded at a time; a multiple of three, so that only the last piece is padded.
const BLOCK_LEN: usize = 768;
const _: () = assert!(BLOCK_LEN.is_multiple_of(3));

/// Writes bytes in base64.
pub fn write_base64(out: &mut impl fmt::Write, buffer: &PageBuffer) -> fmt::Result {
    let mut block = [0; BLOCK_LEN];
    let mut text = [0; BLOCK_LEN / 3 * 4];
    let mut offset = 0;
    while offset < buffer.len() {
        let mut filled = 0;
        while filled < BLOCK_LEN {
            let chunk = buffer.chunk_at(offset + filled);
            if chunk.is_empty() {
                break;
            }
            let count = chunk.len().min(BLOCK_LEN - filled);
            block[filled..filled + count].copy_from_slice(&chunk[..count]);
            filled += count;
        }
        let len = STANDARD.encode_slice(&block[..filled], &mut text).map_err(|_| fmt::Error)?;
        out.write_str(core::str::from_utf8(&text[..len]).map_err(|_| fmt::Error)?)?;
        offset += filled;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    #[test]
    fn code_is_encoded_across_pages_and_blocks() {
        memory::install_for_test();
        for len in [0, 1, 2, 3, BLOCK_LEN - 1, BLOCK_LEN, BLOCK_LEN + 1, 4095, 4096, 4097, 20_000] {
            let bytes: Vec<u8> = (0..len).map(|index| (index * 7 % 251) as u8).collect();
            let buffer = PageBuffer::from_bytes(&bytes).expect("frames are left");
            let mut text = String::new();
            write_base64(&mut text, &buffer).expect("a string has room");
            assert_eq!(text, STANDARD.encode(&bytes), "{len}");
        }
    }
}
