//! Functions in source code: what a runtime is to load, and how it is told.
//!
//! A function starts from its runtime's template, which waits for one line of JSON: the *init
//! document*, `OpenWhisk`'s without the code, which is the payload. What it becomes is charged to
//! the tenant; the runtime is everybody's.

use alloc::sync::Arc;
use core::fmt::Write as _;

use crate::api::manage::prepare::{Made, Preparation, Warming};
use crate::api::request::code;
use crate::document::Document;
use crate::json::Quoted;
use crate::registry::{Action, Digest, Name, Namespace, Registry, Runtime};
use memory::{OutOfFrames, PageBuffer};

/// The runtime for code that a client says is of this kind. Bytes that are a program need none.
pub fn runtime<'a>(
    registry: &'a Registry,
    kind: Option<&str>,
    bytes: &PageBuffer,
) -> Option<&'a Arc<Runtime>> {
    let runtime = registry.runtimes().find(kind?)?;
    (!code::is_program(bytes.chunk_at(0))).then_some(runtime)
}

/// Source code that somebody deploys.
pub struct Source<'a> {
    /// What the action is called.
    pub name: &'a Name,
    /// What the function in it is called, if that is said.
    pub main: Option<&'a str>,
    /// The file, and its digest.
    pub digest: Digest,
    /// See [`Self::digest`].
    pub bytes: PageBuffer,
    /// What it answers before it is frozen, if it is a server.
    pub warming: Option<Warming<'a>>,
}

/// What has to be prepared to have a function, unless the namespace has it already.
///
/// # Errors
/// [`OutOfFrames`] if there is no memory to say how.
pub fn load(
    mut source: Source<'_>,
    runtime: &Runtime,
    registry: &Registry,
    namespace: &Namespace,
) -> Result<Made, OutOfFrames> {
    source.bytes.clear_tail();
    let of_code = source.digest;
    let digest = of_code.loaded_by(runtime.digest, source.main);
    let digest = source.warming.map_or(digest, |warming| digest.warmed_by(warming.path));
    if let Some(template) = registry.image(namespace, &digest) {
        return Ok(Made { digest, of_code, template: Arc::clone(template), preparation: None });
    }
    let init = init_document(source.name, source.main, &source.bytes)?;
    let preparation = Preparation::of_function(Arc::new(source.bytes), init);
    let preparation = Some(preparation.warmed_by(source.warming));
    Ok(Made { digest, of_code, template: Arc::clone(&runtime.template), preparation })
}

/// A function whose annotations may have changed. Only what it answers before it is frozen makes
/// another of the same code.
///
/// # Errors
/// [`OutOfFrames`] if there is no memory to say how it is called.
pub fn renew(
    action: &Action,
    registry: &Registry,
    warming: Option<Warming<'_>>,
) -> Result<Made, OutOfFrames> {
    let Action { digest, of_code, template, .. } = action;
    let path = warming.map(|warming| warming.path);
    let (mut digest, of_code, mut template) = (*digest, *of_code, Arc::clone(template));
    let mut preparation = None;
    if path != action.annotations.warm.path()
        && let Some(frozen) = action.template.frozen()
    {
        digest = digest.warmed_by(path.unwrap_or_default());
        if let Some(known) = registry.image(&action.namespace, &digest) {
            template = Arc::clone(known);
        } else {
            let payload = Arc::clone(frozen.payload());
            let init = init_document(&action.name, action.main.as_deref(), &payload)?;
            template = Arc::clone(frozen.base());
            preparation = Some(Preparation::of_function(payload, init).warmed_by(warming));
        }
    }
    Ok(Made { digest, of_code, template, preparation })
}

/// One line for the launcher: how the function is called.
fn init_document(
    name: &Name,
    main: Option<&str>,
    bytes: &PageBuffer,
) -> Result<PageBuffer, OutOfFrames> {
    Document::compose(|out| {
        write!(out, "{{\"value\":{{\"name\":{},", Quoted(name.as_str()))?;
        if let Some(main) = main {
            write!(out, "\"main\":{},", Quoted(main))?;
        }
        let is_archive = code::is_zip(bytes.chunk_at(0));
        writeln!(out, "\"binary\":{is_archive},\"env\":{{}}}}}}")
    })
}
