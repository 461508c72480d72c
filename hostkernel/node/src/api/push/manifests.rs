//! Manifests: what the blobs of a push become.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::check_room;
use crate::api::answer::distribution;
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::Reply;
use crate::api::manage::changes::{Changes, CodeIs};
use crate::api::manage::deploy::check_place;
use crate::api::manage::deploying::{Aim, Deploying, PushedCode};
use crate::api::manage::document::DocumentReader;
use crate::api::request::Parts;
use crate::api::request::image::{self, Labels, Manifest, ManifestKind, Pushed};
use crate::api::request::push::{PushReject, action, within};
use crate::document::Document;
use crate::http::{Body, Method, Response};
use crate::image::layers::Packer;
use crate::json::Quoted;
use crate::registry::{Digest, Holding, Namespace, Purpose};
use crate::state::Node;
use crate::state::uploads::Blob;
use crate::store::manifest::{Blob as Descriptor, read_digest};
use crate::store::names;
use limits::{DEPLOY_REST_LEN_MAX, IMAGE_CONFIG_LEN_MAX, LIST_LEN_MAX, MANIFEST_LEN_MAX};
use memory::PageBuffer;

/// Takes a manifest. Under a tag it deploys; under its digest it waits for an index.
pub fn put(
    node: &mut Node,
    namespace: Namespace,
    (repository, reference): (&str, &str),
    parts: &Parts<'_>,
    body: &PageBuffer,
) -> Result<Reply, Reject> {
    if body.len() > MANIFEST_LEN_MAX {
        return Err(PushReject::TooLong.into());
    }
    let digest = Digest::of(body);
    if let Some(stated) = read_digest(reference) {
        if stated != digest {
            return Err(PushReject::Digest.into());
        }
        keep(node, namespace, digest, parts, body)?;
        let response = distribution::manifest_created(digest, &parts.request_id);
        return Ok(Reply::Respond(response));
    }
    let name = action(namespace.as_str(), repository, reference)?;
    check_place(&node.registry, &namespace, &name, true)?;
    let manifest = read(node, &namespace, &body.to_vec()?)?;
    let (changes, code) = take(node, &namespace, &manifest)?;
    let aim = Aim::Push { name, manifest: digest };
    let deploying = Deploying::of_push(&node.registry, namespace, aim, code, changes)?;
    Ok(Reply::Deploy(Box::new(deploying)))
}

/// Keeps a manifest for the index that names it.
fn keep(
    node: &mut Node,
    namespace: Namespace,
    digest: Digest,
    parts: &Parts<'_>,
    body: &PageBuffer,
) -> Result<(), Reject> {
    check_room(node, &namespace)?;
    let bytes = PageBuffer::from_bytes(&body.to_vec()?)?;
    let mut holding = Holding::default();
    node.books.enter(&mut holding, &namespace, Purpose::Deploy, bytes.len());
    let used_ns = parts.now.monotonic_ns;
    node.uploads.keep(Blob { namespace, digest, bytes, holding, used_ns });
    Ok(())
}

/// The manifest, or the one for this platform if it is an index.
fn read(node: &Node, namespace: &Namespace, bytes: &[u8]) -> Result<Manifest, Reject> {
    let digest = match image::read(bytes).map_err(PushReject::Image)? {
        Pushed::Manifest(manifest) => return Ok(manifest),
        Pushed::Index(digest) => digest,
    };
    let child = node.uploads.blob(namespace, digest).ok_or(PushReject::BlobUnknown(digest))?;
    if child.bytes.len() > MANIFEST_LEN_MAX {
        return Err(PushReject::TooLong.into());
    }
    match image::read(&child.bytes.to_vec()?).map_err(PushReject::Image)? {
        Pushed::Manifest(manifest) => Ok(manifest),
        // An index of indexes.
        Pushed::Index(digest) => Err(PushReject::BlobUnknown(digest).into()),
    }
}

