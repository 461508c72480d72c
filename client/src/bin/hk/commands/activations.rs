//! `hk activations`: what ran.

use clap::Args;
use hk::{Receipt, Selection, Summary};

use crate::failure::Failure;
use crate::{Context, output};

/// List what ran, newest first.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Of this action only.
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
    if context.json {
        return output::json(&summaries);
    }
    let head = ["START", "ID", "ACTION", "STATUS", "RUN", "TOTAL"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(summaries.iter().map(row)).collect();
    output::bytes(output::table(&rows).as_bytes())
}

fn row(summary: &Summary) -> Vec<String> {
    let timing = Receipt::read(&summary.annotations).timing;
    let time = |time: Option<_>| time.map_or_else(|| "-".to_owned(), output::time);
    vec![
        output::clock(summary.start_ms),
        summary.id.clone(),
        summary.name.clone(),
        summary.status().text().to_owned(),
        time(timing.run),
        time(timing.total),
    ]
}
