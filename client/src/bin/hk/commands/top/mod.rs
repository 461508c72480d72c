//! `hk top`: what a node does, live, from two readings of its metrics each.

mod keys;
mod view;

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use console::Term;

use crate::failure::Failure;
use crate::terminal;
use crate::{Context, output};
use keys::Keys;
use view::View;

/// Show rates, percentiles, cores and queues of a node, live.
///
/// On a terminal the picture is redrawn in place, until `q`; into a pipe or file one follows the
/// other.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Seconds between two readings.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
    /// One picture, of one interval.
    #[arg(long)]
    once: bool,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let interval = Duration::from_secs_f64(arguments.interval);
    let terminal = Term::stdout();
    let in_place = terminal.is_term() && !context.json && !arguments.once;
    let keys = if in_place { Keys::listen() } else { None };
    let mut earlier = (context.client.metrics()?, Instant::now());
    loop {
        match &keys {
            Some(keys) if keys.leaves_within(interval) => return Ok(()),
            Some(_) => {}
            None => thread::sleep(interval),
        }
        let metrics = context.client.metrics()?;
        let now = Instant::now();
        let view = View::new(&earlier.0, &metrics, now.duration_since(earlier.1));
        if context.json {
            output::json(&view)?;
        } else if in_place {
            redraw(&terminal, &terminal::visible(&view.text(context.client.base_url())))?;
        } else {
            output::text(&view.text(context.client.base_url()))?;
        }
        if arguments.once {
            return Ok(());
        }
        earlier = (metrics, now);
    }
}

/// Puts the text into the upper left corner; what does not fit is cut.
fn redraw(terminal: &Term, text: &str) -> Result<(), Failure> {
    let (rows, columns) = terminal.size();
    let lines = text.lines().take(usize::from(rows).saturating_sub(1));
    let mut frame = String::from("\x1b[H");
    for line in lines {
        frame.push_str(&console::truncate_str(line, usize::from(columns), "…"));
        frame.push_str("\x1b[K\n");
    }
    frame.push_str("\x1b[J");
    output::bytes(frame.as_bytes())
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("0.05 to 3600 seconds".to_owned()),
    }
}
