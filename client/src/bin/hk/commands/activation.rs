//! `hk activation`: one record, with its result, its log and why it ended so.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use hk::symbols::Place;
use hk::{Activation, Receipt};

use crate::failure::Failure;
use crate::places::with_place;
use crate::{Context, output};

/// Show the record of one invocation.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Its result, its log, and the reason if it failed.
    Get {
        /// The activation's id, which `hk invoke --async` and `hk activations` print.
        id: String,
        /// Wait until it has ended.
        #[arg(long)]
        wait_end: bool,
    },
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let Command::Get { id, wait_end } = &arguments.command;
    let record = match wait_end {
        true => context.client.wait(id).map_err(Failure::from)?,
        false => context.client.activation(id).map_err(Failure::of_record)?,
    };
    match context.json {
        true => output::json(&record),
        false => {
            let places = context.places.of(&record, Some(&context.client));
            output::text(&text(&record, &places))
        }
    }
}

fn text(record: &Activation, places: &[Place]) -> String {
    let Activation { id, name, start_ms, response, logs, .. } = record;
    let status = response.status.text();
    let timing = Receipt::read(&record.annotations).timing;
    let mut text = format!("{name}  {id}  {}  {status}\n", output::clock(*start_ms));
    let _ = writeln!(text, "time    {timing}");
    if let Some(reason) = record.reason().map(|reason| with_place(reason, places)) {
        let _ = writeln!(text, "reason  {reason}");
    }
    // Each is inlined into the next.
    for (index, place) in places.iter().enumerate() {
        let _ = writeln!(text, "{:<8}{place}", if index == 0 { "place" } else { "" });
    }
    for line in logs {
        let _ = writeln!(text, "log     {line}");
    }
    let _ = writeln!(text, "result  {}", response.result);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_tells_what_came_of_it_and_why() {
        let response =
            json!({"status": "action developer error", "result": {"error": "stack overflow"}});
        let record = json!({"activationId": "9afd", "name": "faults", "start": 0,
            "logs": ["a", "b"], "response": response,
            "annotations": [{"key": "receipt", "value": {"run_us": 120}}]});
        let record = serde_json::from_value(record).expect("a record");
        let expected = "faults  9afd  1970-01-01T00:00:00.000Z  developer error\n\
            time    run 0.120 ms\nreason  stack overflow\nlog     a\nlog     b\n\
            result  {\"error\":\"stack overflow\"}\n";
        assert_eq!(text(&record, &[]), expected);
    }
}
