//! `GET …/activations`: what is kept of invocations that ended.

use core::fmt;
use core::fmt::Write as _;

use crate::api::answer::activation::{Activation, with_kept};
use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::manage::actions;
use crate::api::request::Parts;
use crate::dispatch::ActivationId;
use crate::document::Document;
use crate::http::{Body, Response};
use crate::state::records::{Kept, Part, Records};
use crate::state::tenants::Tenant;
use limits::LIST_LEN_MAX;
use memory::OutOfFrames;

/// Writes a part of an activation.
type Write = fn(&Activation<'_>, &mut Document) -> fmt::Result;

/// `GET …/activations`: the newest first.
pub fn list(records: &Records, tenant: &Tenant, parts: &Parts<'_>) -> Result<Response, Reject> {
    let query = parts.query;
    let name = query.decoded("name")?;
    let since_ms = query.number("since")?.unwrap_or(0);
    let upto_ms = query.number("upto")?.unwrap_or(u64::MAX);
    let (limit, skip) = actions::limit_and_skip(query)?;
    let is_meant = |kept: &Kept<'_>| {
        let facts = kept.facts();
        (since_ms..=upto_ms).contains(&facts.start_ms)
            && name.as_deref().is_none_or(|name| is_named(*kept, name))
    };
    let meant = records.newest_first(&tenant.namespace).filter(is_meant);
    if actions::is_counted(query)? {
        let count = meant.count().saturating_sub(skip);
        return Ok(actions::count("activations", count, parts));
    }
    let write: Write = match query.flag("docs", false)? {
        true => |activation, out| activation.write(out),
        false => |activation, out| activation.write_summary(out),
    };
    let pages = Document::compose(|out| {
        let mut separator = "[";
        for kept in meant.skip(skip).take(limit) {
            if out.len() > LIST_LEN_MAX {
                break;
            }
            out.write_str(separator)?;
            write_kept(out, kept, write)?;
            separator = ",";
        }
        out.write_str(if separator == "[" { "[]" } else { "]" })
    })?;
    Ok(respond::api(200, Body::Pages(pages), &parts.request_id))
}

fn is_named(kept: Kept<'_>, name: &str) -> bool {
    let (len, pieces) = kept.part(Part::Name);
    len == name.len() && pieces.flatten().eq(name.as_bytes())
}

/// `GET …/activations/ID`, and `/logs` and `/result` below.
pub fn get(
    records: &Records,
    tenant: &Tenant,
    parts: &Parts<'_>,
    path: &str,
    node: u16,
) -> Result<Response, Reject> {
    let (id, part) = path.split_once('/').unwrap_or((path, ""));
    let write: Write = match part {
        "" => |activation, out| activation.write(out),
        "logs" => write_logs,
        "result" => write_result,
        _ => return Err(Reject::NotFound),
    };
    let id = ActivationId::parse(id).ok_or(Reject::ActivationId)?;
    let kept = records.get(&tenant.namespace, id).ok_or_else(|| absent(id, node))?;
    let pages = Document::compose(|out| write_kept(out, kept, write))?;
    Ok(respond::api(200, Body::Pages(pages), &parts.request_id))
}

/// Why there is no record: another node has it, if ids begin with the numbers of nodes.
fn absent(id: ActivationId, own: u16) -> Reject {
    match id.node() {
        node if own != 0 && node != 0 && node != own => Reject::OtherNode(node),
        _ => Reject::NotFound,
    }
}

fn write_kept(out: &mut Document, kept: Kept<'_>, write: Write) -> fmt::Result {
    with_kept(kept, |activation| write(activation, out).map_err(|_| OutOfFrames))
        .map_err(|OutOfFrames| fmt::Error)
}

fn write_logs(activation: &Activation<'_>, out: &mut Document) -> fmt::Result {
    out.write_str("{\"logs\":[")?;
    activation.write_log(out)?;
    out.write_str("]}")
}

fn write_result(activation: &Activation<'_>, out: &mut Document) -> fmt::Result {
    out.write_str("{")?;
    activation.write_response(out)?;
    out.write_str("}")
}
