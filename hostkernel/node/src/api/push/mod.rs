//! `/v2/`: container images and artifacts are pushed to the node, and become actions.
//!
//! ```text
//! POST uploads ─▶ PATCH … ─▶ PUT digest ─▶ blob, in the books of its namespace
//! PUT manifest ─▶ its blobs ─▶ code, limits, annotations ─▶ a deploy like any other
//! ```
//!
//! What is uploaded waits in memory until a manifest names it, for two minutes; the manifest takes
//! it. Bytes are hashed, and layers read, in slices between what others want.
//! Nothing of an action has changed until all of it was found to be good.

mod blobs;
mod manifests;

pub use blobs::keep;

use crate::api::answer::distribution;
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::Reply;
use crate::api::request::Parts;
use crate::api::request::push::{PushReject, Target, within};
use crate::http::{Body, Method};
use crate::registry::Namespace;
use crate::state::Node;
use crate::store::manifest::read_digest;
use memory::PageBuffer;

/// Answers a request of the protocol.
///
/// # Errors
/// Why it is refused.
pub fn answer(
    node: &mut Node,
    target: Target<'_>,
    parts: &Parts<'_>,
    body: PageBuffer,
) -> Result<Reply, Reject> {
    let authorization = parts.headers.get("authorization");
    let namespace = node.policy.tenants.authenticate(authorization)?.namespace.clone();
    node.uploads.expire(parts.now.monotonic_ns);
    if let Some(repository) = target.repository() {
        within(namespace.as_str(), repository)?;
    }
    let read = matches!(parts.method, Method::Get | Method::Head);
    let id = &parts.request_id;
    let respond = |response| Ok(Reply::Respond(response));
    match (target, parts.method) {
        (Target::Base, _) if read => respond(distribution::answer(200, Body::Static(b"{}"), id)),
        // It is there to be deployed, and to be asked for whether it is there.
        (Target::Blob { digest, .. }, Method::Head) => {
            let digest = read_digest(digest).ok_or(PushReject::NoDigest)?;
            respond(blobs::look(node, &namespace, digest, parts)?)
        }
        (Target::Uploads { repository }, Method::Post) => {
            blobs::open(node, namespace, repository, parts, body)
        }
        (Target::Upload { repository, id }, _) => {
            let place = blobs::Place { namespace, repository, id: blobs::read_id(id)? };
            blobs::go_on(node, place, target.allow(), parts, body)
        }
        (Target::Manifest { reference, .. }, _) if read => {
            respond(manifests::look(node, &namespace, reference, parts)?)
        }
        (Target::Manifest { repository, reference }, Method::Put) => {
            manifests::put(node, namespace, (repository, reference), parts, &body)
        }
        (Target::Tags { repository }, _) if read => {
            respond(manifests::tags(node, &namespace, repository, parts)?)
        }
        _ => Err(Reject::Method { allow: target.allow() }),
    }
}

/// Whose uploads there are, and how many.
fn check_room(node: &Node, namespace: &Namespace) -> Result<(), PushReject> {
    if node.uploads.admits(namespace) { Ok(()) } else { Err(PushReject::TooMany) }
}
