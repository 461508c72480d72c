//! Actions that a registry keeps: how they go, and how they come to this node.
//!
//! What comes takes the way of a `PUT`, from the code to the template, and as there the code is
//! looked at in slices. Only what the document says of version and time is taken over and not made
//! anew.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::actions::{Detail, describe};
use super::changes::{Changes, CodeIs};
use super::deploy::kept;
use super::deploying::inspection;
use super::document::DocumentReader;
use super::inspect::Inspection;
use super::prepare;
use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::{Admission, Reply};
use crate::api::invoke::shape::Shape;
use crate::api::lookup::find;
use crate::api::request::Parts;
use crate::registry::{Action, Digest, Registry};
use crate::slice::Slice;
use crate::state::tenants::Tenant;
use crate::state::{Node, Now};
use crate::store::{Fetched, Key};
use memory::PageBuffer;

/// What is to be done with an action that came.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for a moment")]
pub enum Installed {
    /// It can be put into its place.
    Ready(Arc<Action>),
    /// Its image prepares itself first; what that ends in is the action.
    Prepares(Admission),
}

/// `DELETE …/actions/NAME`, of what a registry keeps: it hears of it first.
pub fn delete(
    registry: &Registry,
    tenant: &Tenant,
    parts: &Parts<'_>,
    name: &str,
) -> Result<Reply, Reject> {
    let action = Arc::clone(find(registry, &tenant.namespace, name)?);
    let response = describe(&action, Detail::WithoutCode, parts)?;
    let request_id = parts.request_id.clone();
    let deed = Deed { change: Change::Delete(action), response, request_id };
    Ok(Reply::Store(Box::new(deed)))
}

/// What came of an action, until all of it was looked at.
pub struct Arriving {
    key: Key,
    etag: Digest,
    stage: Stage,
}

enum Stage {
    /// The document is read; the code waits, with its digest, which was made while it arrived.
    Read(Box<DocumentReader>, (PageBuffer, Digest)),
    /// The code is looked at, of an action that was last changed then.
    Inspect(Box<(Inspection, Changes)>, u64),
    Over,
}

impl Arriving {
    /// Begins with what the registry has.
    #[must_use]
    pub fn new(key: Key, fetched: Fetched) -> Self {
        let Fetched { etag, document, code, code_digest } = fetched;
        let reader = DocumentReader::new(document, CodeIs::Stored);
        Self { key, etag, stage: Stage::Read(Box::new(reader), (code, code_digest)) }
    }

    /// Which action it will be.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Goes on; makes an action of it when all was looked at.
    ///
    /// # Errors
    /// As `PUT`; then nothing changes.
    pub fn step(
        &mut self,
        node: &Node,
        slice: &mut Slice,
        now: Now,
        random_id: u128,
    ) -> Result<Option<Installed>, Reject> {
        match &mut self.stage {
            Stage::Read(reader, _) => {
                if reader.step(slice)? {
                    self.begin_inspection(node)?;
                }
                Ok(None)
            }
            Stage::Inspect(looked_at, updated_ms) => {
                let (inspection, changes) = &mut **looked_at;
                let Some(inspected) = inspection.step(slice)? else { return Ok(None) };
                let code = (core::mem::take(changes), inspected);
                let (action, preparation) = kept(node, &self.key, code, *updated_ms)?;
                let action = Arc::new(action);
                let Some(preparation) = preparation else {
                    return Ok(Some(Installed::Ready(action)));
                };
                let (policy, shape) = (node.policy(), Shape::Fetch { etag: self.etag });
                prepare::admit_unasked(&action, policy, preparation, shape, (now, random_id))
                    .map(|admission| Some(Installed::Prepares(admission)))
            }
            Stage::Over => Err(Reject::NotFound),
        }
    }

    fn begin_inspection(&mut self, node: &Node) -> Result<(), Reject> {
        let Stage::Read(reader, (code, digest)) = core::mem::replace(&mut self.stage, Stage::Over)
        else {
            return Ok(());
        };
        let (changes, updated_ms) = reader.into_parts();
        let kind = changes.exec.as_ref().and_then(|exec| exec.kind.as_deref());
        let inspection = inspection(node.registry(), kind, code)?.with_digest(digest);
        self.stage = Stage::Inspect(Box::new((inspection, changes)), updated_ms);
        Ok(())
    }
}
