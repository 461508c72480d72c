//! Actions that a registry keeps: how they go, and how they come to this node.
//!
//! What comes takes the way of a `PUT`, from the code to the template, and as there the code is
//! looked at in slices. Only what the document says of version and time is taken over and not made
//! anew.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::actions::{Detail, describe};
use super::deploy::kept;
use super::deploying::inspection;
use super::inspect::Inspection;
use super::prepare;
use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::{Admission, Reply};
use crate::api::invoke::shape::Shape;
use crate::api::lookup::find;
use crate::api::request::Parts;
use crate::json::Json;
use crate::registry::{Action, Digest, Registry};
use crate::slice::Slice;
use crate::state::tenants::Tenant;
use crate::state::{Node, Now};
use crate::store::{Fetched, Key};
use limits::KIND_LEN_MAX;

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
    /// It has the action's secrets.
    document: Zeroizing<Vec<u8>>,
    inspection: Inspection,
}

impl Arriving {
    /// Begins with what the registry has.
    ///
    /// # Errors
    /// It cannot be an action.
    pub fn new(node: &Node, key: Key, fetched: Fetched) -> Result<Self, Reject> {
        let Fetched { etag, document, code, code_digest } = fetched;
        let document = Zeroizing::new(document.to_vec()?);
        let [kind] = Json::read(&document)?.pick(["kind"])?;
        let kind = kind.and_then(|kind| kind.string(KIND_LEN_MAX).ok());
        let inspection = inspection(node.registry(), kind.as_deref(), code)?;
        // It was made while the code arrived.
        let inspection = inspection.with_digest(code_digest);
        Ok(Self { key, etag, document, inspection })
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
        let Some(inspected) = self.inspection.step(slice)? else { return Ok(None) };
        let (action, preparation) = kept(node, &self.key, &self.document, inspected)?;
        let action = Arc::new(action);
        let Some(preparation) = preparation else { return Ok(Some(Installed::Ready(action))) };
        let (policy, shape) = (node.policy(), Shape::Fetch { etag: self.etag });
        prepare::admit_unasked(&action, policy, preparation, shape, (now, random_id))
            .map(|admission| Some(Installed::Prepares(admission)))
    }
}
