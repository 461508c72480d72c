//! `POST …/actions/NAME`: an invocation with JSON input.

use super::admission::{Reply, Shape, prepare};
use super::environment::environment;
use super::input::json_input;
use crate::api::answer::error::Reject;
use crate::api::lookup::find;
use crate::api::request::Parts;
use crate::registry::Registry;
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
    let blocking = parts.query.flag("blocking", false)?;
    let shape = match parts.query.flag("result", false)? {
        _ if !blocking => Shape::Accepted,
        true => Shape::Result,
        false => Shape::Activation,
    };
    let (is_final, len_max) = (action.annotations.is_final, parts.body_len_max);
    let input = json_input(body, &action.parameters, is_final, len_max)?;
    let environment = environment(spare, action, parts, 0);
    prepare(action, parts, input, environment, shape)
}
