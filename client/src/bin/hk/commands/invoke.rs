//! `hk invoke`: one invocation, waited for or not.

use std::io::{self, IsTerminal};

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::{Receipt, Reply, Timing};
use serde_json::json;

use super::trace;
use crate::failure::{Exit, Failure, exit_of};
use crate::terminal;
use crate::{Context, complete, input, output};

/// Invoke an action. Its result goes to stdout, its log and its times to stderr.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the action.
    #[arg(add = ArgValueCompleter::new(complete::actions))]
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
                activation.logs.iter().for_each(crate::terminal::note);
            }
            if arguments.trace {
                terminal::note(trace::text(activation, None).trim_end());
            } else if !arguments.result {
                let receipt = Receipt::read(&activation.annotations);
                terminal::note(times(&invocation.timing, &receipt));
                if let Some(calls) = &receipt.unsupported {
                    terminal::note(format_args!("unsupported: {calls}"));
                }
            }
            output::line(invocation.result())?;
        }
    }
    if invocation.succeeded() {
        return Ok(());
    }
    if context.json || arguments.result {
        // The result says it.
        return Err(Failure::silent(Exit::ActionFailed));
    }
    let status = activation.response.status.text();
    let reason = context.places.reason(activation, Some(&context.client));
    let reason = reason.filter(|reason| reason != status);
    let reason = reason.map_or_else(String::new, |reason| format!(", {reason}"));
    Err(Failure::new(Exit::ActionFailed, format!("{name} ended with: {status}{reason}")))
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
    } else if io::stdout().is_terminal() {
        // Nobody reads bytes there, and some would be obeyed.
        output::text(&reply.text())?;
    } else {
        output::bytes(&reply.body)?;
    }
    raw_end(&reply).map_err(|failure| match reply.activation_id {
        // The action was found.
        Some(_) => failure,
        None => failure.of_status(reply.status, &context.client, name),
    })
}

/// What a status means, which an action for HTTP chooses by itself.
fn raw_end(reply: &Reply) -> Result<(), Failure> {
    let Reply { status, activation_id, .. } = reply;
    match (status, activation_id) {
        (200..400, Some(_)) | (200..300, None) => Ok(()),
        (_, Some(id)) => Err(Failure::new(Exit::ActionFailed, format!("status {status}"))
            .hint(format!("`hk activation get {id}` shows log and reason"))),
        (_, None) => Err(Failure::new(exit_of(*status), format!("status {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_nodes_or_the_actions() {
        let exit = |status, ran: bool| {
            let activation_id = ran.then(|| "9afd".to_owned());
            let (timing, content_type) = (Timing::default(), None);
            let reply = Reply { status, activation_id, timing, content_type, body: vec![] };
            raw_end(&reply).err().map_or(Exit::Ok, |failure| failure.exit)
        };
        for status in [200, 204, 302, 304] {
            assert_eq!(exit(status, true), Exit::Ok, "{status}");
        }
        for status in [404, 418, 429, 500, 503] {
            assert_eq!(exit(status, true), Exit::ActionFailed, "{status}");
        }
        assert_eq!(exit(404, false), Exit::Refused);
        assert_eq!(exit(503, false), Exit::Overloaded);
        assert_eq!(exit(500, false), Exit::Unexpected);
    }
}
