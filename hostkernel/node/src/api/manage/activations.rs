//! `GET …/activations`: what is kept of invocations that ended.

use alloc::boxed::Box;
use core::fmt;
use core::fmt::Write as _;
use core::ops::RangeInclusive;

use crate::api::answer::activation::{Activation, with_kept};
use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::request::Parts;
use crate::api::request::query::Query;
use crate::dispatch::ActivationId;
use crate::document::Document;
use crate::http::{Body, Response};
use crate::state::records::{Kept, Part, Records};
use crate::state::tenants::Tenant;
use memory::OutOfFrames;

/// Writes a part of an activation.
pub type Write = fn(&Activation<'_>, &mut Document) -> fmt::Result;

/// Which activations are meant.
pub struct Filter {
    name: Option<Box<str>>,
    start_ms: RangeInclusive<u64>,
}

impl Filter {
    /// The one that a query asks for.
    ///
    /// # Errors
    /// The query is not what it should be.
    pub fn read(query: Query<'_>) -> Result<Self, Reject> {
        let name = query.decoded("name")?.map(Box::from);
        let since_ms = query.number("since")?.unwrap_or(0);
        let start_ms = since_ms..=query.number("upto")?.unwrap_or(u64::MAX);
        Ok(Self { name, start_ms })
    }

    /// Whether this one is.
    #[must_use]
    pub fn takes(&self, kept: Kept<'_>) -> bool {
        self.start_ms.contains(&kept.facts().start_ms)
            && self.name.as_deref().is_none_or(|name| is_named(kept, name))
    }
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

/// Writes what is told of a kept activation.
pub fn write_kept(out: &mut Document, kept: Kept<'_>, write: Write) -> fmt::Result {
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
