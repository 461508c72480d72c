//! Functions in source code: what a runtime is to load, and how it is told.
//!
//! A function starts from its runtime's template, which waits for one line of JSON: the *init
//! document*, `OpenWhisk`'s without the code, which is the payload. What it becomes is charged to
//! the tenant; the runtime is everybody's.

use alloc::sync::Arc;
use core::fmt::Write as _;

use crate::api::manage::prepare::{Made, Preparation};
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
    if let Some(template) = registry.image(namespace, &digest) {
        return Ok(Made { digest, of_code, template: Arc::clone(template), preparation: None });
    }
    let init = init_document(&source)?;
    let preparation = Some(Preparation::of_function(Arc::new(source.bytes), init));
    Ok(Made { digest, of_code, template: Arc::clone(&runtime.template), preparation })
}

/// A function as it is; only other code makes another of it.
pub fn unchanged(action: &Action) -> Made {
    let Action { digest, of_code, template, .. } = action;
    let template = Arc::clone(template);
    Made { digest: *digest, of_code: *of_code, template, preparation: None }
}

/// One line for the launcher: how the function is called.
fn init_document(source: &Source<'_>) -> Result<PageBuffer, OutOfFrames> {
    Document::compose(|out| {
        write!(out, "{{\"value\":{{\"name\":{},", Quoted(source.name.as_str()))?;
        if let Some(main) = source.main {
            write!(out, "\"main\":{},", Quoted(main))?;
        }
        let is_archive = code::is_zip(source.bytes.chunk_at(0));
        writeln!(out, "\"binary\":{is_archive},\"env\":{{}}}}}}")
    })
}
