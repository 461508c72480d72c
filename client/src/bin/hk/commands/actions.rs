//! `hk list`, `hk get`, `hk delete`: what is deployed.

use clap::Args;
use hk::Action;

use crate::failure::Failure;
use crate::{Context, output};

/// List what is deployed.
#[derive(Args, Debug)]
pub struct ListArguments {}

/// Show an action, as JSON.
#[derive(Args, Debug)]
pub struct GetArguments {
    /// Name of the action.
    name: String,
}

/// Remove actions.
#[derive(Args, Debug)]
pub struct DeleteArguments {
    /// Names of the actions.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

pub fn list(_: &ListArguments, context: &Context) -> Result<(), Failure> {
    let actions = context.client.list()?;
    if context.json {
        return output::json(&actions);
    }
    if actions.is_empty() {
        eprintln!("Nothing is deployed; `hk deploy FILE|CRATE` changes that.");
    }
    let head = ["NAME", "VERSION", "KIND", "MEMORY", "TIMEOUT", "UPDATED"].map(str::to_owned);
    let rows = actions.iter().map(row);
    output::bytes(
        output::table(&std::iter::once(head.to_vec()).chain(rows).collect::<Vec<_>>()).as_bytes(),
    )
}

fn row(action: &Action) -> Vec<String> {
    let annotations = action.other.get("annotations").and_then(|list| list.as_array());
    let kind = annotations.into_iter().flatten().find(|annotation| annotation["key"] == "exec");
    let kind = kind.and_then(|annotation| annotation["value"].as_str()).unwrap_or_default();
    let updated = action.other.get("updated").and_then(|time| time.as_u64());
    vec![
        action.name.clone(),
        action.version.clone(),
        kind.to_owned(),
        format!("{} MB", action.limits.memory_mb),
        format!("{} ms", action.limits.timeout_ms),
        updated.map(output::clock).unwrap_or_default(),
    ]
}

pub fn get(arguments: &GetArguments, context: &Context) -> Result<(), Failure> {
    let name = &arguments.name;
    let of_action = |error| Failure::of_action(error, &context.client, name);
    let action = context.client.get(name).map_err(of_action)?;
    if context.json {
        return output::json(&action);
    }
    let text = serde_json::to_string_pretty(&action);
    output::line(text.map_err(|error| Failure::usage(error.to_string()))?)
}

pub fn delete(arguments: &DeleteArguments, context: &Context) -> Result<(), Failure> {
    let mut deleted = Vec::new();
    for name in &arguments.names {
        let of_action = |error| Failure::of_action(error, &context.client, name);
        let action = context.client.delete(name).map_err(of_action)?;
        if !context.json {
            output::line(format!("Deleted {} {}", action.name, action.version))?;
        }
        deleted.push(action);
    }
    if context.json { output::json(&deleted) } else { Ok(()) }
}
