//! Blobs: how they come, piece by piece, and that they are there.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::check_room;
use crate::api::answer::distribution;
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::Reply;
use crate::api::manage::deploying::Deploying;
use crate::api::request::Parts;
use crate::api::request::push::PushReject;
use crate::api::request::route::Route;
use crate::http::{Body, Method, Response};
use crate::registry::{Digest, Holding, Namespace, Purpose};
use crate::state::Node;
use crate::state::uploads::{Joining, Upload};
use crate::store::manifest::read_digest;
use limits::{CODE_LEN_MAX, UPLOAD_PIECES_MAX};
use memory::PageBuffer;

/// Which upload a request is about.
pub struct Place<'a> {
    pub namespace: Namespace,
    pub repository: &'a str,
    pub id: u128,
}

/// Reads the id of an upload.
pub fn read_id(text: &str) -> Result<u128, PushReject> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u128::from_str_radix(text, 16).ok().filter(|_| is_id);
    id.ok_or(PushReject::NoUpload)
}

/// Says of a blob that it is there.
pub fn look(
    node: &Node,
    namespace: &Namespace,
    digest: Digest,
    parts: &Parts<'_>,
) -> Result<Response, Reject> {
    let blob = node.uploads.blob(namespace, digest).ok_or(PushReject::NoBlob)?;
    let body = Body::Unsent(Some(blob.bytes.len()));
    Ok(distribution::named(distribution::answer(200, body, &parts.request_id), digest))
}

/// Begins an upload. One whose digest is said is there at once.
pub fn open(
    node: &mut Node,
    namespace: Namespace,
    repository: &str,
    parts: &Parts<'_>,
    body: PageBuffer,
) -> Result<Reply, Reject> {
    check_room(node, &namespace)?;
    let digest = stated(parts)?;
    let upload = Upload {
        id: parts.id.0,
        namespace: namespace.clone(),
        pieces: Vec::new(),
        holding: Holding::default(),
        used_ns: parts.now.monotonic_ns,
    };
    let place = Place { namespace, repository, id: parts.id.0 };
    match digest {
        Some(digest) => finish(node, place, upload, body, digest),
        None => {
            node.uploads.open(upload);
            let name = (repository, place.id);
            Ok(Reply::Respond(distribution::upload(202, name, 0, &parts.request_id)))
        }
    }
}

/// Goes on with an upload.
pub fn go_on(
    node: &mut Node,
    place: Place<'_>,
    allow: &'static str,
    parts: &Parts<'_>,
    body: PageBuffer,
) -> Result<Reply, Reject> {
    let upload = node.uploads.take(&place.namespace, place.id).ok_or(PushReject::NoUpload)?;
    let len = upload.pieces.iter().map(PageBuffer::len).sum::<usize>();
    let name = (place.repository, place.id);
    let (upload, response) = match parts.method {
        Method::Put => {
            let digest = stated(parts)?.ok_or(PushReject::NoDigest)?;
            return finish(node, place, upload, body, digest);
        }
        Method::Delete => {
            let response = distribution::answer(204, Body::Empty, &parts.request_id);
            return Ok(Reply::Respond(response));
        }
        Method::Patch => {
            let mut upload = upload;
            let response = if is_next(parts, len) {
                let len = len + body.len();
                add(node, &mut upload, body)?;
                distribution::upload(202, name, len, &parts.request_id)
            } else {
                distribution::refusal(&PushReject::OutOfOrder.into(), &parts.request_id)
            };
            (upload, response)
        }
        Method::Get | Method::Head => {
            (upload, distribution::upload(204, name, len, &parts.request_id))
        }
        _ => {
            let reject = Reject::Method { allow };
            (upload, distribution::refusal(&reject, &parts.request_id))
        }
    };
    node.uploads.open(Upload { used_ns: parts.now.monotonic_ns, ..upload });
    Ok(Reply::Respond(response))
}

/// The digest that the query says.
fn stated(parts: &Parts<'_>) -> Result<Option<Digest>, Reject> {
    let Some(digest) = parts.query.decoded("digest")? else { return Ok(None) };
    Ok(Some(read_digest(&digest).ok_or(PushReject::NoDigest)?))
}

/// Whether a piece begins where the last one ended, if it says where it begins.
fn is_next(parts: &Parts<'_>, len: usize) -> bool {
    let Some(range) = parts.headers.get("content-range") else { return true };
    let range = range.strip_prefix("bytes ").unwrap_or(range);
    range.split_once('-').and_then(|(start, _)| start.parse().ok()) == Some(len)
}

/// Adds a piece, which is held with the others from now on.
fn add(node: &mut Node, upload: &mut Upload, body: PageBuffer) -> Result<(), PushReject> {
    if body.is_empty() {
        return Ok(());
    }
    if upload.pieces.len() == UPLOAD_PIECES_MAX {
        return Err(PushReject::TooManyPieces);
    }
    let len = upload.pieces.iter().map(PageBuffer::len).sum::<usize>() + body.len();
    if len > CODE_LEN_MAX {
        return Err(PushReject::TooLong);
    }
    upload.pieces.push(body);
    node.books.enter(&mut upload.holding, &upload.namespace, Purpose::Deploy, len);
    Ok(())
}

/// All of a blob is there: its digest is made.
fn finish(
    node: &mut Node,
    place: Place<'_>,
    mut upload: Upload,
    body: PageBuffer,
    digest: Digest,
) -> Result<Reply, Reject> {
    add(node, &mut upload, body)?;
    let joining = Joining::new(upload, digest);
    Ok(Reply::Deploy(Box::new(Deploying::of_blob(place.namespace, joining))))
}

/// Keeps a blob whose digest was made.
pub fn keep(
    node: &mut Node,
    deploying: &mut Deploying,
    path: &str,
    parts: &Parts<'_>,
) -> Result<Reply, Reject> {
    let joining = deploying.take_joined().ok_or(PushReject::NoUpload)?;
    let blob = joining.finish(parts.now.monotonic_ns).ok_or(PushReject::Digest)?;
    check_room(node, &blob.namespace)?;
    let digest = blob.digest;
    node.uploads.keep(blob);
    let repository = match Route::of(path) {
        Route::Push(target) => target.repository(),
        _ => None,
    };
    let repository = repository.unwrap_or_default();
    Ok(Reply::Respond(distribution::blob_created(repository, digest, &parts.request_id)))
}
