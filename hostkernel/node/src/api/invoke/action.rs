//! `POST …/actions/NAME`: an invocation with JSON input.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::admission::{Reply, prepare};
use super::environment::environment;
use super::input::json_input;
use super::merging::Merging;
use super::reading::{Reading, Source};
use super::shape::Shape;
use crate::api::answer::error::Reject;
use crate::api::lookup::find;
use crate::api::request::Parts;
use crate::registry::{Action, Registry};
use crate::state::SpareBuffers;
use crate::state::tenants::Tenant;
use memory::PageBuffer;

/// Admits an invocation with JSON input.
pub fn admit(
    registry: &Registry,
    spare: &mut SpareBuffers,
    tenant: &Tenant,
    parts: &Parts<'_>,
    body: PageBuffer,
    name: &str,
) -> Result<Reply, Reject> {
    let action = find(registry, &tenant.namespace, name)?;
    if action.template.is_server() {
        return Err(Reject::Server);
    }
    let shape = shape(parts)?;
    let (is_final, len_max) = (action.annotations.is_final, parts.body_len_max);
    if Merging::is_long(&body, &action.parameters) {
        let merging = Merging::new(body, &action.parameters, is_final, len_max)?;
        let source = Source::Json(Arc::clone(action), merging, shape);
        return Ok(Reply::Read(Box::new(Reading::new(parts, source))));
    }
    let input = json_input(body, &action.parameters, is_final, len_max)?;
    let environment = environment(spare, action, parts, 0);
    prepare(action, parts, input, environment, shape)
}

/// Admits one whose input has been read.
///
/// # Errors
/// The quotas of the namespace do not allow it.
pub fn admit_read(
    spare: &mut SpareBuffers,
    parts: &Parts<'_>,
    (action, input, shape): (&Arc<Action>, PageBuffer, Shape),
) -> Result<Reply, Reject> {
    let environment = environment(spare, action, parts, 0);
    prepare(action, parts, input, environment, shape)
}

/// What is to be answered.
#[inline(always)]
fn shape(parts: &Parts<'_>) -> Result<Shape, Reject> {
    let blocking = parts.query.flag("blocking", false)?;
    Ok(match parts.query.flag("result", false)? {
        _ if !blocking => Shape::Accepted,
        true => Shape::Result,
        false => Shape::Activation,
    })
}
