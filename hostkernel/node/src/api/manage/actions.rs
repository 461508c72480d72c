//! Reading and deleting actions, and the document that describes one.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;

use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::lookup::find;
use crate::api::request::code;
use crate::api::request::query::{Query, QueryReject};
use crate::api::request::{Parts, RequestId};
use crate::document::{Document, contiguous};
use crate::http::encoded::Encoded;
use crate::http::{Body, Response};
use crate::json::{Quoted, write_escaped_lossy};
use crate::registry::Limits;
use crate::registry::{Action, KeyValues, Name, Namespace, Reader, Registry, write_parameters};
use crate::state::statistics::Statistics;
use crate::state::tenants::Tenant;
use limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, PAGE_LEN, SOURCE_TOLD_LEN_MAX};

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

/// What lists tell of an action that a registry has and the node has not: it knows no more than the
/// name.
pub fn write_absent(out: &mut impl fmt::Write, namespace: &Namespace, name: &Name) -> fmt::Result {
    write!(
        out,
        "{{\"namespace\":{},\"name\":{},\"version\":\"\",\"publish\":false,\
         \"exec\":{{\"binary\":true}},\"annotations\":[],\"limits\":{{}},\"updated\":0}}",
        Quoted(namespace.as_str()),
        Quoted(name.as_str()),
    )
}

/// Whether a list is only to be counted, which excludes asking for what is in it.
pub fn is_counted(query: Query<'_>) -> Result<bool, QueryReject> {
    let is_counted = query.flag("count", false)?;
    if is_counted && query.flag("docs", false)? {
        return Err(QueryReject::Parameter { name: "docs", expected: "absent with 'count'" });
    }
    Ok(is_counted)
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
    if is_counted(parts.query)? {
        return Ok(count(collection, 0, parts));
    }
    Ok(respond::api(200, Body::Static(b"[]"), &parts.request_id))
}

/// The answer that counts a collection.
pub fn count(collection: &str, count: usize, parts: &Parts<'_>) -> Response {
    let text = format!("{{\"{collection}\":{count}}}");
    respond::api(200, respond::text(text), &parts.request_id)
}

/// The answer that describes an action.
pub fn describe(action: &Action, detail: Detail, parts: &Parts<'_>) -> Result<Response, Reject> {
    describe_to(action, detail, &parts.request_id)
}

/// The same, for the request with this id.
pub fn describe_to(action: &Action, detail: Detail, id: &RequestId) -> Result<Response, Reject> {
    let before = Document::compose(|out| write_exec(out, action, detail))?;
    let after = Document::compose(|out| write_rest(out, action, detail))?;
    let encoded = match detail {
        Detail::WithCode if !is_text(action) => Encoded::of_code(before, &action.template, after),
        Detail::Summary | Detail::WithoutCode | Detail::WithCode => {
            Encoded::new(before, Arc::default(), after)
        }
    };
    let body = Body::Encoded(Box::new(encoded));
    Ok(respond::api(200, body, id))
}

/// Whether its code is told as text. What is longer is told as files are, of which only a piece is
/// made at a time.
fn is_text(action: &Action) -> bool {
    let code = action.template.code();
    action.is_function() && !code::is_zip(code.chunk_at(0)) && code.len() <= SOURCE_TOLD_LEN_MAX
}

/// What lists tell of an action.
pub fn write_summary(out: &mut impl fmt::Write, action: &Action) -> fmt::Result {
    write_exec(out, action, Detail::Summary)?;
    write_rest(out, action, Detail::Summary)
}

/// Up to where the code is, if that is told.
fn write_exec(out: &mut impl fmt::Write, action: &Action, detail: Detail) -> fmt::Result {
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
    if let Some(main) = action.main.as_deref().filter(|_| detail != Detail::Summary) {
        write!(out, "\"main\":{},", Quoted(main))?;
    }
    if detail == Detail::WithCode {
        out.write_str("\"code\":\"")?;
        if is_text(action) {
            let code = contiguous(action.template.code()).map_err(|_| fmt::Error)?;
            write_escaped_lossy(out, &code)?;
        }
    }
    Ok(())
}

/// What comes behind that.
fn write_rest(out: &mut impl fmt::Write, action: &Action, detail: Detail) -> fmt::Result {
    if detail == Detail::WithCode {
        out.write_str("\",")?;
    }
    write!(out, "\"binary\":{}}},\"annotations\":[", !is_text(action))?;
    write_annotations(out, action.annotations.list(), &action.kind)?;
    if let Some(frozen) = action.template.frozen().filter(|_| detail != Detail::Summary) {
        let (pages, at) = (frozen.pages(), frozen.at().name());
        let bytes = action.template.frames() * PAGE_LEN;
        write!(
            out,
            ",{{\"key\":\"frozen\",\"value\":{{\"pages\":{pages},\"memory\":{bytes},\
             \"at\":\"{at}\""
        )?;
        // It was text when it was reported.
        if let Ok(entropy) = core::str::from_utf8(frozen.entropy())
            && !entropy.is_empty()
        {
            write!(out, ",\"entropy\":{}", Quoted(entropy))?;
        }
        out.write_str("}}")?;
    }
    if detail != Detail::Summary {
        let variables = action.variables.as_deref();
        if let Some(variables) = variables {
            out.write_str("],\"environment\":[")?;
            variables.write(out, Reader::Client)?;
        }
        out.write_str("],\"parameters\":[")?;
        write_parameters(out, &action.parameters, variables)?;
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
