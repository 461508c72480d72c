//! What only the administrator may do: `POST /admin/drain`.

use crate::api::answer::error::Reject;
use crate::api::answer::respond;
use crate::api::request::Parts;
use crate::http::{Body, Method, Response};
use crate::state::Node;
use crate::state::Readiness;

/// `POST /admin/drain`: leaves the service, and switches the node off when all was answered.
pub fn drain(node: &mut Node, parts: &Parts<'_>, allow: &'static str) -> Result<Response, Reject> {
    node.policy.tenants.authorize_admin(parts.headers.get("authorization"))?;
    if parts.method != Method::Post {
        return Err(Reject::Method { allow });
    }
    node.readiness = Readiness::Draining;
    let body = Body::Static(b"{\"draining\":true}");
    Ok(respond::plain(202, respond::JSON, body, &parts.request_id))
}