/// What a manifest wants an action to be, and the blobs it consists of, which are taken.
fn take(
    node: &mut Node,
    namespace: &Namespace,
    manifest: &Manifest,
) -> Result<(Changes, PushedCode), Reject> {
    let Manifest { kind, config, layers, labels } = manifest;
    // All of them are there before any is taken.
    for descriptor in layers.iter().chain([config]) {
        check(node, namespace, *descriptor)?;
    }
    let document = match kind {
        ManifestKind::File => Vec::new(),
        _ if *kind == ManifestKind::Image && config.len > IMAGE_CONFIG_LEN_MAX => {
            return Err(PushReject::TooLong.into());
        }
        ManifestKind::Action if config.len > DEPLOY_REST_LEN_MAX => {
            return Err(PushReject::TooLong.into());
        }
        ManifestKind::Action => Vec::new(),
        ManifestKind::Image => check(node, namespace, *config)?.bytes.to_vec()?,
    };
    let mut labels = labels.clone();
    let (changes, process) = match kind {
        ManifestKind::Action => (Changes::default(), None),
        ManifestKind::File => (of_labels(&labels)?, None),
        ManifestKind::Image => {
            let process = image::read_config(&document, &mut labels).map_err(PushReject::Image)?;
            (of_labels(&labels)?, Some(process))
        }
    };
    let mut blobs = Vec::new();
    for layer in layers {
        // A layer may be there twice, and then the blob is taken already.
        if let Some(blob) = node.uploads.take_blob(namespace, layer.digest) {
            blobs.push((blob.bytes, blob.holding));
        }
    }
    let config = node.uploads.take_blob(namespace, config.digest);
    let (mut bytes, holdings): (Vec<_>, Vec<_>) = blobs.into_iter().unzip();
    let code = match process {
        None if *kind == ManifestKind::Action => PushedCode::Stored {
            document: config.map(|blob| blob.bytes).unwrap_or_default(),
            code: bytes.pop().unwrap_or_default(),
        },
        Some(process) => PushedCode::Layers(Box::new(Packer::new(bytes, process)), holdings),
        None => PushedCode::Blob(bytes.pop().unwrap_or_default()),
    };
    Ok((changes, code))
}

/// A blob that a manifest names, if it is what that says.
fn check<'a>(
    node: &'a Node,
    namespace: &Namespace,
    Descriptor { digest, len }: Descriptor,
) -> Result<&'a Blob, PushReject> {
    let blob = node.uploads.blob(namespace, digest).ok_or(PushReject::BlobUnknown(digest))?;
    if blob.bytes.len() == len { Ok(blob) } else { Err(PushReject::BlobLen(digest)) }
}

fn of_labels(labels: &Labels) -> Result<Changes, Reject> {
    DocumentReader::whole(labels.document().as_bytes(), CodeIs::Inside)
}

/// A manifest that waits for its index. One that was deployed is an action, and asked for as such.
pub fn look(
    node: &Node,
    namespace: &Namespace,
    reference: &str,
    parts: &Parts<'_>,
) -> Result<Response, Reject> {
    let digest = read_digest(reference).ok_or(PushReject::NoManifest)?;
    let blob = node.uploads.blob(namespace, digest).ok_or(PushReject::NoManifest)?;
    let body = match parts.method {
        Method::Head => Body::Unsent(Some(blob.bytes.len())),
        _ => Body::Heap(blob.bytes.to_vec()?),
    };
    Ok(distribution::named(distribution::answer(200, body, &parts.request_id), digest))
}

/// The actions of a namespace, as the tags of its repository.
pub fn tags(
    node: &Node,
    namespace: &Namespace,
    repository: &str,
    parts: &Parts<'_>,
) -> Result<Response, Reject> {
    let only = within(namespace.as_str(), repository)?;
    let (mut is_any, registry) = (false, &node.registry);
    let pages = Document::compose(|out| {
        write!(out, "{{\"name\":{},\"tags\":[", Quoted(repository))?;
        for action in registry.list(namespace) {
            let tag = match only {
                Some(name) if name == action.name.as_str() => Some("latest".into()),
                Some(_) => None,
                None => names::tag(action.name.as_str()),
            };
            if let Some(tag) = tag
                && out.len() < LIST_LEN_MAX
            {
                let comma = if core::mem::replace(&mut is_any, true) { "," } else { "" };
                write!(out, "{comma}{}", Quoted(&tag))?;
            }
        }
        out.write_str("]}")
    })?;
    if !is_any {
        return Err(Reject::NotFound);
    }
    Ok(distribution::answer(200, Body::Pages(pages), &parts.request_id))
}
