//! Actions that a registry keeps: how they go, and how they come to this node.
//!
//! What comes takes the way of a `PUT`, from the code to the template. Only what the document says
//! of version and time is taken over and not made anew.

use alloc::boxed::Box;
use alloc::sync::Arc;

use zeroize::Zeroizing;

use super::actions::{Detail, describe};
use super::deploy::kept;
use super::prepare;
use crate::api::answer::deed::{Change, Deed};
use crate::api::answer::error::Reject;
use crate::api::invoke::admission::{Admission, Reply};
use crate::api::invoke::shape::Shape;
use crate::api::lookup::find;
use crate::api::request::query::Query;
use crate::api::request::{Parts, RequestId};
use crate::digits::Hex;
use crate::dispatch::ActivationId;
use crate::http::{Headers, Method};
use crate::registry::{Action, Registry};
use crate::state::tenants::Tenant;
use crate::state::{Node, Now};
use crate::store::{Fetched, Key};
use crate::traceparent::TraceParent;

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

/// Makes an action of what the registry has.
///
/// # Errors
/// As `PUT`; then nothing changes.
pub fn install(
    node: &Node,
    key: &Key,
    fetched: Fetched,
    now: Now,
    random_id: u128,
) -> Result<Installed, Reject> {
    // It has the action's secrets.
    let document = Zeroizing::new(fetched.document.to_vec()?);
    let (action, preparation) = kept(node, key, &document, fetched.code)?;
    let action = Arc::new(action);
    let Some(preparation) = preparation else { return Ok(Installed::Ready(action)) };
    let id_text = Hex::of(random_id);
    let parts = Parts {
        method: Method::Put,
        query: Query::new(None),
        headers: Headers::default(),
        now,
        id: ActivationId(random_id),
        id_text,
        request_id: RequestId::Generated(id_text),
        trace: TraceParent::new(id_text.as_bytes()),
        traced: false,
        body_len_max: node.policy().body_len_max,
    };
    match prepare::admit(&action, &parts, preparation, Shape::Fetch { etag: fetched.etag })? {
        Reply::Invoke(admission) => Ok(Installed::Prepares(admission)),
        Reply::Respond(_) | Reply::Store(_) | Reply::Deploy(_) | Reply::Read(_) => {
            Err(Reject::NotFound)
        }
    }
}
