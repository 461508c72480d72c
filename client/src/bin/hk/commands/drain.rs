//! `hk drain`: the node's clean end.

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::{Context, output};

/// Ask a node to take no more requests, to finish what runs, and to switch itself off.
#[derive(Args, Debug)]
pub struct Arguments {}

pub fn run(_: &Arguments, context: &Context) -> Result<(), Failure> {
    context.client.drain().map_err(|error| match error.status() {
        Some(404) => Failure::from(error).hint("this node drains by its power button only"),
        Some(403) => Failure::from(error).hint(
            "it takes the administrator's key, the setting hostkernel.admin_key of the node; its \
             power button does the same",
        ),
        _ => error.into(),
    })?;
    match context.json {
        true => output::json(&json!({ "draining": true })),
        false => output::line("The node drains; `hk status` fails with 5 once it is off."),
    }
}
