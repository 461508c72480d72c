//! `hk bench`: how an action does under load.
//!
//! Closed loop: each connection sends its next request when it has its answer. Open loop: requests
//! are due at fixed times, and latency counts from when a request was due, not from when a busy
//! connection came to send it. Without that a stalled server would be measured once where all who
//! came meanwhile had to wait ("coordinated omission").

mod connection;
mod load;

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use hdrhistogram::Histogram;
use hk::Client;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use crate::failure::{Exit, Failure};
use crate::terminal;
use crate::{Context, complete, input, output};
use connection::Address;
use load::{Load, Tally};

/// The percentiles that are shown.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// Drive an action by /function/NAME and show latencies, rate and errors.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Name of the action.
    #[arg(add = ArgValueCompleter::new(complete::actions))]
    name: String,
    /// Its input: text, @FILE, or - for the standard input.
    #[arg(default_value = "{}", allow_hyphen_values = true)]
    input: String,
    /// Connections, each with one request under way at most.
    #[arg(long, short, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
    /// How long, in seconds.
    #[arg(long, short, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    duration: f64,
    /// End after so many requests.
    #[arg(long, short = 'n', value_name = "N")]
    requests: Option<u64>,
    /// Open loop: so many requests in a second, whatever the answers do.
    #[arg(long, short, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let name = &arguments.name;
    // One call first: a name that does not exist is said at once, with those that are like it.
    let input = input::bytes(&arguments.input)?;
    let first = context.client.call(name, &input)?;
    if first.status == 404 && first.activation_id.is_none() {
        let failure = Failure::new(Exit::Refused, format!("there is no action `{name}`"));
        return Err(failure.of_status(404, &context.client, name));
    }
    let target = &context.target;
    let address = Address::parse(context.client.base_url())?;
    let address = address.within(target.connect_wait, target.wait);
    if address.is_loopback() && !context.json {
        terminal::note(
            "note: the node is reached by way of this computer, so what is between (QEMU's user \
             network, a proxy) is measured, too",
        );
    }
    let load = Load {
        request: address.post(&Client::function_path(name), &input),
        address,
        connections: arguments.connections,
        duration: Duration::from_secs_f64(arguments.duration),
        requests: arguments.requests,
        rate: arguments.rate,
    };
    let spinner = ProgressBar::new_spinner().with_message(format!("{name} under load"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let tally = load.drive()?;
    spinner.finish_and_clear();
    match context.json {
        true => output::json(&shape(arguments, &tally))?,
        false => output::text(&text(arguments, &tally))?,
    }
    match tally.errors.is_empty() {
        true => Ok(()),
        false => Err(Failure::silent(Exit::ActionFailed)),
    }
}

/// The documented shape.
fn shape(arguments: &Arguments, tally: &Tally) -> Value {
    json!({
        "action": arguments.name,
        "mode": if arguments.rate.is_some() { "open" } else { "closed" },
        "connections": arguments.connections,
        "rate": arguments.rate,
        "seconds": tally.elapsed.as_secs_f64(),
        "succeeded": tally.latency.len(),
        "per_second": tally.per_second(),
        "latency_us": distribution(&tally.latency),
        "service_us": distribution(&tally.service),
        "errors": tally.errors,
    })
}

fn distribution(histogram: &Histogram<u64>) -> Value {
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1e3;
    let mut values = Map::new();
    values.insert("mean".to_owned(), json!(histogram.mean() / 1e3));
    values.insert("min".to_owned(), json!(microseconds(histogram.min())));
    for percentile in PERCENTILES {
        let value = histogram.value_at_percentile(percentile);
        values.insert(format!("p{percentile}"), json!(microseconds(value)));
    }
    values.insert("max".to_owned(), json!(microseconds(histogram.max())));
    values.into()
}

fn text(arguments: &Arguments, tally: &Tally) -> String {
    let Arguments { name, connections, rate, .. } = arguments;
    let mode = match rate {
        Some(rate) => format!("open loop at {rate}/s"),
        None => "closed loop".to_owned(),
    };
    let seconds = tally.elapsed.as_secs_f64();
    let mut text = format!(
        "{name}: {mode}, {connections} connections, {seconds:.2} s\n\
         {} succeeded, {:.1}/s\n",
        tally.latency.len(),
        tally.per_second()
    );
    if !tally.latency.is_empty() {
        text.push_str(&table(arguments, tally));
    }
    for (kind, count) in &tally.errors {
        text.push_str(&format!("{count} failed: {kind}\n"));
    }
    text
}

fn table(arguments: &Arguments, tally: &Tally) -> String {
    let mut columns = vec![("LATENCY", &tally.latency)];
    if arguments.rate.is_some() {
        // What the node did, without the time requests waited for a connection.
        columns.push(("SERVICE", &tally.service));
    }
    let row = |label: String, value: &dyn Fn(&Histogram<u64>) -> u64| {
        let times = columns
            .iter()
            .map(|(_, histogram)| output::time(Duration::from_nanos(value(histogram))));
        std::iter::once(label).chain(times).collect::<Vec<_>>()
    };
    let head = columns.iter().map(|(head, _)| (*head).to_owned());
    let mut rows = vec![std::iter::once(String::new()).chain(head).collect()];
    rows.push(row("min".to_owned(), &|histogram| histogram.min()));
    for percentile in PERCENTILES {
        let value = |histogram: &Histogram<u64>| histogram.value_at_percentile(percentile);
        rows.push(row(format!("p{percentile}"), &value));
    }
    rows.push(row("max".to_owned(), &|histogram| histogram.max()));
    output::table(&rows)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.01 to 86400 seconds".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1e7).contains(&rate) => Ok(rate),
        _ => Err("0.01 to 10000000 in a second".to_owned()),
    }
}
