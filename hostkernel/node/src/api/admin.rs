//! What only the administrator may do: `POST /admin/drain`.

use super::error::Reject;
use super::respond;
use super::{Node, Parts, Readiness};
use crate::http::{Body, Method, Response};

/// `POST /admin/drain`: leaves the service, and switches the node off when all was answered.
pub fn drain(node: &mut Node, parts: &Parts<'_>, allow: &'static str) -> Result<Response, Reject> {
    let authorization = parts.headers.get("authorization");
    if !node.config.tenants.is_admin(authorization) {
        node.config.tenants.authenticate(authorization)?;
        return Err(Reject::NotAdministrator);
    }
    if parts.method != Method::Post {
        return Err(Reject::Method { allow });
    }
    node.readiness = Readiness::Draining;
    let body = Body::Static(b"{\"draining\":true}");
    Ok(respond::plain(202, respond::JSON, body, &parts.request_id))
}
