//! `hk invoke`: one invocation, waited for or not.

use clap::Args;
use hk::{Receipt, Timing};
use serde_json::json;

use super::trace;
use crate::failure::{Exit, Failure, exit_of};
use crate::{Context, input, output};

/// Invoke an action. Its result goes to stdout, its log and its times to stderr.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the action.
    name: String,
    /// Its input: JSON, @FILE, or - for the standard input. Bytes of any kind with --raw.
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    input: String,
    /// Only the result: neither log nor times.
    #[arg(long, group = "form")]
    result: bool,
    /// Do not wait; print the activation's id.
    #[arg(long = "async", group = "form")]
    start: bool,
    /// Bytes in, bytes out, by /function/NAME.
    #[arg(long, group = "form")]
    raw: bool,
    /// Show where the time went as `hk trace` does.
    #[arg(long, group = "form")]
    trace: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let name = &arguments.name;
    let of_action = |error| Failure::of_action(error, &context.client, name);
    if arguments.raw {
        return raw(arguments, context);
    }
    let value = input::json(&arguments.input)?;
    if arguments.start {
        let id = context.client.start(name, &value).map_err(of_action)?;
        return match context.json {
            true => output::json(&json!({ "activationId": id })),
            false => output::line(id),
        };
    }
    let invocation = context.client.invoke(name, &value).map_err(of_action)?;
    let activation = &invocation.activation;
    match context.json {
        true if arguments.result => output::json(invocation.result())?,
        true if arguments.trace => output::json(&trace::shape(activation))?,
        true => output::json(activation)?,
        false => {
            if !arguments.result {
                activation.logs.iter().for_each(|line| eprintln!("{line}"));
            }
            if arguments.trace {
                eprint!("{}", trace::text(activation));
            } else if !arguments.result {
                eprintln!("{}", times(&invocation.timing, &Receipt::read(&activation.annotations)));
            }
            output::line(invocation.result())?;
        }
    }
    if invocation.succeeded() {
        return Ok(());
    }
    let status = activation.response.status.text();
    Err(match context.json || arguments.result {
        // The result says it.
        true => Failure::silent(Exit::ActionFailed),
        false => Failure::new(Exit::ActionFailed, format!("{name} ended with: {status}")),
    })
}

/// The node's times: from the answer's head, or else from the record.
fn times(timing: &Timing, receipt: &Receipt) -> Timing {
    if *timing == Timing::default() { receipt.timing } else { *timing }
}

fn raw(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let name = &arguments.name;
    let reply = context.client.call(name, &input::bytes(&arguments.input)?)?;
    if context.json {
        output::json(&json!({
            "status": reply.status,
            "activationId": reply.activation_id,
            "contentType": reply.content_type,
            "timing": Receipt { timing: reply.timing, ..Receipt::default() },
            "body": reply.text(),
        }))?;
    } else {
        output::bytes(&reply.body)?;
    }
    match reply.status {
        200..300 => Ok(()),
        status => {
            let failure = Failure::new(exit_of(status), format!("status {status}"));
            Err(failure.of_status(status, &context.client, name))
        }
    }
}
