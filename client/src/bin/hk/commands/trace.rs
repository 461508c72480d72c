//! `hk trace`: where the time of one invocation went, and what it used.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::{Activation, Receipt, Selection};
use serde_json::{Value, json};

use super::logs::is_id;
use crate::failure::{Exit, Failure};
use crate::{Context, complete, output};

/// Characters of the longest bar.
const BAR_LEN: f64 = 48.0;

/// Show the timeline of an invocation: waiting for a core, loading, running, answering.
#[derive(Args, Debug)]
pub struct Arguments {
    /// An activation's id, or an action's name for its last one.
    #[arg(value_name = "ID|NAME", add = ArgValueCompleter::new(complete::actions))]
    of: String,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let activation = if is_id(&arguments.of) {
        context.client.activation(&arguments.of).map_err(Failure::of_record)?
    } else {
        let name = Some(arguments.of.clone());
        let selection = Selection { name, limit: Some(1), ..Selection::default() };
        let last = context.client.records(&selection)?.into_iter().next();
        last.ok_or_else(|| {
            Failure::new(Exit::Refused, format!("the node has no record of `{}`", arguments.of))
                .hint("`hk activations` lists what it has")
        })?
    };
    match context.json {
        true => output::json(&shape(&activation)),
        false => {
            let reason = context.places.reason(&activation, Some(&context.client));
            output::text(&text(&activation, reason.as_deref()))
        }
    }
}

/// The documented shape.
pub fn shape(activation: &Activation) -> Value {
    json!({
        "activationId": activation.id,
        "name": activation.name,
        "start": activation.start_ms,
        "status": activation.response.status,
        "receipt": Receipt::read(&activation.annotations),
    })
}

/// The timeline as text.
pub fn text(activation: &Activation, reason: Option<&str>) -> String {
    let Activation { id, name, start_ms, response, .. } = activation;
    let receipt = Receipt::read(&activation.annotations);
    let mut text =
        format!("{name}  {id}  {}  {}\n", output::clock(*start_ms), response.status.text());
    if let Some(reason) = reason {
        let _ = writeln!(text, "{reason}");
    }
    timeline(&mut text, &receipt);
    let used = [
        ("core", receipt.core.map(|core| core.to_string())),
        ("cycles", receipt.cycles.map(|cycles| cycles.to_string())),
        ("calls", receipt.calls.map(|calls| calls.to_string())),
        ("page faults", receipt.page_faults.map(|faults| faults.to_string())),
        ("pages", receipt.pages.map(|pages| pages.to_string())),
        ("touched", receipt.bytes_touched.map(output::size)),
        ("peak", receipt.memory_peak_bytes.map(output::size)),
        ("image", receipt.image),
        ("unsupported", receipt.unsupported),
    ];
    let used: Vec<_> =
        used.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    for (name, value) in used {
        let _ = writeln!(text, "{name:<11} {value}");
    }
    text
}

/// A line for each part, its bar where it lies in the whole.
fn timeline(text: &mut String, receipt: &Receipt) {
    let timing = receipt.timing;
    let inner = [("queue", timing.queue), ("load", timing.load), ("run", timing.run)];
    let known: Duration = inner.iter().filter_map(|(_, time)| *time).sum();
    let total = timing.total.unwrap_or(known).max(known);
    let answer = timing.total.map(|_| total.saturating_sub(known));
    let scale = if total.is_zero() { 0.0 } else { BAR_LEN / total.as_secs_f64() };
    let mut begin = Duration::ZERO;
    for (name, time) in inner.into_iter().chain([("answer", answer)]) {
        let Some(time) = time else { continue };
        let from = (begin.as_secs_f64() * scale) as usize;
        begin += time;
        let to = (begin.as_secs_f64() * scale).ceil() as usize;
        let bar = "█".repeat(to.saturating_sub(from).max(1));
        let _ = writeln!(text, "{name:<7} {:>8} {}{bar}", output::time(time), " ".repeat(from));
    }
    let _ = writeln!(text, "{:<7} {:>8}", "total", output::time(total));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation(annotations: Value) -> Activation {
        serde_json::from_value(json!({"activationId": "9afd", "name": "hello", "start": 0,
            "response": {"status": "success"}, "annotations": annotations}))
        .expect("a record")
    }

    #[test]
    fn bars_follow_each_other() {
        let receipt = json!([{"key": "receipt", "value": {"queue_us": 120, "load_us": 120,
            "run_us": 120, "total_us": 480, "core": 1, "bytes_touched": 45056}}]);
        let text = text(&activation(receipt), None);
        let bar = "█".repeat(12);
        let expected = format!(
            "hello  9afd  1970-01-01T00:00:00.000Z  success\n\
             queue     120 µs {bar}\n\
             load      120 µs {:12}{bar}\n\
             run       120 µs {:24}{bar}\n\
             answer    120 µs {:36}{bar}\n\
             total     480 µs\n\
             core        1\ntouched     44.00 KiB\n",
            "", "", ""
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_record_without_measurements_is_shown_too() {
        let text = text(&activation(json!([])), None);
        assert!(text.ends_with("success\ntotal    0.00 µs\n"), "{text}");
    }
}
