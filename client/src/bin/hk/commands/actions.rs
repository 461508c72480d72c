//! `hk list`, `hk get`, `hk delete`: what is deployed.

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::Action;

use crate::failure::{Exit, Failure};
use crate::{Context, complete, output};

/// List what is deployed.
#[derive(Args, Debug)]
pub struct ListArguments {}

/// Show an action, as JSON.
#[derive(Args, Debug)]
pub struct GetArguments {
    /// Name of the action.
    #[arg(add = ArgValueCompleter::new(complete::actions))]
    name: String,
}

/// Remove actions.
#[derive(Args, Debug)]
pub struct DeleteArguments {
    /// Names of the actions.
    #[arg(required = true, value_name = "NAME", add = ArgValueCompleter::new(complete::actions))]
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
    output::text(&output::table(&std::iter::once(head.to_vec()).chain(rows).collect::<Vec<_>>()))
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

/// Deletes what it can, and says of each of the others why not. The first failure is the exit code.
pub fn delete(arguments: &DeleteArguments, context: &Context) -> Result<(), Failure> {
    let (mut deleted, mut failed) = (Vec::new(), None);
    for name in &arguments.names {
        match context.client.delete(name) {
            Ok(action) => {
                if !context.json {
                    output::line(format!("Deleted {} {}", action.name, action.version))?;
                }
                deleted.push(action);
            }
            Err(error) => {
                let failure = Failure::of_action(error, &context.client, name).of(name);
                let failure = context.target.explain(failure);
                failure.show(context.json);
                // Who is not there is not there for the others.
                let exit = failure.exit;
                failed.get_or_insert(exit);
                if exit == Exit::Unreachable {
                    break;
                }
            }
        }
    }
    if context.json {
        output::json(&deleted)?;
    }
    failed.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}
