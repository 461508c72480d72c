//! Answers of the distribution protocol.
//!
//! Its errors are a list of codes and sentences. They are beside what clients of `OpenWhisk` want,
//! in one document: some refusals come from where nobody knows what was asked for.

use alloc::format;

use super::error::Reject;
use super::respond;
use crate::api::request::RequestId;
use crate::digits::Hex;
use crate::http::{Body, FieldLine, Fields, Name, Response};
use crate::json::Quoted;
use crate::registry::Digest;
use crate::state::tenants::KeyReject;

/// Clients from before OCI look for it.
const VERSION: FieldLine = FieldLine::new("Docker-Distribution-API-Version: registry/2.0\r\n");
const LOCATION: Name = Name::new("Location: ");
const DIGEST: Name = Name::new("Docker-Content-Digest: ");
const UPLOAD: Name = Name::new("Docker-Upload-UUID: ");
const RANGE: Name = Name::new("Range: ");

/// An answer with this body.
#[must_use]
pub fn answer(status: u16, body: Body, id: &RequestId) -> Response {
    let mut fields = Fields::new();
    fields.push_line(VERSION);
    respond::plain_with(fields, status, respond::JSON, body, id)
}

/// An upload goes on: so much of it is there.
#[must_use]
pub fn upload(
    status: u16,
    (repository, upload): (&str, u128),
    len: usize,
    id: &RequestId,
) -> Response {
    let upload = Hex::of(upload);
    let mut response = answer(status, Body::Empty, id);
    let location = format!("/v2/{repository}/blobs/uploads/{}", upload.as_str());
    response.headers.push(LOCATION, location.as_bytes());
    response.headers.push(UPLOAD, upload.as_bytes());
    // Of nothing, too, a range has an end.
    response.headers.push(RANGE, format!("0-{}", len.saturating_sub(1)).as_bytes());
    response
}

/// A blob is there.
#[must_use]
pub fn blob_created(repository: &str, digest: Digest, id: &RequestId) -> Response {
    let mut response = named(answer(201, Body::Empty, id), digest);
    let location = format!("/v2/{repository}/blobs/sha256:{digest}");
    response.headers.push(LOCATION, location.as_bytes());
    response
}

/// What a manifest is of is there.
#[must_use]
pub fn manifest_created(digest: Digest, id: &RequestId) -> Response {
    named(answer(201, Body::Empty, id), digest)
}

/// An answer that says what its body is called by.
#[must_use]
pub fn named(mut response: Response, digest: Digest) -> Response {
    response.headers.push(DIGEST, format!("sha256:{digest}").as_bytes());
    response
}

/// A refusal.
#[must_use]
pub fn refusal(reject: &Reject, id: &RequestId) -> Response {
    let text = format!("{reject}");
    let (text, own) = (Quoted(&text), Quoted(id.text()));
    let code = code(reject);
    let body = format!(
        "{{\"errors\":[{{\"code\":\"{code}\",\"message\":{text}}}],\
         \"error\":{text},\"code\":{own}}}"
    );
    let mut response = reject.response(id);
    response.headers.push_line(VERSION);
    response.body = respond::text(body);
    response
}

fn code(reject: &Reject) -> &'static str {
    match reject {
        Reject::Push(reject) => reject.code(),
        Reject::Key(KeyReject::Missing | KeyReject::Wrong) => "UNAUTHORIZED",
        Reject::Key(_) => "DENIED",
        Reject::NotFound => "NAME_UNKNOWN",
        Reject::Name(_) => "NAME_INVALID",
        Reject::Method { .. } | Reject::Unsupported(_) => "UNSUPPORTED",
        reject if reject.status() == 413 => "SIZE_INVALID",
        reject if matches!(reject.status(), 429 | 503) => "TOOMANYREQUESTS",
        _ => "MANIFEST_INVALID",
    }
}
