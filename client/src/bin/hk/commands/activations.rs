//! `hk activations`: what ran.

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::{Receipt, Selection, Status, Summary};

use crate::failure::Failure;
use crate::terminal;
use crate::{Context, complete, output};

/// List what ran, newest first, and why it failed.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Of this action only.
    #[arg(add = ArgValueCompleter::new(complete::actions))]
    name: Option<String>,
    /// How many, up to 200.
    #[arg(long, value_name = "N", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// How many of the newest to leave out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u32,
    /// Only those that started at this time or later, in milliseconds since 1970.
    #[arg(long, value_name = "MS")]
    since: Option<u64>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let selection = Selection {
        name: arguments.name.clone(),
        limit: Some(arguments.limit),
        skip: arguments.skip,
        since_ms: arguments.since,
    };
    let summaries = context.client.activations(&selection)?;
    if let (true, Some(name)) = (summaries.is_empty(), &arguments.name) {
        nothing_of(name, context)?;
    }
    if context.json {
        return output::json(&summaries);
    }
    let head = ["START", "ID", "ACTION", "RUN", "TOTAL", "STATUS"].map(str::to_owned).to_vec();
    let rows = summaries.iter().map(|summary| row(summary, context));
    output::text(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
}

/// Says that there is no record of an action; fails if there is no such action.
pub fn nothing_of(name: &str, context: &Context) -> Result<(), Failure> {
    let of_action = |error| Failure::of_action(error, &context.client, name);
    context.client.get(name).map_err(of_action)?;
    terminal::note(format_args!(
        "The node has no record of `{name}`: it did not run, or long ago."
    ));
    Ok(())
}

fn row(summary: &Summary, context: &Context) -> Vec<String> {
    let timing = Receipt::read(&summary.annotations).timing;
    let time = |time: Option<_>| time.map_or_else(|| "-".to_owned(), output::time);
    vec![
        output::clock(summary.start_ms),
        summary.id.clone(),
        summary.name.clone(),
        time(timing.run),
        time(timing.total),
        status(summary, context),
    ]
}

/// How it ended, and why. Lists do not say why, so records of failures are asked for; one that is
/// forgotten meanwhile has nothing more to say. For the place no program is asked for.
fn status(summary: &Summary, context: &Context) -> String {
    let status = summary.status().text();
    if summary.status() == Status::Success {
        return status.to_owned();
    }
    let reason = context
        .client
        .activation(&summary.id)
        .ok()
        .and_then(|record| context.places.reason(&record, None));
    reason.map_or_else(|| status.to_owned(), |reason| format!("{status}: {reason}"))
}
