//! `hk logs`: what actions wrote, once or as it comes.

use std::collections::{HashSet, VecDeque};
use std::thread;
use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use hk::{Activation, Selection};
use serde_json::json;

use super::activations::nothing_of;
use crate::failure::Failure;
use crate::places::author;
use crate::terminal;
use crate::{Context, complete, output};

/// How often to look for news.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Records in one answer while following: few, since most looks find little.
const PAGE_LEN: u32 = 50;
/// Answers of one look. What more there is, is passed over, and said to be.
const PAGES_MAX: u32 = 20;
/// How many ids are remembered: all that one look can bring, and those of the look before.
const SEEN_MAX: usize = (2 * PAGES_MAX * PAGE_LEN) as usize;
/// Without -f, of how many invocations the log is shown.
const SHOWN_DEFAULT: u32 = 10;

/// Show the log of an activation, of the last invocations of an action, or of all.
#[derive(Args, Debug)]
pub struct Arguments {
    /// An activation's id, or an action's name; everything if absent.
    #[arg(value_name = "ID|NAME", add = ArgValueCompleter::new(complete::actions))]
    of: Option<String>,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    /// Of how many of the last invocations.
    #[arg(long, short = 'n', value_name = "N", default_value_t = SHOWN_DEFAULT,
        value_parser = clap::value_parser!(u32).range(0..=200))]
    last: u32,
}

pub fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    if let Some(id) = arguments.of.as_ref().filter(|of| is_id(of)) {
        let record = context.client.activation(id).map_err(Failure::of_record)?;
        return print(&record, context);
    }
    let name = arguments.of.clone();
    let limit = Some(arguments.last.max(1));
    let first = context.client.records(&Selection { name, limit, ..Selection::default() })?;
    if let (true, Some(name)) = (first.is_empty(), &arguments.of) {
        nothing_of(name, context)?;
    }
    for record in first.iter().take(arguments.last as usize).rev() {
        print(record, context)?;
    }
    let mut seen: VecDeque<_> = first.into_iter().map(|record| record.id).collect();
    if !arguments.follow {
        return Ok(());
    }
    loop {
        thread::sleep(LOOK_EVERY);
        for record in news(arguments.of.as_deref(), &seen, context)?.into_iter().rev() {
            print(&record, context)?;
            seen.push_back(record.id);
        }
        seen.drain(..seen.len().saturating_sub(SEEN_MAX));
    }
}

/// What was recorded since the last look, newest first. Nodes list records in the order in which
/// they were made, so everything new stands before everything seen.
fn news(
    name: Option<&str>,
    seen: &VecDeque<String>,
    context: &Context,
) -> Result<Vec<Activation>, Failure> {
    let mut news: Vec<Activation> = Vec::new();
    for _ in 0..PAGES_MAX {
        let page = context.client.records(&Selection {
            name: name.map(str::to_owned),
            limit: Some(PAGE_LEN),
            skip: news.len() as u32,
            ..Selection::default()
        })?;
        let len = page.len();
        let new = page.into_iter().take_while(|record| !seen.contains(&record.id));
        let before = news.len();
        news.extend(new);
        if len == 0 || news.len() - before < len {
            // What came while we turned the pages moved the rest on.
            let mut once = HashSet::new();
            news.retain(|record| once.insert(record.id.clone()));
            return Ok(news);
        }
    }
    terminal::note("… more ran since the last look than is shown");
    Ok(news)
}

/// Ids are 32 hexadecimal digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn print(record: &Activation, context: &Context) -> Result<(), Failure> {
    let node = Some(&context.client);
    if context.json {
        let places = context.places.of(record, node);
        return output::json(&json!({
            "activationId": record.id,
            "name": record.name,
            "start": record.start_ms,
            "logs": record.logs,
            "reason": record.reason(),
            "place": author(&places).map(ToString::to_string),
        }));
    }
    let reason = context.places.reason(record, node);
    let reason = reason.map(|reason| format!("ended with: {reason}"));
    let lines = record.logs.iter().chain(&reason).map(|line| format!("{} {line}\n", record.name));
    output::text(&lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id("9afd9bac0d304035af4c2cebfdb98095"));
        assert!(!is_id("hello"));
        assert!(!is_id("zafd9bac0d304035af4c2cebfdb98095"));
    }
}
